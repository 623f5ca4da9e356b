import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hoursTouchedBy, hourStartOf, requireHourStart } from '#core/energy/hours.ts';

const noon = 1_767_261_600;

describe('hours', () => {
  it('contain their start and not their end', () => {
    expect(hourStartOf(noon)).toBe(noon);
    expect(hourStartOf(noon + 3599)).toBe(noon);
    expect(hourStartOf(noon + 3600)).toBe(noon + 3600);
    expect(hourStartOf(0)).toBe(0);
  });

  it('are touched by a reading within, and by one at either boundary', () => {
    fc.assert(
      fc.property(fc.nat(253_402_300_799), (t) => {
        const touched = hoursTouchedBy(t);
        const near = [-3600, 0, 3600].map((by) => hourStartOf(t) + by).filter((at) => at >= 0);
        expect(touched).toEqual(near.filter((start) => start <= t && t <= start + 3600));
      }),
    );
    expect(hoursTouchedBy(0)).toEqual([0]);
    expect(hoursTouchedBy(3600)).toEqual([0, 3600]);
  });

  it.each([1, -3600, noon + 1, noon + 0.5, Number.NaN, 2 ** 53])('do not start at %d', (start) => {
    expect(() => requireHourStart(start)).toThrow(expect.objectContaining({ code: 'hour' }));
  });

  it('start at full hours', () => {
    expect(requireHourStart(0)).toBe(0);
    expect(requireHourStart(noon)).toBe(noon);
  });
});
