import type { Sql } from '#platform/postgres.ts';

/**
 * Which hours are judged next. The feed is what the ledger seals and corrects, in the order of its
 * entries, so that neither ingestion nor the ledger does anything for validation on its way.
 */

/** Whoever has it works; another process finds nothing to do (no row). */
const lockSql = `
  select through_index as "through",
         exists (select from hour_value where entry_index > through_index)
           or exists (select from validation_due) as "isBehind"
    from validation_progress for update skip locked`;

/** An hour that changed may change what is said of later ones: they are judged again if they were. */
const feedSql = `
  with fresh as (
    select plant_id, start, entry_index from hour_value
     where entry_index > $1 order by entry_index limit $2
  ), due as (
    select plant_id, start from fresh
    union
    select f.plant_id, v.start
      from fresh f join meter m using (plant_id)
           join hour_verdict v on v.meter_id = m.meter_id
            and v.start > f.start and v.start <= f.start + $3
  ), put as (
    insert into validation_due (plant_id, start) select plant_id, start from due
    on conflict do nothing
  )
  select max(entry_index) as through, count(*)::integer as hours from fresh`;
const moveSql = `update validation_progress set through_index = $1`;

const takeSql = `
  delete from validation_due d
   using (select plant_id, start from validation_due order by start, plant_id limit $1) t
   where d.plant_id = t.plant_id and d.start = t.start
  returning d.plant_id, d.start`;

export interface DueHour {
  readonly plantId: number;
  readonly start: number;
}

/** The entry that hours were taken up to; undefined where another process works, or nothing is to do. */
export async function lockProgress(sql: Sql): Promise<number | undefined> {
  const [row] = await sql.rows<{ through: number; isBehind: boolean }>(lockSql);
  return row?.isBehind === true ? row.through : undefined;
}

/** Takes in what was sealed since; returns how many hours. `reachS`: how far back a rule looks. */
export async function feedDue(
  sql: Sql,
  through: number,
  { hours, reachS }: { readonly hours: number; readonly reachS: number },
): Promise<number> {
  const fed = await sql.row<{ through: number | null; hours: number }>(feedSql, [
    through,
    hours,
    reachS,
  ]);
  if (fed.through !== null) await sql.run(moveSql, [fed.through]);
  return fed.hours;
}

/** Oldest first: an estimate rests on the days before. */
export async function takeDue(sql: Sql, limit: number): Promise<DueHour[]> {
  const rows = await sql.rows<{ plant_id: number; start: number }>(takeSql, [limit]);
  return rows
    .map(({ plant_id, start }) => ({ plantId: plant_id, start }))
    .sort((a, b) => a.start - b.start || a.plantId - b.plantId);
}
