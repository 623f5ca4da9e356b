import { hourSeconds } from './hours.ts';
import type { Value } from './register.ts';

/**
 * Estimates for charts, and for charts alone (D4.2): they never make a certificate, and nothing that
 * makes one imports this.
 */
export interface Estimate {
  /** Steps of the register within the hour. */
  readonly steps: bigint;
  readonly method: 'linear' | 'profile';
}

/** Values of a register around a turn of the hour: the nearest ones, both at it where one is exact. */
export interface Turn {
  readonly before: Value | undefined;
  readonly after: Value | undefined;
}

/**
 * What a register may have run in an hour that is not measured: in a straight line between the values
 * around it, or while none has come since, as at the same hour of days before (`profile`, steps).
 * Straight lines add up: the hours of a gap together are exactly what the register ran.
 */
export function estimateHour(
  start: number,
  { turns, profile }: { turns: readonly [Turn, Turn]; profile: readonly bigint[] },
): Estimate | undefined {
  const [from, to] = turns.map((turn, i) => valueAt(start + i * hourSeconds, turn));
  if (from !== undefined && to !== undefined && to >= from) {
    return { steps: to - from, method: 'linear' };
  }
  if (turns[1].after !== undefined || profile.length === 0) return undefined;
  const sum = profile.reduce((total, steps) => total + steps, 0n);
  return { steps: sum / BigInt(profile.length), method: 'profile' };
}

/** The register at `t`, floored; undefined where a side is missing or it fell in between. */
function valueAt(t: number, { before, after }: Turn): bigint | undefined {
  if (before === undefined || after === undefined || after.value < before.value) return undefined;
  const elapsedS = after.t - before.t;
  if (elapsedS === 0) return BigInt(before.value);
  const grown = BigInt(after.value) - BigInt(before.value);
  return BigInt(before.value) + (grown * BigInt(t - before.t)) / BigInt(elapsedS);
}
