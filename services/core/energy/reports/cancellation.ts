import { compareAscii } from '../../bytes.ts';
import { Refused } from '../../errors.ts';
import { dateAt, dateText, type Calendar } from '../calendar.ts';
import { add, total } from '../exact.ts';
import { distinct } from '../matching/bucket.ts';
import { grouped } from '../grouped.ts';
import type { Bundle } from '../matching/question.ts';
import { energyOf, isExpired } from './claim.ts';

/** Units that one entry cancelled; `attributes` name `plant`, `source` and `technology`. */
export interface CancelledBundle extends Bundle {
  readonly expiresAt?: number;
}

export interface Cancellation {
  readonly account: string;
  readonly beneficiary: string;
  /** Time of the entry, Unix seconds. */
  readonly cancelledAt: number;
  readonly items: readonly CancelledBundle[];
  readonly period: { readonly from: number; readonly to: number };
  readonly purpose: string;
}

/** A part of what was cancelled: one value of an attribute, or a month. */
export interface Part {
  readonly name: string;
  readonly wh: number;
}

export interface CancellationFigures {
  /** By month of generation, in the time zone of the calendar. */
  readonly byMonth: readonly Part[];
  readonly bySource: readonly Part[];
  readonly byTechnology: readonly Part[];
  readonly byZone: readonly Part[];
  /** Start of the first and of the last hour of generation. */
  readonly firstHour: number;
  readonly lastHour: number;
  readonly totalWh: number;
  /** Ranges in order, neighbours of one series made one. */
  readonly units: readonly {
    readonly from: number;
    readonly series: string;
    readonly to: number;
  }[];
}

/**
 * The figures of a cancellation statement. Each of the lists adds up to the total. Refused: `items`
 * (none), `overlap`, `range`, and `expired`, where a unit was no longer valid at `cancelledAt`.
 */
export function cancellationFigures(
  { cancelledAt, items }: Cancellation,
  calendar: Calendar,
): CancellationFigures {
  if (items.length === 0) throw new Refused('items', 'nothing was cancelled');
  const sorted = [...grouped(items, ({ series }) => series)]
    .sort(([a], [b]) => compareAscii(a, b))
    .flatMap(([, own]) => distinct(own));
  const expired = sorted.find(({ expiresAt }) => isExpired(cancelledAt, expiresAt));
  if (expired !== undefined) {
    throw new Refused('expired', `${expired.series} ${expired.from} was no longer valid`);
  }
  const hours = sorted.map(({ hour }) => hour);
  const partsBy = (nameOf: (item: CancelledBundle) => string): readonly Part[] =>
    [...grouped(sorted, nameOf)]
      .sort(([a], [b]) => compareAscii(a, b))
      .map(([name, own]) => ({ name, wh: total(own, energyOf) }));
  return {
    byMonth: partsBy(({ hour }) => dateText(dateAt(calendar, hour), 'month')),
    bySource: partsBy(({ attributes }) => attributes.source ?? 'unknown'),
    byTechnology: partsBy(({ attributes }) => attributes.technology ?? 'unknown'),
    byZone: partsBy(({ zone }) => zone),
    firstHour: hours.reduce((a, b) => Math.min(a, b)),
    lastHour: hours.reduce((a, b) => Math.max(a, b)),
    totalWh: sorted.reduce((sum, item) => add(sum, energyOf(item)), 0),
    units: merged(sorted),
  };
}

function merged(items: readonly CancelledBundle[]): CancellationFigures['units'] {
  const units: { from: number; series: string; to: number }[] = [];
  for (const { from, series, to } of items) {
    const last = units.at(-1);
    if (last?.series === series && last.to + 1 === from) last.to = to;
    else units.push({ from, series, to });
  }
  return units;
}
