import { gramsDown, microgramsOf } from '../mass.ts';
import type { Factor } from '../reports/scope2.ts';

/** What the grid would have emitted instead: it is the factor's word, and never stated without it. */
export interface Avoided {
  readonly factor: Factor;
  readonly grams: number;
}

/** Rounded down, once; Refused('overflow') beyond 2^53 grams. */
export function avoidedBy(wh: number, factor: Factor): Avoided {
  return { factor, grams: gramsDown(microgramsOf(wh, factor.mgPerKwh)) };
}
