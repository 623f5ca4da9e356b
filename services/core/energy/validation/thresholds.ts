import { integer, object, optional, type Infer } from '../../shape.ts';

/**
 * The thresholds of validation in the log's `rules` (D4.2). Nothing that is certified depends on them:
 * the one of capacity does, and stands beside them (`capacityPpm`). Absent means default.
 */
const members = {
  checkFloorWh: optional(integer(0)),
  checkPpm: optional(integer(0, 1_000_000)),
  dailyFloorWh: optional(integer(0)),
  dailyPpm: optional(integer(0, 1_000_000)),
  gapS: optional(integer(1, 3600)),
  gapTimes: optional(integer(1, 1000)),
  nightFloorWh: optional(integer(0)),
  nightSunMilliDegrees: optional(integer(-18_000, 0)),
  powerPpm: optional(integer(1_000_000, 10_000_000)),
  powerSpanS: optional(integer(1, 3600)),
  stuckS: optional(integer(3600, 31 * 86_400)),
  zeroS: optional(integer(3600, 31 * 86_400)),
  zeroSunMilliDegrees: optional(integer(0, 90_000)),
} as const;
export const validationShape = object(members);

export type Thresholds = Required<Infer<typeof validationShape>>;

export const defaultThresholds: Thresholds = {
  checkFloorWh: 1_000,
  checkPpm: 20_000,
  dailyFloorWh: 1_000,
  dailyPpm: 10_000,
  gapS: 900,
  gapTimes: 3,
  nightFloorWh: 1,
  nightSunMilliDegrees: -6_000,
  powerPpm: 1_200_000,
  powerSpanS: 60,
  stuckS: 86_400,
  zeroS: 2 * 86_400,
  zeroSunMilliDegrees: 15_000,
};

/** For people: FORMATS.md prints this table, and a test compares them. */
export const thresholdTexts: Readonly<
  Record<keyof Thresholds, { readonly unit: string; readonly text: string }>
> = {
  checkFloorWh: { unit: 'Wh', text: 'a main and a check meter may always differ by this' },
  checkPpm: { unit: 'ppm', text: 'and by this share of the larger of the two' },
  dailyFloorWh: { unit: 'Wh', text: "a day's hours and its registers may always differ by this" },
  dailyPpm: { unit: 'ppm', text: 'and by this share of what the registers say' },
  gapS: { unit: 's', text: 'between two readings this is never a gap' },
  gapTimes: { unit: '', text: "and so many times the hour's median distance is none either" },
  nightFloorWh: { unit: 'Wh', text: 'so much, or one step of the register, may show at night' },
  nightSunMilliDegrees: { unit: '0.001°', text: 'it is night with the sun below this height' },
  powerPpm: { unit: 'ppm', text: 'the mean power between two readings, of capacity' },
  powerSpanS: { unit: 's', text: 'readings closer than this are not compared' },
  stuckS: { unit: 's', text: 'no register has moved for this long' },
  zeroS: { unit: 's', text: 'nothing was fed in for this long, where the sun has no say' },
  zeroSunMilliDegrees: {
    unit: '0.001°',
    text: 'with the sun above this, solar feeds in something',
  },
};

/** Those in force, of the `validation` in the log's rules. */
export function thresholdsOf(validation: Infer<typeof validationShape> | undefined): Thresholds {
  return { ...defaultThresholds, ...validation };
}
