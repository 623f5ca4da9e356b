import { existsSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { Failed, Fatal } from '#core/errors.ts';
import { withDeadline } from './deadline.ts';
import { ensureFolder, writeFileDurably } from './durable-file.ts';
import { lockFolder, type FolderLock } from './folder-lock.ts';
import { startTypescriptWorker } from './typescript-worker.ts';

/** What the worker thread is given. */
export interface EmbeddedPostgresWork {
  readonly databaseFolder: string;
  readonly socketPath: string;
  readonly maximumConnections: number;
}

export interface EmbeddedPostgres {
  /** For `createPool`: a folder as host means the Unix socket inside it. */
  readonly connection: {
    readonly host: string;
    readonly port: number;
    readonly user: string;
    readonly database: string;
  };
  /** The same as a URL, for DATABASE_URL of a child process. */
  readonly connectionString: string;
  /**
   * Resolves if the engine dies by itself: the process must then stop, because what was
   * acknowledged lies on disk and what was not is unknown. Never resolves after `stop`.
   */
  readonly died: Promise<Fatal>;
  /** Rolls open transactions back, closes connections and engine, releases the folder. */
  readonly stop: () => Promise<void>;
}

const port = 5432;
const socketName = `.s.PGSQL.${port}`;
/** `sun_path` holds 108 bytes on Linux and 104 on macOS, with the final zero. */
const socketPathLimitBytes = 103;
const startLimitMs = 120_000;
const stopLimitMs = 30_000;
/** pglite-socket answers one connection too many in no protocol at all, so this is never reached. */
const maximumConnections = 200;

/**
 * Starts Postgres inside this process (D6): PGlite in a worker thread, reached through `pg` over a
 * Unix socket in `folder` (mode 0700), which is created when it is not there. Extension btree_gist
 * can be created.
 *
 * What a crash does: PGlite writes its files with write(2) and never fsyncs. After `kill -9` the
 * kernel still holds everything written, and Postgres recovers from its WAL on the next start, so a
 * committed transaction is there. A power cut or a kernel crash may lose or tear anything. There is
 * one session for all connections: locks and isolation prove nothing on it, a transaction makes
 * every other connection wait, LISTEN does not deliver, session settings are shared, and statements
 * must be unnamed.
 *
 * Refused('folder-in-use') when another process has the folder; Failed('embedded-postgres') when
 * the engine does not start.
 */
export async function startEmbeddedPostgres(options: {
  readonly folder: string;
  readonly signal?: AbortSignal;
}): Promise<EmbeddedPostgres> {
  const folder = resolve(options.folder);
  options.signal?.throwIfAborted();
  await ensureFolder(folder, 0o700);
  await chmod(folder, 0o700);
  const lock = await lockFolder(folder);
  let socket: SocketFolder | undefined;
  let worker: Worker | undefined;
  try {
    const databaseFolder = join(folder, 'pgdata');
    const beingMade = await beginMaking(folder, databaseFolder);
    socket = await socketFolder(folder);
    const work: EmbeddedPostgresWork = {
      databaseFolder,
      socketPath: join(socket.path, socketName),
      maximumConnections,
    };
    worker = startTypescriptWorker(new URL('./embedded-postgres.worker.ts', import.meta.url), work);
    await said(worker, 'ready', { limitMs: startLimitMs, signal: options.signal });
    if (beingMade !== undefined) await rm(beingMade);
    return running(worker, socket, lock);
  } catch (cause) {
    await worker?.terminate();
    await socket?.remove();
    await lock.release();
    throw cause;
  }
}

/**
 * Making a database takes seconds, and PGlite takes a half-made one for a whole one. So a mark lies
 * beside it until it has started for the first time; what is found with its mark holds nothing of
 * anybody's yet and is made again. Returns the mark's path while there is one.
 */
async function beginMaking(folder: string, databaseFolder: string): Promise<string | undefined> {
  const mark = join(folder, 'pgdata-being-made');
  if (existsSync(mark)) await rm(databaseFolder, { recursive: true, force: true });
  if (existsSync(databaseFolder)) return undefined;
  await writeFileDurably(mark, '');
  return mark;
}

function running(worker: Worker, socket: SocketFolder, lock: FolderLock): EmbeddedPostgres {
  let stopping: Promise<void> | undefined;
  const died = new Promise<Fatal>((tell) => {
    const report = (cause: unknown): void => {
      if (stopping === undefined) {
        tell(new Fatal('embedded-postgres', 'the embedded Postgres has died', { cause }));
      }
    };
    worker.on('error', report);
    worker.on('exit', (code) => {
      report(new Error(`its thread ended with code ${code}`));
    });
  });
  const stop = async (): Promise<void> => {
    try {
      const stopped = said(worker, 'stopped', { limitMs: stopLimitMs });
      worker.postMessage('stop');
      await stopped;
    } finally {
      await worker.terminate();
      await socket.remove();
      await lock.release();
    }
  };
  const user = 'postgres';
  const database = 'postgres';
  return {
    connection: { host: socket.path, port, user, database },
    connectionString: `postgresql://${user}@${encodeURIComponent(socket.path)}:${port}/${database}`,
    died,
    stop: () => (stopping ??= stop()),
  };
}

interface SocketFolder {
  readonly path: string;
  readonly remove: () => Promise<void>;
}

/**
 * The socket lives in the data folder, which the lock has made ours, so that what an earlier
 * process left behind may go. When that path is too long for the kernel it moves to a private
 * folder (mode 0700, made by mkdtemp) among the temporary files; a relative path would do only
 * until somebody changes the working folder.
 */
async function socketFolder(folder: string): Promise<SocketFolder> {
  const path = join(folder, socketName);
  if (Buffer.byteLength(path) <= socketPathLimitBytes) {
    await rm(path, { force: true });
    return { path: folder, remove: () => rm(path, { force: true }) };
  }
  const elsewhere = await mkdtemp(join(tmpdir(), 'hourseal-'));
  return { path: elsewhere, remove: () => rm(elsewhere, { recursive: true, force: true }) };
}

/** Waits for one word of the worker thread. */
async function said(
  worker: Worker,
  word: string,
  { limitMs, signal }: { readonly limitMs: number; readonly signal?: AbortSignal | undefined },
): Promise<void> {
  const heard = (signal: AbortSignal): Promise<void> =>
    new Promise<void>((resolve, reject) => {
      const fail = (cause: unknown): void => {
        const text = `the embedded Postgres did not get as far as '${word}'`;
        reject(new Failed('embedded-postgres', text, { cause }));
      };
      worker.once('error', fail);
      worker.once('exit', (code) => {
        fail(new Error(`its thread ended with code ${code}`));
      });
      worker.on('message', function listen(message: unknown) {
        if (message === word) resolve();
      });
      if (signal.aborted) fail(signal.reason);
      signal.addEventListener('abort', () => {
        fail(signal.reason);
      });
    });
  try {
    await withDeadline(limitMs, heard, ...(signal === undefined ? [] : [signal]));
  } finally {
    worker.removeAllListeners('message');
  }
}
