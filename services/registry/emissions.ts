import type { EmissionHour } from '#core/energy/emissions/day.ts';
import { daySeconds } from '#core/energy/calendar.ts';
import type { FactorVersion } from '#core/energy/reports/scope2.ts';
import type { ReportHead } from '#core/energy/reports/document.ts';
import { Refused } from '#core/errors.ts';
import type { Sql } from '#platform/postgres.ts';

/** Emission records and factor sets, as the log has them under its signed checkpoint. */

export interface FactorSetInLog extends FactorVersion {
  readonly entryIndex: number;
  readonly validFrom: number;
  /** Not included; undefined without an end. */
  readonly validTo: number | undefined;
  readonly rows: readonly object[];
}

const listSql = `
  select set_id, version, entry_index, valid_from, valid_to, rows from factor_set
  where (set_id, version) > ($1, $2) order by set_id, version limit $3`;

/** Of one page; the next begins behind the last of them. */
export const factorSetsPerPage = 1_000;

export async function listFactorSets(
  sql: Sql,
  after: FactorVersion = { set: '', version: '' },
): Promise<readonly FactorSetInLog[]> {
  const rows = await sql.rows<{
    set_id: string;
    version: string;
    entry_index: number;
    valid_from: number;
    valid_to: number | null;
    rows: object[];
  }>(listSql, [after.set, after.version, factorSetsPerPage]);
  return rows.map((row) => ({
    set: row.set_id,
    version: row.version,
    entryIndex: row.entry_index,
    validFrom: row.valid_from,
    validTo: row.valid_to ?? undefined,
    rows: row.rows,
  }));
}

const headSql = `
  select s.origin, c.tree_size, encode(c.root, 'hex') as root
  from log_setting s cross join checkpoint c`;
/** Of each day the latest version that the checkpoint covers. */
const daysSql = `
  select distinct on (d.day) d.factor, d.hours
  from emission_day d join plant p using (plant_id)
  where p.plant = $1 and d.day > $2 and d.day < $3 and d.entry_index < $4
  order by d.day, d.version desc`;

export interface EmissionsOfPlant {
  readonly log: ReportHead['log'];
  readonly hours: readonly EmissionHour[];
  /** Every factor version that an hour rests on, by set and version. */
  readonly factors: readonly FactorVersion[];
}

/** A year's hours are 8,784; a report is of that many at most. */
export const reportLimitS = 366 * daySeconds;

/** The hours that start in the period, `to` not included. Refused('period', 'plant', 'checkpoint'). */
export async function readEmissions(
  sql: Sql,
  plant: string,
  { from, to }: ReportHead['period'],
): Promise<EmissionsOfPlant> {
  if (to <= from || to - from > reportLimitS) {
    throw new Refused('period', 'not a period of at most a year');
  }
  const known = await sql.rows(`select 1 from plant where plant = $1`, [plant]);
  if (known.length === 0) throw new Refused('plant', `no plant ${plant} is in the log`);
  const head = await sql.row<{ origin: string; tree_size: number; root: string }>(headSql);
  if (head.tree_size === 0) throw new Refused('checkpoint', 'the log has no checkpoint yet');
  const days = await sql.rows<{ factor: FactorVersion | null; hours: EmissionHour[] }>(daysSql, [
    plant,
    from - daySeconds,
    to,
    head.tree_size,
  ]);
  const hours = days.flatMap((day) => day.hours).filter(({ start }) => start >= from && start < to);
  const factors = new Map(
    days.flatMap(({ factor }) => (factor === null ? [] : [[nameOf(factor), factor] as const])),
  );
  return {
    log: { origin: head.origin, root: head.root, size: head.tree_size },
    hours,
    factors: [...factors]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, { set, version }]) => ({ set, version })),
  };
}

function nameOf({ set, version }: FactorVersion): string {
  return `${set} ${version}`;
}
