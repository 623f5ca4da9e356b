import { divideDown, divideUp, toNumber, wholePpm } from '../exact.ts';
import { hourSeconds } from '../hours.ts';
import type { Quality } from '../meter-hour.ts';

/**
 * An hour of a plant as the log knows it, and whether its emission monitor can be believed: at least
 * 80 % of an hour's values must be valid for an hourly mean (Regulation (EU) 2018/2066, Art. 44(2)).
 */

export interface KnownHour {
  /** The entry that states the hour as now known. */
  readonly index: number;
  readonly quality: Quality;
  readonly generationWh: number;
  readonly consumptionWh?: number | undefined;
  /** What the stack's register grew by, grams; over the widened interval, as what follows. */
  readonly co2G?: number | undefined;
  /** Seconds of operation, and those of them with valid data. Both are known or neither is. */
  readonly operatingS?: number | undefined;
  readonly validS?: number | undefined;
}

/** The hour that begins at `start`; undefined before a plant's life, and where it is not sealed yet. */
export type HourHistory = (start: number) => KnownHour | undefined;

/** Art. 44(2): with less the hour is missing. */
const leastValidPpm = 800_000;
/**
 * The same share the other way: what was measured must be of this hour, at least 80 % of it. A gap
 * between two readings gives each of its hours a widened interval that holds them all.
 */
const mostOperatingS = (hourSeconds * wholePpm) / leastValidPpm;

/** What an hour is to a monitor: `idle` hours are no operating hours, and need no data. */
export type Monitored =
  | { readonly is: 'valid'; readonly grams: number; readonly gramsPerHour: number }
  | { readonly is: 'missing' }
  | { readonly is: 'idle'; readonly grams: number };

export function monitored({ co2G, operatingS, validS }: KnownHour): Monitored {
  if (co2G === undefined || operatingS === undefined || validS === undefined) {
    return { is: 'missing' };
  }
  if (operatingS === 0 && validS === 0) return { is: 'idle', grams: co2G };
  const isWhole = validS <= operatingS && operatingS <= mostOperatingS;
  const isEnough = BigInt(validS) * BigInt(wholePpm) >= BigInt(operatingS) * BigInt(leastValidPpm);
  if (!isWhole || !isEnough) return { is: 'missing' };
  return {
    is: 'valid',
    grams: scaledUp(co2G, operatingS, validS),
    gramsPerHour: scaledUp(co2G, hourSeconds, validS),
  };
}

/** Of an hour's seconds of operation those with valid data, ppm; undefined where nothing is known. */
export function validShare({ operatingS, validS }: KnownHour): number | undefined {
  if (operatingS === undefined || validS === undefined || operatingS === 0) return undefined;
  const share = toNumber(divideDown(BigInt(validS) * BigInt(wholePpm), BigInt(operatingS)));
  return Math.min(share, wholePpm);
}

/** A missing hour's seconds of operation: all of them where nobody knows, or its registers contradict. */
export function operatingSecondsOf({ operatingS, validS }: KnownHour): number {
  if (operatingS === undefined || (validS ?? 0) > operatingS) return hourSeconds;
  return Math.min(operatingS, hourSeconds);
}

/** grams * part / whole in whole grams, rounded up: what somebody emits is never made less. */
export function scaledUp(grams: number, part: number, whole: number): number {
  return toNumber(divideUp(BigInt(grams) * BigInt(part), BigInt(whole)));
}
