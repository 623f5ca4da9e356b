import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { backoffMs } from '#devices/backoff.ts';

describe('backoff', () => {
  it('doubles from the first wait to the longest', () => {
    const options = { firstMs: 1000, mostMs: 60_000, random: () => 1 - 2 ** -53 };
    const waits = [0, 1, 2, 3, 4, 5, 6, 7, 1000].map((attempt) => backoffMs(attempt, options));
    expect(waits).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000]);
  });

  it('is spread over the upper half of each wait', () => {
    fc.assert(
      fc.property(
        fc.nat(100),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (n, r) => {
          const waitMs = backoffMs(n, { firstMs: 1000, mostMs: 60_000, random: () => r });
          const fullMs = Math.min(60_000, 1000 * 2 ** n);
          expect(waitMs).toBeGreaterThanOrEqual(fullMs / 2);
          expect(waitMs).toBeLessThanOrEqual(fullMs);
        },
      ),
    );
  });
});
