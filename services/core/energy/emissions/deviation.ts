import { divideUp, toNumber } from '../exact.ts';

/**
 * The mean of at least two values and twice their standard deviation, the sample's, each rounded up to
 * a whole: exact, so that everybody gets the same.
 */
export function meanAndTwoDeviations(values: readonly number[]): number {
  const n = BigInt(values.length);
  if (n < 2n) throw new RangeError('meanAndTwoDeviations: fewer than two values');
  let [sum, squares] = [0n, 0n];
  for (const value of values) {
    const exact = BigInt(value);
    sum += exact;
    squares += exact * exact;
  }
  // 4 s^2 = 4 (n Q - S^2) / (n (n - 1)); the root of what is rounded up is rounded up the same.
  const fourVariance = divideUp(4n * (n * squares - sum * sum), n * (n - 1n));
  return toNumber(divideUp(sum, n) + rootUp(fourVariance));
}

/** The smallest whole number whose square is not below `value`, by Newton's method from above. */
export function rootUp(value: bigint): bigint {
  if (value < 0n) throw new RangeError(`rootUp: ${value}`);
  if (value < 2n) return value;
  let root = 1n << BigInt((value.toString(2).length + 1) >> 1);
  for (;;) {
    const next = (root + value / root) >> 1n;
    if (next >= root) break;
    root = next;
  }
  return root * root === value ? root : root + 1n;
}
