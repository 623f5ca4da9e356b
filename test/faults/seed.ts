/** A number in [0, 1). */
export type Random = () => number;

/** Set it to what a failed run printed to have the same moments again. */
export const seed = Number(process.env.HOURSEAL_FAULT_SEED ?? Date.now() % 1_000_000);

/** How often; `npm run test:faults` sets 20. */
export function roundsOr(short: number): number {
  return Number(process.env.HOURSEAL_FAULT_ROUNDS ?? short);
}

/** Mulberry32: small, and the same everywhere. */
export function randomFrom(start: number): Random {
  let state = start >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
