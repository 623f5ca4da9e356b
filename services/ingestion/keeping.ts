import { inTransaction, type Pool, type Sql } from '#platform/postgres.ts';
import type { Clock } from '#platform/clock.ts';

/**
 * How long readings are kept as rows (infra/README.md). They draw charts and prove nothing: messages are
 * kept for ever. On TimescaleDB policies compress and drop whole chunks, by the server's own clock;
 * elsewhere housekeeping deletes (retention.ts), by ours.
 */
export interface KeepingLimits {
  /** At least 60: the refresh policies look back 45 days, and must never see a chunk that was dropped. */
  readonly readingsKeptDays: number;
  /** At most 30, so that what the refresh policies leave out comes by way of late-readings.ts. */
  readonly readingsCompressedAfterDays: number;
}

/** Where a reading goes, by its time in Unix seconds. */
export interface Horizons {
  /** Before it: nowhere. What it would be rolled up with may be gone. */
  readonly keptFromS: number;
  /** Before it: to the late ones, since its chunk may be compressed by now. */
  readonly lateBeforeS: number;
}

export interface Keeping {
  readonly horizons: () => Horizons;
  /** Moves the horizons on; what is decided by them may be a minute old. */
  readonly look: () => Promise<void>;
}

export const dayS = 86_400;
/** Horizons are a minute old, two processes' clocks differ: what is nearly late is late. */
const lateMarginS = 3_600;

const keptFromSql = `select kept_from from reading_keeping`;
/** Waits for a roll-up under way, which holds the row; the next one sees where it may begin. */
const keepFromSql = `update reading_keeping set kept_from = $1 where kept_from < $1`;

/** The newest compressed chunk, whoever compressed it; policies go by the server's clock. */
const chunksSql = `
  select extract(epoch from now())::bigint as now,
         (select extract(epoch from max(range_end))::bigint
            from timescaledb_information.chunks
           where hypertable_schema = current_schema() and hypertable_name = 'reading'
             and is_compressed) as compressed_before`;

export function createKeeping(
  { pool, clock }: { readonly pool: Pool; readonly clock: Clock },
  { keepRollups }: { readonly keepRollups: boolean },
  limits: KeepingLimits,
): Keeping {
  let horizons: Horizons = { keptFromS: 0, lateBeforeS: Number.NEGATIVE_INFINITY };

  const keptFrom = async (nowS: number): Promise<number> => {
    const wanted = nowS - (nowS % dayS) - (limits.readingsKeptDays - 1) * dayS;
    await pool.run(keepFromSql, [wanted]);
    return (await pool.row<{ kept_from: number }>(keptFromSql)).kept_from;
  };
  return {
    horizons: () => horizons,
    look: async () => {
      if (keepRollups) {
        horizons = { ...horizons, keptFromS: await keptFrom(clock.nowS()) };
        return;
      }
      const { now, compressed_before } = await pool.row<{
        now: number;
        compressed_before: number | null;
      }>(chunksSql);
      const soon = now - limits.readingsCompressedAfterDays * dayS + lateMarginS;
      const lateBeforeS = Math.max(soon, compressed_before ?? soon);
      horizons = { keptFromS: await keptFrom(now), lateBeforeS };
    },
  };
}

const areTablesSql = `
  select relkind = 'r' as tables from pg_class where oid = to_regclass('reading_15m')`;

/**
 * Whether roll-ups are tables that ingestion keeps, or continuous aggregates. What the migrations made
 * says so: TimescaleDB may have come to the database after them.
 */
export async function areRollupsTables(sql: Sql): Promise<boolean> {
  return (await sql.row<{ tables: boolean }>(areTablesSql)).tables;
}

/** Any number that nobody else uses as an advisory lock: "policy" in ASCII. */
const lockKey = 0x706f6c696379;
/** Two processes that start at once would each add a policy. */
const lockSql = `select pg_advisory_xact_lock(${lockKey})`;
const hasColumnstoreSql = `
  select exists (select 1 from pg_proc where proname = 'add_columnstore_policy') as has`;
const addColumnstoreSql = `
  call add_columnstore_policy('reading', after => make_interval(days => $1::integer),
    if_not_exists => true)`;
/** What it was called before 2.18. */
const addCompressionSql = `
  select add_compression_policy('reading', make_interval(days => $1::integer), if_not_exists => true)`;
const addRetentionSql = `
  select add_retention_policy('reading', make_interval(days => $1::integer), if_not_exists => true)`;
/** Alters what differs and leaves the rest, such as a schedule that the operator chose. */
const alterSql = `
  select alter_job(job_id, config =>
           jsonb_set(config, array[$2::text], to_jsonb(make_interval(days => $3::integer)::text)))
    from timescaledb_information.jobs
   where hypertable_schema = current_schema() and hypertable_name = 'reading' and proc_name = $1
     and (config ->> $2::text)::interval <> make_interval(days => $3::integer)`;

/** Has TimescaleDB compress and drop chunks as configured. */
export async function ensurePolicies(pool: Pool, limits: KeepingLimits): Promise<void> {
  const { readingsKeptDays, readingsCompressedAfterDays } = limits;
  await inTransaction(pool, async (sql) => {
    await sql.run(lockSql);
    const { has } = await sql.row<{ has: boolean }>(hasColumnstoreSql);
    await sql.run(has ? addColumnstoreSql : addCompressionSql, [readingsCompressedAfterDays]);
    await sql.run(addRetentionSql, [readingsKeptDays]);
    await sql.rows(alterSql, ['policy_compression', 'compress_after', readingsCompressedAfterDays]);
    await sql.rows(alterSql, ['policy_retention', 'drop_after', readingsKeptDays]);
  });
}
