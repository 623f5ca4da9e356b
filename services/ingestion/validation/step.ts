import { hourSeconds } from '#core/energy/hours.ts';
import { validateHour } from '#core/energy/validation/validate.ts';
import { inTransaction, type Pool, type Sql } from '#platform/postgres.ts';
import { writeChart } from './chart.ts';
import { feedDue, lockProgress, takeDue } from './due.ts';
import { readInputs, type HourInput } from './inputs.ts';
import { insertVerdicts, readRules, type Judged } from './verdict-store.ts';

export interface ValidationLimits {
  /** Sealed hours that one transaction judges, whatever the number of their meters. */
  readonly validationHours: number;
  /** Transactions of one turn. */
  readonly validationPages: number;
}

/**
 * Judges sealed hours and fills their charts until there are no more, or for `validationPages`
 * transactions, and returns how many hours that were. Crash: what was not committed is still due.
 */
export async function validateSome(
  pool: Pool,
  { validationHours, validationPages }: ValidationLimits,
  { nowS, signal }: { readonly nowS: number; readonly signal?: AbortSignal },
): Promise<number> {
  let judged = 0;
  for (let page = 0; page < validationPages && signal?.aborted !== true; page++) {
    const done = await inTransaction(pool, (sql) => validatePage(sql, nowS, validationHours));
    judged += done.judged;
    if (done.isLast) break;
  }
  return judged;
}

async function validatePage(
  sql: Sql,
  nowS: number,
  limitHours: number,
): Promise<{ judged: number; isLast: boolean }> {
  const nothing = { judged: 0, isLast: true };
  const through = await lockProgress(sql);
  if (through === undefined) return nothing;
  const { thresholds, version } = await readRules(sql);
  const reachS = Math.max(24 * hourSeconds, thresholds.stuckS, thresholds.zeroS);
  const fed = await feedDue(sql, through, { hours: limitHours, reachS });
  const due = await takeDue(sql, limitHours);
  if (due.length === 0) return nothing;
  const inputs = await readInputs(sql, due, thresholds);
  await insertVerdicts(sql, inputs.flatMap(judge), { rulesVersion: version, nowS });
  await writeChart(
    sql,
    inputs.flatMap(({ meters }) => meters),
  );
  return { judged: due.length, isLast: fed < limitHours && due.length < limitHours };
}

function judge({ entryIndex, context, meters }: HourInput): Judged[] {
  const findings = validateHour(
    meters.map(({ question }) => question),
    context,
  );
  return meters.map(({ meterId, start, record }) => ({
    meterId,
    start,
    entryIndex,
    findings: findings.get(record.meter) ?? [],
  }));
}
