import { toHex } from '#core/bytes.ts';
import { advanceStateTree, stateRoot } from '#core/certificate/state/state-tree.ts';
import type { LogState } from '#core/certificate/state/state.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/logger.ts';
import type { Pool } from '#platform/postgres.ts';
import { readCheckpoint } from './log-store.ts';
import type { Sequencer } from './sequence.ts';

/** `rules.stateEveryS` where the rules do not say. */
const defaultStateEveryS = 86_400;

/** Enters `state` entries (D3.3) as they fall due. */
export interface StateEntries {
  /**
   * Enters one when it is due, or `now`; says whether it did. Its root is computed from entries that
   * are committed and before the sequencer is asked, so nobody waits for it.
   */
  readonly enter: (options?: { now?: boolean }) => Promise<boolean>;
}

export function createStateEntries({
  pool,
  clock,
  sequencer,
  logger,
}: {
  readonly pool: Pool;
  readonly clock: Clock;
  readonly sequencer: Sequencer;
  readonly logger: Logger;
}): StateEntries {
  return {
    async enter({ now = false } = {}) {
      const { publishedSize } = await readCheckpoint(pool);
      const state = await sequencer.state();
      if (!now && !isDue(state, { nowS: clock.nowS(), publishedSize })) return false;
      if (!isPossible(state)) return false;
      const [outcome] = await sequencer.sequence([{ type: 'state', ...computeState(state) }]);
      // Only somebody else's `state` of the same moment can be the cause: the next one is due anyway.
      if (outcome?.result === 'refused') logger.warn({ outcome }, 'a state was not entered');
      return outcome?.result === 'sequenced';
    },
  };
}

function isPossible({ size, genesis, stateAsOf }: LogState): boolean {
  const isInForce = genesis?.rules.kinds.includes('state') === true;
  return isInForce && genesis.closed === undefined && size > stateAsOf;
}

/**
 * The state before must be published first: proofs are by the published one, and no more than two are
 * kept. So while witnesses are away, states wait with everything that is shown as certified.
 */
function isDue(
  { genesis, latestState, time }: LogState,
  { nowS, publishedSize }: { nowS: number; publishedSize: number },
): boolean {
  if (genesis === undefined) return false;
  const everyS = genesis.rules.stateEveryS ?? defaultStateEveryS;
  const { index, sinceS } =
    latestState === undefined
      ? { index: 0, sinceS: genesis.time }
      : { index: latestState.ref.index, sinceS: latestState.time };
  return index < publishedSize && Math.max(nowS, time) >= sinceS + everyS;
}

function computeState({ stateTree, latestState, stateAsOf, size }: LogState): {
  asOf: number;
  count: number;
  root: string;
} {
  // After a start the tree is empty: it passes the newest state first, which proofs still need.
  if (latestState !== undefined && stateTree.asOf < latestState.asOf) {
    advanceStateTree(stateTree, latestState.asOf);
  }
  // One that was computed and did not get into the log is entered as it is, for the same reason.
  const isPrepared = stateTree.asOf > stateAsOf;
  if (!isPrepared) advanceStateTree(stateTree, size);
  return { asOf: stateTree.asOf, count: stateTree.count, root: toHex(stateRoot(stateTree)) };
}
