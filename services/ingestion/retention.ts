import type { Pool } from '#platform/postgres.ts';
import { dayS } from './keeping.ts';

export interface RetentionLimits {
  /** Rows of one statement, and statements of one turn. */
  readonly retentionRows: number;
  readonly retentionBatches: number;
  readonly retentionMeters: number;
}

/**
 * A few meters at a time, by the primary key of `reading`: an index on time alone would cost every
 * insert, for what happens once a day.
 */
const dropSql = `
  with meters as (select meter_id from meter where meter_id > $1 order by meter_id limit $3),
       old as (
         select meter_id, time
           from meters
                cross join lateral (
                  select time from reading
                   where reading.meter_id = meters.meter_id and time < to_timestamp($2)
                   order by time limit $4) of_meter
          order by meter_id limit $4),
       gone as (
         delete from reading using old
          where reading.meter_id = old.meter_id and reading.time = old.time
         returning 1)
  select (select count(*) from gone) as dropped, (select max(meter_id) from meters) as through`;

export interface Retention {
  /** Deletes some of what is over; whether there is more. Crash: the next turn finds it. */
  readonly drop: (keptFromS: number) => Promise<boolean>;
}

/**
 * Old readings of a PostgreSQL without TimescaleDB, in bounded batches, each a transaction of its own.
 * A day after they were last rolled up: see `kept_from`. Two processes at once find less to do each.
 */
export function createRetention(pool: Pool, limits: RetentionLimits): Retention {
  const { retentionRows, retentionBatches, retentionMeters } = limits;
  let donePast = 0;
  let afterMeter = 0;

  return {
    drop: async (keptFromS) => {
      const before = keptFromS - dayS;
      for (let batch = 0; batch < retentionBatches && donePast < before; batch++) {
        const { dropped, through } = await pool.row<{ dropped: number; through: number | null }>(
          dropSql,
          [afterMeter, before, retentionMeters, retentionRows],
        );
        if (dropped === retentionRows) continue;
        afterMeter = through ?? 0;
        if (through === null) donePast = before;
      }
      return donePast < before;
    },
  };
}
