import { add } from '../exact.ts';
import { dateAt, dateText, type Calendar } from '../calendar.ts';
import type { EmissionHour, Method } from './day.ts';

/** Emissions of a plant's days and months, in the days of any zone: sums of its hours. */
export interface EmissionSum {
  /** `2026-03-29` or `2026-03`, there. */
  readonly period: string;
  readonly totalG: number;
  /** Grams and hours by how they are known. */
  readonly byMethod: Readonly<
    Partial<Record<Method, { readonly grams: number; readonly hours: number }>>
  >;
}

/** By the day or month that each hour starts in; ascending. Refused('overflow') beyond 2^53 grams. */
export function emissionSums(
  hours: readonly Pick<EmissionHour, 'grams' | 'method' | 'start'>[],
  { calendar, period }: { readonly calendar: Calendar; readonly period: 'day' | 'month' },
): readonly EmissionSum[] {
  const sums = new Map<string, EmissionSum>();
  for (const { grams, method, start } of hours) {
    const name = dateText(dateAt(calendar, start), period);
    const sum = sums.get(name) ?? { period: name, totalG: 0, byMethod: {} };
    const before = sum.byMethod[method] ?? { grams: 0, hours: 0 };
    sums.set(name, {
      period: name,
      totalG: add(sum.totalG, grams),
      byMethod: {
        ...sum.byMethod,
        [method]: { grams: add(before.grams, grams), hours: before.hours + 1 },
      },
    });
  }
  return [...sums.values()].sort((a, b) => (a.period < b.period ? -1 : 1));
}
