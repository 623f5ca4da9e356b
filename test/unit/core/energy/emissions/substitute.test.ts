import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { meanAndTwoDeviations, rootUp } from '#core/energy/emissions/deviation.ts';
import { monitored, validShare, type KnownHour } from '#core/energy/emissions/hour.ts';
import { emissionDay, type EmissionHour } from '#core/energy/emissions/day.ts';
import { percentile, type RegimeName } from '#core/energy/emissions/substitute.ts';
import { hourSeconds } from '#core/energy/hours.ts';
import { dayStart, gap, historyFrom, idle, times, unknown, whole } from './known-hours.ts';

const maxGramsPerHour = 1_000_000;

/** The hours of a day by a regime, after `before` and with `after` behind it. */
function dayOf(
  regime: RegimeName,
  day: readonly KnownHour[],
  { before = [], after = [] }: { before?: readonly KnownHour[]; after?: readonly KnownHour[] } = {},
): readonly EmissionHour[] {
  const lifeFrom = dayStart - before.length * hourSeconds;
  return emissionDay({
    by: { method: 'measured', regime, maxGramsPerHour },
    history: historyFrom(lifeFrom, [...before, ...day, ...after]),
    from: dayStart,
    to: dayStart + day.length * hourSeconds,
    lifeFrom,
  }).hours;
}
const us = (...of: [readonly KnownHour[], Parameters<typeof dayOf>[2]?]) =>
  dayOf('40-cfr-75', ...of);

/** `valid` hours of 100 g, 101 g, … and as many missing ones before them as the share asks for. */
function availableAt(ppm: number, valid = 800): KnownHour[] {
  const missing = Math.ceil((valid * 1_000_000) / ppm) - valid;
  return [...times(missing, gap), ...Array.from({ length: valid }, (_, i) => whole(100 + i))];
}

describe('an hourly mean', () => {
  it.each([
    [2880, 'valid'],
    [2879, 'missing'],
    [3601, 'missing'],
    [0, 'missing'],
  ])('needs 80 %% of the seconds: of %i there is %s', (validS, is) => {
    expect(monitored(whole(1000, { validS })).is).toBe(is);
  });

  it('is scaled from the valid seconds to the whole, rounded up', () => {
    const hour = whole(1000, { validS: 3000 });
    expect(monitored(hour)).toEqual({ is: 'valid', grams: 1200, gramsPerHour: 1200 });
    const half = whole(1000, { operatingS: 1800, validS: 1799 });
    expect(monitored(half)).toEqual({ is: 'valid', grams: 1001, gramsPerHour: 2002 });
    expect(validShare(half)).toBe(999_444);
    expect(validShare(idle)).toBeUndefined();
  });

  it('is that of one hour, and no gap of many', () => {
    expect(monitored(whole(1000, { operatingS: 4500, validS: 4500 })).is).toBe('valid');
    expect(monitored(whole(1000, { operatingS: 4501, validS: 4501 })).is).toBe('missing');
    expect(monitored(unknown).is).toBe('missing');
    expect(monitored(idle)).toEqual({ is: 'idle', grams: 0 });
  });

  it('never makes less of what the register shows', () => {
    const seconds = fc.integer({ min: 0, max: 5000 });
    fc.assert(
      fc.property(fc.nat(), seconds, seconds, (co2G, operatingS, validS) => {
        const seen = monitored(whole(co2G, { operatingS, validS }));
        if (seen.is !== 'missing') expect(seen.grams).toBeGreaterThanOrEqual(co2G);
      }),
    );
  });
});

describe('40 CFR 75.31 and 75.33, by availability', () => {
  // Before: 800 valid hours of 100 to 899 g; the last 720 are 180 to 899 g. After: 901 g.
  it.each([
    ['95 %, up to 24 h: the average around', { ppm: 960_000, hours: 24, tier: '33-b-1-i' }, 900],
    ['90 %, up to 8 h: the average around', { ppm: 930_000, hours: 8, tier: '33-b-2-i' }, 900],
    ['80 %: the maximum', { ppm: 850_000, hours: 1, tier: '33-b-3' }, 899],
    ['below: the potential', { ppm: 700_000, hours: 1, tier: '33-b-4' }, maxGramsPerHour],
  ])('%s', (_name, { ppm, hours, tier }, grams) => {
    const before = availableAt(ppm);
    const found = us(times(hours, gap), { before, after: [whole(901)] });
    expect(found[0]).toMatchObject({ method: 'substituted', tier, grams });
    expect(found).toHaveLength(hours);
  });

  it('takes the greater of average and percentile in longer outages', () => {
    const outage = [...times(25, gap)];
    const first = (before: KnownHour[], missing: readonly KnownHour[], after: KnownHour) =>
      us(missing.slice(0, 1), { before, after: [...missing.slice(1), after] })[0];
    // The last 720 are 1 and 180 to 898: the 648th is 826, the 684th 862.
    const low = [...availableAt(990_000, 799), whole(1)];
    expect(first(low, outage, whole(1))).toMatchObject({ tier: '33-b-1-ii', grams: 826 });
    expect(first(low, outage.slice(1), whole(1))).toMatchObject({ tier: '33-b-1-i', grams: 1 });
    const worse = [...availableAt(930_000, 799), whole(1)];
    expect(first(worse, times(9, gap), whole(1))).toMatchObject({ tier: '33-b-2-ii', grams: 862 });
    const high = [...availableAt(990_000, 799), whole(5000)];
    expect(first(high, outage, whole(5001))).toMatchObject({ tier: '33-b-1-ii', grams: 5001 });
  });

  it('before 720 valid hours: the average around, and without any before, the potential', () => {
    const before = availableAt(1_000_000, 719);
    expect(us([gap], { before, after: [whole(900)] })[0]).toMatchObject({
      tier: '31-b-1',
      grams: 859, // 818 and 900
    });
    expect(us([gap], { after: [whole(900)] })[0]).toMatchObject({
      tier: '31-b-2',
      grams: maxGramsPerHour,
      availabilityPpm: 0,
    });
  });

  it('counts availability over operating hours, the missing one among them', () => {
    const before = [...times(19, whole(100)), ...times(10, idle)];
    expect(us([gap], { before })[0]?.availabilityPpm).toBe(950_000);
  });

  it('does not end an outage while the unit stands', () => {
    const before = availableAt(930_000);
    const day = [...times(4, gap), ...times(2, idle), ...times(3, gap)];
    const [found] = us(day, { before, after: [whole(1)] });
    expect(found?.tier).toBe('33-b-2-ii');
    expect(us(day.slice(1), { before, after: [whole(1)] })[0]?.tier).toBe('33-b-2-i');
  });

  it('uses the hour before alone until the one after is known', () => {
    const before = availableAt(1_000_000);
    expect(us([gap], { before })[0]).toMatchObject({ grams: 899 });
    expect(us([gap], { before, after: [whole(1001)] })[0]).toMatchObject({ grams: 950 });
  });

  it('looks back over 8,760 operating hours and no further', () => {
    const before = [...times(2000, gap), ...times(8759, whole(500))];
    expect(us([gap], { before })[0]).toMatchObject({ availabilityPpm: 999_885 });
  });
});

describe('Art. 45(2)', () => {
  it('is the mean and twice the deviation of a year', () => {
    // Of 2, 4, 4, 4, 5, 5, 7, 9 the mean is 5 and the sample variance 32/7: 5 + 4.28.
    const before = [2, 4, 4, 4, 5, 5, 7, 9].map((grams) => whole(grams));
    expect(dayOf('eu-2018-2066', [gap], { before })[0]).toMatchObject({
      method: 'substituted',
      tier: '45-2',
      grams: 10,
    });
    const long = [...times(100, whole(900_000)), ...times(8760, whole(10))];
    expect(dayOf('eu-2018-2066', [gap], { before: long })[0]).toMatchObject({ grams: 10 });
  });

  it('needs two hours', () => {
    const [one] = dayOf('eu-2018-2066', [gap], { before: [whole(5)] });
    expect(one).toMatchObject({ tier: '45-none', grams: maxGramsPerHour });
    expect(() => meanAndTwoDeviations([1])).toThrow(RangeError);
  });
});

describe('the figures of substitutes', () => {
  it('are percentiles by rank', () => {
    const values = Array.from({ length: 720 }, (_, i) => i + 1);
    expect([percentile(values, 90), percentile(values, 95)]).toEqual([648, 684]);
    expect(percentile([3], 1)).toBe(3);
    expect(() => percentile([], 90)).toThrow(RangeError);
  });

  it('are roots that are never too small, and by less than one too large', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 200n }), (value) => {
        const root = rootUp(value);
        expect(root * root >= value).toBe(true);
        expect(root === 0n || (root - 1n) * (root - 1n) < value).toBe(true);
      }),
    );
    expect(() => rootUp(-1n)).toThrow(RangeError);
  });

  it('are for the seconds of operation, all of them where nobody knows', () => {
    const before = [whole(3600)];
    const half = whole(1, { operatingS: 1800, validS: 10 });
    expect(us([half, unknown], { before }).map(({ grams }) => grams)).toEqual([1800, 3600]);
    const contradictory = whole(1, { operatingS: 10, validS: 20 });
    expect(us([contradictory], { before })[0]?.grams).toBe(3600);
  });
});
