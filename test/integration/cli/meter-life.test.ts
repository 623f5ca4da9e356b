import { mkdtempSync, rmSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { run } from '#cli/run.ts';
import { decodeUtf8 } from '#core/bytes.ts';
import type { Signer } from '#core/signer.ts';
import { createKeyFile } from '#platform/keys.ts';
import { styleOf } from '#platform/terminal.ts';
import { onPostgres, type TestPostgres } from '#support/postgres.ts';

/** What happens to a meter, by commands alone: it asks, is enrolled, rotates its key, is exchanged. */

const folder = mkdtempSync(join(tmpdir(), 'hourseal-meter-life-'));
const data = join(folder, 'data');
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const origin = 'log.example/meter-life';
const plant = 'example-wind';
const meter = 'EXAMPLE-1';
/** What the README tells people to start from. */
const examples = fileURLToPath(new URL('../../../devices/examples/', import.meta.url));
const at = (file: string): string => join(folder, file);

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function hourseal(...args: readonly string[]): Promise<Ended> {
  const said = { stdout: '', stderr: '' };
  const code = await run(args, {
    out: (text) => (said.stdout += text),
    err: (text) => (said.stderr += text),
    style: styleOf({}, {}),
  });
  return { code, ...said };
}

/** Runs a command that must end well. */
async function enter(...args: readonly string[]): Promise<string> {
  const ended = await hourseal(...args, '--data', data);
  expect(ended, JSON.stringify(ended)).toMatchObject({ code: 0, stderr: '' });
  return ended.stdout;
}

async function requireRefusal(args: readonly string[], why: RegExp): Promise<void> {
  const ended = await hourseal(...args, '--data', data);
  expect(ended, JSON.stringify(ended)).toMatchObject({ code: 3, stdout: '' });
  expect(ended.stderr).toMatch(/^hourseal: [^\n]*\n$/);
  expect(ended.stderr).toMatch(why);
}

const ask = (key: string, out: string, ...more: readonly string[]): Promise<Ended> =>
  hourseal(
    ...['meter', 'ask', '--private', at(key), '--origin', origin, '--plant', plant],
    ...['--meter', meter, '--out', at(out), ...more],
  );
const list = (): Promise<string> => enter('meter', 'enrolments');

/** A key whose thumbprint begins as an option does: one in 64. */
async function hyphenedKey(file: string): Promise<Signer> {
  for (;;) {
    const key = await createKeyFile(at(file), 'Ed25519');
    if (key.kid.startsWith('-')) return key;
    await rm(at(file));
  }
}

async function install(): Promise<void> {
  await enter('init', '--origin', origin);
  await createKeyFile(join(data, `keys/accounts/${plant}.pem`), 'Ed25519');
  await enter('plant', 'add', join(examples, 'plant.json'));
  await enter('meter', 'add', join(examples, 'meter.json'));
}

// On a server of its own: each command of a stopped installation would start an embedded one.
onPostgres('meters, by commands', (start) => {
  let database: TestPostgres;
  beforeAll(async () => {
    database = await start({ migrated: false });
  });
  afterAll(() => database.stop());
  beforeEach(() => {
    vi.stubEnv('DATABASE_URL', database.connectionString);
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test('a meter is enrolled, rotates its key and is exchanged', async () => {
    await install();
    const [first, second] = [
      await hyphenedKey('first.pem'),
      await createKeyFile(at('second.pem'), 'ES256'),
    ];
    expect(first.kid).toMatch(/^-/);

    expect(await list()).toBe('no meter has asked to be enrolled\n');
    expect(await ask('first.pem', 'first.json')).toMatchObject({ code: 0, stderr: '' });
    // Nothing that is there is overwritten.
    const again = await ask('first.pem', 'first.json');
    expect(again).toMatchObject({ code: 3, stdout: '' });
    expect(again.stderr).toBe(`hourseal: ${at('first.json')}: is there already\n`);
    const taken = await enter('meter', 'enrol', at('first.json'));
    expect(taken).toContain(`${first.kid} waits to be the key of ${meter}`);
    expect(await list()).toMatch(new RegExp(`^pending {3}${first.kid} {2}${plant}/${meter} `));
    expect(await enter('meter', 'approve', first.kid)).toBe('entry 4: key\n');
    expect(await list()).toMatch(/^approved /);
    await requireRefusal(['meter', 'approve', first.kid], /is approved/);
    await requireRefusal(['meter', 'enrol', at('first.json')], /that key is in the log/);

    const silent = await hourseal('meter', 'status', '--data', data);
    expect(silent).toMatchObject({ code: 4, stderr: '' });
    expect(silent.stdout).toContain(`silent  ${plant}/${meter}  ${first.kid}`);
    expect(silent.stdout).toContain('never heard');

    // The next key is asked for and approved beside the old one, which is ended with what it signed last.
    await ask('second.pem', 'second.json');
    await enter('meter', 'enrol', at('second.json'));
    expect(await enter('meter', 'approve', second.kid)).toBe('entry 5: key\n');
    const end = ['meter', 'end-key', first.kid, '--last-seq', '0', '--last-t', '1760000000'];
    expect(await enter(...end)).toBe('entry 6: key-end\n');
    await requireRefusal(end, /has ended already/);
    await requireRefusal(
      ['meter', 'end-key', 'A'.repeat(43), '--last-seq', '0', '--last-t', '0'],
      /no meter key/,
    );
    const status = await hourseal('meter', 'status', meter, '--json', '--data', data);
    const states = status.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    expect(states).toMatchObject([
      { kid: first.kid, state: 'ended', maxSeq: 0, missing: 0, clock: 'unknown' },
      { kid: second.kid, state: 'silent' },
    ]);
    await requireRefusal(['meter', 'status', 'NOBODY'], /no meter NOBODY/);

    const values = (exportWh: number) => ({ exportWh, importWh: 3 });
    const exchange = {
      closing: values(1_000),
      meter,
      opening: values(0),
      serial: 'EX-0002',
      t: 1_760_000_000,
    };
    await writeFile(at('exchange.json'), JSON.stringify(exchange));
    expect(await enter('meter', 'exchange', at('exchange.json'))).toBe('entry 7: exchange\n');
    await requireRefusal(['meter', 'exchange', at('exchange.json')], /in order of time/);
    await writeFile(
      at('partial.json'),
      JSON.stringify({ ...exchange, t: exchange.t + 1, opening: { exportWh: 0 } }),
    );
    await requireRefusal(['meter', 'exchange', at('partial.json')], /every register/);
  });

  test('a request is refused that is altered, for somebody else, expired, or turned down', async () => {
    const third = await createKeyFile(at('third.pem'), 'Ed25519');
    await ask('third.pem', 'third.json');
    const request = decodeUtf8(await readFile(at('third.json')));
    await writeFile(at('altered.json'), request.replace(meter, 'OTHER-1'));
    await requireRefusal(['meter', 'enrol', at('altered.json')], /signature/);
    await requireRefusal(['meter', 'enrol', at('nowhere.json')], /there is no such file/);
    await ask('third.pem', 'brief.json', '--valid', '1s');
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 60_000 });
    const expired = await hourseal('meter', 'enrol', at('brief.json'), '--data', data);
    expect(expired).toMatchObject({ code: 3, stderr: expect.stringMatching(/expired/) as string });

    vi.useRealTimers();
    await enter('meter', 'enrol', at('third.json'));
    expect(await enter('meter', 'refuse', third.kid, '--reason', 'nobody knows it')).toBe(
      `${third.kid}: refused\n`,
    );
    // Those of one second stand in the order of their thumbprints.
    expect(await list()).toMatch(new RegExp(`^refused +${third.kid} .*: nobody knows it$`, 'm'));
    await requireRefusal(['meter', 'approve', third.kid], /is refused/);
    await requireRefusal(['meter', 'refuse', third.kid, '--reason', 'again'], /not pending/);
  });
});
