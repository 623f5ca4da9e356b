import type { EmissionRecord } from '#core/certificate/emission-record.ts';
import type { SpecOf } from '#core/certificate/kinds.ts';
import { substitutedHours } from '#core/energy/emissions/day.ts';
import { daySeconds } from '#core/energy/calendar.ts';
import type { Sql } from '#platform/postgres.ts';
import { integers } from './columns.ts';

/** Factor sets, emission records and the days that may need one, as rows. */

const insertFactorsSql = `
  insert into factor_set (set_id, version, entry_index, valid_from, valid_to, rows)
  values ($1, $2, $3, $4, $5, $6::jsonb)`;
/** Its place among the versions of the day follows from the table: the log has them in this order. */
const insertDaySql = `
  insert into emission_day (plant_id, day, version, entry_index, time, total_g, substituted, is_open,
    factor, hours)
  select $1::int, $2::bigint, coalesce(max(version), 0) + 1, $3::bigint, $4::bigint, $5::bigint,
    $6::int, $7::boolean, $8::jsonb, $9::jsonb
  from emission_day where plant_id = $1::int and day = $2::bigint`;
const upsert = `
  on conflict (plant_id, day) do update
    set touched_index = greatest(emission_due.touched_index, excluded.touched_index)`;
const touchDaySql = `
  insert into emission_due (plant_id, day, touched_index) values ($1, $2, $3) ${upsert}`;
/** Of the latest version of each day. */
const latest = `
  select distinct on (d.day) d.day, d.substituted, d.is_open from emission_day d
  where d.plant_id = $1 and d.day between $2 and $3 and exists (
    select from emission_day s where s.plant_id = d.plant_id and s.day = d.day and s.substituted > 0)
  order by d.day, d.version desc`;
const touchSubstitutedSql = `
  insert into emission_due (plant_id, day, touched_index)
  select $1, day, $4 from (${latest}) latest where substituted > 0 ${upsert}`;
const touchOpenSql = `
  insert into emission_due (plant_id, day, touched_index)
  select $1, day, $4 from (${latest}) latest where is_open ${upsert}`;
const readDueSql = `
  select p.plant, d.plant_id, d.day, d.touched_index
  from emission_due d join plant p using (plant_id)
  where (d.plant_id, d.day) > ($1, $2) and d.day <= $3
  order by d.plant_id, d.day limit $4`;
const deleteDueSql = `
  delete from emission_due d
  using unnest($1::int[], $2::bigint[], $3::bigint[]) as r (plant_id, day, touched_index)
  where d.plant_id = r.plant_id and d.day = r.day and d.touched_index = r.touched_index`;

export async function insertFactors(
  sql: Sql,
  { set, version, validity, rows }: SpecOf<'factors'>,
  index: number,
): Promise<void> {
  const { from, to } = validity;
  await sql.run(insertFactorsSql, [set, version, index, from, to, JSON.stringify(rows)]);
}

export interface RecordPlaceInLog {
  readonly plantId: number;
  readonly index: number;
  readonly time: number;
  /** Hours that are not sealed yet may change it. */
  readonly isOpen: boolean;
}

export async function insertDay(
  sql: Sql,
  record: EmissionRecord,
  { plantId, index, time, isOpen }: RecordPlaceInLog,
): Promise<void> {
  const { day, factor, hours, totalG } = record;
  await sql.run(insertDaySql, [
    ...[plantId, day, index, time, totalG, substitutedHours(record), isOpen],
    ...[factor === undefined ? undefined : JSON.stringify(factor), JSON.stringify(hours)],
  ]);
}

/** How far a substitute looks back, and how long an outage may last: 40 CFR 75.33(a) is the longest. */
const lookbackS = 26_280 * 3600;
const outageS = 8_760 * 3600;

/**
 * An hour bears upon its own day, and on days before it that wait for the hour after an outage. One that
 * is corrected bears upon every day whose substitutes may have been taken of it, too.
 */
export async function touchDays(
  sql: Sql,
  { plantId, start, index }: { plantId: number; start: number; index: number },
  { isCorrection }: { readonly isCorrection: boolean },
): Promise<void> {
  const day = Math.floor(start / daySeconds) * daySeconds;
  await sql.run(touchDaySql, [plantId, day, index]);
  if (isCorrection) {
    await sql.run(touchSubstitutedSql, [plantId, day - outageS, day + lookbackS, index]);
  } else {
    await sql.run(touchOpenSql, [plantId, day - outageS, day, index]);
  }
}

export interface DueDay {
  readonly plant: string;
  readonly plantId: number;
  readonly day: number;
  readonly touchedIndex: number;
}

/** The next after `after` in their order, all of them days that have ended by `nowS`. */
export async function readDueDays(
  sql: Sql,
  {
    after,
    nowS,
    limit,
  }: {
    readonly after: Pick<DueDay, 'plantId' | 'day'>;
    readonly nowS: number;
    readonly limit: number;
  },
): Promise<DueDay[]> {
  const rows = await sql.rows<{
    plant: string;
    plant_id: number;
    day: number;
    touched_index: number;
  }>(readDueSql, [after.plantId, after.day, nowS - daySeconds, limit]);
  return rows.map(({ plant, plant_id, day, touched_index }) => ({
    plant,
    plantId: plant_id,
    day,
    touchedIndex: touched_index,
  }));
}

/** Those that were not touched since they were read. */
export async function deleteDueDays(sql: Sql, days: readonly DueDay[]): Promise<void> {
  if (days.length === 0) return;
  await sql.run(deleteDueSql, [
    integers(days.map(({ plantId }) => plantId)),
    integers(days.map(({ day }) => day)),
    integers(days.map(({ touchedIndex }) => touchedIndex)),
  ]);
}
