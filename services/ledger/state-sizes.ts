import type { LogState } from '#core/certificate/state/state.ts';

/**
 * The sizes whose last entry is a `state` that is not void, ascending: of the two newest, since of no
 * older one are there proofs. Each is signed and published by itself, before what follows it: nothing
 * else ends with a `state` for sure while entries come in all the time (D3.5, step 9).
 */
export function stateSizes({
  previousState,
  latestState,
}: Pick<LogState, 'previousState' | 'latestState'>): readonly number[] {
  return [previousState, latestState].flatMap((stated) =>
    stated === undefined ? [] : [stated.ref.index + 1],
  );
}
