import type { Calendar } from '../calendar.ts';
import { emissionSums, type EmissionSum } from '../emissions/sums.ts';
import type { EmissionHour } from '../emissions/day.ts';
import { total } from '../exact.ts';

/** What a plant emitted in a period: its records' hours, and their sums by day and month of a zone. */
export interface EmissionFigures {
  readonly days: readonly EmissionSum[];
  readonly hours: readonly EmissionHour[];
  /** Hours without a record are in no sum: `hours` says which are there. */
  readonly months: readonly EmissionSum[];
  readonly plant: string;
  /** Hours whose figure stands in for data that are missing. */
  readonly substitutedHours: number;
  readonly totalG: number;
}

/** `hours` are those of the period, ascending. Refused('overflow') beyond 2^53 grams. */
export function emissionFigures(
  plant: string,
  hours: readonly EmissionHour[],
  calendar: Calendar,
): EmissionFigures {
  return {
    days: emissionSums(hours, { calendar, period: 'day' }),
    hours,
    months: emissionSums(hours, { calendar, period: 'month' }),
    plant,
    substitutedHours: hours.filter(({ method }) => method === 'substituted').length,
    totalG: total(hours, ({ grams }) => grams),
  };
}
