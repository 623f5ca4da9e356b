import { Refused } from '../errors.ts';

/** Hours are UTC intervals [start, start + 3600) in Unix seconds (D2). */
export const hourSeconds = 3600;

export function hourStartOf(t: number): number {
  return Math.floor(t / hourSeconds) * hourSeconds;
}

export function requireHourStart(start: number): number {
  if (!Number.isSafeInteger(start) || start < 0 || start % hourSeconds !== 0) {
    throw new Refused('hour', `${start} is not the start of a UTC hour`);
  }
  return start;
}

/**
 * The hours whose energy a reading at `t` can prove. A reading at the turn of the hour is the last
 * of one and the first of the next (D3.2: both boundaries count).
 */
export function hoursTouchedBy(t: number): readonly number[] {
  const start = hourStartOf(t);
  return t === start && start >= hourSeconds ? [start - hourSeconds, start] : [start];
}

const lastDateS = 8_640_000_000_000;

/** For people: `2025-06-21T01:00:00Z`. What no calendar reaches is given in Unix seconds. */
export function instantText(s: number): string {
  return s > lastDateS ? `second ${s}` : `${new Date(s * 1000).toISOString().slice(0, 19)}Z`;
}
