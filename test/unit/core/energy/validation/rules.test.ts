import { describe, expect, it, test } from 'vitest';
import { verdicts, type Verdict } from '#core/energy/verdicts.ts';
import { joinFindings, textOf, unitOf } from '#core/energy/validation/findings.ts';
import type { HourContext, MeterQuestion } from '#core/energy/validation/question.ts';
import { sunElevation } from '#core/energy/validation/sun.ts';
import { validateHour } from '#core/energy/validation/validate.ts';
import {
  exportWh,
  found,
  hydro,
  importWh,
  lastHour,
  measured,
  meter,
  nightHour,
  noonHour,
  quarters,
  series,
  solar,
} from './questions.ts';

const reading = (t: number, value: number) => ({ t, registers: { exportWh: value } });
const night: HourContext = { ...solar, start: nightHour };
const day = (sum: number, whole: number): MeterQuestion['day'] => ({
  first: reading(lastHour - 23 * 3600, 1_000),
  last: reading(lastHour + 3600, 1_000 + whole),
  hours: Array.from({ length: 24 }, (_, i) => ({
    ...measured,
    energy: { exportWh: i === 0 ? sum : 0 },
  })),
});
const still = (start: number): MeterQuestion['readings'] => quarters(start, 0);

interface Vector {
  readonly code: string;
  readonly trips: MeterQuestion;
  readonly value: number;
  readonly limit: number;
  /** The nearest to it that does not trip. */
  readonly just: MeterQuestion;
  readonly context?: HourContext;
}

const vectors: readonly Vector[] = [
  {
    code: 'clock',
    trips: meter({ quarantined: 1 }),
    value: 1,
    limit: 0,
    just: meter({ quarantined: 0 }),
  },
  {
    code: 'status',
    trips: meter({
      readings: quarters(noonHour, 100).map((one, i) => ({
        ...one,
        ...(i === 2 && { status: 'power-fail' as const }),
      })),
    }),
    value: 1,
    limit: 0,
    // What does not count for energy is in the record.
    just: meter({
      readings: quarters(noonHour, 100).map((one, i) => ({
        ...one,
        ...(i === 2 && { status: 'fault' as const }),
      })),
    }),
  },
  {
    code: 'gap',
    // Readings every 5 minutes: 15 are never a gap.
    trips: meter({
      readings: series(noonHour, [
        [0, 0],
        [300, 1],
        [600, 2],
        [900, 3],
        [1801, 4],
        [2100, 5],
      ]),
    }),
    value: 901,
    limit: 900,
    just: meter({
      readings: series(noonHour, [
        [0, 0],
        [300, 1],
        [600, 2],
        [900, 3],
        [1800, 4],
        [2100, 5],
      ]),
    }),
  },
  {
    code: 'gap',
    // Every 10 minutes: three times that is none either.
    trips: meter({
      readings: series(noonHour, [
        [0, 0],
        [600, 1],
        [1200, 2],
        [3001, 4],
        [3600, 5],
      ]),
    }),
    value: 1801,
    limit: 1800,
    just: meter({
      readings: series(noonHour, [
        [0, 0],
        [600, 1],
        [1200, 2],
        [3000, 4],
        [3600, 5],
      ]),
    }),
  },
  {
    code: 'power',
    // 1.2 MW for a minute are 20,000 Wh, and one step may show too much.
    trips: meter({
      readings: series(noonHour, [
        [0, 0],
        [60, 20_002],
      ]),
    }),
    value: 1_200_060,
    limit: 1_200_000,
    just: meter({
      readings: series(noonHour, [
        [0, 0],
        [60, 20_001],
      ]),
    }),
  },
  {
    code: 'night',
    trips: meter({
      readings: series(nightHour, [
        [0, 0],
        [3600, 2],
      ]),
    }),
    value: 2,
    limit: 1,
    just: meter({
      readings: series(nightHour, [
        [0, 0],
        [3600, 1],
      ]),
    }),
    context: night,
  },
  {
    code: 'stuck',
    trips: meter({
      readings: still(noonHour),
      before: { stuck: reading(noonHour + 3600 - 86_400, 5_000) },
    }),
    value: 86_400,
    limit: 86_400,
    just: meter({
      readings: still(noonHour),
      before: { stuck: reading(noonHour + 3601 - 86_400, 5_000) },
    }),
  },
  {
    code: 'stuck',
    trips: meter({
      readings: still(noonHour),
      before: { stuck: reading(noonHour - 90_000, 5_000) },
    }),
    value: 93_600,
    limit: 86_400,
    just: meter({
      readings: still(noonHour),
      before: { stuck: reading(noonHour - 90_000, 4_999) },
    }),
  },
  {
    code: 'zero',
    trips: meter({
      readings: still(noonHour),
      before: { zero: reading(noonHour + 3600 - 172_800, 5_000) },
    }),
    value: 172_800,
    limit: 172_800,
    just: meter({
      readings: still(noonHour),
      before: { zero: reading(noonHour + 3601 - 172_800, 5_000) },
    }),
  },
  {
    code: 'zero',
    trips: meter({ readings: still(noonHour) }),
    value: 3600,
    limit: 3600,
    just: meter({
      readings: series(noonHour, [
        [0, 5_000],
        [3600, 5_001],
      ]),
    }),
    context: solar,
  },
  {
    code: 'daily',
    // 1 % of 200,000 Wh, and 1,000 Wh.
    trips: meter({ readings: quarters(lastHour, 100), day: day(196_999, 200_000) }),
    value: 3_001,
    limit: 3_000,
    just: meter({ readings: quarters(lastHour, 100), day: day(197_000, 200_000) }),
    context: { ...hydro, start: lastHour },
  },
  {
    code: 'daily',
    // What was subtracted from two hours.
    trips: meter({ readings: quarters(lastHour, 100), day: day(203_001, 200_000) }),
    value: 3_001,
    limit: 3_000,
    just: meter({ readings: quarters(lastHour, 100), day: day(203_000, 200_000) }),
    context: { ...hydro, start: lastHour },
  },
];

describe('each rule that informs', () => {
  test.each(vectors.map((vector, i) => [i, vector.code, vector] as const))(
    'vector %i trips %s, and its neighbour does not',
    (_i, _code, { code, trips, value, limit, just, context = hydro }) => {
      expect(found(trips, context)).toEqual([{ code, value, limit, inRecord: false }]);
      expect(found(just, context)).toEqual([]);
      expect(unitOf(found(trips, context)[0]?.code ?? 'gap')).toBeDefined();
    },
  );

  it('night and zero ask where the sun is', () => {
    const quiet = meter({ readings: still(nightHour) });
    expect(found(quiet, night)).toEqual([]);
    const busy = meter({ readings: quarters(nightHour, 50) });
    expect(found(busy, night)).toMatchObject([{ code: 'night', value: 200 }]);
    expect(found(busy, { ...night, isSolar: false })).toEqual([]);
    // The height at which it becomes night is that of the rules, at the very end of the reading.
    const height = sunElevation(nightHour, night.place) * 1000;
    const at = (nightSunMilliDegrees: number): HourContext => ({
      ...night,
      thresholds: { ...night.thresholds, nightSunMilliDegrees },
    });
    expect(found(busy, at(Math.floor(height) - 3_000))).toEqual([]);
    const noon = meter({ readings: still(noonHour) });
    const high = { ...solar.thresholds, zeroSunMilliDegrees: 89_000 };
    expect(found(noon, { ...solar, thresholds: high })).toEqual([]);
  });

  it('none of them takes a turn, an exchange or a break for energy', () => {
    const jump = series(nightHour, [
      [0, 0],
      [60, 900_000],
    ]);
    for (const verdict of ['break', 'exchange', 'rollover', 'reset', 'monotonic'] as const) {
      const record = { ...measured, verdicts: [verdict] };
      expect(found(meter({ readings: jump, record }), night)).toEqual([
        { code: verdict, inRecord: true },
      ]);
    }
    expect(found(meter({ readings: jump }), night)).toHaveLength(2);
    const fallen = series(nightHour, [
      [0, 900_000],
      [60, 0],
    ]);
    expect(found(meter({ readings: fallen }), night)).toEqual([]);
  });

  it('a day is not added up over an exchange, nor without both of its turns', () => {
    const context = { ...hydro, start: lastHour };
    const whole = day(100_000, 200_000);
    if (whole === undefined) throw new Error('no day');
    const readings = quarters(lastHour, 100);
    expect(found(meter({ readings, day: whole }), context)).toHaveLength(1);
    const hours = whole.hours.map((hour, i) =>
      i === 5 ? { ...hour, verdicts: ['exchange' as const] } : hour,
    );
    expect(found(meter({ readings, day: { ...whole, hours } }), context)).toEqual([]);
    expect(found(meter({ readings }), context)).toEqual([]);
  });

  it('a coarse register may show one step too much', () => {
    const registers = { exportWh: { ...exportWh, multiplier: 1000 } };
    const spec = { meter: 'M', role: 'production', registers } as const;
    const readings = (steps: number) =>
      series(nightHour, [
        [0, 0],
        [3600, steps],
      ]);
    expect(found(meter({ spec, readings: readings(1) }), night)).toEqual([]);
    expect(found(meter({ spec, readings: readings(2) }), night)).toMatchObject([
      { code: 'night', value: 2000, limit: 1000 },
    ]);
  });

  it('untrusted readings decide nothing about energy', () => {
    const [first, , , , last] = quarters(nightHour, 50);
    if (first === undefined || last === undefined) throw new Error('no readings');
    const readings = [first, { ...last, clock: 'unsynced' as const }];
    expect(found(meter({ readings }), night)).toEqual([]);
  });
});

describe('main and check meter', () => {
  const spec = (name: string, more: object) => ({
    meter: name,
    role: 'production' as const,
    registers: { exportWh },
    ...more,
  });
  const of = (name: string, wh: number, more: object = {}): MeterQuestion =>
    meter({ spec: spec(name, more), record: { ...measured, energy: { exportWh: wh } } });
  const check = (wh: number, more: object = {}) => of('C', wh, { role: 'check', ...more });
  const code = (meters: readonly MeterQuestion[]) =>
    meters.flatMap(({ spec: { meter: name } }) =>
      (validateHour(meters, hydro).get(name) ?? []).map((finding) => [name, finding]),
    );

  it('differ by more than 2 % and 1,000 Wh, or do not', () => {
    expect(code([of('A', 60_000), of('B', 40_000), check(97_000)])).toEqual([]);
    expect(code([of('A', 60_000), of('B', 40_000), check(96_999)])).toEqual([
      ['C', { code: 'check', value: 3_001, limit: 3_000, inRecord: false }],
    ]);
    expect(code([of('A', 60_000), check(64_000)])).toMatchObject([['C', { value: 4_000 }]]);
  });

  it('are those of one metering point, where it is named', () => {
    const meters = [
      of('A', 60_000, { point: 'P' }),
      of('B', 40_000),
      check(60_000, { point: 'P' }),
    ];
    expect(code(meters)).toEqual([]);
    expect(code([of('A', 60_000), check(1, { point: 'P' })])).toEqual([]);
  });

  it('are compared by direction, and only when both are measured', () => {
    const partial = { ...measured, quality: 'partial' as const, energy: { exportWh: 0 } };
    expect(code([of('A', 60_000), { ...check(0), record: partial }])).toEqual([]);
    const both = { registers: { exportWh, importWh } };
    const record = (importsWh: number) => ({
      ...measured,
      energy: { exportWh: 60_000, importWh: importsWh },
    });
    const main = { ...of('A', 0, both), record: record(0) };
    const other = { ...check(0, both), record: record(1_000) };
    expect(code([main, other])).toEqual([]);
    expect(code([main, { ...other, record: record(1_021) }])).toMatchObject([
      ['C', { code: 'check', value: 1_021, limit: 1_020 }],
    ]);
  });
});

describe('what is said', () => {
  it('has each code once, sorted, and tells what the record holds', () => {
    const joined = joinFindings(
      ['gap', 'capacity'],
      [undefined, { code: 'gap', value: 2, limit: 1 }, { code: 'power', value: 4, limit: 3 }],
    );
    expect(joined).toEqual([
      { code: 'capacity', inRecord: true },
      { code: 'gap', inRecord: true, value: 2, limit: 1 },
      { code: 'power', inRecord: false, value: 4, limit: 3 },
    ]);
    expect(joined.map(textOf)).toEqual([
      'more energy than the capacity allows in one hour',
      'between two readings of the hour lies a gap',
      'more power between two readings than the plant has',
    ]);
  });

  it('has words for every verdict of a record', () => {
    for (const code of Object.keys(verdicts) as Verdict[]) {
      expect(textOf({ code, inRecord: true })).toBe(verdicts[code].text);
    }
  });
});
