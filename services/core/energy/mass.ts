import { divideDown, divideUp, toNumber } from './exact.ts';

/**
 * Mass of energy times a factor. 1 Wh at 1 mg/kWh is exactly 1 µg, so sums run in whole micrograms and
 * are rounded once, at the end: what hours, days and plants come to does not depend on how they are cut.
 */
const microgramsPerGram = 1_000_000n;

/** Micrograms, exactly, of energy in Wh at a factor in mg per kWh. */
export function microgramsOf(wh: number, mgPerKwh: number): bigint {
  return BigInt(wh) * BigInt(mgPerKwh);
}

/** Whole grams, rounded up: for what somebody emits. */
export function gramsUp(micrograms: bigint): number {
  return toNumber(divideUp(micrograms, microgramsPerGram));
}

/** Whole grams, rounded down: for what somebody avoids, or takes off. */
export function gramsDown(micrograms: bigint): number {
  return toNumber(divideDown(micrograms, microgramsPerGram));
}
