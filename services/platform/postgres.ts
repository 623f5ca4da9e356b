import pg from 'pg';
import { Failed, Refused } from '#core/errors.ts';
import { asFailure, sqlState } from './postgres-errors.ts';
import { typeParsers } from './postgres-types.ts';

/** Where the database is: DATABASE_URL, or the fields that `startEmbeddedPostgres` gives. */
export type Connection =
  | string
  | {
      readonly host: string;
      readonly port: number;
      readonly user: string;
      readonly database: string;
    };

/** What may be passed for `$1`: `bigint` and `number` for integers, bytes for `bytea`. */
export type SqlValue =
  string | number | bigint | boolean | null | undefined | Date | Uint8Array | readonly SqlValue[];

/**
 * A place to run SQL: a pool, where every statement is its own transaction, or the inside of
 * `inTransaction`. Statements are unnamed (PGlite has one namespace for all connections).
 *
 * Rows come back as: `int8` as a `number` (an error beyond 2^53-1, never a rounded value), `bytea`
 * as `Uint8Array`, their arrays likewise, `numeric` as text (cast sums with `::bigint`).
 *
 * Errors: Failed with one of the codes of `asFailure` when the same work may succeed later;
 * otherwise the `DatabaseError` of `pg` as it is (see `violatedConstraint`).
 */
export interface Sql {
  readonly rows: <Row extends object>(text: string, values?: readonly SqlValue[]) => Promise<Row[]>;
  /** Exactly one row, or Failed('row-count'). */
  readonly row: <Row extends object>(text: string, values?: readonly SqlValue[]) => Promise<Row>;
  /** How many rows the statement wrote. */
  readonly run: (text: string, values?: readonly SqlValue[]) => Promise<number>;
  /**
   * Runs steps that do not need one another's answers, in their order: on a pipelined connection the
   * server gets the next statement before it has answered the last. Rejects with the error of the
   * first step that failed, once all have ended.
   */
  readonly pipeline: (steps: readonly (() => Promise<void>)[]) => Promise<void>;
}

export interface Pool extends Sql {
  /** For `inTransaction` and libraries that want a client of `pg`. */
  readonly pg: pg.Pool;
  /** Waits for nobody: what is still checked out is closed as it comes back. */
  readonly close: () => Promise<void>;
}

export interface PoolLimits {
  readonly maxConnections: number;
  /** How long to wait for a free connection. */
  readonly connectTimeoutMs: number;
  /** How long the server may work on one statement, waiting for locks included. */
  readonly statementTimeoutMs: number;
  /**
   * How long the server keeps a transaction open, and its locks, of which it hears nothing: our half
   * of a connection may be gone without its knowing.
   */
  readonly silentTransactionMs: number;
  readonly idleTimeoutMs: number;
}

export const defaultPoolLimits: PoolLimits = {
  maxConnections: 8,
  connectTimeoutMs: 30_000,
  statementTimeoutMs: 60_000,
  silentTransactionMs: 60_000,
  idleTimeoutMs: 30_000,
};

/** How much longer than the server itself we wait: a server that is gone keeps no time limit. */
const serverSilenceMs = 5_000;

/**
 * `onIdleError` hears of connections that broke while nobody used them (the server restarted). They
 * are replaced by themselves, so this is for the log; without a listener Node would end the process.
 */
export function createPool(
  connection: Connection,
  options: {
    readonly limits?: Partial<PoolLimits>;
    readonly applicationName?: string;
    readonly onIdleError?: (error: Error) => void;
    /** For a PostgreSQL server; the embedded engine takes one statement at a time. */
    readonly pipelined?: boolean;
  } = {},
): Pool {
  const limits = { ...defaultPoolLimits, ...options.limits };
  const pool = new pg.Pool({
    ...clientConfig(connection),
    max: limits.maxConnections,
    connectionTimeoutMillis: limits.connectTimeoutMs,
    idleTimeoutMillis: limits.idleTimeoutMs,
    statement_timeout: limits.statementTimeoutMs,
    query_timeout: limits.statementTimeoutMs + serverSilenceMs,
    idle_in_transaction_session_timeout: limits.silentTransactionMs,
    keepAlive: true,
    application_name: options.applicationName ?? 'hourseal',
    // What we ask takes milliseconds; to compile it, where a table's size is misjudged, takes hundreds.
    options: '-c jit=off',
    types: typeParsers,
    pipeline: options.pipelined ?? false,
  });
  pool.on('error', (error) => {
    options.onIdleError?.(error);
  });
  return { ...sqlOver(pool), pg: pool, close: () => pool.end() };
}

/** The fields that `pg` wants. */
export function clientConfig(connection: Connection): pg.ClientConfig {
  return typeof connection === 'string' ? { connectionString: connection } : connection;
}

function sqlOver(target: pg.Pool | pg.PoolClient): Sql {
  const query = async <Row extends object>(
    text: string,
    values: readonly SqlValue[] = [],
  ): Promise<pg.QueryResult<Row>> => {
    try {
      return await target.query<Row>(text, [...values]);
    } catch (error) {
      throw asFailure(error);
    }
  };
  return {
    rows: async <Row extends object>(text: string, values?: readonly SqlValue[]) =>
      (await query<Row>(text, values)).rows,
    row: async <Row extends object>(text: string, values?: readonly SqlValue[]) => {
      const { rows } = await query<Row>(text, values);
      const [row] = rows;
      if (row === undefined || rows.length !== 1) {
        throw new Failed('row-count', `${rows.length} rows where one was expected`);
      }
      return row;
    },
    run: async (text: string, values?: readonly SqlValue[]) =>
      (await query(text, values)).rowCount ?? 0,
    pipeline: 'pipeline' in target && target.pipeline ? allAtOnce : oneByOne,
  };
}

async function oneByOne(steps: readonly (() => Promise<void>)[]): Promise<void> {
  for (const step of steps) await step();
}

/** What the server answers to all that comes after a failed statement (PostgreSQL, appendix A). */
const inFailedTransaction = '25P02';

/** A step of several statements may hear of another's failure before that one is told. */
async function allAtOnce(steps: readonly (() => Promise<void>)[]): Promise<void> {
  const errors: unknown[] = [];
  for (const outcome of await Promise.allSettled(steps.map((step) => step()))) {
    if (outcome.status === 'rejected') errors.push(outcome.reason);
  }
  if (errors.length === 0) return;
  throw errors.find((error) => sqlState(error) !== inFailedTransaction) ?? errors[0];
}

export interface TransactionOptions {
  readonly isolation?: 'read committed' | 'repeatable read' | 'serializable';
  readonly readOnly?: boolean;
  /** After this the connection is destroyed, so that nobody waits for ever for what it holds. */
  readonly timeoutMs?: number;
}

const transactionTimeoutMs = 120_000;
/** Failures after which the connection is of no more use: its end ends the transaction. */
const overWithConnection = new Set(['transaction-timeout', 'database-down', 'commit-unknown']);

/**
 * Runs `work` in one transaction: commits when it returns, rolls back when it throws.
 *
 * Failed('commit-unknown') means that the connection broke during the commit: the transaction may
 * have happened or not. Whoever may not guess makes that Fatal. Failed('transaction-timeout') and
 * every other error mean that it did not happen.
 */
export async function inTransaction<Result>(
  pool: Pool,
  work: (sql: Sql) => Promise<Result>,
  options: TransactionOptions = {},
): Promise<Result> {
  const client = await connect(pool);
  const state: { broken: Error | undefined } = { broken: undefined };
  const lost = (error: Error): void => {
    state.broken = error;
  };
  client.on('error', lost);
  try {
    const sql = sqlOver(client);
    await sql.run(beginOf(options));
    const result = await withinLimit(work(sql), options.timeoutMs ?? transactionTimeoutMs);
    await commit(client);
    return result;
  } catch (error) {
    // Asked to roll back, a server that is gone would be waited for once more.
    if (error instanceof Failed && overWithConnection.has(error.code)) state.broken ??= error;
    state.broken ??= await rollback(client);
    throw error;
  } finally {
    client.off('error', lost);
    client.release(state.broken);
  }
}

/** What goes on working after its limit finds its connection closed. */
async function withinLimit<Result>(work: Promise<Result>, limitMs: number): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const text = `a transaction took longer than ${limitMs} ms`;
      reject(new Failed('transaction-timeout', text));
    }, limitMs);
  });
  try {
    return await Promise.race([work, expired]);
  } finally {
    clearTimeout(timer);
  }
}

async function connect(pool: Pool): Promise<pg.PoolClient> {
  try {
    return await pool.pg.connect();
  } catch (error) {
    throw asFailure(error);
  }
}

function beginOf({ isolation = 'read committed', readOnly = false }: TransactionOptions): string {
  return `begin isolation level ${isolation} ${readOnly ? 'read only' : 'read write'}`;
}

async function commit(client: pg.PoolClient): Promise<void> {
  let answer: pg.QueryResult;
  try {
    answer = await client.query('commit');
  } catch (error) {
    const failure = asFailure(error);
    if (!(failure instanceof Failed) || failure.code !== 'database-down') throw failure;
    throw new Failed('commit-unknown', 'the connection broke during a commit', { cause: error });
  }
  // A transaction in which a statement failed answers COMMIT by rolling back, without an error.
  if (answer.command !== 'COMMIT') {
    throw new Failed('rolled-back', 'a statement failed and its error was swallowed');
  }
}

/** Undefined when the connection is clean again; otherwise why it must be thrown away. */
async function rollback(client: pg.PoolClient): Promise<Error | undefined> {
  try {
    await client.query('rollback');
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

export interface ServerDescription {
  /** As `server_version_num` says: 150018 is 15.18. */
  readonly versionNumber: number;
  readonly version: string;
  /** Version of TimescaleDB where the extension is in this database. */
  readonly timescale: string | undefined;
}

const describeServerSql = `
  select current_setting('server_version_num')::int as number,
         current_setting('server_version') as version,
         (select extversion from pg_extension where extname = 'timescaledb') as timescale`;
const oldestVersionNumber = 150_000;

/** Refused('database-version') below PostgreSQL 15. */
export async function describeServer(sql: Sql): Promise<ServerDescription> {
  const { number, version, timescale } = await sql.row<{
    number: number;
    version: string;
    timescale: string | null;
  }>(describeServerSql);
  if (number < oldestVersionNumber) {
    throw new Refused('database-version', `PostgreSQL ${version} is older than 15`);
  }
  return { versionNumber: number, version, timescale: timescale ?? undefined };
}
