import { divideDown, divideUp, toNumber, wholePpm } from '../exact.ts';
import { hourSeconds } from '../hours.ts';
import type { Ahead, Lookback, PastHour } from './past.ts';
import { meanAndTwoDeviations } from './deviation.ts';

/**
 * What takes the place of a missing hour, in grams per hour of operation. The regulations speak of
 * concentrations; a register of mass says what these came to, so the rate at which it grew stands for
 * them. Every average is rounded up.
 */

export const regimes = ['40-cfr-75', 'eu-2018-2066'] as const;
export type RegimeName = (typeof regimes)[number];

/** By which paragraph. */
export const substituteTiers = [
  '31-b-1',
  '31-b-2',
  '33-b-1-i',
  '33-b-1-ii',
  '33-b-2-i',
  '33-b-2-ii',
  '33-b-3',
  '33-b-4',
  '45-2',
  '45-none',
] as const;
type SubstituteTier = (typeof substituteTiers)[number];

export interface Substitute {
  readonly gramsPerHour: number;
  readonly tier: SubstituteTier;
  /** The monitor's availability as of the hour, ppm (40 CFR 75.32); not asked for by Art. 45. */
  readonly availabilityPpm?: number;
}

export interface MissingHour {
  /** Known hours up to and with the missing one, ascending: as many as the regime's `lookback`. */
  readonly past: readonly PastHour[];
  readonly ahead: Ahead;
  /** The plant's maximum potential emission in an hour, grams. */
  readonly maxGramsPerHour: number;
}

interface SubstituteRule {
  readonly lookback: Lookback;
  readonly substitute: (missing: MissingHour) => Substitute;
}

/** Quality-assured hours that must be there, and that percentiles and the maximum are taken of. */
const lookbackHours = 720;
/** 40 CFR 75.32(a)(2), Equation 9: unit operating hours of the availability. */
const availabilityHours = 8_760;
/** 40 CFR 75.33(a): data from no earlier than three years before. */
const threeYearsHours = 26_280;

export const substituteRules: Readonly<Record<RegimeName, SubstituteRule>> = {
  '40-cfr-75': {
    lookback: {
      clockHours: threeYearsHours,
      validHours: lookbackHours,
      operatingHours: availabilityHours,
    },
    substitute: byAvailability,
  },
  'eu-2018-2066': {
    // A year: of what is known ahead of the end of a reporting period, the nearest to it.
    lookback: { clockHours: 8_760, validHours: Infinity, operatingHours: Infinity },
    substitute: byDeviation,
  },
};

/**
 * 40 CFR 75.35(d): as 75.33(b) has it for SO2, with CO2 in its place, after 720 quality-assured hours;
 * before, 75.31(b). An hour after the outage that is not known yet is left out of the average, until it
 * is.
 */
function byAvailability({ past, ahead, maxGramsPerHour }: MissingHour): Substitute {
  const valid = past.flatMap(({ monitored }) =>
    monitored.is === 'valid' ? [monitored.gramsPerHour] : [],
  );
  const availabilityPpm = availabilityOf(past);
  const before = valid.at(-1);
  // 75.31(b)(2), "no prior quality-assured data".
  if (before === undefined) {
    return { gramsPerHour: maxGramsPerHour, tier: '31-b-2', availabilityPpm };
  }
  const around = averageUp(before, ahead.nextGramsPerHour ?? before);
  if (valid.length < lookbackHours) {
    return { gramsPerHour: around, tier: '31-b-1', availabilityPpm };
  }
  const latest = valid.slice(-lookbackHours).sort((a, b) => a - b);
  return {
    ...standard({ availabilityPpm, around, latest, ...spanOf(past, ahead), maxGramsPerHour }),
    availabilityPpm,
  };
}

/** 40 CFR 75.33(b)(1) to (4). `latest` are the 720 hours, ascending. */
function standard(of: {
  readonly availabilityPpm: number;
  readonly around: number;
  readonly latest: readonly number[];
  readonly outageHours: number;
  readonly maxGramsPerHour: number;
}): Substitute {
  const { availabilityPpm, around, latest, outageHours } = of;
  if (availabilityPpm >= 950_000) {
    if (outageHours <= 24) return { gramsPerHour: around, tier: '33-b-1-i' };
    return { gramsPerHour: Math.max(around, percentile(latest, 90)), tier: '33-b-1-ii' };
  }
  if (availabilityPpm >= 900_000) {
    if (outageHours <= 8) return { gramsPerHour: around, tier: '33-b-2-i' };
    return { gramsPerHour: Math.max(around, percentile(latest, 95)), tier: '33-b-2-ii' };
  }
  if (availabilityPpm >= 800_000) return { gramsPerHour: latest.at(-1) ?? around, tier: '33-b-3' };
  return { gramsPerHour: of.maxGramsPerHour, tier: '33-b-4' };
}

/**
 * 40 CFR 75.32(a): quality-assured hours among the last 8,760 unit operating hours, or among all since
 * the first where there are fewer. Rounded down; the missing hour counts.
 */
function availabilityOf(past: readonly PastHour[]): number {
  const operating = past
    .filter(({ monitored }) => monitored.is !== 'idle')
    .slice(-availabilityHours);
  const valid = operating.filter(({ monitored }) => monitored.is === 'valid').length;
  return toNumber(divideDown(BigInt(valid) * BigInt(wholePpm), BigInt(operating.length)));
}

/**
 * How long data are missing, in clock hours from the first missing hour to the last that is known: what
 * the unit stood idle in between does not end it.
 */
function spanOf(past: readonly PastHour[], { lastMissing }: Ahead): { outageHours: number } {
  let first = lastMissing;
  for (let i = past.length - 1; i >= 0; i--) {
    const hour = past[i];
    if (hour === undefined || hour.monitored.is === 'valid') break;
    if (hour.monitored.is === 'missing') first = hour.start;
  }
  return { outageHours: (lastMissing - first) / hourSeconds + 1 };
}

/** The smallest of the values that at least `percent` % of them do not exceed; they ascend. */
export function percentile(values: readonly number[], percent: number): number {
  const rank = Math.ceil((values.length * percent) / 100);
  const value = values[Math.max(1, rank) - 1];
  if (value === undefined) throw new RangeError('percentile: of nothing');
  return value;
}

function averageUp(a: number, b: number): number {
  return toNumber(divideUp(BigInt(a) + BigInt(b), 2n));
}

/**
 * Regulation (EU) 2018/2066, Art. 45(2): the mean and twice the standard deviation. Of fewer than two
 * hours there is none; then the maximum stands in.
 */
function byDeviation({ past, maxGramsPerHour }: MissingHour): Substitute {
  const valid = past.flatMap(({ monitored }) =>
    monitored.is === 'valid' ? [monitored.gramsPerHour] : [],
  );
  if (valid.length < 2) return { gramsPerHour: maxGramsPerHour, tier: '45-none' };
  return { gramsPerHour: meanAndTwoDeviations(valid), tier: '45-2' };
}
