import { Failed } from '../../errors.ts';
import { growTileEdge, type TileEdge } from '../../tlog/tile-edge.ts';
import { leafHash } from '../../tlog/tree.ts';
import { examineEvidence, mayBeUnusable } from './audit-evidence.ts';
import type { Examination, SignatureCheck } from './audit-evidence.ts';
import { settling, type FetchContext, type FetchedEntry } from './audit-fetch.ts';
import type { LogRead } from './audit-files.ts';
import type { ChainAudit, ChainStatement } from './chain-audit.ts';
import type { Entry } from '../entry.ts';
import { parseProof, type HourProver } from './hour-proof.ts';
import { advance, applyJudgement, judgeNext, UnknownKind, type Judgement } from '../fold.ts';
import type { LogState } from '../state/state.ts';
import type { StateStore } from '../state/state-store.ts';

/** Replays a log entry by entry, each with its evidence: what all audits do (D3.4). */

export interface AuditFinding {
  /** The entry it concerns; undefined where it is the log as a whole. */
  readonly index: number | undefined;
  readonly code: string;
  readonly message: string;
}

export interface ReplayContext {
  readonly read: LogRead;
  /** `trust` skips the meters' signatures and those under entries; for measuring. */
  readonly signatures: SignatureCheck | 'trust';
  /**
   * What becomes of an entry whose evidence is missing or garbled. `required`: nothing is said of it
   * and nothing after it is judged. `reported`: it counts as a violation, and the replay goes on;
   * where the evidence is not public the entry is believed.
   */
  readonly evidence: 'required' | 'reported';
  /** Judges the evidence of hours ahead, elsewhere; by default that is done here, in its turn. */
  readonly prover?: HourProver | undefined;
  /** Where it keeps what it has learnt; by default in memory, and nothing of it when that ends. */
  readonly store?: StateStore | undefined;
}

/** A log as far as it is replayed; only `foldEntries` changes it. Beside `state` all of it is bounded. */
export interface Replay extends FetchContext {
  readonly context: ReplayContext;
  readonly check: SignatureCheck;
  readonly state: LogState;
  /** Of the tree over the entries that are folded. */
  edge: TileEdge;
  /** The newest entry that counts. */
  newest: { readonly index: number; readonly time: number };
  /** Hours and corrections whose evidence was judged, and the messages in it. */
  hours: number;
  leaves: number;
  /** Hours of committed sites whose evidence is not public, and so was not judged. */
  withheld: number;
  readonly chains: ChainAudit;
  /** By entry. A correction of its hour, which states the chains anew, mends it. */
  readonly refuted: Map<number, ChainStatement>;
  refutedTooMany: boolean;
  /** Entries that broke a rule without a `void` within the size that they were judged at. */
  unsaid: number;
  /** An entry of a kind that this program does not know: nothing after it can be judged. */
  unknown: AuditFinding | undefined;
  readonly store: StateStore;
}

/** Entries with a refuted receipt chain that are remembered one by one. */
const refutedLimit = 10_000;

/** Codes of later `void` entries within the size that is to be judged, by the entry they name. */
export type Voids = ReadonlyMap<number, string>;
const noVoids: Voids = new Map();

export interface Folded {
  /** What keeps the replay from going on. All before it is folded, and it may be tried again. */
  readonly stop: AuditFinding | undefined;
  /** Hash tiles that grew, by path. */
  readonly tiles: ReadonlyMap<string, Uint8Array>;
}

/** Folds the entries that follow on the state. Failed('evidence-missing') as `stop`. */
export async function foldEntries(
  replay: Replay,
  fetched: readonly FetchedEntry[],
  voids: Voids = noVoids,
): Promise<Folded> {
  const folded: Uint8Array[] = [];
  let stop = replay.unknown;
  let grown: ReturnType<typeof growTileEdge>;
  const settled = settling(replay, fetched);
  try {
    for (const [place, { index, data }] of fetched.entries()) {
      if (stop !== undefined) break;
      if (index < replay.state.size) continue;
      const found = settled.at(place);
      const one = found instanceof Promise ? await found : found;
      stop = foldOne(replay, one, voids.get(index));
      if (stop === undefined) folded.push(leafHash(data));
    }
  } finally {
    // Also where an entry's evidence is missing: what was folded before it stays so.
    grown = growTileEdge(replay.edge, folded);
    replay.edge = grown.edge;
  }
  return { stop, tiles: grown.tiles };
}

function foldOne(
  replay: Replay,
  fetched: FetchedEntry,
  voidCode: string | undefined,
): AuditFinding | undefined {
  const { index } = fetched;
  const { examination, ...counted } = examine(replay, fetched);
  try {
    const judgement = judge(replay, fetched, { examination, voidCode });
    if (judgement === undefined) return whyNotJudged(index, examination);
    if (judgement.violation !== undefined && voidCode === undefined) replay.unsaid += 1;
    replay.registers.note(judgement);
    count(replay, counted, examination);
    follow(replay, judgement, examination);
    return undefined;
  } catch (error) {
    if (!(error instanceof UnknownKind)) throw error;
    const message = `${error.message}: nothing after it was judged`;
    replay.unknown = { index, code: error.code, message };
    return replay.unknown;
  }
}

interface Counted {
  readonly isHour: boolean;
  /** Messages in its batch file, as far as that could be read. */
  readonly leaves: number;
}

/** What the evidence says: as a prover has found it, or by a look at the files. */
function examine(
  { state, check }: Replay,
  { records, files, asked }: FetchedEntry,
): Counted & { readonly examination: Examination } {
  if (asked?.shown !== undefined) {
    const { leaves, ...examination } = parseProof(asked.shown);
    return { isHour: true, leaves, examination };
  }
  if (files === undefined) return { isHour: false, leaves: 0, examination: {} };
  const examination = examineEvidence(state, files, { records, verify: check.verify });
  const isHour = files.kind === 'hour';
  const leaves = isHour && 'value' in files.batch ? files.batch.value.messages.length : 0;
  return { isHour, leaves, examination };
}

/** Undefined where nothing can be said: the rules allow the entry, and its evidence proves nothing. */
function judge(
  { state, context }: Replay,
  { data, entry, isWhole }: FetchedEntry,
  { examination, voidCode }: { examination: Examination; voidCode: string | undefined },
): Judgement | undefined {
  const { fault, unusable, consumptionWh } = examination;
  const options = {
    signatures: context.signatures === 'trust' ? 'trust' : 'verify',
    ...(entry !== undefined && { entry, isWhole }),
    consumptionWh,
  } as const;
  if (unusable === undefined) return advance(state, data, { ...options, evidence: fault });
  const { code, message, isWithheld } = unusable;
  if (context.evidence === 'reported') {
    return advance(state, data, {
      ...options,
      evidence: isWithheld ? undefined : { code, message },
    });
  }
  const pending = judgeNext(state, data, options);
  if (pending.violation !== undefined) return applyJudgement(state, pending);
  // The log itself says that there is no such evidence, and takes the entry back: else one entry
  // that names bytes which nobody has could stop it for ever (D3.3).
  if (voidCode === undefined || !mayBeUnusable(voidCode)) return undefined;
  return advance(state, data, { ...options, evidence: { code: voidCode, message } });
}

function whyNotJudged(index: number, { unusable }: Examination): AuditFinding {
  const { code = 'evidence', message = 'no evidence', isMissing = true } = unusable ?? {};
  if (isMissing) throw new Failed('evidence-missing', `entry ${index}: ${message}`);
  return { index, code, message };
}

function count(replay: Replay, { isHour, leaves }: Counted, { unusable }: Examination): void {
  if (!isHour) return;
  if (unusable?.isWithheld === true) {
    replay.withheld += 1;
    return;
  }
  replay.hours += 1;
  replay.leaves += leaves;
}

/** Receipt chains run through what the batch files show; what a void entry states counts for nothing. */
function follow(
  replay: Replay,
  { ref: { index }, entry, violation }: Judgement,
  { seen = [], stated = [] }: Examination,
): void {
  const { chains, refuted } = replay;
  for (const { kid, seq, hash } of seen) chains.see(kid, seq, hash);
  if (violation === undefined && entry !== undefined) {
    replay.newest = { index, time: entry.time };
    const place = hourOf(entry);
    for (const { kid, throughSeq, chain } of stated) {
      if (place !== undefined) chains.state({ ...place, index, kid, throughSeq, chain });
    }
  }
  for (const statement of chains.refuted()) {
    if (refuted.size < refutedLimit) refuted.set(statement.index, statement);
    else replay.refutedTooMany = true;
  }
}

/** Of an entry whose spec the rules have found to be that of an hour. */
function hourOf({ kind, spec }: Entry): { plant: string; start: number } | undefined {
  if (kind !== 'hour' && kind !== 'hour-correction') return undefined;
  const { plant, interval } = spec as { plant: string; interval: { start: number } };
  return { plant, start: interval.start };
}

/** Everything that is wrong with the log as folded and is not mended within it, by entry. */
export function findingsOf({ state, refuted, refutedTooMany, unknown }: Replay): AuditFinding[] {
  const found = [...unvoided(state), ...unmended(state, refuted)];
  if (unknown !== undefined) found.push(unknown);
  if (refutedTooMany) {
    const message = `more than ${refutedLimit} hours state wrong receipt chains`;
    found.push({ index: undefined, code: 'chain', message });
  }
  return inOrder(found);
}

export function inOrder(findings: readonly AuditFinding[]): AuditFinding[] {
  return findings.toSorted((a, b) => (a.index ?? -1) - (b.index ?? -1));
}

/** Entries that broke a rule without a `void` that says so. */
export function unvoided(state: LogState): AuditFinding[] {
  return [...state.violations].flatMap(([index, { voided, code, message }]) =>
    voided ? [] : [{ index, code, message }],
  );
}

/** Wrong receipt chains of hours that no correction has restated. */
function unmended(state: LogState, refuted: ReadonlyMap<number, ChainStatement>): AuditFinding[] {
  return [...refuted.values()].flatMap(({ index, plant, start, kid }) => {
    if (state.plants.get(plant)?.hours.get(start)?.ref.index !== index) return [];
    const message = `the receipt chain of ${kid} is not that of its messages`;
    return [{ index, code: 'chain', message }];
  });
}
