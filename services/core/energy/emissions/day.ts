import { Refused } from '../../errors.ts';
import { total } from '../exact.ts';
import { hourSeconds } from '../hours.ts';
import { gramsUp, microgramsOf } from '../mass.ts';
import type { Quality } from '../meter-hour.ts';
import { monitored, operatingSecondsOf, scaledUp, validShare } from './hour.ts';
import type { HourHistory, KnownHour } from './hour.ts';
import { aheadOf, pastOf, type Ahead, type PastHour } from './past.ts';
import { substituteRules, substituteTiers, type RegimeName } from './substitute.ts';

/**
 * What a plant emitted on a day (D4.6), hour by hour, each with how it is known. A day is one of UTC:
 * hours are of UTC, and whoever needs the days of another zone sums hours (sums.ts).
 */

export const methods = ['measured', 'calculated', 'substituted'] as const;
export type Method = (typeof methods)[number];

/** `hourly-mean`: Art. 44(2); `idle`: no operation; `factor`: energy times factor; else substituted. */
export const tiers = ['hourly-mean', 'idle', 'factor', 'capacity', ...substituteTiers] as const;
type Tier = (typeof tiers)[number];

export interface EmissionHour {
  /** Of a substitute by 40 CFR 75: the monitor's availability, ppm. */
  readonly availabilityPpm?: number;
  /** The `hour` or `hour-correction` that it is computed from. */
  readonly entry: number;
  readonly grams: number;
  readonly method: Method;
  readonly quality: Quality;
  readonly start: number;
  readonly tier: Tier;
  /** Valid seconds of those in operation, ppm; absent where that is not known or there were none. */
  readonly validPpm?: number;
}

/** By CEMS registers, missing hours substituted by a regime. */
export interface MeasuredBy {
  readonly method: 'measured';
  readonly regime: RegimeName;
  readonly maxGramsPerHour: number;
}

/** Energy times factor; what is not measured in full is taken for the plant's capacity. */
export interface CalculatedBy {
  readonly method: 'calculated';
  readonly energy: 'generation' | 'consumption';
  readonly mgPerKwh: number;
  readonly capacityW: number;
}

export interface DayQuestion {
  readonly by: MeasuredBy | CalculatedBy;
  readonly history: HourHistory;
  /** Start of the first hour and end of the last of the day in the plant's life, Unix seconds. */
  readonly from: number;
  readonly to: number;
  /** Start of the first hour of the plant's life: nothing is looked for before it. */
  readonly lifeFrom: number;
}

export interface EmissionDay {
  readonly hours: readonly EmissionHour[];
  readonly totalG: number;
}

/** Refused('hours') where an hour of the day is not sealed, Refused('overflow') beyond 2^53 grams. */
export function emissionDay(question: DayQuestion): EmissionDay {
  const { history, from, to, by } = question;
  const known: (readonly [number, KnownHour])[] = [];
  for (let start = from; start < to; start += hourSeconds) {
    const hour = history(start);
    if (hour === undefined) throw new Refused('hours', `the hour ${start} is not sealed`);
    known.push([start, hour]);
  }
  const hours =
    by.method === 'calculated'
      ? known.map(([start, hour]) => ({ ...headOf(start, hour), ...calculated(hour, by) }))
      : measuredHours(known, question, by);
  return { hours, totalG: total(hours, ({ grams }) => grams) };
}

function headOf(
  start: number,
  { index, quality }: KnownHour,
): Pick<EmissionHour, 'entry' | 'quality' | 'start'> {
  return { entry: index, quality, start };
}

type Figure = Omit<EmissionHour, 'entry' | 'quality' | 'start'>;

function calculated(hour: KnownHour, { energy, mgPerKwh, capacityW }: CalculatedBy): Figure {
  const wh = energy === 'generation' ? hour.generationWh : hour.consumptionWh;
  if (hour.quality === 'measured' && wh !== undefined) {
    return { grams: gramsUp(microgramsOf(wh, mgPerKwh)), method: 'calculated', tier: 'factor' };
  }
  const most = microgramsOf(Math.max(capacityW, wh ?? 0), mgPerKwh);
  return { grams: gramsUp(most), method: 'substituted', tier: 'capacity' };
}

function measuredHours(
  known: readonly (readonly [number, KnownHour])[],
  { history, from, lifeFrom }: DayQuestion,
  { regime, maxGramsPerHour }: MeasuredBy,
): readonly EmissionHour[] {
  const { lookback, substitute } = substituteRules[regime];
  let before: readonly PastHour[] | undefined;
  let ahead: Ahead | undefined;
  const pastTo = (start: number): readonly PastHour[] => {
    before ??= pastOf(history, { from: lifeFrom, before: from }, lookback);
    const today = known.flatMap(([t, hour]) =>
      t <= start ? [{ start: t, monitored: monitored(hour) }] : [],
    );
    const earliest = start - lookback.clockHours * hourSeconds;
    return [...before, ...today].filter((hour) => hour.start >= earliest);
  };
  return known.map(([start, hour]) => {
    const head = headOf(start, hour);
    const seen = monitored(hour);
    const validPpm = validShare(hour);
    const valid = validPpm === undefined ? {} : { validPpm };
    if (seen.is !== 'missing') {
      const tier = seen.is === 'idle' ? 'idle' : 'hourly-mean';
      return { ...head, grams: seen.grams, method: 'measured', tier, ...valid };
    }
    // Of one run of missing hours it is the same.
    if (ahead === undefined || start > ahead.lastMissing) ahead = aheadOf(history, start);
    const found = substitute({ past: pastTo(start), ahead, maxGramsPerHour });
    const { gramsPerHour, ...how } = found;
    const grams = scaledUp(gramsPerHour, operatingSecondsOf(hour), hourSeconds);
    return { ...head, grams, method: 'substituted', ...how, ...valid };
  });
}

/** Hours whose figure stands in for data that are missing. */
export function substitutedHours({ hours }: Pick<EmissionDay, 'hours'>): number {
  return hours.filter(({ method }) => method === 'substituted').length;
}

/** Whether hours that are not sealed yet may change the day: its last outage may go on in them. */
export function isOpenDay(
  { hours }: Pick<EmissionDay, 'hours'>,
  { by, history }: Pick<DayQuestion, 'by' | 'history'>,
): boolean {
  if (by.method === 'calculated' || by.regime === 'eu-2018-2066') return false;
  const last = hours.findLast(({ tier }) => tier !== 'idle');
  if (last?.method !== 'substituted') return false;
  return aheadOf(history, last.start).nextGramsPerHour === undefined;
}
