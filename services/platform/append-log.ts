import { open, readFile, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { Failed, Fatal, Refused } from '#core/errors.ts';
import { decodeFile, encodeFrame, maxFrameBytes, recordSizeBytes } from '#core/record-file.ts';
import { removeLeftovers, writeFileDurably } from './durable-file.ts';
import type { FolderLock } from './folder-lock.ts';

/** A small durable store: records in order, each there for ever once `append` has resolved. */
export interface AppendLog {
  /**
   * Resolves when the record is durable (written and fsynced). Records appended while an fsync is
   * under way share the next. Failed('append-log-full') when too much waits; Fatal('append-log')
   * after a write or fsync that failed: what the file then holds is unknown, so open it again.
   */
  readonly append: (payload: Uint8Array) => Promise<void>;
  /**
   * Replaces all records by those that `snapshot` returns. It is called at a moment when every
   * record handed to `append` is durable, so it must stand for all of those: take a record into
   * your state before you append it, not after. What is appended later follows the snapshot. After
   * a crash the file is the old one or the new one. Failed('append-log-busy') when appending never
   * pauses.
   */
  readonly compact: (snapshot: () => readonly Uint8Array[]) => Promise<void>;
  /** For deciding when to compact. */
  readonly sizeBytes: () => number;
  /** Waits for what was appended. The lock stays with its owner. */
  readonly close: () => Promise<void>;
}

const maxRecordBytes = 1024 * 1024;
/** How often compacting waits for records that were appended while it waited. */
const maxFlushes = 100;
const maxWaitingBytes = 16 * 1024 * 1024;

/**
 * Opens, or creates, `folder/name` and hands every record in it to `onRecord`, in order. The folder
 * must be locked by the caller, which shows it by giving the lock. What a crash tore off at the end
 * is removed. Refused('record-file') when the file is damaged in its middle: nothing is changed.
 * Fatal('append-log') when the disk does not take what it is to hold.
 */
export async function openAppendLog(options: {
  readonly lock: FolderLock;
  readonly name: string;
  readonly onRecord: (payload: Uint8Array) => void;
}): Promise<AppendLog> {
  const path = join(options.lock.folder, options.name);
  await removeLeftovers(path);
  const found = await readOrNothing(path);
  const { records, wholeBytes } = decode(found, path);
  for (const record of records) options.onRecord(record);
  return appendTo(await rewrite(path, found.subarray(0, wholeBytes)), path, wholeBytes);
}

async function readOrNothing(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
      return new Uint8Array(0);
    }
    throw error;
  }
}

/**
 * What can be read need not be on the disk: an earlier process may have ended at an fsync that failed.
 * The system then holds what it could not write as if it had, the next fsync succeeds, and a power cut
 * takes it away. So everything is written once more, to a new file.
 */
async function rewrite(path: string, bytes: Uint8Array): Promise<FileHandle> {
  try {
    await writeFileDurably(path, bytes, { mode: 0o600 });
    return await open(path, 'a', 0o600);
  } catch (cause) {
    throw new Fatal('append-log', `${path}: cannot be written`, { cause });
  }
}

function decode(bytes: Uint8Array, path: string): ReturnType<typeof decodeFile> {
  try {
    return decodeFile(bytes);
  } catch (cause) {
    if (!(cause instanceof Refused)) throw cause;
    throw new Refused(cause.code, `${path}: ${cause.message}`, { cause });
  }
}

interface Waiting {
  readonly payload: Uint8Array;
  readonly durable: () => void;
  readonly failed: (error: Error) => void;
}

function appendTo(opened: FileHandle, path: string, wholeBytes: number): AppendLog {
  let file = opened;
  let sizeBytes = wholeBytes;
  let waiting: Waiting[] = [];
  let waitingBytes = 0;
  let closed: Promise<void> | undefined;
  let broken: Fatal | undefined;
  let flushAsked = false;
  const exclusively = oneAtATime();
  const breakWith = (cause: unknown): Fatal =>
    (broken ??= new Fatal('append-log', `${path}: its state is unknown`, { cause }));

  const flush = async (): Promise<void> => {
    flushAsked = false;
    const group = waiting;
    waiting = [];
    waitingBytes = 0;
    if (group.length === 0) return;
    try {
      if (broken !== undefined) throw broken;
      const frame = encodeFrame(group.map(({ payload }) => payload));
      await file.appendFile(frame);
      await file.datasync();
      sizeBytes += frame.length;
    } catch (cause) {
      const error = breakWith(cause);
      for (const { failed } of group) failed(error);
      return;
    }
    for (const { durable } of group) durable();
  };

  const append = (payload: Uint8Array): Promise<void> =>
    new Promise((durable, failed) => {
      const size = recordSizeBytes(payload);
      if (broken !== undefined) failed(broken);
      else if (closed !== undefined) failed(new Failed('append-log-closed', `${path} is closed`));
      else if (payload.length > maxRecordBytes) failed(new RangeError('payload: too large'));
      else if (waitingBytes + size > maxWaitingBytes) {
        failed(new Failed('append-log-full', `${path}: too much waits for the disk`));
      } else {
        waiting.push({ payload: Uint8Array.from(payload), durable, failed });
        waitingBytes += size;
        if (!flushAsked) void exclusively(flush);
        flushAsked = true;
      }
    });

  const replace = async (snapshot: () => readonly Uint8Array[]): Promise<void> => {
    for (let flushes = 0; waiting.length > 0; flushes++) {
      if (flushes === maxFlushes) throw new Failed('append-log-busy', `${path}: never at rest`);
      await flush();
    }
    if (broken !== undefined) throw broken;
    const bytes = Buffer.concat(frames(snapshot()));
    // Once renamed, the old file has no name, and what is appended to it is lost: so whatever goes
    // wrong in here, perhaps after the rename, ends all appending.
    try {
      const old = file;
      file = await rewrite(path, bytes);
      await old.close();
    } catch (cause) {
      throw breakWith(cause);
    }
    sizeBytes = bytes.length;
  };

  return {
    append,
    compact: (snapshot) => exclusively(() => replace(snapshot)),
    sizeBytes: () => sizeBytes,
    close: () => {
      closed ??= exclusively(async () => {
        await flush();
        await file.close();
      });
      return closed;
    },
  };
}

/** Everything that touches the file takes its turn, in the order of asking. */
function oneAtATime(): (work: () => Promise<void>) => Promise<void> {
  let tail: Promise<void> = Promise.resolve();
  return (work) => {
    const done = tail.then(work);
    tail = done.catch(() => undefined);
    return done;
  };
}

/** A snapshot may be larger than one frame; all its frames become durable with one rename. */
function frames(payloads: readonly Uint8Array[]): Uint8Array[] {
  const all: Uint8Array[] = [];
  let group: Uint8Array[] = [];
  let groupBytes = 0;
  for (const payload of payloads) {
    if (payload.length > maxRecordBytes) throw new RangeError('snapshot: a record is too large');
    if (groupBytes + recordSizeBytes(payload) > maxFrameBytes / 2) {
      all.push(encodeFrame(group));
      group = [];
      groupBytes = 0;
    }
    group.push(payload);
    groupBytes += recordSizeBytes(payload);
  }
  if (group.length > 0) all.push(encodeFrame(group));
  return all;
}
