import { compareAscii } from '../../bytes.ts';
import { dateAt, dateText, type Calendar, type Period } from '../calendar.ts';
import { add } from '../exact.ts';
import { grouped } from '../grouped.ts';
import type { Consumption } from '../matching/question.ts';
import { energyOf, type Claim } from './claim.ts';
import { isSameHour } from './scope2.ts';
import { hourlyScore, type MatchedHour, type Score } from './score.ts';

/**
 * Consumption and what is matched of it, hour by hour, by zone and then by hour. Claims on generation of
 * another hour or zone match nothing here, whatever basis they were made on.
 */
export function matchedHours(
  consumption: readonly Consumption[],
  claims: readonly Claim[],
): readonly MatchedHour[] {
  const zones = new Map<string, Map<number, { consumptionWh: number; matchedWh: number }>>();
  const sumOf = (zone: string, hour: number) => {
    const hours =
      zones.get(zone) ?? new Map<number, { consumptionWh: number; matchedWh: number }>();
    zones.set(zone, hours);
    const sum = hours.get(hour) ?? { consumptionWh: 0, matchedWh: 0 };
    hours.set(hour, sum);
    return sum;
  };
  for (const { hour, wh, zone } of consumption) {
    const sum = sumOf(zone, hour);
    sum.consumptionWh = add(sum.consumptionWh, wh);
  }
  for (const claim of claims) {
    if (!isSameHour(claim)) continue;
    const sum = sumOf(claim.zone, claim.hour);
    sum.matchedWh = add(sum.matchedWh, energyOf(claim));
  }
  return [...zones]
    .sort(([a], [b]) => compareAscii(a, b))
    .flatMap(([zone, hours]) =>
      [...hours]
        .sort(([a], [b]) => a - b)
        .map(([hour, { consumptionWh, matchedWh }]) => ({ consumptionWh, hour, matchedWh, zone })),
    );
}

export interface ScoreOfPeriod extends Score {
  /** `2026-03-29`, `2026-03` or `2026`. */
  readonly period: string;
}

/** The hourly score of every day, month or year of a time zone, in their order. */
export function scoresBy(
  period: Period,
  calendar: Calendar,
  hours: readonly MatchedHour[],
): readonly ScoreOfPeriod[] {
  const texts = new Map<number, string>();
  const textOf = (hour: number): string => {
    const text = texts.get(hour) ?? dateText(dateAt(calendar, hour), period);
    texts.set(hour, text);
    return text;
  };
  return [...grouped(hours, ({ hour }) => textOf(hour))]
    .sort(([a], [b]) => compareAscii(a, b))
    .map(([text, own]) => ({ ...hourlyScore(own), period: text }));
}
