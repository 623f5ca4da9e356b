import { expect } from 'vitest';
import { defaultIngestionLimits } from '#ingestion/config.ts';
import { createLateReadings, type LateReadings } from '#ingestion/late-readings.ts';
import type { Pool } from '#platform/postgres.ts';

/** Readings in chunks of TimescaleDB, by the server's own days, which its policies go by. */
export const dayS = 86_400;

export async function todayS(pool: Pool): Promise<number> {
  const { today } = await pool.row<{ today: number }>(
    `select extract(epoch from date_trunc('day', now(), 'UTC'))::bigint as today`,
  );
  return today;
}

/** One row a step of one meter, straight into a table. */
export async function fill(
  pool: Pool,
  table: 'reading' | 'reading_late',
  of: { meterId: number; fromS: number; toS: number; stepS: number },
): Promise<void> {
  await pool.run(
    `insert into ${table} (meter_id, time, export_wh)
     select $1::integer, to_timestamp(t), t % 100000 from generate_series($2::bigint, $3, $4) t`,
    [of.meterId, of.fromS, of.toS - 1, of.stepS],
  );
}

export interface Chunk {
  readonly from_s: number;
  readonly compressed: boolean;
  /** Compressed, with rows beside it that came afterwards. */
  readonly partial: boolean;
}

/** The chunk that an instant lies in; bit 8 of its status says that rows lie beside what is compressed. */
export function chunkAt(pool: Pool, t: number): Promise<Chunk> {
  return pool.row<Chunk>(
    `select extract(epoch from i.range_start)::bigint as from_s, i.is_compressed as compressed,
            (c.status & 8) > 0 as partial
       from timescaledb_information.chunks i
            join _timescaledb_catalog.chunk c
              on c.schema_name = i.chunk_schema and c.table_name = i.chunk_name
      where i.hypertable_name = 'reading'
        and to_timestamp($1) >= i.range_start and to_timestamp($1) < i.range_end`,
    [t],
  );
}

export function lateReadings(pool: Pool, limits: { lateRows?: number } = {}): LateReadings {
  return createLateReadings(pool, { ...defaultIngestionLimits, lateTurnsPerRefresh: 3, ...limits });
}

const turnsLimit = 500;

/** Turns until there is nothing left to do, and lets go of it; how many turns that were. */
export async function settle(late: LateReadings): Promise<number> {
  for (let turns = 1; turns <= turnsLimit; turns++) {
    if (await late.turn()) continue;
    await late.release();
    return turns;
  }
  throw new Error('it goes on for ever');
}

/** A process that died keeps its lease for a while. */
export async function endLease(pool: Pool): Promise<void> {
  await pool.run(`update reading_keeping set until = '-infinity'`);
}

export async function count(pool: Pool, what: string): Promise<number> {
  return (await pool.row<{ n: number }>(`select count(*) as n from ${what}`)).n;
}

/** What the three say of some days is what the readings that are there say. */
export async function expectRolledUp(
  pool: Pool,
  { fromS, toS }: { readonly fromS: number; readonly toS: number },
): Promise<void> {
  for (const [view, length] of [
    ['reading_15m', '15 minutes'],
    ['reading_1h', '1 hour'],
    ['reading_1d', '1 day'],
  ] as const) {
    const values = [fromS, toS];
    const within = (column: string): string =>
      `${column} >= to_timestamp($1) and ${column} < to_timestamp($2)`;
    const stored = await pool.rows(
      `select meter_id, bucket, readings, export_wh_min, export_wh_max from ${view}
        where ${within('bucket')} order by 1, 2`,
      values,
    );
    const wanted = await pool.rows(
      `select meter_id, date_bin('${length}', time, 'epoch') as bucket, count(*) as readings,
              min(export_wh) as export_wh_min, max(export_wh) as export_wh_max
         from reading where ${within('time')} group by 1, 2 order by 1, 2`,
      values,
    );
    expect(stored).toEqual(wanted);
  }
}
