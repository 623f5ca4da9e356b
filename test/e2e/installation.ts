import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'vitest';
import { createKeyFile } from '#platform/keys.ts';
import { runCli, type Ended } from '#support/cli.ts';

const run = promisify(execFile);
const shiftedDate = fileURLToPath(new URL('../support/shifted-date.mjs', import.meta.url));

export const origin = 'log.example/e2e';

/** What the README tells people to start from. */
const examples = fileURLToPath(new URL('../../devices/examples/', import.meta.url));
export const plant = 'example-wind';
export const meter = 'EXAMPLE-1';

/** An installation in the making: its folder, and how the commands run on it. */
export interface Place {
  /** Holds `data` and the files that people write. */
  readonly folder: string;
  readonly databaseUrl?: string;
  /** Commands believe that it is so many seconds later. */
  readonly shiftS?: number;
}

export function hourseal(place: Place, ...args: readonly string[]): Promise<Ended> {
  return runCli(args, { cwd: place.folder, env: environment(place) });
}

export function environment({ databaseUrl, shiftS }: Place): Record<string, string> {
  return {
    ...(databaseUrl !== undefined && { DATABASE_URL: databaseUrl }),
    ...(shiftS !== undefined && {
      NODE_OPTIONS: `--import=${pathToFileURL(shiftedDate).href}`,
      HOURSEAL_TEST_SHIFT_S: String(shiftS),
    }),
  };
}

/** Runs a command that must end well and say what it entered. */
export async function enter(place: Place, ...args: readonly string[]): Promise<string> {
  const ended = await hourseal(place, ...args, '--data', 'data');
  expect(ended, JSON.stringify(ended)).toMatchObject({ code: 0, stderr: '' });
  return ended.stdout;
}

/** `init`, the account's key, the plant and its meter; no key of the meter yet. */
export async function install(place: Place): Promise<void> {
  expect(await enter(place, 'init', '--origin', origin)).toContain('keys and log');
  await createKeyFile(join(place.folder, `data/keys/accounts/${plant}.pem`), 'Ed25519');
  expect(await enter(place, 'plant', 'add', join(examples, 'plant.json'))).toBe(
    'entry 1: account\nentry 2: plant\n',
  );
  expect(await enter(place, 'meter', 'add', join(examples, 'meter.json'))).toBe('entry 3: meter\n');
}

/** A key that never leaves its meter, with nothing but openssl there. */
export async function enterKeyByOpenssl(place: Place): Promise<void> {
  const openssl = (...args: readonly string[]) => run('openssl', args, { cwd: place.folder });
  await openssl('genpkey', '-algorithm', 'ed25519', '-out', 'meter.pem');
  await openssl('pkey', '-in', 'meter.pem', '-pubout', '-out', 'meter.pub.pem');
  const asked = await enter(
    place,
    ...['meter', 'key', meter, '--public', 'meter.pub.pem', '--request', 'key.json'],
  );
  // The command that it shows is the one that works.
  const shown = /openssl (pkeyutl [^\n]*)/.exec(asked)?.[1] ?? '';
  await openssl(...shown.split(' '));
  const entered = await enter(
    place,
    ...['meter', 'key', meter, '--request', 'key.json', '--signature', 'key.json.sig'],
  );
  expect(entered).toMatch(/^entry \d+: key\n$/);
}
