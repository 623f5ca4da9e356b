import { Refused } from '../errors.ts';

/**
 * Arithmetic of whole numbers that must stay exact (D2, D3): energy in Wh, shares in parts per million,
 * factors in mg per kWh. Every quotient says in its name which way it is rounded.
 */

/** Parts per million that make a whole. */
export const wholePpm = 1_000_000;

/** a + b; Refused('overflow') where that is no safe integer any more. */
export function add(a: number, b: number): number {
  const sum = a + b;
  if (!Number.isSafeInteger(sum))
    throw new Refused('overflow', `${a} and ${b} make more than 2^53`);
  return sum;
}

/** The sum of one figure of each item; Refused('overflow') as `add`. */
export function total<T>(items: readonly T[], figure: (item: T) => number): number {
  return items.reduce((sum, item) => add(sum, figure(item)), 0);
}

/** As a number, as JSON carries it (D3); Refused('overflow') where that is no safe integer. */
export function toNumber(value: bigint): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw new Refused('overflow', `${value} is beyond 2^53`);
  return number;
}

/** floor(dividend / divisor) of a dividend that is not negative. */
export function divideDown(dividend: bigint, divisor: bigint): bigint {
  requireParts(dividend, divisor);
  return dividend / divisor;
}

/** ceil(dividend / divisor) of a dividend that is not negative. */
export function divideUp(dividend: bigint, divisor: bigint): bigint {
  requireParts(dividend, divisor);
  return (dividend + divisor - 1n) / divisor;
}

/** Anything else is a mistake of ours and no input: whoever divides has looked at both. */
function requireParts(dividend: bigint, divisor: bigint): void {
  if (dividend < 0n || divisor <= 0n) throw new RangeError(`divide: ${dividend} by ${divisor}`);
}

/** part of whole in ppm, rounded down: no share looks better than it is. Undefined of nothing. */
export function shareDown(part: bigint, whole: bigint): number | undefined {
  return whole === 0n ? undefined : toNumber(divideDown(part * BigInt(wholePpm), whole));
}
