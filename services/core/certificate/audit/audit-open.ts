import { plainSignatureCheck, type SignatureCheck } from './audit-evidence.ts';
import { readLogFiles } from './audit-files.ts';
import { createEvidenceReader } from './audit-read.ts';
import type { Replay, ReplayContext } from './audit-replay.ts';
import { createRegisterViews } from './register-view.ts';
import { createChainAudit, noChains, type KnownChains } from './chain-audit.ts';
import { emptyState } from '../state/state.ts';
import { decodeMemory, encodeMemory } from '../state/state-memory.ts';
import { memoryStore, unkeptRowsLimit } from '../state/state-store.ts';

/** Begins a replay, or goes on with one that was kept. */

/** What a replay keeps beside the state. A later program may know a kind that this one does not. */
type KeptReplay = Pick<
  Replay,
  'edge' | 'newest' | 'hours' | 'leaves' | 'withheld' | 'refuted' | 'refutedTooMany'
> & { readonly chains: KnownChains };

/** For measuring: believes every signature. */
const trusting: SignatureCheck = { ...plainSignatureCheck, verify: () => undefined };

/** Goes on from what the store has kept, where it has kept anything. */
export function createReplay(context: ReplayContext): Replay {
  const { read, signatures, store = memoryStore() } = context;
  const bytes = store.kept();
  const kept = bytes && decodeMemory(bytes, store.tables);
  const state = kept?.state ?? emptyState({ tables: store.tables });
  const { chains, ...rest } = (kept?.extra ?? nothingKept()) as KeptReplay;
  const check = signatures === 'trust' ? trusting : signatures;
  const keyOf = (kid: string) => state.keys.get(kid)?.key;
  return {
    context,
    check,
    files: readLogFiles(read),
    evidence: createEvidenceReader({ read, signatures: check, keyOf }),
    state,
    registers: createRegisterViews(state),
    prover: undefined,
    ...rest,
    chains: createChainAudit(undefined, chains),
    unknown: undefined,
    unsaid: 0,
    store,
  };
}

function nothingKept(): KeptReplay {
  return {
    edge: { size: 0, rows: [] },
    newest: { index: 0, time: 0 },
    hours: 0,
    leaves: 0,
    withheld: 0,
    chains: noChains(),
    refuted: new Map(),
    refutedTooMany: false,
  };
}

/** Has the prover judge what follows, where it pays for so many entries. */
export function chooseProver(replay: Replay, entries: number): void {
  const { prover } = replay.context;
  replay.prover = prover?.isWorth(entries) === true ? prover : undefined;
}

/** Bundles that are fetched beyond the one that is folded: a prover is given more to do at a time. */
export function bundlesAhead({ prover }: Replay): number {
  return prover === undefined ? 1 : 3;
}

/** Keeps everything that is folded, for another replay to go on from. Failed('state-store'). */
export async function keepReplay(replay: Replay): Promise<void> {
  const { state, store, chains, edge, newest, hours, leaves, withheld } = replay;
  const { refuted, refutedTooMany } = replay;
  const kept: KeptReplay = {
    ...{ edge, newest, hours, leaves, withheld, refuted, refutedTooMany },
    chains: chains.known(),
  };
  await store.keep(encodeMemory(state, kept));
}

/** As `keepReplay`, when too much waits in memory. */
export async function keepReplayIfDue(replay: Replay): Promise<void> {
  if (replay.store.unkeptRows() >= unkeptRowsLimit) await keepReplay(replay);
}
