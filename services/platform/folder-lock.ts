import { tryLock, unlock } from 'fs-native-extensions';
import { open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { Refused } from '#core/errors.ts';

export interface FolderLock {
  readonly folder: string;
  /** Safe to call twice. */
  readonly release: () => Promise<void>;
}

const lockName = 'lock';
const longestPid = 16;

/**
 * Makes this process the only one that works in `folder`, which must exist (D6). The lock is the
 * kernel's (an open file description lock on the file `lock` in it): it ends with the descriptor,
 * and so with the process however that ends, `kill -9` included. The file itself stays for ever and
 * means nothing; the process id in it is for people. It is never removed, because another process
 * could just have opened it and would then hold a lock that nobody else can see.
 *
 * Refused('folder-in-use') when another process, or this one, has it already.
 */
export async function lockFolder(folder: string): Promise<FolderLock> {
  const file = await open(join(folder, lockName), 'a+', 0o600);
  try {
    if (!tryLock(file.fd)) {
      throw new Refused('folder-in-use', `${folder} is in use by ${await holder(file)}`);
    }
    await file.truncate(0);
    await file.write(`${process.pid}\n`);
  } catch (cause) {
    await file.close();
    throw cause;
  }
  let released: Promise<void> | undefined;
  const release = async (): Promise<void> => {
    unlock(file.fd);
    await file.close();
  };
  return { folder, release: () => (released ??= release()) };
}

async function holder(file: FileHandle): Promise<string> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(longestPid), 0, longestPid, 0);
  const text = buffer.subarray(0, bytesRead).toString('latin1').trim();
  // Between taking the lock and writing its id the holder is nameless for a moment.
  if (!/^[0-9]+$/.test(text)) return 'another process';
  return Number(text) === process.pid ? `this process (${text})` : `process ${text}`;
}
