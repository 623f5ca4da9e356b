import { execFile } from 'node:child_process';
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { utf8 } from '#core/bytes.ts';
import { parseConnect } from '#core/energy/connect.ts';
import { parseMessage } from '#core/energy/message.ts';
import { verifyJws } from '#core/jws.ts';
import { parsePublicJwk } from '#core/keys.ts';
import { pemFromSeed, signerFromSeed } from '#core/signer.node.ts';
import { startFakeIngestion } from '#support/fake-ingestion.ts';
import { describeWith, program } from '#support/needs.ts';

const run = promisify(execFile);
const script = join(import.meta.dirname, '../../../devices/examples/publish-with-openssl.sh');
const seed = new Uint8Array(32).fill(21);
const signer = signerFromSeed(seed);
const key = parsePublicJwk(signer.jwk);
const openssl = program('openssl', 'openssl');
const shell = program('bash', 'bash');
const timeoutMs = 20_000;

let folder = '';

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hourseal-openssl-'));
  await writeFile(join(folder, 'meter.pem'), pemFromSeed(seed), { mode: 0o600 });
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

async function publish(args: readonly string[], path = process.env.PATH ?? ''): Promise<string> {
  const options = { cwd: folder, env: { PATH: path }, timeout: timeoutMs };
  const { stdout } = await run(script, ['--key', 'meter.pem', ...args], options);
  return stdout;
}

const meter = ['--plant', 'my-plant', '--meter', 'MY-METER', '--log', 'log.example/demo'];
const registers = ['--register', 'importWh=0', '--register', 'exportWh=9007199254740991'];
const broker = ['--host', '127.0.0.1', '--audience', 'broker.example'];

/** Stands in for mosquitto_pub: notes what it was given, and fails for as long as `broken` exists. */
async function fakeMosquitto(): Promise<string> {
  const path = join(folder, 'mosquitto_pub');
  const text = `#!/bin/sh\n[ ! -e broken ] || exit 1\nprintf '%s\\n' "$*" >>calls\n`;
  await writeFile(path, text);
  await chmod(path, 0o755);
  return `${folder}:${process.env.PATH ?? ''}`;
}

describeWith([openssl, shell], 'a meter made of openssl and bash', () => {
  it('signs a message that our parser takes and the key verifies', async () => {
    const jws = (await publish([...meter, ...registers, '--time', '1780000000', '--print'])).trim();
    const { jws: parsed, message } = parseMessage(utf8(jws));
    verifyJws(parsed, key);
    expect(message).toEqual({
      v: 1,
      log: 'log.example/demo',
      plant: 'my-plant',
      meter: 'MY-METER',
      seq: 1,
      readings: [{ t: 1780000000, registers: { exportWh: 9007199254740991, importWh: 0 } }],
    });
  });

  it('numbers its messages on and on, by its own clock', async () => {
    await publish([...meter, ...registers, '--time', '1780000000', '--print']);
    const before = Math.floor(Date.now() / 1000);
    const jws = (await publish([...meter, ...registers, '--print'])).trim();
    const { message } = parseMessage(utf8(jws));
    expect(message.seq).toBe(2);
    expect(message.readings[0]?.t).toBeGreaterThanOrEqual(before);
    expect(await readFile(join(folder, 'hourseal-state/seq'), 'utf8')).toBe('2');
  });

  it('shows the key as the log wants it', async () => {
    const shown = await publish(['--show-key']);
    expect(shown).toBe(`jwk ${JSON.stringify(key.jwk)}\nkid ${key.kid}\n`);
  });

  it('sends what waits, in order, with a password that its key signed', async () => {
    const path = await fakeMosquitto();
    await writeFile(join(folder, 'broken'), '');
    const first = publish([...meter, ...registers, ...broker, '--time', '1780000000'], path);
    await expect(first).rejects.toMatchObject({ code: 1 });
    await rm(join(folder, 'broken'));
    await publish([...meter, ...registers, ...broker, '--', '--cafile', 'ca.pem'], path);
    const calls = (await readFile(join(folder, 'calls'), 'utf8')).trimEnd().split('\n');
    expect(calls).toHaveLength(2);
    for (const [i, call] of calls.entries()) {
      const words = call.split(' ');
      const after = (flag: string): string => words[words.indexOf(flag) + 1] ?? '';
      expect(after('-i')).toBe('MY-METER');
      expect(after('-u')).toBe('MY-METER');
      expect(after('-q')).toBe('1');
      expect(after('-t')).toBe('hourseal/v1/my-plant/MY-METER/messages');
      expect(after('-f')).toMatch(new RegExp(`waiting/0+${i + 1}\\.jws$`));
      expect(after('--cafile')).toBe('ca.pem');
      const { connect, jws } = parseConnect(utf8(after('-P')));
      verifyJws(jws, key);
      expect(connect).toMatchObject({ aud: 'broker.example', sub: 'MY-METER' });
    }
    expect(await readdir(join(folder, 'hourseal-state/waiting'))).toEqual([]);
    expect(await readdir(join(folder, 'hourseal-state/sent'))).toHaveLength(2);
  });

  it.each([
    [['--register', 'exportWh=01'], 'not a whole number'],
    [['--register', 'exportWh=-1'], 'not a whole number'],
    [['--register', 'exportWh=1.5'], 'not a whole number'],
    [['--register', 'exportWh=9007199254740992'], 'not a whole number'],
    [['--register', 'exportWh'], 'not NAME=VALUE'],
    [['--register', '=1'], 'not NAME=VALUE'],
    [['--register', 'a"b=1'], 'not NAME=VALUE'],
    [['--register', 'a=1', '--register', 'a=2'], 'twice: a'],
    [['--register', 'a=1', '--plant', 'x"y'], '--plant'],
    [['--register', 'a=1', '--log', 'x"y'], '--log'],
    [['--register', 'a=1', '--time', 'now'], 'not a time'],
    [['--register', 'a=1', '--key', 'missing.pem'], 'cannot read missing.pem'],
    [['--frobnicate'], 'unknown option'],
    [[], '--register NAME=VALUE is missing'],
  ])('refuses %j in one line and uses no number up', async (wrong, reason) => {
    const failed = publish([...meter, ...wrong, '--print']);
    await expect(failed).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringMatching(
        new RegExp(`^publish-with-openssl.sh: .*${reason}.*\n$`),
      ) as string,
    });
    const next = await publish([...meter, ...registers, '--print']);
    expect(parseMessage(utf8(next.trim())).message.seq).toBe(1);
  });

  it('refuses a reading that is not later than the last, and a key of another kind', async () => {
    await publish([...meter, ...registers, '--time', '1780000000', '--print']);
    const again = publish([...meter, ...registers, '--time', '1780000000', '--print']);
    await expect(again).rejects.toMatchObject({ code: 2 });
    await writeFile(join(folder, 'meter.pem'), pemFromSeed(seed, 'ES256'));
    await expect(publish(['--show-key'])).rejects.toMatchObject({ code: 2 });
  });
});

const mosquitto = program('mosquitto_pub', 'mosquitto-clients');

describeWith([openssl, shell, mosquitto], 'a meter made of openssl and mosquitto_pub', () => {
  it('gets its messages to a broker', async () => {
    const ingestion = signerFromSeed(new Uint8Array(32).fill(9));
    const [plant, id] = ['my-plant', 'MY-METER'];
    const fake = await startFakeIngestion({ plant, meter: id, meterKey: key, ingestion });
    try {
      const port = ['--port', String(fake.port)];
      await publish([...meter, ...registers, ...broker, ...port, '--time', '1780000000']);
      await publish([...meter, ...registers, ...broker, ...port]);
      expect([...fake.kept.keys()]).toEqual([1, 2]);
    } finally {
      await fake.close();
    }
  });
});
