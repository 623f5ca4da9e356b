import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { add, divideDown, divideUp, shareDown, toNumber, total } from '#core/energy/exact.ts';
import { gramsDown, gramsUp, microgramsOf } from '#core/energy/mass.ts';

const most = Number.MAX_SAFE_INTEGER;
const overflow = expect.objectContaining({ code: 'overflow' }) as unknown;

describe('exact arithmetic', () => {
  it('refuses what is no safe integer any more', () => {
    expect(add(most - 1, 1)).toBe(most);
    expect(() => add(most, 1)).toThrow(overflow);
    expect(total([1, 2, 3], (n) => n)).toBe(6);
    expect(() => total([most, most], (n) => n)).toThrow(overflow);
    expect(toNumber(BigInt(most))).toBe(most);
    expect(() => toNumber(BigInt(most) + 1n)).toThrow(overflow);
  });

  it('rounds down and up by less than one, and by nothing where nothing is left over', () => {
    const parts = fc.tuple(fc.bigInt({ min: 0n, max: 1n << 120n }), fc.bigInt(1n, 1n << 60n));
    fc.assert(
      fc.property(parts, ([dividend, divisor]) => {
        const [down, up] = [divideDown(dividend, divisor), divideUp(dividend, divisor)];
        expect(down * divisor <= dividend && (down + 1n) * divisor > dividend).toBe(true);
        expect(up - down).toBe(dividend % divisor === 0n ? 0n : 1n);
      }),
    );
    expect(() => divideDown(1n, 0n)).toThrow(RangeError);
    expect(() => divideUp(-1n, 1n)).toThrow(RangeError);
  });

  it('knows no share of nothing', () => {
    expect(shareDown(2n, 3n)).toBe(666_666);
    expect(shareDown(0n, 0n)).toBeUndefined();
  });
});

describe('mass', () => {
  it('is exact until it is rounded, once', () => {
    // 1 kWh at 530.6 g/kWh is 530.6 g.
    expect(microgramsOf(1000, 530_600)).toBe(530_600_000n);
    expect(gramsUp(530_600_000n)).toBe(531);
    expect(gramsDown(530_600_000n)).toBe(530);
    expect(gramsUp(531_000_000n)).toBe(531);
    const hours = Array.from({ length: 1000 }, () => microgramsOf(1, 530_600));
    expect(gramsUp(hours.reduce((sum, each) => sum + each, 0n))).toBe(531);
  });
});
