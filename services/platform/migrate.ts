import { runner } from 'node-pg-migrate';
import pg from 'pg';
import { readdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { Failed, Refused } from '#core/errors.ts';
import { asFailure } from './postgres-errors.ts';
import { clientConfig, type Connection } from './postgres.ts';

const migrationsFolder = fileURLToPath(new URL('../../infra/migrations', import.meta.url));
const migrationsTable = 'migrations';
/** Any number that nobody else uses as an advisory lock in this database: "hours" in ASCII. */
const lockKey = 0x686f757273;
const connectTimeoutMs = 30_000;
const lockWaitLimitMs = 60_000;
/** One migration may rewrite a large table; a statement of the service may not take so long. */
const migrationLimitMs = 3_600_000;

const tableExistsSql = `select to_regclass('${migrationsTable}') is not null as exists`;
const appliedSql = `select name from ${migrationsTable} order by id`;

/**
 * Brings the database up to the numbered files of infra/migrations and returns the names of those
 * that were applied. Safe to run twice, and by several processes at once.
 *
 * Everything happens in one transaction, so a crash or an error leaves the database as it was. The
 * waiting is done by a lock inside that transaction: on a server two processes meet at the advisory
 * lock, on PGlite, whose one session grants every lock, at the transaction itself. Hence the
 * library's own lock, which belongs to the session, stays off.
 *
 * Refused('database-newer') when the database was migrated by a later version of this program;
 * Failed('migration') with the server's error as cause when one of them fails.
 */
export async function migrate(
  connection: Connection,
  options: { readonly folder?: string } = {},
): Promise<string[]> {
  const folder = options.folder ?? migrationsFolder;
  const client = new pg.Client({
    ...clientConfig(connection),
    connectionTimeoutMillis: connectTimeoutMs,
    application_name: 'hourseal migrations',
  });
  // A connection that breaks also fails the statement under way, which is where it is reported.
  client.on('error', ignore);
  try {
    await client.connect();
    await client.query('begin');
    await client.query(`set local lock_timeout = ${lockWaitLimitMs}`);
    await client.query(`select pg_advisory_xact_lock(${lockKey})`);
    await client.query(`set local statement_timeout = ${migrationLimitMs}`);
    await client.query('set local client_min_messages = warning');
    await refuseNewer(client, folder);
    const applied = await runner({
      dbClient: client,
      dir: folder,
      direction: 'up',
      migrationsTable,
      noLock: true,
      // The library's BEGIN inside ours is a warning, and its COMMIT ends ours.
      singleTransaction: true,
      logger: { info: ignore, warn: ignore, error: ignore },
    });
    await client.query('commit');
    return applied.map(({ name }) => name);
  } catch (error) {
    throw failureOf(error);
  } finally {
    // Ending the connection rolls back whatever is open.
    await client.end();
  }
}

function ignore(): void {
  // What the library logs is also in the error that it throws.
}

interface Client {
  query: (text: string) => Promise<{ rows: Record<string, unknown>[] }>;
}

async function refuseNewer(client: Client, folder: string): Promise<void> {
  const { rows } = await client.query(tableExistsSql);
  if (rows[0]?.exists !== true) return;
  const known = new Set((await readdir(folder)).map((name) => name.replace(/\.sql$/, '')));
  const applied = (await client.query(appliedSql)).rows.map(({ name }) => String(name));
  const unknown = applied.find((name) => !known.has(name));
  if (unknown !== undefined) {
    const text = `the database was migrated by a later version (it has ${unknown}): update first`;
    throw new Refused('database-newer', text);
  }
}

function failureOf(error: unknown): unknown {
  if (error instanceof Refused) return error;
  const failure = asFailure(error);
  if (failure instanceof Failed) return failure;
  const text = error instanceof Error ? error.message : String(error);
  return new Failed('migration', `the migrations failed: ${text}`, { cause: error });
}
