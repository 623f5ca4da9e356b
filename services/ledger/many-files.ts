import * as fs from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { promisify } from 'node:util';

export interface LogFile {
  /** Below the log's folder, such as `tile/0/000.p/3`. */
  readonly path: string;
  readonly bytes: Uint8Array;
}

/** Thousands of small files a second: a FileHandle takes twice the time for each of them. */
const openFile = promisify(fs.open);
const writeTo = promisify(fs.write);
const syncHandle = promisify(fs.fsync);
const closeFile = promisify(fs.close);

/** How many files are worked on at the same time; each waits for the disk, four threads do the waiting. */
const concurrentFiles = 32;

/** EEXIST where there is such a file. Until `isSynced`, a crash leaves any part of it, or none. */
export async function createFile(
  path: string,
  bytes: Uint8Array,
  { isSynced }: { readonly isSynced: boolean },
): Promise<void> {
  const file = await openFile(path, 'wx');
  try {
    for (let at = 0; at < bytes.length;) {
      at += (await writeTo(file, bytes, at)).bytesWritten;
    }
    if (isSynced) await syncHandle(file);
  } finally {
    await closeFile(file);
  }
}

/** Files at a stretch; then others have their turn. */
const filesPerTurn = 16;

/**
 * Creates files that go no further than the cache, and returns those that were there already. On this
 * thread, some at a time: to have another thread do it takes twice the time of a processor, since it is
 * asked three times for each of them, and nothing here waits for a sync.
 */
export async function createUnsynced(
  folder: string,
  files: readonly LogFile[],
): Promise<LogFile[]> {
  const standing: LogFile[] = [];
  for (const [i, file] of files.entries()) {
    if (!createNow(join(folder, file.path), file.bytes)) standing.push(file);
    if (i % filesPerTurn === filesPerTurn - 1) await setImmediate();
  }
  return standing;
}

/** False where there is such a file. */
function createNow(path: string, bytes: Uint8Array): boolean {
  let file: number;
  try {
    file = fs.openSync(path, 'wx');
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    throw error;
  }
  try {
    for (let at = 0; at < bytes.length;) at += fs.writeSync(file, bytes, at);
  } finally {
    fs.closeSync(file);
  }
  return true;
}

/** Makes what was written into a file durable. */
export async function syncFile(path: string): Promise<void> {
  const file = await openFile(path, 'r');
  try {
    await syncHandle(file);
  } finally {
    await closeFile(file);
  }
}

/** Runs `work` on every item, some at a time; rejects when one of them does, after all ended. */
export async function eachFile<Item>(
  items: readonly Item[],
  work: (item: Item) => Promise<void>,
): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let item = items[next++]; item !== undefined; item = items[next++]) await work(item);
  };
  const results = await Promise.allSettled(Array.from({ length: concurrentFiles }, worker));
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}

export function isMissing(error: unknown): boolean {
  return hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR');
}

export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

/** Without what Buffer adds: the rest of the program knows bytes alone. */
export function plain(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}
