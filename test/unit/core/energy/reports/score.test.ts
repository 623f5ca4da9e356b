import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { calendarOf } from '#core/energy/calendar.ts';
import { matchedHours, scoresBy } from '#core/energy/reports/matched-hours.ts';
import { hourlyScore, hourlyScoreWithGrid, matchedWhOf } from '#core/energy/reports/score.ts';
import { claim, hour, load, nextHour, refusing } from './claims.ts';

function hourOf(consumptionWh: number, generationWh: number, at = hour) {
  return {
    consumptionWh,
    hour: at,
    matchedWh: matchedWhOf(consumptionWh, generationWh),
    zone: 'DE',
  };
}

describe('the hourly score', () => {
  it('of load 100, 100 against generation 150, 0 is 50 %', () => {
    const hours = [hourOf(100, 150), hourOf(100, 0, nextHour)];
    expect(hourlyScore(hours)).toEqual({ consumptionWh: 200, matchedWh: 100, scorePpm: 500_000 });
    expect(hourlyScoreWithGrid(hours, () => 0).scorePpm).toBe(500_000);
  });

  it('of load 100, generation 60 and a grid share of 0.5 is 80 %', () => {
    expect(hourlyScoreWithGrid([hourOf(100, 60)], () => 500_000).scorePpm).toBe(800_000);
  });

  it('takes an unknown grid share for none, and says so', () => {
    const hours = [hourOf(100, 60), hourOf(100, 100, nextHour)];
    const score = hourlyScoreWithGrid(hours, () => undefined);
    expect(score).toMatchObject({ hoursWithoutShare: 1, scorePpm: 800_000 });
  });

  it('is rounded down, and of nothing is none', () => {
    expect(hourlyScore([hourOf(3, 2)]).scorePpm).toBe(666_666);
    expect(hourlyScore([hourOf(0, 9)])).toEqual({ consumptionWh: 0, matchedWh: 0 });
    expect(hourlyScore([])).toEqual({ consumptionWh: 0, matchedWh: 0 });
  });

  it('refuses more matched than consumed, and shares beyond the whole', () => {
    const tooMuch = { ...hourOf(1, 1), matchedWh: 2 };
    expect(() => hourlyScore([tooMuch])).toThrow(refusing('matched'));
    expect(() => hourlyScoreWithGrid([hourOf(2, 1)], () => 1_000_001)).toThrow(
      refusing('grid-share'),
    );
    expect(() => hourlyScoreWithGrid([hourOf(2, 1)], () => -1)).toThrow(refusing('grid-share'));
  });

  it('never falls with a grid share, and never passes the whole', () => {
    const drawn = fc.array(fc.tuple(fc.nat(2 ** 40), fc.nat(2 ** 40), fc.nat(1_000_000)), {
      minLength: 1,
      maxLength: 20,
    });
    fc.assert(
      fc.property(drawn, (list) => {
        const hours = list.map(([c, g], i) => hourOf(c, g, hour + i * 3600));
        const plain = hourlyScore(hours).scorePpm ?? 0;
        const share = ({ hour: at }: { hour: number }) => list[(at - hour) / 3600]?.[2];
        const withGrid = hourlyScoreWithGrid(hours, share).scorePpm ?? 0;
        expect(plain <= withGrid && withGrid <= 1_000_000).toBe(true);
      }),
    );
  });
});

describe('matched hours', () => {
  it('count claims on generation of the same hour and zone alone', () => {
    const consumption = [load(100, { hour: nextHour }), load(100), load(50, { point: 'office' })];
    const claims = [
      claim('wind', 60),
      claim('wind', 70, { from: 61, generationHour: hour, hour: nextHour }),
      claim('wind', 90, { from: 71, generationZone: 'NL' }),
    ];
    expect(matchedHours(consumption, claims)).toEqual([
      { consumptionWh: 150, hour, matchedWh: 60, zone: 'DE' },
      { consumptionWh: 100, hour: nextHour, matchedWh: 0, zone: 'DE' },
    ]);
  });

  it('are scored by the months of a time zone', () => {
    const at = (text: string, wh: number) => hourOf(wh, wh, Date.parse(text) / 1000);
    const hours = [at('2026-03-31T21:00Z', 1), at('2026-03-31T22:00Z', 2)];
    const months = scoresBy('month', calendarOf('Europe/Berlin'), hours);
    expect(months.map(({ period, consumptionWh }) => [period, consumptionWh])).toEqual([
      ['2026-03', 1],
      ['2026-04', 2],
    ]);
  });
});
