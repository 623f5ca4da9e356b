import { mkdtempSync, rmSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import mqtt from 'mqtt';
import { afterAll, expect, it, test } from 'vitest';
import { buildConnect } from '#core/energy/connect.ts';
import { hourSeconds, hourStartOf } from '#core/energy/hours.ts';
import { buildMessage, messagesTopic } from '#core/energy/message.ts';
import { createKeyFile } from '#platform/keys.ts';
import { startCli } from '#support/cli.ts';
import { onPostgres } from '#support/postgres.ts';
import { enter, environment, hourseal, meter, origin, plant } from './installation.ts';
import type { Place } from './installation.ts';

const examples = fileURLToPath(new URL('../../devices/examples/', import.meta.url));
const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'hourseal-beside-'));
  folders.push(folder);
  return folder;
}

/** An installation with a plant and no meter yet, made more than two hours ago. */
async function begin(place: Place): Promise<void> {
  await enter(place, 'init', '--origin', origin);
  await createKeyFile(join(place.folder, `data/keys/accounts/${plant}.pem`), 'Ed25519');
  await enter(place, 'plant', 'add', join(examples, 'plant.json'));
}

onPostgres('commands beside a running installation', (start) => {
  it('enrol a meter that then publishes, is sealed and ends, without a restart', async () => {
    const database = await start({ migrated: false });
    const folder = newFolder();
    const shiftS = -(2 * hourSeconds + 300);
    const place = { folder, databaseUrl: database.connectionString, shiftS };
    await begin(place);
    const server = startCli(['serve', '--data', 'data'], {
      cwd: folder,
      env: { ...environment({ folder, databaseUrl: database.connectionString }), BROKER_PORT: '0' },
    });
    try {
      const [, port = ''] = await server.said(/"port":(\d+)[^\n]*"ready"/);
      const example = JSON.parse(await readFile(join(examples, 'meter.json'), 'utf8')) as object;
      const registers = { exportWh: { direction: 'export', unit: 'Wh' } };
      await writeFile(join(folder, 'meter.json'), JSON.stringify({ ...example, registers }));
      expect(await enter(place, 'meter', 'add', 'meter.json')).toBe('entry 3: meter\n');
      const key = await createKeyFile(join(folder, 'meter.pem'), 'Ed25519');
      const asked = await hourseal(
        place,
        ...['meter', 'ask', '--private', 'meter.pem', '--origin', origin, '--plant', plant],
        ...['--meter', meter, '--out', 'asked.json'],
      );
      expect(asked).toMatchObject({ code: 0 });
      await enter(place, 'meter', 'enrol', 'asked.json');
      expect(await enter(place, 'meter', 'approve', key.kid)).toBe('entry 4: key\n');

      const hour = hourStartOf(Math.floor(Date.now() / 1000)) - hourSeconds;
      const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, {
        clientId: meter,
        username: meter,
        password: buildConnect(key, {
          aud: 'hourseal-broker',
          iat: Math.floor(Date.now() / 1000),
          sub: meter,
        }),
        reconnectPeriod: 0,
      });
      const readings = [0, hourSeconds].map((s) => ({ registers: { exportWh: s }, t: hour + s }));
      const message = { log: origin, meter, plant, readings, seq: 1, v: 1 } as const;
      await client.publishAsync(messagesTopic(plant, meter), buildMessage(key, message), {
        qos: 1,
      });
      await client.endAsync();
      const sealed = async (): Promise<number[]> =>
        (
          await database.pool.rows<{ generation_wh: number }>(
            `select generation_wh from hour_value join checkpoint on entry_index < published_size
              where start = ${hour}`,
          )
        ).map(({ generation_wh }) => generation_wh);
      const limit = Date.now() + 60_000;
      while ((await sealed()).length === 0 && Date.now() < limit) await setTimeout(100);
      expect(await sealed()).toEqual([hourSeconds]);
      expect(await enter({ ...place, shiftS: 0 }, 'meter', 'status')).toContain('message 1 came');

      // By real time now: nothing enters the log before what is in it.
      const ending = ['meter', 'end', meter, '--closing', `exportWh=${hourSeconds}`];
      const refused = await hourseal(
        { ...place, shiftS: 0 },
        ...[...ending, '--at', String(hour + 60), '--data', 'data'],
      );
      expect(refused).toMatchObject({ code: 3, stdout: '' });
      expect(refused.stderr).toMatch(/^hourseal: not entered: [^\n]*is sealed[^\n]*\n$/);
      expect(await enter({ ...place, shiftS: 0 }, ...ending)).toMatch(
        /^entry \d+: meter-change\n$/,
      );
    } finally {
      server.child.kill('SIGTERM');
    }
    expect(await server.ended).toMatchObject({ code: 0 });
    expect(await hourseal(place, 'log', 'audit', '--data', 'data')).toMatchObject({ code: 0 });
    await database.stop();
  });
});

test('beside the embedded engine a command says in one line what to do', async () => {
  const place = { folder: newFolder() };
  await begin(place);
  const server = startCli(['serve', '--data', 'data'], {
    cwd: place.folder,
    env: { ...environment(place), BROKER_PORT: '0' },
  });
  try {
    await server.said(/"ready"/);
    const file = join(examples, 'meter.json');
    const refused = await hourseal(place, 'meter', 'add', file, '--data', 'data');
    expect(refused).toMatchObject({ code: 3, stdout: '' });
    expect(refused.stderr).toMatch(
      /^hourseal: [^\n]*in use by process \d+: stop it first, [^\n]*DATABASE_URL[^\n]*\n$/,
    );
    const status = await hourseal(place, 'meter', 'status', '--data', 'data');
    expect(status.stderr).toMatch(/^hourseal: [^\n]*stop it first[^\n]*\n$/);
  } finally {
    server.child.kill('SIGTERM');
  }
  expect(await server.ended).toMatchObject({ code: 0 });
});
