import { describe, expect, it } from 'vitest';
import { arrivalShare, chargingImport } from '#devices/plants/charging.ts';
import { coalCo2, coalExport, coalImport, coalOperating, coalValid } from '#devices/plants/coal.ts';
import { factoryImport, shiftShare } from '#devices/plants/factory.ts';
import { hydroExport, hydroOwnUse } from '#devices/plants/hydro.ts';
import { localHour, localWeekday } from '#devices/plants/plant.ts';
import { clearSky, solarExport, solarImport, sunAltitude } from '#devices/plants/solar.ts';
import { powerCurve, windExport, windSpeed } from '#devices/plants/wind.ts';

const place = { latitude: 36.28, longitude: 100.62 };
const farm = { place, peakDcW: 65_000_000, capacityW: 50_000_000, standbyW: 25_000 };
const juneS = Date.UTC(2026, 5, 1) / 1000;
const seeds = [1, 2, 3, 4, 5];

function every(stepS: number, days: number): number[] {
  return Array.from({ length: (days * 86400) / stepS }, (_, i) => juneS + i * stepS);
}

function energyWh(rate: (tS: number) => number, stepS: number, days: number): number {
  return every(stepS, days).reduce((sum, tS) => sum + (rate(tS) * stepS) / 3600, 0);
}

describe('a solar farm', () => {
  it('knows where the sun stands', () => {
    const degrees = (tS: number): number => (sunAltitude(tS, place) * 180) / Math.PI;
    // Solar noon at 100.62 E is about 05:17 UTC; on 1 June the sun's declination is about 22 degrees.
    expect(degrees(juneS + 5 * 3600 + 17 * 60)).toBeCloseTo(90 - 36.28 + 22, 0);
    expect(degrees(juneS + 17 * 3600)).toBeLessThan(-25);
  });

  it('delivers nothing while the sun is down, and draws its standby', () => {
    for (const tS of every(600, 30)) {
      if (sunAltitude(tS, place) > 0) continue;
      expect(solarExport(1, farm)(tS)).toBe(0);
      expect(solarImport(1, farm)(tS)).toBe(farm.standbyW);
    }
  });

  it('clips at the capacity of its inverters, and does reach it', () => {
    const powers = every(60, 30).map(solarExport(1, farm));
    expect(Math.max(...powers)).toBe(farm.capacityW);
    const sunny = { ...farm, peakDcW: 45_000_000 };
    expect(Math.max(...every(60, 30).map(solarExport(1, sunny)))).toBeLessThan(farm.capacityW);
  });

  it('makes a plausible month: 3 to 8 full-load hours on a June day', () => {
    for (const seed of seeds) {
      const hours = energyWh(solarExport(seed, farm), 300, 30) / 30 / farm.capacityW;
      expect(hours).toBeGreaterThan(3);
      expect(hours).toBeLessThan(9);
    }
  });

  it('has a clear sky of about 1,000 W/m2 with the sun overhead and none below the horizon', () => {
    expect(clearSky(Math.PI / 2)).toBeGreaterThan(980);
    expect(clearSky(Math.PI / 2)).toBeLessThan(1100);
    expect(clearSky(0)).toBe(0);
    expect(clearSky(-0.3)).toBe(0);
  });
});

describe('a wind farm', () => {
  const park = {
    capacityW: 99_000_000,
    scaleMps: 8.6,
    shape: 2.1,
    cutInMps: 3,
    ratedMps: 12,
    cutOutMps: 25,
    standbyW: 120_000,
  };

  it('follows its power curve', () => {
    expect(powerCurve(2.99, park)).toBe(0);
    expect(powerCurve(3, park)).toBe(0);
    expect(powerCurve(8, park)).toBeGreaterThan(powerCurve(7, park));
    expect(powerCurve(12, park)).toBe(park.capacityW);
    expect(powerCurve(24.9, park)).toBe(park.capacityW);
    expect(powerCurve(25, park)).toBe(0);
  });

  it('has Weibull wind: mean and median of the distribution over a year', () => {
    const speeds = every(3600, 365).map((tS) => windSpeed(4, tS, park));
    const mean = speeds.reduce((sum, speed) => sum + speed, 0) / speeds.length;
    expect(mean).toBeGreaterThan(7);
    expect(mean).toBeLessThan(8.3);
    const median = speeds.sort((a, b) => a - b)[speeds.length / 2] ?? 0;
    expect(median).toBeGreaterThan(8.6 * Math.LN2 ** (1 / 2.1) - 0.7);
    expect(median).toBeLessThan(8.6 * Math.LN2 ** (1 / 2.1) + 0.7);
  });

  it('has wind that remembers: the next minute resembles this one, the next week does not', () => {
    const change = (apartS: number): number => {
      const steps = every(3600, 60).map((tS) =>
        Math.abs(windSpeed(4, tS + apartS, park) - windSpeed(4, tS, park)),
      );
      return steps.reduce((sum, step) => sum + step, 0) / steps.length;
    };
    expect(change(60)).toBeLessThan(0.5);
    expect(change(7 * 86400)).toBeGreaterThan(2.5);
  });

  it('makes a plausible year', () => {
    const share = energyWh(windExport(2, park), 3600, 365) / 8760 / park.capacityW;
    expect(share).toBeGreaterThan(0.25);
    expect(share).toBeLessThan(0.55);
  });
});

describe('a run-of-river plant', () => {
  const river = {
    capacityW: 18_000_000,
    designFlow: 950,
    meanFlow: 560,
    leastFlow: 120,
    ownUseW: 140_000,
  };

  it('stays within its capacity, and gives more in the flood than in winter', () => {
    const power = hydroExport(1, river);
    expect(Math.max(...every(3600, 365).map(power))).toBe(river.capacityW);
    const monthWh = (monthsLater: number): number =>
      every(3600, 30).reduce((sum, tS) => sum + power(tS + monthsLater * 30 * 86400), 0);
    expect(monthWh(2)).toBeGreaterThan(1.5 * monthWh(8));
  });

  it('stands still when there is too little water, and still uses some power itself', () => {
    const dry = { ...river, meanFlow: 20 };
    expect(Math.max(...every(3600, 30).map(hydroExport(1, dry)))).toBe(0);
    expect(Math.min(...every(3600, 30).map(hydroOwnUse(1, dry)))).toBeGreaterThan(0);
  });
});

describe('a coal unit', () => {
  const unit = {
    capacityW: 660_000_000,
    leastShare: 0.4,
    fullGramsPerKwh: 815,
    leastGramsPerKwh: 905,
    standbyW: 6_000_000,
    utcOffsetS: 8 * 3600,
  };

  it('runs between its least power and its capacity, or not at all', () => {
    const [power, draw, on] = [coalExport(1, unit), coalImport(1, unit), coalOperating(1, unit)];
    const seen = new Set<number>();
    for (const tS of every(900, 60)) {
      seen.add(on(tS));
      if (on(tS) === 0) {
        expect(power(tS)).toBe(0);
        expect(draw(tS)).toBe(unit.standbyW);
      } else {
        expect(power(tS)).toBeGreaterThanOrEqual(unit.leastShare * unit.capacityW - 1);
        expect(power(tS)).toBeLessThanOrEqual(unit.capacityW);
        expect(draw(tS)).toBe(0);
      }
    }
    expect([...seen].sort()).toEqual([0, 1]);
  });

  it('emits 800 to 910 g of CO2 per kWh', () => {
    const grams = every(60, 20).reduce((sum, tS) => sum + (coalCo2(1, unit)(tS) * 60) / 1000, 0);
    const perKwh = grams / (energyWh(coalExport(1, unit), 60, 20) / 1000);
    expect(perKwh).toBeGreaterThan(800);
    expect(perKwh).toBeLessThan(910);
  });

  it('has valid data for all but the calibration: 20 minutes of each running day', () => {
    const [on, valid] = [coalOperating(1, unit), coalValid(1, unit)];
    const missing = every(60, 30).filter((tS) => on(tS) !== valid(tS));
    const mornings = every(86400, 30).filter((tS) => on(tS + 20 * 3600) === 1);
    expect(mornings.length).toBeGreaterThan(20);
    expect(missing).toHaveLength(20 * mornings.length);
    expect(missing.every((tS) => on(tS) === 1 && localHour(tS, unit.utcOffsetS) < 5)).toBe(true);
  });
});

describe('those who buy', () => {
  it('works in shifts, and rests on Sundays', () => {
    expect(shiftShare(3, 0)).toBe(0);
    expect(shiftShare(6.25, 0)).toBeCloseTo(0.5);
    expect(shiftShare(10, 0)).toBe(1);
    expect(shiftShare(12.2, 0)).toBeLessThan(1);
    expect(shiftShare(20, 0)).toBeGreaterThan(0.5);
    expect(shiftShare(20, 5)).toBe(0);
    expect(shiftShare(10, 6)).toBe(0);
    const works = { fullW: 42_000_000, baseW: 9_000_000, utcOffsetS: 8 * 3600 };
    const power = factoryImport(1, works);
    // 1 June 2026 is a Monday: 10:00 and 03:00 in the works' own time.
    expect(power(juneS + 2 * 3600)).toBeGreaterThan(2 * power(juneS + 19 * 3600));
  });

  it('charges cars one by one, more in the evening, within what all points can give', () => {
    const park = { points: 24, pointW: 180_000, baseW: 12_000, utcOffsetS: 0 };
    const power = chargingImport(1, park);
    const powers = every(60, 3).map(power);
    expect(Math.min(...powers)).toBeGreaterThanOrEqual(park.baseW);
    expect(Math.max(...powers)).toBeLessThanOrEqual(park.baseW + park.points * park.pointW);
    expect(new Set(powers).size).toBeGreaterThan(1000);
    const between = (from: number, to: number): number =>
      every(300, 20)
        .filter((tS) => localHour(tS, 0) >= from && localHour(tS, 0) < to)
        .reduce((sum, tS) => sum + power(tS), 0);
    expect(between(17, 21)).toBeGreaterThan(2 * between(1, 5));
    expect(arrivalShare(3)).toBeLessThan(arrivalShare(18));
  });

  it('knows the local hour and weekday', () => {
    expect(localHour(juneS, 8 * 3600)).toBe(8);
    expect(localHour(juneS + 17 * 3600, 8 * 3600)).toBe(1);
    expect(localWeekday(juneS, 0)).toBe(0);
    expect(localWeekday(juneS + 17 * 3600, 8 * 3600)).toBe(1);
    expect(localWeekday(0, 0)).toBe(3);
  });
});
