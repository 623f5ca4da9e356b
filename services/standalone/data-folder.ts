import { existsSync } from 'node:fs';
import { readFile, readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Refused } from '#core/errors.ts';
import { canonicalBytes } from '#core/jcs.ts';
import { object, oneOf, optional, pattern } from '#core/shape.ts';
import { ensureFolder, writeFileDurably } from '#platform/durable-file.ts';
import { lockFolder } from '#platform/folder-lock.ts';

const marker = 'hourseal.json';
const markerShape = object({
  format: oneOf('hourseal-data/v1'),
  /** Present where the demo made it: its keys and meters are simulated. */
  purpose: optional(pattern('demo')),
});

/** Everything of one installation, held by one process at a time. */
export interface DataFolder {
  readonly path: string;
  /** A demo has a clock of its own, which no installation may share. */
  readonly purpose: 'demo' | 'installation';
  readonly database: string;
  /** Static files of the log, as they are served: checkpoint, tiles, batches, evidence. */
  readonly log: string;
  readonly keys: string;
  readonly secrets: string;
  /** What the ledger has learnt from the log; lost, it is learnt again. */
  readonly state: string;
  readonly proofs: string;
  readonly devices: string;
  readonly release: () => Promise<void>;
}

/**
 * Opens a data folder and locks it. With `create`, a folder that is missing or empty becomes one; a
 * folder that holds other people's files never does. Refused('data-folder') when it is not one,
 * Refused('data-version') when a later program made it, Refused('folder-in-use') when somebody has it.
 */
export async function openDataFolder(
  folder: string,
  { create }: { create?: 'demo' | 'installation' } = {},
): Promise<DataFolder> {
  const path = resolve(folder);
  if (!existsSync(join(path, marker))) {
    await requireCreatable(path, create !== undefined);
    await ensureFolder(path, 0o700);
    const format = 'hourseal-data/v1';
    const content = create === 'demo' ? { format, purpose: create } : { format };
    await writeFileDurably(join(path, marker), canonicalBytes(content));
  }
  const purpose = await readMarker(path);
  if (create === 'demo' && purpose !== 'demo') {
    throw new Refused('data-folder', `${path} is an installation: the demo has no business there`);
  }
  const lock = await lockFolder(path);
  return { ...places(path), purpose, release: () => lock.release() };
}

/** The places in a data folder, without opening it. */
export function places(path: string): Omit<DataFolder, 'purpose' | 'release'> {
  return {
    path,
    database: join(path, 'postgres'),
    log: join(path, 'log'),
    keys: join(path, 'keys'),
    secrets: join(path, 'secrets'),
    state: join(path, 'state'),
    proofs: join(path, 'proofs'),
    devices: join(path, 'devices'),
  };
}

async function requireCreatable(path: string, create: boolean): Promise<void> {
  if (!create)
    throw new Refused('data-folder', `${path} is not a data folder: ${marker} is missing`);
  if (existsSync(path) && (await readdir(path)).length > 0) {
    throw new Refused('data-folder', `${path} holds other files; name an empty or a new folder`);
  }
}

async function readMarker(path: string): Promise<DataFolder['purpose']> {
  const file = join(path, marker);
  let value: unknown;
  try {
    value = JSON.parse(await readFile(file, 'utf8'));
  } catch (cause) {
    throw new Refused('data-folder', `${file} is damaged`, { cause });
  }
  const format = typeof value === 'object' && value !== null && 'format' in value && value.format;
  if (typeof format === 'string' && format !== 'hourseal-data/v1') {
    throw new Refused('data-version', `${path} was made by another version (${format})`);
  }
  try {
    return markerShape.parse(value).purpose === 'demo' ? 'demo' : 'installation';
  } catch (cause) {
    throw new Refused('data-folder', `${file} is damaged`, { cause });
  }
}
