import { randomBytes } from 'node:crypto';
import { readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Failed, Refused } from '#core/errors.ts';
import { ensureFolder, syncFolder } from '#platform/durable-file.ts';
import { lockFolder } from '#platform/folder-lock.ts';
import { openFilesAhead } from './files-ahead.ts';
import { createFile, eachFile, isMissing, plain, type LogFile } from './many-files.ts';

/**
 * Where the log's static files lie: tiles, checkpoint, batch files, evidence. What a method wrote is
 * durable when it returns, and after a crash and `recover` each file is as it was or as it is to be.
 */
export interface LogFolder {
  /** In any order among themselves; what was there is replaced. */
  readonly write: (files: readonly LogFile[]) => Promise<void>;
  /**
   * Writes those that are not there and returns the bytes of those that were: they stand (D3.2, two
   * batches of one root).
   */
  readonly writeNew: (files: readonly LogFile[]) => Promise<Map<string, Uint8Array>>;
  /** Before anything is read: brings to their places what `writeNew` wrote before a crash. */
  readonly recover: () => Promise<void>;
  /**
   * Some of what `writeNew` put off for a time when nothing else wants the disk (files-ahead.ts);
   * whether there was anything.
   */
  readonly settle: () => Promise<boolean>;
  /** Undefined when there is no such file. */
  readonly read: (path: string) => Promise<Uint8Array | undefined>;
  readonly remove: (path: string) => Promise<void>;
  /**
   * Runs `work` unless another process, or another ledger of this one, is at it in this folder, and
   * says whether it did. Only what moves needs it (`checkpoint`): all other files never change.
   */
  readonly exclusively: (work: () => Promise<void>) => Promise<boolean>;
}

const lockFolderName = '.publishing';
/** 1 GiB: about a million hours of one message. */
const defaultUnsettledLimitBytes = 1024 * 1024 * 1024;

export function openLogFolder(
  folder: string,
  { unsettledLimitBytes = defaultUnsettledLimitBytes } = {},
): LogFolder {
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

  const write = async (files: readonly LogFile[]): Promise<void> => {
    const folders = await prepare(files);
    const nonce = randomBytes(8).toString('hex');
    let written = 0;
    await eachFile(files, async (file) => {
      const path = join(folder, file.path);
      const temporary = join(dirname(path), `.${nonce}.${written++}.tmp`);
      try {
        await createFile(temporary, file.bytes, { isSynced: true });
        await rename(temporary, path);
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

  const ahead = openFilesAhead({ folder, prepare, unsettledLimitBytes });

  return {
    write,
    async writeNew(files) {
      const there = await ahead.createNew(files);
      return new Map([...there].map(([path, bytes]) => [path.slice(folder.length + 1), bytes]));
    },
    recover: ahead.recover,
    settle: ahead.settle,
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

/**
 * The same folder, where what the system says of the disk (full, not permitted, broken) is
 * Failed('log-folder'): somebody can put it right while the ledger goes on trying.
 */
export function withFailures(folder: LogFolder): LogFolder {
  const failing = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (cause) {
      if (!(cause instanceof Error) || !('syscall' in cause)) throw cause;
      throw new Failed('log-folder', `the log's folder: ${cause.message}`, { cause });
    }
  };
  return {
    write: (files) => failing(folder.write(files)),
    writeNew: (files) => failing(folder.writeNew(files)),
    recover: () => failing(folder.recover()),
    settle: () => failing(folder.settle()),
    read: (path) => failing(folder.read(path)),
    remove: (path) => failing(folder.remove(path)),
    exclusively: (work) => failing(folder.exclusively(work)),
  };
}
