import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { calendarOf, fixedCalendar } from '#core/energy/calendar.ts';
import { emissionDay, isOpenDay, substitutedHours } from '#core/energy/emissions/day.ts';
import type { CalculatedBy, DayQuestion } from '#core/energy/emissions/day.ts';
import { avoidedBy } from '#core/energy/emissions/avoided.ts';
import { footprint, type FootprintQuestion } from '#core/energy/emissions/footprint.ts';
import type { KnownHour } from '#core/energy/emissions/hour.ts';
import { emissionSums } from '#core/energy/emissions/sums.ts';
import { hourSeconds } from '#core/energy/hours.ts';
import { refusing } from '../reports/claims.ts';
import { dayStart, gap, historyFrom, idle, times, whole } from './known-hours.ts';

function question(hours: readonly KnownHour[], change: Partial<DayQuestion> = {}): DayQuestion {
  return {
    by: { method: 'measured', regime: '40-cfr-75', maxGramsPerHour: 5000 },
    history: historyFrom(dayStart, hours),
    from: dayStart,
    to: dayStart + 24 * hourSeconds,
    lifeFrom: dayStart,
    ...change,
  };
}

describe('the emissions of a day', () => {
  it('are those of its hours, each with how it is known', () => {
    const day = emissionDay(question([...times(22, whole(1000)), idle, gap, whole(2000)]));
    expect(day.hours).toHaveLength(24);
    expect(day.hours[21]).toEqual({
      entry: 7,
      grams: 1000,
      method: 'measured',
      quality: 'measured',
      start: dayStart + 21 * hourSeconds,
      tier: 'hourly-mean',
      validPpm: 1_000_000,
    });
    expect(day.hours[22]).toMatchObject({ grams: 0, method: 'measured', tier: 'idle' });
    expect(day.hours[23]).toMatchObject({ grams: 1500, tier: '31-b-1', validPpm: 0 });
    expect(day.totalG).toBe(23_500);
    expect(substitutedHours(day)).toBe(1);
  });

  it('are none before all of its hours are sealed', () => {
    expect(() => emissionDay(question(times(23, whole(1))))).toThrow(refusing('hours'));
  });

  it('may change while the hour after an outage is not known', () => {
    const open = (hours: KnownHour[], by = question([]).by): boolean => {
      const asked = question(hours, { by });
      return isOpenDay(emissionDay(asked), asked);
    };
    expect(open([...times(23, whole(1)), gap])).toBe(true);
    expect(open([...times(22, whole(1)), gap, idle])).toBe(true);
    expect(open([...times(22, whole(1)), gap, whole(1)])).toBe(false);
    expect(open(times(24, idle))).toBe(false);
    expect(open([...times(23, whole(1)), gap, whole(1)])).toBe(false);
    expect(open([...times(23, whole(1)), gap, gap])).toBe(true);
    const regime = { method: 'measured', regime: 'eu-2018-2066', maxGramsPerHour: 1 } as const;
    expect(open([...times(23, whole(1)), gap], regime)).toBe(false);
  });

  it.each([
    ['40-cfr-75', 26_280],
    ['eu-2018-2066', 8_760],
  ] as const)(
    'read no more of the past than %s needs, however long an outage is',
    (regime, most) => {
      let reads = 0;
      const day = (of: KnownHour): number => {
        reads = 0;
        const lifeFrom = dayStart - 40_000 * hourSeconds;
        const by = { method: 'measured', regime, maxGramsPerHour: 5000 } as const;
        const history = (): KnownHour => {
          reads++;
          return of;
        };
        emissionDay(question([], { by, history, lifeFrom }));
        return reads;
      };
      // The day itself, what is before it, and the year behind it in which the outage may end.
      expect(day(gap)).toBe(24 + most + 8_759);
      expect(day(whole(1))).toBe(24);
    },
  );

  it('refuse what is beyond 2^53', () => {
    const much = Number.MAX_SAFE_INTEGER;
    expect(() => emissionDay(question(times(24, whole(much))))).toThrow(refusing('overflow'));
  });

  it('are energy times a factor where that is how they are known', () => {
    const by: CalculatedBy = {
      method: 'calculated',
      energy: 'generation',
      mgPerKwh: 820_001,
      capacityW: 2000,
    };
    const poor: KnownHour = { index: 9, quality: 'partial', generationWh: 3 };
    const hours = [...times(23, whole(1)), poor];
    const asked = question(hours, { by });
    const day = emissionDay(asked);
    // 1 kWh at 820.001 g, rounded up; at most 2 kWh where it is not measured in full.
    expect(day.hours[0]).toMatchObject({ grams: 821, method: 'calculated', tier: 'factor' });
    expect(day.hours[23]).toMatchObject({ grams: 1641, method: 'substituted', tier: 'capacity' });
    expect(isOpenDay(day, asked)).toBe(false);
    const consumed = { by: { ...by, energy: 'consumption' as const } };
    expect(emissionDay(question(hours, consumed)).hours[0]).toMatchObject({ tier: 'capacity' });
    const fuel = [...times(24, whole(1, { consumptionWh: 500 }))];
    expect(emissionDay(question(fuel, consumed)).hours[0]?.grams).toBe(411);
  });

  it('never are less than the register shows where every hour is known', () => {
    const hour = fc
      .tuple(fc.integer({ min: 0, max: 9999 }), fc.integer({ min: 2880, max: 3600 }))
      .map(([grams, validS]) => whole(grams, { validS }));
    fc.assert(
      fc.property(fc.array(hour, { minLength: 24, maxLength: 24 }), (hours) => {
        const shown = hours.reduce((sum, { co2G = 0 }) => sum + co2G, 0);
        expect(emissionDay(question(hours)).totalG).toBeGreaterThanOrEqual(shown);
      }),
    );
  });
});

describe('sums of emissions', () => {
  const { hours } = emissionDay(question([...times(23, whole(10)), gap]));

  it('are of the days and months of a zone', () => {
    const utc = { calendar: fixedCalendar(0), period: 'month' } as const;
    expect(emissionSums(hours, utc)).toEqual([
      {
        period: '2026-01',
        totalG: 240,
        byMethod: {
          measured: { grams: 230, hours: 23 },
          substituted: { grams: 10, hours: 1 },
        },
      },
    ]);
    const there = { calendar: calendarOf('America/New_York'), period: 'day' } as const;
    expect(emissionSums(hours, there).map(({ period, totalG }) => [period, totalG])).toEqual([
      ['2025-12-31', 50],
      ['2026-01-01', 190],
    ]);
  });
});

describe('what rests on emissions', () => {
  const factor = { set: 'cn-grid-average', version: '2023', mgPerKwh: 530_600 };

  it('is avoided by a factor that is named, rounded down', () => {
    expect(avoidedBy(1999, factor)).toEqual({ factor, grams: 1060 });
  });

  const asked: FootprintQuestion = {
    directG: 1000,
    consumptionWh: 10_000,
    claimedWh: 4000,
    residual: factor,
    output: { milliUnits: 2500, unit: 't' },
  };

  it('is a footprint of each unit, rounded up', () => {
    // 6 kWh at 530.6 g: 3183.6; 4184 g over 2.5 t.
    expect(footprint(asked)).toMatchObject({
      electricityG: 3184,
      factors: { residual: factor },
      perUnitMg: 1_673_600,
      totalG: 4184,
    });
    const certificate = { set: 'plants', version: '1', mgPerKwh: 1 };
    const all = { ...asked, claimedWh: 10_000, certificate };
    expect(footprint(all)).toMatchObject({ electricityG: 1, factors: { certificate } });
    expect(footprint(all).factors.residual).toBeUndefined();
  });

  it('is refused where it would say too little', () => {
    expect(() => footprint({ ...asked, claimedWh: 10_001 })).toThrow(refusing('claimed'));
    const { residual: _residual, ...none } = asked;
    expect(() => footprint(none)).toThrow(refusing('factor'));
    const output = { milliUnits: 0, unit: 't' };
    expect(() => footprint({ ...asked, output })).toThrow(refusing('output'));
  });
});
