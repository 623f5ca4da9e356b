import { instantText } from '#core/energy/hours.ts';
import { disputesHour, textOf, unitOf, type Finding } from '#core/energy/validation/findings.ts';
import { Refused } from '#core/errors.ts';
import { parseDuration } from '#devices/fault-plan.ts';
import { isMeter, readVerdicts, verdictLimitRows } from '#ingestion/validation/verdict-store.ts';
import type { HourVerdict } from '#ingestion/validation/verdict-store.ts';
import { exitCodes, type Terminal } from '#platform/terminal.ts';
import { inDatabase, type RegisterOptions } from './entering.ts';

export interface VerdictOptions extends RegisterOptions {
  /** How far back to look, such as 7d. */
  readonly since: string;
  readonly clean?: boolean;
  readonly json?: boolean;
}

/**
 * `hourseal meter verdicts`: what validation says of sealed hours (D4.2), the newest word on each.
 * Ends with 4 where it found something.
 */
export async function showVerdicts(
  meter: string | undefined,
  { since, clean = false, json = false, ...options }: VerdictOptions,
  terminal: Terminal,
): Promise<number> {
  const backS = parseDuration(since);
  let found = 0;
  const ended = await inDatabase(options, async ({ pool, clock }) => {
    if (meter !== undefined && !(await isMeter(pool, meter))) {
      throw new Refused('meter', `no meter ${meter} is in the log`);
    }
    const all = await readVerdicts(pool, { meter, sinceS: clock.nowS() - backS, clean });
    for (const verdict of all) {
      terminal.out(json ? `${JSON.stringify(verdict)}\n` : describe(verdict, terminal));
      found += verdict.findings.length;
    }
    if (all.length === verdictLimitRows) terminal.err(`the first ${verdictLimitRows} of them\n`);
  });
  return found > 0 ? exitCodes.undecided : ended;
}

function describe({ plant, meter, start, findings }: HourVerdict, { style }: Terminal): string {
  const head = `${instantText(start)}  ${style.bold(`${plant}/${meter}`)}`;
  if (findings.length === 0) return `${head}  ${style.green('clean')}\n`;
  const lines = findings.map((finding) => {
    const paint = disputesHour(finding) ? style.red : style.amber;
    return `  ${paint(finding.code.padEnd(9))}  ${textOf(finding)}${figures(finding)}\n`;
  });
  return `${head}\n${lines.join('')}`;
}

function figures({ code, value, limit }: Finding): string {
  return value === undefined ? '' : `: ${value} ${unitOf(code) ?? ''}, limit ${limit ?? 0}`;
}
