import { Refused } from '../errors.ts';
import { lastInstant } from '../shape.ts';

/**
 * Days, months and years of a time zone. An hour (D2) belongs to the day in which it starts, so that
 * every hour is in exactly one, where clocks change as well as where a zone is half an hour off: a day
 * in India begins with the hour that starts at 00:30 there.
 */
export interface Calendar {
  /** As the IANA database names it, or `UTC+08:00`. */
  readonly timeZone: string;
  /** Seconds that clocks there are ahead of UTC at `t`, Unix seconds; Refused('form') before 1970. */
  readonly offsetAt: (t: number) => number;
}

/** Of the Gregorian calendar; `month` and `day` count from 1. */
export interface LocalDate {
  readonly year: number;
  readonly month: number;
  readonly day: number;
}

export type Period = 'day' | 'month' | 'year';

export const daySeconds = 86_400;

/** A zone whose clocks never change, `offsetS` ahead of UTC: whole minutes, less than a day. */
export function fixedCalendar(offsetS: number): Calendar {
  if (offsetS % 60 !== 0 || Math.abs(offsetS) >= daySeconds) {
    throw new RangeError(`fixedCalendar: offsetS is ${offsetS}`);
  }
  const minutes = Math.abs(offsetS) / 60;
  const clock = [Math.floor(minutes / 60), minutes % 60].map((part) => pad(part, 2)).join(':');
  return { timeZone: `UTC${offsetS < 0 ? '-' : '+'}${clock}`, offsetAt: () => offsetS };
}

/** In which Chinese green certificates are counted. It is the same all over China, and never changes. */
export const chinaCalendar: Calendar = fixedCalendar(8 * 3600);

/** A stretch of time in which clocks do not change. */
interface Span {
  readonly from: number;
  readonly offsetS: number;
}

/**
 * In 1970 to 2100, tzdata 2025c, no zone changes its clocks twice within 6.9 days. Looking every four
 * days finds every change.
 */
const stepS = 4 * daySeconds;
/** What is looked through at a time, and remembered. */
const blockS = 91 * stepS;

/**
 * A zone of the IANA database, by the tables of the JavaScript engine. Of the past these hardly ever
 * change; of the future they may, so a report states the instants that its periods begin at.
 * What was looked up is remembered as long as the calendar is: about a hundred questions to the engine
 * per year of the zone. Refused('time-zone') where there is none of that name.
 */
export function calendarOf(timeZone: string): Calendar {
  const offsetByEngine = engineOffsets(timeZone);
  const blocks = new Map<number, readonly Span[]>();
  return {
    timeZone,
    offsetAt(t) {
      if (!Number.isSafeInteger(t) || t < 0 || t > lastInstant) {
        throw new Refused('form', `${t} is no instant`);
      }
      const block = Math.floor(t / blockS);
      const spans = blocks.get(block) ?? spansFrom(block * blockS, offsetByEngine);
      blocks.set(block, spans);
      return spans.findLast(({ from }) => from <= t)?.offsetS ?? 0;
    },
  };
}

function spansFrom(start: number, offsetOf: (t: number) => number): readonly Span[] {
  const spans: Span[] = [{ from: start, offsetS: offsetOf(start) }];
  for (let t = start; t < start + blockS; t += stepS) {
    const from = changeWithin(t, t + stepS, offsetOf);
    if (from !== undefined) spans.push({ from, offsetS: offsetOf(from) });
  }
  return spans;
}

/** The second in (from, to] from which the offset at `to` holds, where that at `from` is another. */
function changeWithin(
  from: number,
  to: number,
  offsetOf: (t: number) => number,
): number | undefined {
  const after = offsetOf(to);
  if (offsetOf(from) === after) return undefined;
  let [low, high] = [from, to];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (offsetOf(middle) === after) high = middle;
    else low = middle;
  }
  return high;
}

/** Names begin with a letter: some engines take offsets such as `+05:30` for names, others do not. */
const zoneName = /^[A-Za-z][A-Za-z0-9_+/-]{0,63}$/;

function engineOffsets(timeZone: string): (t: number) => number {
  if (!zoneName.test(timeZone)) throw new Refused('time-zone', `${timeZone} is no time zone`);
  const format = formatIn(timeZone);
  return (t) => {
    const parts = new Map(format.formatToParts(t * 1000).map(({ type, value }) => [type, value]));
    const part = (type: Intl.DateTimeFormatPartTypes): number => Number(parts.get(type));
    const days = daysBefore({ year: part('year'), month: part('month'), day: part('day') });
    const clockS = part('hour') * 3600 + part('minute') * 60 + part('second');
    return days * daySeconds + clockS - t;
  };
}

function formatIn(timeZone: string): Intl.DateTimeFormat {
  try {
    return new Intl.DateTimeFormat('en-US', {
      timeZone,
      calendar: 'gregory',
      numberingSystem: 'latn',
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
  } catch (cause) {
    throw new Refused('time-zone', `${timeZone} is no time zone`, { cause });
  }
}

/** Days from 1970-01-01 to `date`; a month or a day too many runs over into the next. */
function daysBefore({ year, month, day }: LocalDate): number {
  return Date.UTC(year, month - 1, day) / (daySeconds * 1000);
}

/** The date at `t` there. */
export function dateAt(calendar: Calendar, t: number): LocalDate {
  const local = new Date((t + calendar.offsetAt(t)) * 1000);
  return {
    year: local.getUTCFullYear(),
    month: local.getUTCMonth() + 1,
    day: local.getUTCDate(),
  };
}

/** `2026`, `2026-03` or `2026-03-29`: sorts by time. */
export function dateText({ year, month, day }: LocalDate, period: Period): string {
  const parts = [pad(year, 4), pad(month, 2), pad(day, 2)];
  return parts.slice(0, { year: 1, month: 2, day: 3 }[period]).join('-');
}

function pad(value: number, digits: number): string {
  return String(value).padStart(digits, '0');
}

/**
 * The first instant at which the date there is `date` or later: midnight, or what comes instead of it
 * where clocks skip it. A month or a day too many runs over: month 13 is the January after.
 */
export function startOfDate(calendar: Calendar, date: LocalDate): number {
  const midnight = daysBefore(date) * daySeconds;
  const before = calendar.offsetAt(midnight - daySeconds);
  const after = calendar.offsetAt(midnight + daySeconds);
  if (before === after) return midnight - before;
  const change = changeWithin(midnight - daySeconds, midnight + daySeconds, calendar.offsetAt);
  const isBefore = change === undefined || midnight - before < change;
  return isBefore ? midnight - before : Math.max(change, midnight - after);
}

/**
 * The same second of the UTC calendar `years` later; of 29 February, where that year has none, the
 * 28th: no right lasts longer than its years.
 */
export function yearsLater(t: number, years: number): number {
  const { year, month, day } = dateAt(fixedCalendar(0), t);
  const lastDay = new Date(Date.UTC(year + years, month, 0)).getUTCDate();
  const date = { year: year + years, month, day: Math.min(day, lastDay) };
  return daysBefore(date) * daySeconds + (t % daySeconds);
}
