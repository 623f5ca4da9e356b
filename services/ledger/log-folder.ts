import { randomBytes } from 'node:crypto';
import { link, open, readFile, rename, rm, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Refused } from '#core/errors.ts';
import { ensureFolder, syncFolder } from '#platform/durable-file.ts';
import { lockFolder } from '#platform/folder-lock.ts';

export interface LogFile {
  /** Below the folder, such as `tile/0/000.p/3`. */
  readonly path: string;
  readonly bytes: Uint8Array;
}

/**
 * Where the log's static files lie: tiles, checkpoint, batch files, evidence. What a method wrote is
 * durable when it returns, and a crash leaves each file as it was or as it is to be.
 */
export interface LogFolder {
  /** In any order among themselves; what was there is replaced. */
  readonly write: (files: readonly LogFile[]) => Promise<void>;
  /**
   * Writes those that are not there and returns the bytes of those that were: they stand (D3.2, two
   * batches of one root).
   */
  readonly writeNew: (files: readonly LogFile[]) => Promise<Map<string, Uint8Array>>;
  /** Undefined when there is no such file. */
  readonly read: (path: string) => Promise<Uint8Array | undefined>;
  readonly remove: (path: string) => Promise<void>;
  /**
   * Runs `work` unless another process, or another ledger of this one, is at it in this folder, and
   * says whether it did. Only what moves needs it (`checkpoint`): all other files never change.
   */
  readonly exclusively: (work: () => Promise<void>) => Promise<boolean>;
}

/** How many files are written at the same time; each waits for the disk, four threads do the waiting. */
const concurrentWrites = 32;
const lockFolderName = '.publishing';

export function openLogFolder(folder: string): LogFolder {
  /** Folders that this process has seen or made; they are never removed while it runs. */
  const known = new Set<string>();

  const prepare = async (files: readonly LogFile[]): Promise<Set<string>> => {
    const folders = new Set(files.map(({ path }) => dirname(join(folder, path))));
    for (const path of folders) {
      if (!known.has(path)) await ensureFolder(path);
      known.add(path);
    }
    return folders;
  };

  const writeAll = async (
    files: readonly LogFile[],
    place: (temporary: string, file: LogFile) => Promise<void>,
  ): Promise<void> => {
    const folders = await prepare(files);
    await eachOf(files, concurrentWrites, async (file) => {
      const path = join(folder, file.path);
      const temporary = join(dirname(path), `.${randomBytes(8).toString('hex')}.tmp`);
      try {
        await writeSynced(temporary, file.bytes);
        await place(temporary, { ...file, path });
      } catch (error) {
        await rm(temporary, { force: true });
        throw error;
      }
    });
    // One for each folder and not for each file: until it returns no name is durable, and none is used.
    for (const path of folders) await syncFolder(path);
  };

  const read = async (path: string): Promise<Uint8Array | undefined> => {
    try {
      return plain(await readFile(join(folder, path)));
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  };

  return {
    write: (files) => writeAll(files, (temporary, { path }) => rename(temporary, path)),
    async writeNew(files) {
      const there = new Map<string, Uint8Array>();
      await writeAll(files, async (temporary, file) => {
        try {
          await link(temporary, file.path);
        } catch (error) {
          if (!hasCode(error, 'EEXIST')) throw error;
          there.set(file.path, plain(await readFile(file.path)));
        }
        await unlink(temporary);
      });
      return new Map([...there].map(([path, bytes]) => [path.slice(folder.length + 1), bytes]));
    },
    read,
    remove: (path) => rm(join(folder, path), { recursive: true, force: true }),
    async exclusively(work) {
      await prepare([{ path: join(lockFolderName, 'lock'), bytes: new Uint8Array() }]);
      let lock;
      try {
        lock = await lockFolder(join(folder, lockFolderName));
      } catch (error) {
        if (error instanceof Refused && error.code === 'folder-in-use') return false;
        throw error;
      }
      try {
        await work();
      } finally {
        await lock.release();
      }
      return true;
    },
  };
}

async function writeSynced(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'wx');
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Runs `work` on every item, at most `limit` at a time; rejects when one of them does, after all ended. */
async function eachOf<Item>(
  items: readonly Item[],
  limit: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let item = items[next++]; item !== undefined; item = items[next++]) await work(item);
  };
  const results = await Promise.allSettled(Array.from({ length: limit }, worker));
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}

function isMissing(error: unknown): boolean {
  return hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR');
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

/** Without what Buffer adds: the rest of the program knows bytes alone. */
function plain(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}
