import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { inOrder, sharesOf } from '#core/energy/matching/shares.ts';

const sum = (parts: readonly number[]) => parts.reduce((a, b) => a + b, 0);

/** Weights whose products fit into doubles, and weights whose products do not. */
const weights = fc.oneof(
  fc.array(fc.nat(1000), { maxLength: 20 }),
  fc
    .array(fc.nat(Number.MAX_SAFE_INTEGER), { maxLength: 20 })
    .map((w) => w.map((x) => Math.floor(x / 20))),
);
const amountAndWeights = weights.chain((w) =>
  fc.tuple(fc.integer({ min: 0, max: sum(w) }), fc.constant(w)),
);

describe('shares by the largest remainder', () => {
  it('are within one of the exact share, never more than the weight, and add up', () => {
    fc.assert(
      fc.property(amountAndWeights, ([amount, of]) => {
        const shares = sharesOf(amount, of);
        const whole = BigInt(sum(of));
        expect(sum(shares)).toBe(amount);
        shares.forEach((share, i) => {
          const off = BigInt(share) * whole - BigInt(amount) * BigInt(of[i] ?? 0);
          expect((off < 0n ? -off : off) < (whole === 0n ? 1n : whole)).toBe(true);
          expect(share).toBeLessThanOrEqual(of[i] ?? 0);
        });
      }),
    );
  });

  it('give ties to the earlier one, and what is left over to the largest remainder', () => {
    expect(sharesOf(1, [1, 1, 1])).toEqual([1, 0, 0]);
    expect(sharesOf(2, [1, 1, 1])).toEqual([1, 1, 0]);
    expect(sharesOf(10, [1, 6, 8])).toEqual([1, 4, 5]); // 0.67, 4, 5.33
    expect(sharesOf(0, [5, 0])).toEqual([0, 0]);
    // 2^53 - 1 by halves: the products fit into no double.
    expect(sharesOf(4503599627370497, [4503599627370496, 4503599627370495])).toEqual([
      2251799813685249, 2251799813685248,
    ]);
    expect(() => sharesOf(3, [1, 1])).toThrow(RangeError);
    expect(() => sharesOf(1, [2 ** 53 - 1, 1])).toThrow(
      expect.objectContaining({ code: 'overflow' }),
    );
  });
});

describe('shares in order', () => {
  it('serve the first whole before the next', () => {
    expect(inOrder(7, [3, 3, 3])).toEqual([3, 3, 1]);
    expect(inOrder(0, [3])).toEqual([0]);
  });
});
