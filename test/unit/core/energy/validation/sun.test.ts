import { describe, expect, it, test } from 'vitest';
import { isSunBelow, sunElevation, sunPosition } from '#core/energy/validation/sun.ts';

const at = (iso: string): number => Date.parse(iso) / 1000;
const centuriesSince2000 = (julianDay: number): number => (julianDay - 2_451_545) / 36_525;

describe('the position of the sun', () => {
  it('is that of the worked example of Meeus, Astronomical Algorithms, 25.a', () => {
    // 1992 October 13, 0h TD: apparent 13h 13m 31.4s, -7° 47' 06".
    const { declination, rightAscension } = sunPosition(centuriesSince2000(2_448_908.5));
    expect(((rightAscension + 360) % 360) / 15).toBeCloseTo(13 + 13 / 60 + 31.4 / 3600, 3);
    expect(declination).toBeCloseTo(-(7 + 47 / 60 + 6 / 3600), 2);
  });

  it('is that of the worked example of the Solar Position Algorithm, NREL/TP-560-34302, A5', () => {
    // 2003 October 17, 12:30:30 at UTC-7: 39.872046° without refraction.
    const place = { latitude: 39.742476, longitude: -105.1786 };
    const elevation = sunElevation(at('2003-10-17T19:30:30Z'), place);
    expect(Math.abs(elevation - 39.872046)).toBeLessThan(0.02);
  });

  test.each([
    // Equinoxes and solstices as the almanacs give them, to the minute: declination in degrees.
    ['2024-03-20T03:06:00Z', 0],
    ['2025-03-20T09:01:00Z', 0],
    ['2025-06-21T02:42:00Z', 23.44],
    ['2025-09-22T18:19:00Z', 0],
    ['2025-12-21T15:03:00Z', -23.44],
  ])('has the declination of %s', (iso, declination) => {
    // Seen from the pole, its elevation is its declination.
    const pole = { latitude: 90, longitude: 0 };
    expect(Math.abs(sunElevation(at(iso), pole) - declination)).toBeLessThan(0.02);
  });

  it('is highest in the south at noon and lowest in the north at midnight', () => {
    const greenwich = { latitude: 51.4769, longitude: 0 };
    // Equation of time on 3 November 2025: the sun is 16.4 minutes early.
    const noon = at('2025-11-03T11:43:36Z');
    for (const offsetS of [-1800, 1800]) {
      expect(sunElevation(noon + offsetS, greenwich)).toBeLessThan(sunElevation(noon, greenwich));
    }
    const declination = sunElevation(noon, { latitude: 90, longitude: 0 });
    expect(sunElevation(noon, greenwich)).toBeCloseTo(90 - 51.4769 + declination, 2);
  });

  it('knows the dark: below a height all the while, ends included', () => {
    const place = { latitude: 36.28, longitude: 100.62 };
    const [from, to] = [at('2025-06-21T15:00:00Z'), at('2025-06-21T20:00:00Z')];
    expect(isSunBelow(-6, { fromS: from, toS: to }, place)).toBe(true);
    const height = sunElevation(to, place);
    expect(isSunBelow(height, { fromS: to, toS: to }, place)).toBe(false);
    expect(isSunBelow(height + 1e-9, { fromS: to, toS: to }, place)).toBe(true);
    // Both ends are dark, the day between them is not.
    expect(isSunBelow(-6, { fromS: from, toS: from + 86_400 }, place)).toBe(false);
  });
});
