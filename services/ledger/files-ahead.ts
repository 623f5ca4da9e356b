import { randomBytes } from 'node:crypto';
import { readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { decodeUtf8, equalBytes, utf8 } from '#core/bytes.ts';
import { encodeFramed, parseFramed } from '#core/energy/evidence-file.ts';
import { Fatal, Refused } from '#core/errors.ts';
import { syncFolder, writeFileDurably } from '#platform/durable-file.ts';
import { createFile, createUnsynced, eachFile, isMissing, plain } from './many-files.ts';
import { syncFile, type LogFile } from './many-files.ts';

/**
 * Many small files made durable by one. All of them are written ahead into a pack, with one fsync;
 * then each is created in its place without one. While its pack is there a file cannot be lost: a
 * crash leaves it missing or torn, and `recover` writes it again. `settle` brings the files of a pack
 * to the disk in their places and removes it, when nothing else wants the disk.
 *
 * A pack is `.ahead/<32 hex digits>`: path and bytes of each file in turn, framed as a batch file is.
 * It gets its name when it is whole, so that one of that name always is. Of several processes in one
 * folder each may recover and settle the packs of the others: what a file is to be never changes.
 */
export interface FilesAhead {
  /**
   * Creates those that are not there, and returns the bytes of those that were, by full path. All are
   * safe from a crash when it returns, as long as `recover` runs before anybody reads after one.
   */
  readonly createNew: (files: readonly LogFile[]) => Promise<Map<string, Uint8Array>>;
  /** To be called before anything is read: writes what a crash, or an earlier failure, left undone. */
  readonly recover: () => Promise<void>;
  /** Settles the oldest pack; false where there is none. */
  readonly settle: () => Promise<boolean>;
}

interface Pack {
  readonly bytes: number;
  /**
   * An fsync says once that the disk has lost something, and nobody knows what an earlier process was
   * told: its files are written again instead, as are those whose settling failed.
   */
  isWrittenAgain: boolean;
}

export interface FilesAheadContext {
  readonly folder: string;
  /** Makes the folders of the files, durably, and returns their full paths. */
  readonly prepare: (files: readonly LogFile[]) => Promise<Iterable<string>>;
  /** What is not settled takes its room on the disk twice; beyond this the oldest is settled first. */
  readonly unsettledLimitBytes: number;
}

const packsFolder = '.ahead';
const packName = /^[0-9a-f]{32}$/;
/** A pack is one call of `createNew`. */
const partsPerPack = 2_000_000;
/** A pack may hold files that only auditors may read. */
const packMode = 0o600;

export function openFilesAhead(context: FilesAheadContext): FilesAhead {
  const { folder, prepare } = context;
  const packs = join(folder, packsFolder);
  /** Those whose files are in their places, the oldest first. */
  const unsettled = new Map<string, Pack>();
  let recovering: Promise<void> | undefined;

  const recover = (): Promise<void> => {
    recovering ??= recoverPacks(context, unsettled);
    recovering.catch(() => {
      recovering = undefined;
    });
    return recovering;
  };

  const settle = async (): Promise<boolean> => {
    const [oldest] = unsettled;
    if (oldest === undefined) return false;
    const [name, pack] = oldest;
    try {
      await settlePack(context, name, pack);
    } catch (error) {
      pack.isWrittenAgain = true;
      throw error;
    }
    unsettled.delete(name);
    return true;
  };

  const makeRoom = async (bytes: number): Promise<void> => {
    let sum = bytes;
    for (const pack of unsettled.values()) sum += pack.bytes;
    for (const pack of [...unsettled.values()]) {
      if (sum <= context.unsettledLimitBytes) return;
      await settle();
      sum -= pack.bytes;
    }
  };

  /** The bytes of a file that stands there already. */
  const readStanding = async (path: string, bytes: Uint8Array): Promise<Uint8Array> => {
    const found = plain(await readFile(path));
    if (equalBytes(found, bytes)) return found;
    // Another process may be in the middle of it: then its pack, written before, says what it is.
    await recoverPacks(context, unsettled);
    return plain(await readFile(path));
  };

  return {
    async createNew(files) {
      await recover();
      const there = new Map<string, Uint8Array>();
      if (files.length === 0) return there;
      const bytes = encodeFramed(files.flatMap((file) => [utf8(file.path), file.bytes]));
      await makeRoom(bytes.length);
      const name = randomBytes(16).toString('hex');
      await prepare([...files, { path: join(packsFolder, name), bytes }]);
      try {
        await writeFileDurably(join(packs, name), bytes, { mode: packMode });
        unsettled.set(name, { bytes: bytes.length, isWrittenAgain: false });
        await eachFile(await createUnsynced(folder, files), async (file) => {
          const path = join(folder, file.path);
          there.set(path, await readStanding(path, file.bytes));
        });
      } catch (error) {
        // What is torn now would be taken for what stands.
        unsettled.delete(name);
        recovering = undefined;
        throw error;
      }
      return there;
    },
    recover,
    settle,
  };
}

/** Puts what the packs that are not known yet hold into its places. */
async function recoverPacks(
  { folder, prepare }: FilesAheadContext,
  known: Map<string, Pack>,
): Promise<void> {
  const packs = join(folder, packsFolder);
  for (const name of await namesIn(packs)) {
    if (known.has(name)) continue;
    const bytes = await readIfThere(join(packs, name));
    // Another process has settled it.
    if (bytes === undefined) continue;
    const files = filesOf(name, bytes);
    await prepare(files);
    await eachFile(files, (file) => replaceTorn(join(folder, file.path), file.bytes));
    known.set(name, { bytes: bytes.length, isWrittenAgain: true });
  }
}

/** Brings the files of a pack to the disk, and removes it. Does nothing where another process has. */
async function settlePack(
  { folder, prepare }: FilesAheadContext,
  name: string,
  { isWrittenAgain }: Pack,
): Promise<void> {
  const pack = join(folder, packsFolder, name);
  const bytes = await readIfThere(pack);
  const files = bytes === undefined ? [] : filesOf(name, bytes);
  const folders = await prepare(files);
  await eachFile(files, async (file) => {
    const path = join(folder, file.path);
    if (isWrittenAgain) await writeAgain(path, file.bytes);
    else await syncFile(path);
  });
  for (const path of folders) await syncFolder(path);
  await rm(pack, { force: true });
}

async function namesIn(packs: string): Promise<string[]> {
  try {
    return (await readdir(packs)).filter((name) => packName.test(name));
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/** Fatal('files-ahead') for what no `createNew` wrote. */
function filesOf(name: string, bytes: Uint8Array): LogFile[] {
  try {
    const parts = parseFramed(bytes, partsPerPack);
    const files: LogFile[] = [];
    for (let i = 0; i + 1 < parts.length; i += 2) {
      const [path, content] = [parts[i], parts[i + 1]];
      if (path !== undefined && content !== undefined) {
        files.push({ path: decodeUtf8(path), bytes: content });
      }
    }
    return files;
  } catch (cause) {
    if (!(cause instanceof Refused)) throw cause;
    throw new Fatal('files-ahead', `${packsFolder}/${name} is not what was written`, { cause });
  }
}

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return plain(await readFile(path));
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

async function replaceTorn(path: string, bytes: Uint8Array): Promise<void> {
  const found = await readIfThere(path);
  const isTorn = found === undefined || (isCopy(found, bytes) && !equalBytes(found, bytes));
  if (isTorn) await replace(path, bytes, { isSynced: false });
}

async function writeAgain(path: string, bytes: Uint8Array): Promise<void> {
  const found = await readIfThere(path);
  const isOther = found !== undefined && !isCopy(found, bytes);
  if (isOther) await syncFile(path);
  else await replace(path, bytes, { isSynced: true });
}

async function replace(
  path: string,
  bytes: Uint8Array,
  options: { readonly isSynced: boolean },
): Promise<void> {
  const temporary = join(dirname(path), `.${randomBytes(8).toString('hex')}.tmp`);
  try {
    await createFile(temporary, bytes, options);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/**
 * Whether `found` is `bytes`, whole or as a crash left it: up to some length, and zeros where a part
 * did not reach the disk. Another file of that name, which stands, is none: two files of one root have
 * the same leaves and other lists, and no JSON array is the beginning of another or has zeros.
 */
function isCopy(found: Uint8Array, bytes: Uint8Array): boolean {
  return found.length <= bytes.length && found.every((byte, i) => byte === 0 || byte === bytes[i]);
}
