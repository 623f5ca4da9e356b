/**
 * Randomness as a pure function of (seed, instant): no generator state, so that any instant can be
 * asked for in any order and two runs with one seed agree byte for byte.
 */

/** A number in [0, 1) that depends on `seed` and `index` alone (murmur3's finaliser, twice). */
export function unitAt(seed: number, index: number): number {
  return (scramble(scramble(seed) ^ Math.imul(index | 0, 0x9e3779b1)) >>> 0) / 2 ** 32;
}

function scramble(word: number): number {
  let h = word | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** A seed of its own for each purpose: two streams of one plant must not move together. */
export function seedOf(seed: number, stream: string): number {
  let h = scramble(seed);
  for (let i = 0; i < stream.length; i++) h = scramble(h ^ stream.charCodeAt(i)) + i;
  return h | 0;
}

/** A standard normal deviate for each index (Box-Muller). */
function normalAt(seed: number, index: number): number {
  const radius = Math.sqrt(-2 * Math.log(1 - unitAt(seed, 2 * index)));
  return radius * Math.cos(2 * Math.PI * unitAt(seed, 2 * index + 1));
}

/**
 * A smooth standard normal process: independent deviates every `periodS` seconds, blended so that the
 * variance stays 1 between them too. Values further apart than `2 * periodS` are independent.
 */
export function smoothNormal(seed: number, tS: number, periodS: number): number {
  const index = Math.floor(tS / periodS);
  const share = tS / periodS - index;
  const blend = share * share * (3 - 2 * share);
  const [a, b] = [1 - blend, blend];
  return (a * normalAt(seed, index) + b * normalAt(seed, index + 1)) / Math.hypot(a, b);
}

/** One part of a process: how long it remembers, and its share of the variance. */
export interface Octave {
  readonly periodS: number;
  readonly variance: number;
}

/** A sum of smooth processes, scaled back to variance 1. */
export function layeredNormal(seed: number, tS: number, octaves: readonly Octave[]): number {
  let sum = 0;
  let variance = 0;
  for (const [i, octave] of octaves.entries()) {
    sum += Math.sqrt(octave.variance) * smoothNormal(seed + i, tS, octave.periodS);
    variance += octave.variance;
  }
  return sum / Math.sqrt(variance);
}

/**
 * The standard normal distribution function: turns a deviate into a share in (0, 1).
 * Abramowitz and Stegun 26.2.17, error below 7.5e-8.
 */
export function normalShare(x: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(x));
  const tail =
    t *
    (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  const upper = (Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI)) * tail;
  return x >= 0 ? 1 - upper : upper;
}
