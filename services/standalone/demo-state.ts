import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Refused } from '#core/errors.ts';
import { canonicalBytes } from '#core/jcs.ts';
import { integer, object, type Infer } from '#core/shape.ts';
import type { Signer } from '#core/signer.ts';
import { writeFileDurably } from '#platform/durable-file.ts';
import { createKeyFile, readKeyFile } from '#platform/keys.ts';
import type { DataFolder } from './data-folder.ts';

const stateShape = object({
  /** What time it was on the demo's clock, Unix seconds. */
  nowS: integer(0),
  seed: integer(1),
  /** When the registers of the fleet began to count. */
  startS: integer(0),
});
export type DemoState = Infer<typeof stateShape>;

const fileName = 'demo.json';

export const demoOrigin = 'demo.hourseal.example/2025';

/** 21 June 2025, 8 in the morning in Gansu: the sun is up, the works begin. */
export const demoStartS = Date.UTC(2025, 5, 21, 0) / 1000;

export async function readDemoState(
  folder: Pick<DataFolder, 'path'>,
): Promise<DemoState | undefined> {
  const file = join(folder.path, fileName);
  if (!existsSync(file)) return undefined;
  try {
    return stateShape.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch (cause) {
    throw new Refused('data-folder', `${file} is damaged`, { cause });
  }
}

/**
 * Written before the clock is stepped: after a crash the demo goes on at a time that it had reached
 * or was about to reach, never at one that its own log calls the past.
 */
export async function writeDemoState(
  folder: Pick<DataFolder, 'path'>,
  state: DemoState,
): Promise<void> {
  await writeFileDurably(join(folder.path, fileName), canonicalBytes(state));
}

/** The keys of every party but the meters, whose keys their simulation derives from the seed. */
export interface DemoKeys {
  readonly log: Signer;
  readonly ingestion: Signer;
  readonly issuer: Signer;
  readonly account: (plant: string) => Signer;
}

/**
 * Reads the demo's keys; with `create`, which only `hourseal demo` on a new folder says, makes those
 * that are missing. One file each, mode 0600, no two the same.
 */
export async function demoKeys(
  folder: Pick<DataFolder, 'keys'>,
  plants: readonly string[],
  { create }: { create: boolean },
): Promise<DemoKeys> {
  const accounts = join(folder.keys, 'accounts');
  if (create) await mkdir(accounts, { recursive: true, mode: 0o700 });
  const open = (path: string): Promise<Signer> =>
    create && !existsSync(path) ? createKeyFile(path, 'Ed25519') : readKeyFile(path);
  const ofAccounts = new Map<string, Signer>();
  for (const plant of plants) ofAccounts.set(plant, await open(join(accounts, `${plant}.pem`)));
  return {
    log: await open(join(folder.keys, 'log.pem')),
    ingestion: await open(join(folder.keys, 'ingestion.pem')),
    issuer: await open(join(folder.keys, 'issuing-body.pem')),
    account(plant) {
      const found = ofAccounts.get(plant);
      if (found === undefined) throw new Refused('key-missing', `no account key of ${plant}`);
      return found;
    },
  };
}
