import { object, optional, integer } from '#core/shape.ts';
import {
  thresholdsOf,
  validationShape,
  type Thresholds,
} from '#core/energy/validation/thresholds.ts';
import type { Finding } from '#core/energy/validation/findings.ts';
import type { Pool, Sql } from '#platform/postgres.ts';
import { numbers } from '../columns.ts';

/** Verdicts as rows: every judgement of a meter's hour that said something new, none overwritten. */

const rulesSql = `
  select jsonb_build_object('version', rules -> 'version') ||
         case when rules ? 'validation'
              then jsonb_build_object('validation', rules -> 'validation') else '{}' end as rules
    from log_setting`;
const rulesShape = object({ validation: optional(validationShape), version: integer(1) });

export interface RulesInForce {
  readonly version: number;
  readonly thresholds: Thresholds;
}

/** Failed('row-count') as long as there is no log. */
export async function readRules(sql: Sql): Promise<RulesInForce> {
  const { rules } = await sql.row<{ rules: unknown }>(rulesSql);
  const { version, validation } = rulesShape.parse(rules, 'rules');
  return { version, thresholds: thresholdsOf(validation) };
}

export interface Judged {
  readonly meterId: number;
  readonly start: number;
  readonly entryIndex: number;
  readonly findings: readonly Finding[];
}

/** What says the same of the same entry under the same rules is there already. */
const insertSql = `
  insert into hour_verdict (meter_id, start, version, entry_index, rules_version, judged_at, findings)
  select w.meter_id, w.start, coalesce(l.version, 0) + 1, w.entry_index, $5::bigint, $6::bigint, w.findings
    from unnest($1::integer[], $2::bigint[], $3::bigint[], $4::jsonb[])
           as w (meter_id, start, entry_index, findings)
         left join lateral (
           select version, entry_index, rules_version, findings from hour_verdict v
            where v.meter_id = w.meter_id and v.start = w.start order by version desc limit 1) l on true
   where l.version is null
      or (l.entry_index, l.rules_version, l.findings) is distinct from (w.entry_index, $5::bigint, w.findings)`;

export async function insertVerdicts(
  sql: Sql,
  judged: readonly Judged[],
  { rulesVersion, nowS }: { readonly rulesVersion: number; readonly nowS: number },
): Promise<void> {
  if (judged.length === 0) return;
  await sql.run(insertSql, [
    numbers(judged.map(({ meterId }) => meterId)),
    numbers(judged.map(({ start }) => start)),
    numbers(judged.map(({ entryIndex }) => entryIndex)),
    judged.map(({ findings }) => JSON.stringify(findings)),
    rulesVersion,
    nowS,
  ]);
}

/** The latest word on one meter and hour. */
export interface HourVerdict {
  readonly plant: string;
  readonly meter: string;
  readonly start: number;
  readonly version: number;
  readonly entry: number;
  readonly rules: number;
  readonly judgedAt: number;
  readonly findings: readonly Finding[];
}

export const verdictLimitRows = 10_000;

const latestSql = `
  select * from (
    select distinct on (v.start, m.meter) p.plant, m.meter, v.start, v.version,
           v.entry_index as entry, v.rules_version as rules, v.judged_at as "judgedAt", v.findings
      from hour_verdict v join meter m using (meter_id) join plant p using (plant_id)
     where ($1::text is null or m.meter = $1) and v.start >= $2
     order by v.start, m.meter, v.version desc) latest
   where $3 or findings <> '[]'
   order by start, plant, meter limit ${verdictLimitRows}`;

/** By hour, plant and meter, at most `verdictLimitRows`; those that find nothing only with `clean`. */
export function readVerdicts(
  pool: Pool,
  {
    meter,
    sinceS,
    clean,
  }: { readonly meter: string | undefined; readonly sinceS: number; readonly clean: boolean },
): Promise<HourVerdict[]> {
  return pool.rows<HourVerdict>(latestSql, [meter, sinceS, clean]);
}

const isMeterSql = `select 1 from meter where meter = $1`;

export async function isMeter(pool: Pool, meter: string): Promise<boolean> {
  return (await pool.rows(isMeterSql, [meter])).length > 0;
}
