/**
 * Fresh databases for tests.
 *
 * - `onEachEngine(name, (start, engine) => { test(...) })`: a suite that runs on PGlite and again on
 *   a real PostgreSQL. Without one the second run is skipped aloud, its name saying how to get it.
 * - `onPostgres(name, (start) => ...)`: for races and locks, which prove nothing on PGlite (D6).
 * - `start({ migrated? })` gives a `TestPostgres`: a new empty database (with the migrations of
 *   infra/migrations applied unless `migrated: false`), its connection, a pool, `stop()`.
 *   Everything that a test started is stopped after its file, unless it was stopped before.
 * - `copyEmptyDatabase(folder)` before `startEmbeddedPostgres({ folder })` saves seconds of initdb.
 * - `startTestPostgres(engine, options)` is the same without a suite around it; then stop it yourself.
 *
 * Where the real server comes from: TEST_POSTGRES_URL (a superuser of a server; each test gets a
 * database of its own there), or else a private cluster of the `postgres` found on this machine.
 */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { cp, mkdir, readFile, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { afterAll, describe } from 'vitest';
import { startEmbeddedPostgres } from '#platform/embedded-postgres.ts';
import { migrate } from '#platform/migrate.ts';
import { clientConfig, createPool, type Connection, type Pool } from '#platform/postgres.ts';
import {
  findPostgresBinaries,
  startPostgresCluster,
  type PostgresCluster,
} from './real-postgres.ts';

export type TestEngine = 'pglite' | 'postgres';

export interface TestPostgres {
  readonly engine: TestEngine;
  readonly connection: Connection;
  /** The same as a URL, for DATABASE_URL of a child process. */
  readonly connectionString: string;
  readonly pool: Pool;
  /** Another pool on the same database, closed by `stop`. */
  readonly anotherPool: (maxConnections?: number) => Pool;
  readonly stop: () => Promise<void>;
}

export interface TestPostgresOptions {
  /** True by default. */
  readonly migrated?: boolean;
}

type Start = (options?: TestPostgresOptions) => Promise<TestPostgres>;

const server = process.env.TEST_POSTGRES_URL;
const binaries = findPostgresBinaries();
const hasPostgres = server !== undefined || binaries !== undefined;
const howToGetIt = 'no PostgreSQL here: apt-get install postgresql, or set TEST_POSTGRES_URL';
/** Starting a database under a busy machine takes its time; no test is about that. */
const stopLimitMs = 60_000;

export function onEachEngine(
  name: string,
  suite: (start: Start, engine: TestEngine) => void,
): void {
  describe(`${name}, on PGlite`, () => {
    suite(starter('pglite'), 'pglite');
  });
  onPostgres(name, (start) => {
    suite(start, 'postgres');
  });
}

export function onPostgres(name: string, suite: (start: Start) => void): void {
  const title = `${name}, on PostgreSQL`;
  describe.skipIf(!hasPostgres)(hasPostgres ? title : `${title} (${howToGetIt})`, () => {
    suite(starter('postgres'));
  });
}

function starter(engine: TestEngine): Start {
  const started: TestPostgres[] = [];
  afterAll(async () => {
    await Promise.all(started.map(({ stop }) => stop()));
  }, stopLimitMs);
  return async (options) => {
    const database = await startTestPostgres(engine, options);
    started.push(database);
    return database;
  };
}

export async function startTestPostgres(
  engine: TestEngine,
  options: TestPostgresOptions = {},
): Promise<TestPostgres> {
  const place = await (engine === 'pglite' ? embeddedDatabase() : serverDatabase());
  const pools: Pool[] = [];
  const anotherPool = (maxConnections = 8): Pool => {
    const pool = createPool(place.connection, { limits: { maxConnections } });
    pools.push(pool);
    return pool;
  };
  let stopped: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    await Promise.all(pools.map((pool) => pool.close()));
    await place.remove();
  };
  try {
    if (options.migrated !== false) await migrate(place.connection);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    engine,
    connection: place.connection,
    connectionString: place.connectionString,
    pool: anotherPool(),
    anotherPool,
    stop: () => (stopped ??= stop()),
  };
}

interface Place {
  readonly connection: Connection;
  readonly connectionString: string;
  readonly remove: () => Promise<void>;
}

async function embeddedDatabase(): Promise<Place> {
  const folder = mkdtempSync(join(tmpdir(), 'hourseal-pglite-'));
  await copyEmptyDatabase(folder);
  const { connection, connectionString, stop } = await startEmbeddedPostgres({ folder });
  const remove = async (): Promise<void> => {
    await stop();
    rmSync(folder, { recursive: true, force: true });
  };
  return { connection, connectionString, remove };
}

/** Saves `startEmbeddedPostgres` on this folder the seconds that making a database takes. */
export async function copyEmptyDatabase(folder: string): Promise<void> {
  await cp(await emptyDatabase(), folder, { recursive: true });
}

const cacheFolder = fileURLToPath(new URL('../../node_modules/.cache/hourseal', import.meta.url));

/**
 * The folder of an embedded Postgres that was started once and stopped: making one takes seconds of
 * initdb, copying it a moment. Several test processes may make it at once; the first rename wins.
 */
async function emptyDatabase(): Promise<string> {
  const manifest = createRequire(import.meta.url).resolve('@electric-sql/pglite');
  const key = createHash('sha256')
    .update(manifest)
    .update(await readFile(manifest));
  const made = join(cacheFolder, `pglite-${key.digest('hex').slice(0, 16)}`);
  if (existsSync(made)) return made;
  await mkdir(cacheFolder, { recursive: true });
  const folder = mkdtempSync(join(cacheFolder, 'making-'));
  const { stop } = await startEmbeddedPostgres({ folder });
  await stop();
  try {
    await rename(folder, made);
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    if (!existsSync(made)) throw error;
  }
  return made;
}

/** One private cluster for a test file, as long as anybody has a database on it. */
let cluster: Promise<PostgresCluster> | undefined;
let users = 0;

async function serverDatabase(): Promise<Place> {
  const { url, leave } = await enterServer();
  const name = `test_${randomBytes(8).toString('hex')}`;
  try {
    await administrate(url('postgres'), `create database ${name}`);
  } catch (error) {
    await leave();
    throw error;
  }
  const remove = async (): Promise<void> => {
    await administrate(url('postgres'), `drop database ${name} with (force)`);
    await leave();
  };
  return { connection: url(name), connectionString: url(name), remove };
}

interface Entered {
  readonly url: (database: string) => string;
  readonly leave: () => Promise<void>;
}

async function enterServer(): Promise<Entered> {
  if (server !== undefined) {
    const url = (database: string): string => {
      const at = new URL(server);
      at.pathname = `/${database}`;
      return at.href;
    };
    return { url, leave: () => Promise.resolve() };
  }
  if (binaries === undefined) throw new Error(howToGetIt);
  users++;
  cluster ??= startPostgresCluster(binaries);
  const { socketFolder, port, user, stop } = await cluster;
  const url = (database: string): string =>
    `postgresql://${user}@${encodeURIComponent(socketFolder)}:${port}/${database}`;
  const leave = async (): Promise<void> => {
    users--;
    if (users > 0) return;
    cluster = undefined;
    await stop();
  };
  return { url, leave };
}

async function administrate(connectionString: string, sql: string): Promise<void> {
  const client = new pg.Client(clientConfig(connectionString));
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
