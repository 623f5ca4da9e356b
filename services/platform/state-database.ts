import { ClassicLevel } from 'classic-level';
import { decodeUtf8, utf8 } from '#core/bytes.ts';
import { stateVersion } from '#core/certificate/state/state-memory.ts';
import { ensureFolder } from './durable-file.ts';
import { withoutSum, withSum } from './state-tables.ts';

/** The database under a state store: whether it is what was kept, and how it begins anew. */

export type Database = ClassicLevel<string, Uint8Array>;

/**
 * Together they bound what the database takes of memory: mapped files count as resident too, and it
 * maps as many as may be open. It leaves it to the kernel how much of a file that nobody has read for
 * long is read with one row: often all of it, which is why these files are as small as can be. Fewer
 * of them than this it does not let itself be told.
 */
const limits = {
  cacheSize: 16 * 1024 * 1024,
  writeBufferSize: 8 * 1024 * 1024,
  maxFileSize: 1024 * 1024,
  maxOpenFiles: 74,
} as const;

export const folderMode = 0o700;
export const memoryKey = 'memory';
const versionKey = 'version';
/** How often it was kept, and a row for each time: a log file that is garbled in its midst drops some. */
export const keepsKey = 'keeps';
const keepKeys = { gte: 'keep/', lt: 'keep0' } as const;
export const keepKey = (count: number): string => `${keepKeys.gte}${count}`;

export async function openDatabase(folder: string, isIntact: boolean): Promise<Database> {
  const database: Database = new ClassicLevel(folder, {
    keyEncoding: 'utf8',
    valueEncoding: 'view',
    ...limits,
  });
  try {
    if (!isIntact || !(await opensSound(database))) await makeAnew(database, folder);
    return database;
  } catch (error) {
    await database.close();
    throw error;
  }
}

/** Opens it and says whether it is of this version, and as its last `keep` left it. */
async function opensSound(database: Database): Promise<boolean> {
  try {
    await database.open();
    return await isSound(database);
  } catch (cause) {
    if (!isDamage(cause)) throw cause;
    return false;
  }
}

/** Files name each other, and one that is garbled names another, or a place in it, that never was. */
export function isDamage(error: unknown): boolean {
  if (codeOf(error) === 'LEVEL_CORRUPTION') return true;
  const cause = error instanceof Error ? (error.cause ?? error) : undefined;
  const why = cause instanceof Error ? cause.message : '';
  return /^IO error: .*: (?:No such file or directory|Is a directory|Invalid argument)$/.test(why);
}

export async function isSound(database: Database): Promise<boolean> {
  const version = rowOf(database, versionKey);
  if (version === undefined || decodeUtf8(version) !== String(stateVersion)) return false;
  const keeps = keepsOf(database);
  if (keeps === undefined) return false;
  if (keeps > 0 && rowOf(database, memoryKey) === undefined) return false;
  let found = 0;
  for await (const _key of database.keys(keepKeys)) found++;
  return found === keeps;
}

/** Undefined where it is not there, or not as it was written. */
function rowOf(database: Database, key: string): Uint8Array | undefined {
  const bytes = database.getSync(key);
  return bytes && withoutSum(key, bytes);
}

export function keepsOf(database: Database): number | undefined {
  const row = rowOf(database, keepsKey);
  return row && Number(decodeUtf8(row));
}

/** Leaves an open database without rows. Of what lies in the folder it removes its own files alone. */
export async function makeAnew(database: Database, folder: string): Promise<void> {
  await database.close();
  await ClassicLevel.destroy(folder);
  await ensureFolder(folder, folderMode);
  await database.open();
  const rows = [
    [versionKey, utf8(String(stateVersion))],
    [keepsKey, utf8('0')],
  ] as const;
  const batch = database.batch();
  for (const [key, row] of rows) batch.put(key, withSum(key, row));
  await batch.write({ sync: true });
}

/** Of the database, which wraps what its files said. */
export function codeOf(error: unknown): unknown {
  if (!(error instanceof Error)) return undefined;
  return codeOf(error.cause) ?? ('code' in error ? error.code : undefined);
}
