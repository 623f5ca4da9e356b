import { mkdtempSync, rmSync } from 'node:fs';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { createKeyFile } from '#platform/keys.ts';
import { openDataFolder } from '#standalone/data-folder.ts';
import { runCli } from '#support/cli.ts';
import { copyEmptyDatabase, onEachEngine } from '#support/postgres.ts';
import { enter, hourseal, install, meter, origin, type Place } from './installation.ts';

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), 'hourseal-cli-'));
  folders.push(folder);
  return folder;
}

async function requireRefusal(place: Place, args: readonly string[], why: RegExp): Promise<void> {
  const ended = await hourseal(place, ...args, '--data', 'data');
  expect(ended, JSON.stringify(ended)).toMatchObject({ code: 3, stdout: '' });
  expect(ended.stderr).toMatch(/^hourseal: [^\n]*\n$/);
  expect(ended.stderr).toMatch(why);
}

onEachEngine('the commands of an installation', (start, engine) => {
  test('make it, fill its register, and export a log that audits anywhere', async () => {
    const folder = scratch();
    const data = join(folder, 'data');
    const server = engine === 'postgres' ? await start({ migrated: false }) : undefined;
    const place: Place = { folder, ...(server && { databaseUrl: server.connectionString }) };
    if (engine === 'pglite') {
      // As if initdb, which takes seconds, had been done.
      const opened = await openDataFolder(data, { create: 'installation' });
      await copyEmptyDatabase(opened.database);
      await opened.release();
    }
    await install(place);
    for (const key of ['log', 'ingestion', 'issuing-body']) {
      expect((await stat(join(data, `keys/${key}.pem`))).mode & 0o777).toBe(0o600);
    }
    await createKeyFile(join(folder, 'meter.pem'), 'ES256');
    expect(await enter(place, 'meter', 'key', meter, '--private', 'meter.pem')).toBe(
      'entry 4: key\n',
    );

    const before = await readFile(join(data, 'log/checkpoint'), 'utf8');
    await requireRefusal(place, ['init', '--origin', 'log.example/other'], /holds a log/);
    await requireRefusal(
      place,
      ['meter', 'key', meter, '--private', 'meter.pem'],
      /^hourseal: not entered: /,
    );
    await requireRefusal(place, ['meter', 'key', 'NOBODY', '--private', 'meter.pem'], /no meter/);
    await writeFile(join(folder, 'broken.json'), '{"plant":{}}');
    await requireRefusal(place, ['plant', 'add', 'broken.json'], /broken\.json: plant/);
    await requireRefusal(place, ['plant', 'add', 'missing.json'], /missing\.json: cannot be read/);
    expect(await readFile(join(data, 'log/checkpoint'), 'utf8')).toBe(before);

    // From here on nothing knows of a database, or of keys.
    const away = scratch();
    const exported = join(away, 'exported');
    const run = await runCli(['log', 'export', '--data', data, '--to', exported]);
    expect(run).toMatchObject({ code: 0, stderr: '' });
    for (const place of [data, exported]) {
      const audit = await runCli(['log', 'audit', '--data', place]);
      expect(audit, JSON.stringify(audit)).toMatchObject({ code: 0, stderr: '' });
      expect(audit.stdout).toContain(`${origin}, 5 entries`);
    }
    await requireBrokenAudit(exported);
    const again = await runCli(['log', 'export', '--data', data, '--to', exported]);
    expect(again).toMatchObject({ code: 3, stdout: '' });
    expect(again.stderr).toMatch(/^hourseal: .* is not empty\n$/);
  });
});

/** A changed byte in any of its files is a finding; a folder that is no log at all, one line. */
async function requireBrokenAudit(log: string): Promise<void> {
  const bundle = join(log, 'tile/entries/000.p/5');
  const bytes = await readFile(bundle);
  for (const at of [10, bytes.length - 10]) {
    const changed = Uint8Array.from(bytes);
    changed[at] = (changed[at] ?? 0) ^ 1;
    await writeFile(bundle, changed);
    const audit = await runCli(['log', 'audit', '--data', log]);
    expect(audit, JSON.stringify(audit)).toMatchObject({ code: 1, stderr: '' });
    expect(audit.stdout).toContain('the log is wrong');
  }
  await writeFile(bundle, bytes);
  const none = await runCli(['log', 'audit', '--data', join(log, 'tile')]);
  expect(none).toMatchObject({ code: 3, stdout: '' });
  expect(none.stderr).toMatch(/^hourseal: [^\n]*no published log[^\n]*\n$/);
}

test('wrong usage ends with 2, and touches nothing', async () => {
  const folder = scratch();
  await mkdir(join(folder, 'empty'));
  const wrong: (readonly string[])[] = [
    ['frobnicate'],
    ['verify'],
    ['demo', '--hours', '0'],
    ['demo', '--hours', '1.5'],
    ['init', '--data', 'empty'],
    ['plant', 'add', 'plant.json'],
    ['meter', 'key', 'M', '--data', 'empty'],
    ['meter', 'key', 'M', '--data', 'empty', '--public', 'a.pem'],
    ['meter', 'key', 'M', '--data', 'empty', '--private', 'a.pem', '--public', 'b.pem'],
    ['log', 'audit'],
  ];
  for (const args of wrong) {
    const ended = await hourseal({ folder }, ...args);
    expect(ended, args.join(' ')).toMatchObject({ code: 2, stdout: '' });
    expect(ended.stderr).not.toContain('    at ');
  }
  expect(await readdir(folder)).toEqual(['empty']);
  expect(await readdir(join(folder, 'empty'))).toEqual([]);
});

test('a folder that is no data folder is refused in one line, and left as it is', async () => {
  const folder = scratch();
  await mkdir(join(folder, 'empty'));
  await createKeyFile(join(folder, 'meter.pem'), 'Ed25519');
  const commands: (readonly string[])[] = [
    ['serve', '--data', 'empty'],
    ['meter', 'key', 'M', '--private', 'meter.pem', '--data', 'empty'],
    ['log', 'export', '--data', 'empty', '--to', 'elsewhere'],
    ['log', 'audit', '--data', 'nowhere'],
    ['init', '--data', 'empty', '--origin', 'no spaces'],
  ];
  for (const args of commands) {
    const ended = await hourseal({ folder }, ...args);
    expect(ended, args.join(' ')).toMatchObject({ code: 3, stdout: '' });
    expect(ended.stderr).toMatch(/^hourseal: [^\n]*\n$/);
  }
  expect((await readdir(folder)).sort()).toEqual(['empty', 'meter.pem']);
  expect(await readdir(join(folder, 'empty'))).toEqual([]);
});
