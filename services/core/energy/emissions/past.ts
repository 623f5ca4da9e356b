import { hourSeconds } from '../hours.ts';
import { monitored, type HourHistory, type Monitored } from './hour.ts';

/** What lies before and behind the missing hours of a day: what substitutes are made of. */

export interface PastHour {
  readonly start: number;
  readonly monitored: Monitored;
}

/** How far back a substitute may look, and what it needs no more than. */
export interface Lookback {
  readonly clockHours: number;
  /** Reading ends when so many valid and so many operating hours were found. */
  readonly validHours: number;
  readonly operatingHours: number;
}

/**
 * The hours before `before` that are known, ascending, as far as `lookback` needs them and not before
 * `from`. A number of reads that `lookback` bounds.
 */
export function pastOf(
  history: HourHistory,
  { from, before }: { readonly from: number; readonly before: number },
  lookback: Lookback,
): readonly PastHour[] {
  const earliest = Math.max(from, before - lookback.clockHours * hourSeconds);
  const past: PastHour[] = [];
  let [valid, operating] = [0, 0];
  for (let start = before - hourSeconds; start >= earliest; start -= hourSeconds) {
    if (valid >= lookback.validHours && operating >= lookback.operatingHours) break;
    const known = history(start);
    if (known === undefined) continue;
    const hour = { start, monitored: monitored(known) };
    if (hour.monitored.is === 'valid') valid++;
    if (hour.monitored.is !== 'idle') operating++;
    past.push(hour);
  }
  return past.reverse();
}

/** How a run of missing hours goes on behind one of them. */
export interface Ahead {
  /** Start of the last missing hour that is known to belong to the run. */
  readonly lastMissing: number;
  /** The first valid hour behind it, in grams an hour; undefined while it is not known. */
  readonly nextGramsPerHour: number | undefined;
}

/** An outage longer than this has no hour after it. */
const aheadLimitHours = 8_760;

/** `missing` is the start of the first missing hour of a day's run. Reads to the next valid hour, or to the end of what is known. */
export function aheadOf(history: HourHistory, missing: number): Ahead {
  let lastMissing = missing;
  const end = missing + aheadLimitHours * hourSeconds;
  for (let start = missing + hourSeconds; start < end; start += hourSeconds) {
    const known = history(start);
    if (known === undefined) break;
    const hour = monitored(known);
    if (hour.is === 'valid') return { lastMissing, nextGramsPerHour: hour.gramsPerHour };
    if (hour.is === 'missing') lastMissing = start;
  }
  return { lastMissing, nextGramsPerHour: undefined };
}
