import { hourStartOf } from '#core/energy/hours.ts';
import { inTransaction, type Pool, type Sql } from '#platform/postgres.ts';
import { numbers } from './columns.ts';
import { isUsable } from './decide.ts';
import type { StoredMessage } from './plan.ts';

/**
 * Roll-up tables on a PostgreSQL without TimescaleDB (D6): dirty buckets are computed anew from the
 * readings. Marking costs one row a batch; the work happens here, a little at a time.
 */
const columns = ['export_wh', 'import_wh', 'co2_g', 'operating_s', 'valid_s'];

const touchSql = `insert into reading_touched (meter_ids, starts) values ($1, $2)`;

/** In the transaction of the readings: whoever sees the mark sees them too. */
export async function touchReadings(sql: Sql, stored: readonly StoredMessage[]): Promise<void> {
  const hours = new Map<number, Set<number>>();
  for (const { kept, code, first, last } of stored) {
    if (!isUsable(code)) continue;
    const of = hours.get(kept.key.meterId) ?? new Set<number>();
    of.add(hourStartOf(first)).add(hourStartOf(last));
    hours.set(kept.key.meterId, of);
  }
  if (hours.size === 0) return;
  const pairs = [...hours].flatMap(([meterId, starts]) =>
    [...starts].map((start) => [meterId, start] as const),
  );
  await sql.run(touchSql, [
    numbers(pairs.map(([meterId]) => meterId)),
    numbers(pairs.map(([, start]) => start)),
  ]);
}

const upsertOf = (
  table: string,
  aggregates: (column: string) => string,
  source: string,
): string => `
  insert into ${table} (meter_id, bucket, readings, ${columns.flatMap(namesOf).join(', ')})
  select ${source.replace('AGGREGATES', columns.map(aggregates).join(', '))}
  on conflict (meter_id, bucket) do update set readings = excluded.readings, ${columns
    .flatMap(namesOf)
    .map((name) => `${name} = excluded.${name}`)
    .join(', ')}`;

function namesOf(column: string): string[] {
  return ['first', 'last', 'min', 'max'].map((suffix) => `${column}_${suffix}`);
}

const ofReadings = (column: string): string => `
  (array_agg(r.${column} order by r.time) filter (where r.${column} is not null))[1],
  (array_agg(r.${column} order by r.time desc) filter (where r.${column} is not null))[1],
  min(r.${column}), max(r.${column})`;

const ofRollups = (column: string): string => `
  (array_agg(r.${column}_first order by r.bucket) filter (where r.${column}_first is not null))[1],
  (array_agg(r.${column}_last order by r.bucket desc) filter (where r.${column}_last is not null))[1],
  min(r.${column}_min), max(r.${column}_max)`;

const touched = `(select distinct * from unnest($1::integer[], $2::bigint[]) as u (meter_id, start)) t`;

const quarterSql = upsertOf(
  'reading_15m',
  ofReadings,
  `r.meter_id, date_bin('15 minutes', r.time, 'epoch'), count(*), AGGREGATES
     from ${touched}
     join reading r on r.meter_id = t.meter_id
      and r.time >= to_timestamp(t.start) and r.time < to_timestamp(t.start + 3600)
    group by 1, 2`,
);

const hourSql = upsertOf(
  'reading_1h',
  ofRollups,
  `r.meter_id, date_bin('1 hour', r.bucket, 'epoch'), sum(r.readings)::bigint, AGGREGATES
     from ${touched}
     join reading_15m r on r.meter_id = t.meter_id
      and r.bucket >= to_timestamp(t.start) and r.bucket < to_timestamp(t.start + 3600)
    group by 1, 2`,
);

const daySql = upsertOf(
  'reading_1d',
  ofRollups,
  `r.meter_id, date_bin('1 day', r.bucket, 'epoch'), sum(r.readings)::bigint, AGGREGATES
     from (select distinct meter_id, start - start % 86400 as start
             from unnest($1::integer[], $2::bigint[]) as u (meter_id, start)) t
     join reading_1h r on r.meter_id = t.meter_id
      and r.bucket >= to_timestamp(t.start) and r.bucket < to_timestamp(t.start + 86400)
    group by 1, 2`,
);

/** Any number that nobody else uses as an advisory lock: "rollup" in ASCII. */
const lockKey = 0x726f6c6c7570;
/** Two at once could overwrite a newer bucket by an older one. */
const lockSql = `select pg_try_advisory_xact_lock(${lockKey}) as locked`;
/** Until this transaction ends nobody can move it, and so delete what is rolled up here. */
const keptFromSql = `select kept_from from reading_keeping for share`;

const takeSql = `
  with taken as (
    delete from reading_touched
     where touched_id in (select touched_id from reading_touched order by touched_id limit $1)
    returning meter_ids, starts)
  select u.meter_id, u.start from taken, unnest(taken.meter_ids, taken.starts) as u (meter_id, start)
   where u.start >= $2`;

/**
 * Brings the buckets of at most `limitBatches` batches up to date, in one transaction, and returns
 * how many hours of meters that were; 0 when there was nothing to do or another process does it. Hours
 * of which readings may be gone stay as they are.
 * Crash: the marks are still there.
 */
export async function rollUp(pool: Pool, limitBatches: number): Promise<number> {
  return inTransaction(pool, async (sql) => {
    const { locked } = await sql.row<{ locked: boolean }>(lockSql);
    if (!locked) return 0;
    const { kept_from } = await sql.row<{ kept_from: number }>(keptFromSql);
    const hours = await sql.rows<{ meter_id: number; start: number }>(takeSql, [
      limitBatches,
      kept_from,
    ]);
    if (hours.length === 0) return 0;
    const values = [
      numbers(hours.map(({ meter_id }) => meter_id)),
      numbers(hours.map(({ start }) => start)),
    ];
    for (const statement of [quarterSql, hourSql, daySql]) await sql.run(statement, values);
    return hours.length;
  });
}
