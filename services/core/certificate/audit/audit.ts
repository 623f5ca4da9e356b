import { sha256 } from '#crypto';
import { concat, equalBytes, utf8 } from '../../bytes.ts';
import { Refused } from '../../errors.ts';
import type { Checkpoint } from '../../tlog/checkpoint.ts';
import { tileWidth } from '../../tlog/tile.ts';
import { growTileEdge, rootOfEdge } from '../../tlog/tile-edge.ts';
import { leafHash } from '../../tlog/tree.ts';
import type { SignatureCheck } from './audit-evidence.ts';
import type { LogRead } from './audit-files.ts';
import { bundlesAhead, chooseProver, createReplay } from './audit-open.ts';
import { keepReplay, keepReplayIfDue } from './audit-open.ts';
import { concurrentReads, entryOf, fetchEntries, verifyAhead } from './audit-fetch.ts';
import {
  findingsOf,
  foldEntries,
  inOrder,
  type AuditFinding,
  type Replay,
} from './audit-replay.ts';
import type { HourProver } from './hour-proof.ts';
import { readAhead } from './read-ahead.ts';
import { specOf } from '../kinds.ts';
import type { LogState } from '../state/state.ts';
import type { StateStore } from '../state/state-store.ts';

/**
 * Judges a growing log, checkpoint after checkpoint, as an auditing witness does before it cosigns
 * (D3.4): every violation below the size, and nothing else, has its `void` below it.
 *
 * Nothing is folded that is not in a signed tree: the served entries must first lead to the root of
 * the checkpoint. So whoever serves files can keep an auditor from judging, and cannot mislead it; once
 * the right files are served, it goes on where it stood. One call at a time.
 */
export interface Auditor {
  /**
   * Folds what it has not yet folded of the log that `checkpoint`, which the log signed, is of. Returns
   * what keeps it from all of it. Failed('evidence-missing'), or as `read`: it may pass later.
   */
  readonly advance: (
    checkpoint: Checkpoint,
  ) => AsyncGenerator<AuditProgress, AuditFinding | undefined>;
  /**
   * Advances and says why the checkpoint must not be cosigned; empty when it may be. Rejects as
   * `advance`, and with the signal's reason; whatever it says, it can be asked again.
   */
  readonly judge: (checkpoint: Checkpoint, options?: JudgeOptions) => Promise<AuditFinding[]>;
  /** Verifies leaves of hours that are not sealed yet (D3.2), as `EvidenceReader.ahead`. */
  readonly ahead: (leaves: readonly Uint8Array[]) => Promise<void>;
  /** Keeps what it has learnt for the next auditor of this store. Failed('state-store'). */
  readonly keep: () => Promise<void>;
  /** Of the entries that are folded. Do not change it. */
  readonly state: LogState;
  readonly report: () => AuditProgress & { readonly openChains: number };
}

export interface JudgeOptions {
  /** The auditor's own clock; without one it does not ask how far ahead entries are. */
  readonly nowS?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: AuditProgress) => void;
}

export interface AuditProgress {
  /** Entries that are folded, of `size` that are to be. */
  readonly entries: number;
  readonly size: number;
  /** Hours whose evidence was judged, and the messages in it. */
  readonly hours: number;
  readonly leaves: number;
}

export interface AuditorContext {
  readonly read: LogRead;
  readonly signatures: SignatureCheck;
  /** Judges the evidence of hours elsewhere, by the same signatures as `signatures`. */
  readonly prover?: HourProver | undefined;
  /** Of entries that are kept between hashing and folding; more are read a second time. */
  readonly keptLimitBytes?: number;
  /** Entries that broke a rule, or say so of others, that are remembered of one log. */
  readonly brokenLimit?: number;
  /** Of this log and auditor alone; by default nothing outlives the auditor. */
  readonly store?: StateStore | undefined;
}

/** Witnesses refuse entries that are further ahead of their own clock (D3.3). */
export const aheadLimitS = 60;
export const defaultKeptLimitBytes = 16 * 1024 * 1024;
/** An honest log has a handful. Each takes some hundred bytes, and an entry that is none takes three. */
export const defaultBrokenLimit = 100_000;

export function createAuditor({
  read,
  signatures,
  prover,
  keptLimitBytes = defaultKeptLimitBytes,
  brokenLimit = defaultBrokenLimit,
  store,
}: AuditorContext): Auditor {
  const replay = createReplay({ read, signatures, prover, evidence: 'required', store });
  const { state } = replay;
  let size = 0;

  const progress = (): AuditProgress => {
    const { hours, leaves } = replay;
    return { entries: state.size, size, hours, leaves };
  };

  const advance: Auditor['advance'] = async function* (checkpoint) {
    size = checkpoint.size;
    if (replay.unknown !== undefined) return replay.unknown;
    if (size < state.size) {
      const message = `all up to ${state.size} is judged; ask for that size or a larger one`;
      return { index: undefined, code: 'audit-size', message };
    }
    chooseProver(replay, size - state.size);
    const growth = yield* growthTo(replay, checkpoint, { progress, keptLimitBytes, brokenLimit });
    if (!('parts' in growth)) return growth;
    return yield* foldGrowth(replay, growth, { progress, brokenLimit });
  };

  return {
    state,
    advance,
    async judge(checkpoint, { nowS, signal, onProgress } = {}) {
      const steps = advance(checkpoint);
      let step = await steps.next();
      while (step.done !== true) {
        onProgress?.(step.value);
        signal?.throwIfAborted();
        step = await steps.next();
      }
      const findings = findingsOf(replay);
      const stop = step.value;
      if (stop !== undefined && stop !== replay.unknown) findings.push(stop);
      const ahead = nowS === undefined ? undefined : aheadOf(replay, nowS);
      if (ahead !== undefined) findings.push(ahead);
      if (state.genesis !== undefined && state.genesis.origin !== checkpoint.origin) {
        const message = `the checkpoint is of ${checkpoint.origin}`;
        findings.push({ index: 0, code: 'origin', message });
      }
      return inOrder(findings);
    },
    ahead: (leaves) => verifyAhead({ ...replay, prover }, leaves),
    keep: () => keepReplay(replay),
    report: () => ({ ...progress(), openChains: replay.chains.open() }),
  };
}

/** Time never decreases among entries that count, so the newest one says it for all. */
function aheadOf({ newest: { index, time } }: Replay, nowS: number): AuditFinding | undefined {
  if (time <= nowS + aheadLimitS) return undefined;
  return { index, code: 'time-ahead', message: `its time is ${time - nowS} s ahead of this clock` };
}

/** The entries between the state and a checkpoint, known to lead to its root. */
interface Growth {
  readonly size: number;
  /** One for each bundle that they lie in. */
  readonly parts: readonly GrowthPart[];
  readonly voids: ReadonlyMap<number, string>;
}

interface GrowthPart {
  readonly first: number;
  /** Undefined where it was too much to be kept; then they are read again, and must have this hash. */
  readonly entries: readonly Uint8Array[] | undefined;
  readonly hash: Uint8Array;
}

/** Reads and hashes the entries, and folds none; a finding where they lead to another root. */
async function* growthTo(
  { state, edge: from, files }: Replay,
  { size, root }: Checkpoint,
  {
    progress,
    keptLimitBytes,
    brokenLimit,
  }: { progress: () => AuditProgress; keptLimitBytes: number; brokenLimit: number },
): AsyncGenerator<AuditProgress, Growth | AuditFinding> {
  const parts: GrowthPart[] = [];
  const voids = new Map<number, string>();
  let edge = from;
  let keptBytes = 0;
  try {
    for (const page of pagesOfParts(from.size, size)) {
      const read = page.map((first) => entriesFrom(files, first, size));
      for (const [i, entries] of (await Promise.all(read)).entries()) {
        const leaves = entries.map(leafHash);
        ({ edge } = growTileEdge(edge, leaves));
        for (const data of entries) noteVoid(voids, data, state.size);
        const bytes = entries.reduce((sum, { length }) => sum + length, 0);
        const isKept = keptBytes + bytes <= keptLimitBytes;
        if (isKept) keptBytes += bytes;
        const hash = sha256(concat(...leaves));
        parts.push({ first: page[i] ?? 0, entries: isKept ? entries : undefined, hash });
      }
      if (voids.size > brokenLimit) return tooManyBroken(brokenLimit);
      yield progress();
    }
  } catch (error) {
    return findingIn(error);
  }
  if (equalBytes(rootOfEdge(edge), root)) return { size, parts, voids };
  const message = `the served entries do not lead to the root of the checkpoint of ${size}`;
  return { index: undefined, code: 'root', message };
}

/** The first entries of the parts of [from, size), one part a bundle, as many as are read at a time. */
function* pagesOfParts(from: number, size: number): Generator<number[]> {
  let page: number[] = [];
  for (let first = from; first < size;) {
    page.push(first);
    first = (Math.floor(first / tileWidth) + 1) * tileWidth;
    if (page.length < concurrentReads && first < size) continue;
    yield page;
    page = [];
  }
}

/** Those of one bundle from `first` on. */
async function entriesFrom(
  files: Replay['files'],
  first: number,
  size: number,
): Promise<readonly Uint8Array[]> {
  const bundle = Math.floor(first / tileWidth);
  return (await files.entries(bundle, size)).slice(first - bundle * tileWidth);
}

function noteVoid(voids: Map<number, string>, data: Uint8Array, from: number): void {
  const entry = mayBeVoid(data) ? entryOf(data) : undefined;
  if (entry?.kind !== 'void') return;
  try {
    const { index, code } = specOf.void.parse(entry.spec);
    if (index >= from && !voids.has(index)) voids.set(index, code);
  } catch (error) {
    // One that cannot be parsed voids nothing; the fold finds it.
    if (!(error instanceof Refused)) throw error;
  }
}

const voidMark = utf8('void"');

/** In its JCS form, which has no second spelling of a letter, the kind of a `void` stands as it is. */
function mayBeVoid(data: Uint8Array): boolean {
  const [first = 0] = voidMark;
  for (let at = data.indexOf(first); at >= 0; at = data.indexOf(first, at + 1)) {
    if (voidMark.every((byte, i) => data[at + i] === byte)) return true;
  }
  return false;
}

async function* foldGrowth(
  replay: Replay,
  growth: Growth,
  { progress, brokenLimit }: { progress: () => AuditProgress; brokenLimit: number },
): AsyncGenerator<AuditProgress, AuditFinding | undefined> {
  const { parts, size, voids } = growth;
  const fetch = async ({ first, entries: kept, hash }: GrowthPart) => {
    const entries = kept ?? (await entriesFrom(replay.files, first, size));
    if (kept === undefined && !equalBytes(sha256(concat(...entries.map(leafHash))), hash)) {
      throw new Refused('root', `the served entries from ${first} on have changed meanwhile`);
    }
    return fetchEntries(replay, entries, { first, size });
  };
  try {
    // The next parts are read, and what can be judged of them is, while this one is folded.
    for await (const fetched of readAhead(parts, bundlesAhead(replay), fetch)) {
      if (replay.unsaid > brokenLimit) return tooManyBroken(brokenLimit);
      const { stop } = await foldEntries(replay, fetched, voids);
      if (stop !== undefined) return stop;
      await keepReplayIfDue(replay);
      yield progress();
    }
    return undefined;
  } catch (error) {
    return findingIn(error);
  }
}

/** It will not be cosigned anyway, and to remember them all is what such a log may be made for. */
function tooManyBroken(limit: number): AuditFinding {
  const message = `more than ${limit} entries that broke a rule: the rest was not judged`;
  return { index: undefined, code: 'void', message };
}

function findingIn(error: unknown): AuditFinding {
  if (!(error instanceof Refused)) throw error;
  return { index: undefined, code: error.code, message: error.message };
}
