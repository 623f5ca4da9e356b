/**
 * Fresh databases for tests.
 *
 * - `onEachEngine(name, (start, engine) => { test(...) })`: a suite that runs on PGlite and again on
 *   a real PostgreSQL. Without one the second run is skipped aloud, its name saying how to get it.
 * - `onTimescale(name, (start, engine) => ...)`: on TimescaleDB in this process (timescale.ts), and again
 *   on the server that TIMESCALE_URL names, a superuser of it. That server is an engine more, on request:
 *   without it the run says so, and nothing has failed. `onEveryEngine`: all of these.
 * - `onPostgres(name, (start) => ...)`: for races and locks, which prove nothing on PGlite (D6).
 * - `start({ migrated? })` gives a `TestPostgres`: a new empty database (with the migrations of
 *   infra/migrations applied unless `migrated: false`), its connection, a pool, `stop()`.
 *   Everything that a test started is stopped after its file, unless it was stopped before.
 * - `copyEmptyDatabase(folder)` before `startEmbeddedPostgres({ folder })` saves seconds of initdb.
 * - `startTestPostgres(engine, options)`, with `quickEngine` where any engine does, is the same without a suite around it; then stop it yourself.
 *
 * Where the real server comes from: TEST_POSTGRES_URL (a superuser of a server; each test gets a
 * database of its own there), or else a private cluster of the `postgres` found on this machine.
 */
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterAll, describe } from 'vitest';
import { startEmbeddedPostgres } from '#platform/embedded-postgres.ts';
import { migrate } from '#platform/migrate.ts';
import { clientConfig, createPool, type Connection, type Pool } from '#platform/postgres.ts';
import { addMigrations, cacheFolder } from './engine-cache.ts';
import type { Need } from './needs.ts';
import {
  findPostgresBinaries,
  saveCluster,
  serverUser,
  startBreakableCluster,
  startPostgresCluster,
  type BreakableCluster,
  type PostgresCluster,
} from './real-postgres.ts';
import { startTimescaleCopy } from './timescale.ts';

export type TestEngine = 'pglite' | 'postgres';
export type TimescaleEngine = 'timescale' | 'timescale-server';
export type AnyEngine = TestEngine | TimescaleEngine;

export interface TestPostgres {
  readonly engine: AnyEngine;
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
const timescaleServer = process.env.TIMESCALE_URL;
const binaries = findPostgresBinaries();
const hasPostgres = server !== undefined || binaries !== undefined;
/** Of the engines here the one whose databases are made in a moment, for tests that are about none. */
export const quickEngine: TestEngine = hasPostgres ? 'postgres' : 'pglite';
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

export function onTimescale(
  name: string,
  suite: (start: Start, engine: TimescaleEngine) => void,
): void {
  describe(`${name}, on TimescaleDB`, () => {
    suite(starter('timescale'), 'timescale');
  });
  if (timescaleServer === undefined) {
    process.stdout.write(`left out: ${name}, on a server with TimescaleDB: set TIMESCALE_URL\n`);
    return;
  }
  describe(`${name}, on the server with TimescaleDB`, () => {
    suite(starter('timescale-server'), 'timescale-server');
  });
}

export function onEveryEngine(
  name: string,
  suite: (start: Start, engine: AnyEngine) => void,
): void {
  onEachEngine(name, suite);
  onTimescale(name, suite);
}

export function onPostgres(name: string, suite: (start: Start) => void): void {
  const title = `${name}, on PostgreSQL`;
  describe.skipIf(!hasPostgres)(hasPostgres ? title : `${title} (${howToGetIt})`, () => {
    suite(starter('postgres'));
  });
}

function starter(engine: AnyEngine): Start {
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
  engine: AnyEngine,
  options: TestPostgresOptions = {},
): Promise<TestPostgres> {
  const isMigrated = options.migrated !== false;
  const place = await placeOn[engine](isMigrated);
  const pools: Pool[] = [];
  const anotherPool = (maxConnections = 8): Pool => {
    // As an installation has it.
    const pipelined = engine === 'postgres';
    const pool = createPool(place.connection, { limits: { maxConnections }, pipelined });
    pools.push(pool);
    return pool;
  };
  let stopped: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    await Promise.all(pools.map((pool) => pool.close()));
    await place.remove();
  };
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

const placeOn: Readonly<Record<AnyEngine, (isMigrated: boolean) => Promise<Place>>> = {
  pglite: embeddedDatabase,
  postgres: (isMigrated) => serverDatabase(isMigrated, server),
  timescale: timescaleDatabase,
  'timescale-server': (isMigrated) => serverDatabase(isMigrated, timescaleServer),
};

async function timescaleDatabase(isMigrated: boolean): Promise<Place> {
  const { connection, connectionString, stop } = await startTimescaleCopy(isMigrated);
  return { connection, connectionString, remove: stop };
}

async function embeddedDatabase(isMigrated: boolean): Promise<Place> {
  const folder = mkdtempSync(join(tmpdir(), 'hourseal-pglite-'));
  await copyInto(await templateFolder(isMigrated), folder);
  const { connection, connectionString, stop } = await startEmbeddedPostgres({ folder });
  const remove = async (): Promise<void> => {
    await stop();
    rmSync(folder, { recursive: true, force: true });
  };
  return { connection, connectionString, remove };
}

/** Saves `startEmbeddedPostgres` on this folder the seconds that making a database takes. */
export async function copyEmptyDatabase(folder: string): Promise<void> {
  await copyInto(await templateFolder(false), folder);
}

/** A program of its own does it in a third of the time, and beside us. */
async function copyInto(from: string, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await promisify(execFile)('cp', ['-R', '-p', `${from}/.`, folder]);
}

/**
 * The folder of an embedded Postgres that was started once, perhaps migrated, and stopped: making
 * one takes seconds of initdb, copying it a moment. It is named by all that it is made of. Several
 * test processes may make it at once; the first rename wins.
 */
async function templateFolder(isMigrated: boolean): Promise<string> {
  const manifest = createRequire(import.meta.url).resolve('@electric-sql/pglite');
  const key = createHash('sha256')
    .update(manifest)
    .update(await readFile(manifest));
  if (isMigrated) await addMigrations(key);
  const made = join(cacheFolder, `pglite-${key.digest('hex').slice(0, 16)}`);
  if (existsSync(made)) return made;
  await mkdir(cacheFolder, { recursive: true });
  const folder = mkdtempSync(join(cacheFolder, 'making-'));
  const { connection, stop } = await startEmbeddedPostgres({ folder });
  try {
    if (isMigrated) await migrate(connection);
  } finally {
    await stop();
  }
  try {
    await rename(folder, made);
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    if (!existsSync(made)) throw error;
  }
  return made;
}

/** One private cluster for this process, until that ends. */
let cluster: Promise<(database: string) => string> | undefined;
/** A database of that cluster, from which all that are migrated are copied. */
const template = 'migrated';

/** On the server at `address`, or on one of our own. */
async function serverDatabase(isMigrated: boolean, address: string | undefined): Promise<Place> {
  const url = address === undefined ? await (cluster ??= privateServer()) : databasesAt(address);
  const name = `test_${randomBytes(8).toString('hex')}`;
  const isCopied = isMigrated && address === undefined;
  const source = isCopied ? `template ${template}` : '';
  await administrate(url('postgres'), `create database ${name} ${source}`);
  const drop = (): Promise<void> =>
    administrate(url('postgres'), `drop database ${name} with (force)`);
  try {
    if (isMigrated && !isCopied) await migrate(url(name));
  } catch (error) {
    await drop();
    throw error;
  }
  // A cluster of ours ends soon, with all that is in it.
  const remove = address === undefined ? (): Promise<void> => Promise.resolve() : drop;
  return { connection: url(name), connectionString: url(name), remove };
}

/** A database of its own server, that a test kills. */
export interface BreakablePostgres extends Pick<
  BreakableCluster,
  'folder' | 'kill' | 'killBackend' | 'restart' | 'stop'
> {
  readonly connectionString: string;
  /** The Unix socket that it listens on. */
  readonly socket: string;
  /** The same database by a port of 127.0.0.1 that leads to the socket. */
  readonly through: (port: number) => string;
}

/** Migrated. `folder`: where it is made, instead of a temporary folder. */
export async function startBreakablePostgres(
  options: { readonly folder?: string } = {},
): Promise<BreakablePostgres> {
  if (binaries === undefined) throw new Error(howToGetIt);
  const savedAt = await savedCluster(binaries);
  const made = await startBreakableCluster(binaries, { ...options, savedAt });
  return {
    ...made,
    connectionString: urlOf(made)(template),
    socket: join(made.socketFolder, `.s.PGSQL.${made.port}`),
    through: (port) => `postgresql://${made.user}@127.0.0.1:${port}/${template}`,
  };
}

/** What `describeWith` wants to know where a server of the machine's own is needed. */
export const ownPostgres: Need =
  binaries === undefined
    ? { reason: 'no PostgreSQL here to be killed: apt-get install postgresql' }
    : { path: binaries, reason: '' };

function databasesAt(address: string): (database: string) => string {
  return (database) => {
    const at = new URL(address);
    at.pathname = `/${database}`;
    return at.href;
  };
}

async function privateServer(): Promise<(database: string) => string> {
  if (binaries === undefined) throw new Error(howToGetIt);
  const savedAt = await savedCluster(binaries);
  // Figures have to pay for it. A test cannot tell: none takes the power away from a server.
  const fsync = process.env.VITEST === undefined;
  return urlOf(await startPostgresCluster(binaries, { savedAt, fsync }));
}

function urlOf({ socketFolder, port, user }: PostgresCluster): (database: string) => string {
  return (database) =>
    `postgresql://${user}@${encodeURIComponent(socketFolder)}:${port}/${database}`;
}

/** The files of a cluster that was made once, with the template in it, as with the embedded one. */
async function savedCluster(of: string): Promise<string> {
  const key = createHash('sha256').update(`${of} ${serverUser() ?? ''} ${statSync(of).mtimeMs}`);
  await addMigrations(key);
  const saved = join(cacheFolder, `postgres-${key.digest('hex').slice(0, 16)}`);
  if (existsSync(saved)) return saved;
  await mkdir(cacheFolder, { recursive: true });
  await saveCluster(of, saved, async (made) => {
    const url = urlOf(made);
    await administrate(url('postgres'), `create database ${template}`);
    await migrate(url(template));
  });
  return saved;
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
