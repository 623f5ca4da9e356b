import { randomUUID } from 'node:crypto';
import { inTransaction, type Pool } from '#platform/postgres.ts';
import { dayS } from './keeping.ts';

export interface LateLimits {
  /** Rows that one turn moves. Each may decompress one batch of a thousand. */
  readonly lateRows: number;
  /** Between two turns while rows wait, so that the server has time for others. */
  readonly lateEveryMs: number;
  /** Turns after which what was moved is rolled up, although more waits. */
  readonly lateTurnsPerRefresh: number;
  /** How long a process may be silent before another takes over; longer than one statement may take. */
  readonly lateLeaseS: number;
}

/** By the database's own clock, which all processes share. */
const leaseSql = `
  update reading_keeping set holder = $1, until = now() + make_interval(secs => $2)
   where holder = $1 or until < now()`;
const releaseSql = `update reading_keeping set until = '-infinity' where holder = $1`;

const waitingSql = `
  select exists (select 1 from reading_late) or exists (select 1 from reading_touched) as waiting`;
const oldestSql = `select extract(epoch from min(time))::bigint as time from reading_late`;

/** A limit for one transaction where the server knows it (2.13 and later); ours is on rows. */
const decompressSql = `
  select set_config(name, '0', true) from pg_settings
   where name = 'timescaledb.max_tuples_decompressed_per_dml_transaction'`;

/**
 * One day at a time: chunks are of whole days. What is there already stays, as in ingestion. What is
 * too old to be rolled up goes; its message stays. The marks say which hours are rolled up afterwards.
 */
const moveSql = `
  with taken as (
    delete from reading_late
     where (time, meter_id) in (
       select time, meter_id from reading_late
        where time >= to_timestamp($1) and time < to_timestamp($1 + ${dayS})
        order by meter_id, time limit $2
        for update skip locked)
    returning *
  ), moved as (
    insert into reading (meter_id, time, export_wh, import_wh, co2_g, operating_s, valid_s, other, flags)
    select meter_id, time, export_wh, import_wh, co2_g, operating_s, valid_s, other, flags
      from taken
     where time >= to_timestamp((select kept_from from reading_keeping))
    on conflict do nothing
    returning meter_id, extract(epoch from time)::bigint as t
  ), hours as (
    select distinct meter_id, t - t % 3600 as start from moved
  ), marked as (
    insert into reading_touched (meter_ids, starts)
    select array_agg(meter_id order by start), array_agg(start order by start) from hours
    having count(*) > 0
  )
  select count(*) as taken from taken`;

/** Of the oldest mark's day every hour that was marked: marks are of one day each. */
const marksSql = `
  select u.start, array_agg(t.touched_id) as ids
    from (select starts[1] - starts[1] % ${dayS} as day
            from reading_touched order by touched_id limit 1) oldest
         join reading_touched t on t.starts[1] - t.starts[1] % ${dayS} = oldest.day
         cross join lateral (select distinct start from unnest(t.starts) s (start)) u
   where u.start >= oldest.day and u.start < oldest.day + ${dayS}
   group by u.start order by u.start`;
const keptFromSql = `select kept_from from reading_keeping`;
const unmarkSql = `delete from reading_touched where touched_id = any($1::bigint[])`;

const refreshSql = (view: string): string =>
  `call refresh_continuous_aggregate('${view}', to_timestamp($1), to_timestamp($2))`;

export interface LateReadings {
  /** A bounded piece of work; whether there is reason to look again soon. */
  readonly turn: () => Promise<boolean>;
  /** So that another process need not wait until the lease is over. */
  readonly release: () => Promise<void>;
}

/**
 * Readings that came after their chunk was compressed: into it, a little at a time, and what charts show
 * of their hours is refreshed. One process at a time; two that did it would do no harm. Crash: rows are
 * moved and marked in one transaction, and a mark stays until its hours are refreshed, which can be done
 * again.
 */
export function createLateReadings(pool: Pool, limits: LateLimits): LateReadings {
  const holder = randomUUID();
  let turnsOwed = 0;

  const hold = async (): Promise<boolean> =>
    (await pool.run(leaseSql, [holder, limits.lateLeaseS])) === 1;

  const move = async (): Promise<number> => {
    const { time } = await pool.row<{ time: number | null }>(oldestSql);
    if (time === null) return 0;
    return inTransaction(pool, async (sql) => {
      await sql.rows(decompressSql);
      const values = [time - (time % dayS), limits.lateRows];
      return (await sql.row<{ taken: number }>(moveSql, values)).taken;
    });
  };

  /** In the order in which they build on one another; an hour at a time keeps each call short. */
  const refreshDay = async (hours: readonly number[]): Promise<boolean> => {
    for (const [view, lengthS] of [
      ['reading_15m', 3600],
      ['reading_1h', 3600],
      ['reading_1d', dayS],
    ] as const) {
      const starts = new Set(hours.map((hour) => hour - (hour % lengthS)));
      for (const start of starts) {
        if (!(await hold())) return false;
        await pool.run(refreshSql(view), [start, start + lengthS]);
      }
    }
    return true;
  };

  /** Never where chunks may have been dropped: buckets would be emptied with them. */
  const refresh = async (): Promise<boolean> => {
    const marks = await pool.rows<{ start: number; ids: number[] }>(marksSql);
    if (marks.length === 0) return false;
    const { kept_from } = await pool.row<{ kept_from: number }>(keptFromSql);
    const hours = marks.map(({ start }) => start).filter((start) => start >= kept_from);
    if (!(await refreshDay(hours))) return false;
    await pool.run(unmarkSql, [[...new Set(marks.flatMap(({ ids }) => ids))]]);
    return true;
  };

  return {
    turn: async () => {
      const { waiting } = await pool.row<{ waiting: boolean }>(waitingSql);
      if (!waiting || !(await hold())) return false;
      const taken = await move();
      turnsOwed = taken > 0 ? turnsOwed + 1 : limits.lateTurnsPerRefresh;
      if (turnsOwed < limits.lateTurnsPerRefresh) return true;
      const refreshed = await refresh();
      if (!refreshed) turnsOwed = 0;
      return refreshed || taken > 0;
    },
    release: async () => {
      await pool.run(releaseSql, [holder]);
    },
  };
}
