import { toHex } from '#core/bytes.ts';
import { advanceStateTree, stateRoot } from '#core/certificate/state/state-tree.ts';
import type { LogState } from '#core/certificate/state/state.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/logger.ts';
import type { Pool } from '#platform/postgres.ts';
import { stateCheckpointPath } from './checkpoint-file.ts';
import type { LogFolder } from './log-folder.ts';
import { readCheckpoint } from './log-store.ts';
import { checkpointIn } from './rollback.ts';
import type { Sequencer } from './sequence.ts';

/** `rules.stateEveryS` where the rules do not say. */
const defaultStateEveryS = 86_400;
/** After a state that witnesses refused or were led past; `rules.stateEveryS` is at least as long. */
const againAfterS = 60;

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
  folder,
  clock,
  sequencer,
  logger,
}: {
  readonly pool: Pool;
  readonly folder: Pick<LogFolder, 'read'>;
  readonly clock: Clock;
  readonly sequencer: Sequencer;
  readonly logger: Logger;
}): StateEntries {
  return {
    async enter({ now = false } = {}) {
      const { publishedSize } = await readCheckpoint(pool);
      const state = await sequencer.state();
      const nowS = clock.nowS();
      const isPassedOver = async (index: number): Promise<boolean> =>
        (await stateCheckpointSize(folder)) !== index + 1;
      if (!now && !(await isDue(state, { nowS, publishedSize, isPassedOver }))) return false;
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

interface DueContext {
  readonly nowS: number;
  readonly publishedSize: number;
  /** Whether no checkpoint that ends with the entry at `index` came to its quorum. */
  readonly isPassedOver: (index: number) => Promise<boolean>;
}

/**
 * The state before must be published first: proofs are by the published one, and no more than two are
 * kept. So while witnesses are away, states wait with everything that is shown as certified. One that
 * was published only with entries behind it proves nothing, and the next one need not wait its turn.
 */
async function isDue(
  { genesis, latestState, time }: LogState,
  { nowS, publishedSize, isPassedOver }: DueContext,
): Promise<boolean> {
  if (genesis === undefined) return false;
  const everyS = genesis.rules.stateEveryS ?? defaultStateEveryS;
  const latestS = Math.max(nowS, time);
  if (latestState === undefined) return publishedSize > 0 && latestS >= genesis.time + everyS;
  const { ref, time: sinceS } = latestState;
  if (ref.index >= publishedSize) return false;
  if (latestS >= sinceS + everyS) return true;
  return latestS >= sinceS + againAfterS && (await isPassedOver(ref.index));
}

async function stateCheckpointSize(folder: Pick<LogFolder, 'read'>): Promise<number | undefined> {
  const bytes = await folder.read(stateCheckpointPath);
  return bytes && checkpointIn(bytes)?.checkpoint.size;
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
