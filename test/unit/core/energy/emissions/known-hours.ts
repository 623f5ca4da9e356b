import { hourSeconds } from '#core/energy/hours.ts';
import type { HourHistory, KnownHour } from '#core/energy/emissions/hour.ts';

/** 2026-01-01, the start of a day. */
export const dayStart = 1_767_225_600;

/** An hour of full operation: `gramsPerHour` measured throughout. */
export function whole(gramsPerHour: number, change: Partial<KnownHour> = {}): KnownHour {
  const measured = { co2G: gramsPerHour, operatingS: hourSeconds, validS: hourSeconds };
  return { index: 7, quality: 'measured', generationWh: 1000, ...measured, ...change };
}

/** An hour with too few valid data for a mean. */
export const gap: KnownHour = whole(1, { validS: 0 });
export const idle: KnownHour = whole(0, { operatingS: 0, validS: 0 });
/** An hour whose registers say nothing. */
export const unknown: KnownHour = { index: 8, quality: 'disputed', generationWh: 0 };

/** Hours one after the other, from `start` on. */
export function historyFrom(start: number, hours: readonly KnownHour[]): HourHistory {
  return (t) => hours[(t - start) / hourSeconds];
}

export const times = (count: number, hour: KnownHour): KnownHour[] =>
  Array.from({ length: count }, () => hour);
