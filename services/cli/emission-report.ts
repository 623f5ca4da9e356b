import { calendarOf, dateAt, dateText, fixedCalendar, startOfDate } from '#core/energy/calendar.ts';
import type { Calendar, LocalDate } from '#core/energy/calendar.ts';
import { csvBytes } from '#core/energy/reports/csv.ts';
import { reportBytes, reportOf, tableOfReport } from '#core/energy/reports/document.ts';
import { emissionFigures } from '#core/energy/reports/emissions.ts';
import { decodeUtf8 } from '#core/bytes.ts';
import { Refused } from '#core/errors.ts';
import type { Pool } from '#platform/postgres.ts';
import type { Terminal } from '#platform/terminal.ts';
import { readEmissions } from '#registry/emissions.ts';
import { inDatabase, type RegisterOptions } from './entering.ts';
import { writeNewFile } from './read-file.ts';

export interface EmissionReportOptions extends RegisterOptions {
  readonly plant: string;
  /** A year, a month or a day: `2026`, `2026-03`, `2026-03-29`. */
  readonly period: string;
  readonly timeZone: string;
  readonly format: string;
  readonly out?: string;
}

/**
 * `hourseal report emissions`: what a plant emitted in a period, hour by hour, by day and month, with
 * how each figure is known. The same log gives the same bytes.
 */
export async function reportEmissions(
  options: EmissionReportOptions,
  terminal: Terminal,
): Promise<number> {
  const { format, plant, out } = options;
  if (format !== 'json' && format !== 'csv') {
    throw new Refused('format', `${format} is not json or csv`);
  }
  const calendar = options.timeZone === 'UTC' ? fixedCalendar(0) : calendarOf(options.timeZone);
  const period = periodOf(options.period, calendar);
  return inDatabase(options, async ({ pool }) => {
    const { log, hours, factors } = await readEmissions(pool, plant, period);
    const head = { account: await ownerOf(pool, plant), log, period, timeZone: options.timeZone };
    const figures = emissionFigures(plant, hours, calendar);
    const bytes =
      format === 'json'
        ? reportBytes(reportOf('emissions', head, { factors, figures }))
        : csvBytes(tableOfReport.emissions(figures));
    if (out === undefined) terminal.out(`${decodeUtf8(bytes)}${format === 'json' ? '\n' : ''}`);
    else await writeNewFile(out, bytes);
  });
}

async function ownerOf(pool: Pool, plant: string): Promise<string> {
  const { account } = await pool.row<{ account: string }>(
    `select spec ->> 'account' as account from plant where plant = $1`,
    [plant],
  );
  return account;
}

/** The first instant of the year, month or day there, and the first behind it. */
function periodOf(
  text: string,
  calendar: Calendar,
): { readonly from: number; readonly to: number } {
  const match = /^([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?$/.exec(text);
  const [, year = '0', month, day] = match ?? [];
  const date = { year: Number(year), month: Number(month ?? 1), day: Number(day ?? 1) };
  const unit = month === undefined ? 'year' : day === undefined ? 'month' : 'day';
  // The first days of 1970 began in 1969 somewhere; a 30 February is read as a day in March.
  if (date.year <= 1970 || dateText(calendarDate(date), unit) !== text) {
    throw new Refused('period', `${text} is no year, month or day`);
  }
  const next = { ...date, [unit]: date[unit] + 1 };
  return { from: startOfDate(calendar, date), to: startOfDate(calendar, next) };
}

/** The same date, or the one that days and months too many run over to. */
function calendarDate(date: LocalDate): LocalDate {
  const utc = fixedCalendar(0);
  return dateAt(utc, startOfDate(utc, date));
}
