import { sha256 } from '#crypto';
import { equalBytes, fromHex, toHex } from '../../bytes.ts';
import { batchPath, parseBatchFile, parseMessageLeaf } from '../../energy/batch.ts';
import { parseFramed } from '../../energy/evidence-file.ts';
import { requireRegistered } from '../../energy/signed.ts';
import { Refused } from '../../errors.ts';
import { verifyJws, type Jws } from '../../jws.ts';
import type { PublicKey } from '../../keys.ts';
import { leafHash, treeRoot } from '../../tlog/tree.ts';
import { commitmentOf, parseOpening, privateBatchPath } from '../commitment.ts';
import type { Opening } from '../commitment.ts';
import type { Entry } from '../entry.ts';
import { examineHour, openBatch, type HourSpec, type OpenBatch } from './evidence.ts';
import { specOf, type SpecOf } from '../kinds.ts';
import type { LeafParser } from './leaf-memory.ts';
import { judgeStateEvidence } from '../rules/state.ts';
import type { HourRegister, LogState } from '../state/state.ts';

/**
 * What an auditor reads beside an entry, and what that says of it. Only bytes that an entry's own
 * hashes name may say that it is wrong. Everything else (a file that is not there, or another one in
 * its place) says nothing of the entry: whoever serves it may have changed it, for this reader alone.
 */

/** How an auditor verifies the meters' signatures. The verdicts are those of `verifyJws`. */
export interface SignatureCheck {
  /**
   * Verifies ahead of time, off the event loop where that is possible, those whose key `keyOf` knows
   * by now. Resolves when it is done.
   */
  readonly ahead: (
    messages: readonly Jws[],
    keyOf: (kid: string) => PublicKey | undefined,
  ) => Promise<void>;
  /** As `verifyJws`, which it asks itself for what was not verified ahead. */
  readonly verify: (jws: Jws, key: PublicKey) => void;
}

/** On the spot, by `verifyJws` alone. */
export const plainSignatureCheck: SignatureCheck = {
  ahead: () => Promise.resolve(),
  verify: verifyJws,
};

export interface Fault {
  readonly code: string;
  readonly message: string;
}

/** Evidence that is not there, or is not what the entry names. `code` is what a `void` may say of it. */
export interface Unusable extends Fault {
  readonly isMissing: boolean;
  /** Not public (D3.3, committed sites): whoever may not read it cannot judge the hour. */
  readonly isWithheld: boolean;
}

type Opened<T> =
  { readonly value: T } | { readonly fault: Fault } | { readonly unusable: Unusable };

/** What an entry needs read, by what it names. */
export type EvidenceSpec =
  | { readonly kind: 'hour'; readonly spec: HourSpec }
  | { readonly kind: 'fork'; readonly spec: SpecOf<'fork'> }
  | { readonly kind: 'state'; readonly spec: SpecOf<'state'> };

interface HourFiles {
  readonly kind: 'hour';
  readonly spec: HourSpec;
  readonly batch: Opened<OpenBatch>;
  /** Of a committed hour alone. */
  readonly opening: Opened<Opening> | undefined;
}

interface ForkFiles {
  readonly kind: 'fork';
  readonly spec: SpecOf<'fork'>;
  readonly messages: Opened<readonly ForkMessage[]>;
}

/** The files of an entry, parsed as far as that needs no state. A `state` rests on the log alone. */
export type EvidenceFiles = HourFiles | ForkFiles | Extract<EvidenceSpec, { kind: 'state' }>;

type ForkMessage = ReturnType<typeof parseMessageLeaf>['parsed'];

/** A message that a file shows, for the receipt chain of its key. */
export interface SeenMessage {
  readonly kid: string;
  readonly seq: number;
  /** Lowercase hex. */
  readonly hash: string;
}

export interface Examination {
  /** What the evidence proves to be wrong with the entry: one that its rules allow is void by it. */
  readonly fault?: Fault;
  readonly unusable?: Unusable;
  readonly seen?: readonly SeenMessage[];
  /** What a committed hour's opening says that its site took, Wh. */
  readonly consumptionWh?: number | undefined;
  /** The receipt chains that the entry's meter records state. */
  readonly stated?: readonly { kid: string; throughSeq: number; chain: string }[];
}

/** Codes that a `void` may give where the evidence that its entry names does not exist. */
const unusableCodes: ReadonlySet<string> = new Set(['batch', 'records', 'commitment', 'evidence']);

export function mayBeUnusable(code: string): boolean {
  return unusableCodes.has(code);
}

/** What an entry needs read; undefined where nothing, or where its form is wrong, as the fold says. */
export function evidenceSpecOf(
  entry: Pick<Entry, 'kind' | 'spec'> | undefined,
): EvidenceSpec | undefined {
  try {
    switch (entry?.kind) {
      case 'hour':
        return { kind: 'hour', spec: specOf.hour.parse(entry.spec, 'spec') };
      case 'hour-correction':
        return { kind: 'hour', spec: specOf['hour-correction'].parse(entry.spec, 'spec') };
      case 'fork':
        return { kind: 'fork', spec: specOf.fork.parse(entry.spec, 'spec') };
      case 'state':
        return { kind: 'state', spec: specOf.state.parse(entry.spec, 'spec') };
      default:
        return undefined;
    }
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return undefined;
  }
}

/**
 * What the evidence says of an entry; the one place that says so for each kind that has any. `state`
 * is that before the entry, `records` are those that the log serves beside it.
 */
export function examineEvidence(
  state: LogState,
  files: EvidenceFiles,
  { records, verify }: { records: readonly Uint8Array[]; verify: typeof verifyJws },
): Examination {
  switch (files.kind) {
    case 'hour':
      return examineHourFiles(state, files, { records, verify });
    case 'fork':
      return examineFork(state, files);
    case 'state': {
      const fault = judgeStateEvidence(state, files.spec);
      return fault === undefined ? {} : { fault };
    }
  }
}

/** By what of the state an hour is judged by, which another thread may have been given. */
export function examineHourFiles(
  state: HourRegister,
  { spec, batch, opening }: HourFiles,
  { records, verify }: { records: readonly Uint8Array[]; verify: typeof verifyJws },
): Examination {
  if (!('value' in batch)) return batch;
  if (opening !== undefined && !('value' in opening)) return opening;
  const shown = opening?.value.records ?? records;
  try {
    const parsed = examineHour(state, spec, {
      batch: batch.value,
      records: shown,
      opening: opening?.value,
      verify,
    });
    const { messages, file } = batch.value;
    return {
      seen: [
        ...messages.map(({ kid, seq, parsed: { hash } }) => ({ kid, seq, hash: toHex(hash) })),
        ...file.quarantined,
      ],
      stated: parsed.flatMap(({ keys }) => keys),
      consumptionWh: opening?.value.opening.consumption,
    };
  } catch (error) {
    const fault = faultIn(error);
    const areNamed = equalBytes(treeRoot(shown.map(leafHash)), fromHex(spec.metersRoot));
    return fault.code === 'records' && !areNamed ? garbled(fault.code, fault.message) : { fault };
  }
}

/** Two messages of the key under one seq, both signed, not the same; the one that counts comes first. */
function examineFork(state: LogState, { spec: { kid, seq }, messages }: ForkFiles): Examination {
  if (!('value' in messages)) return messages;
  const [one, two] = messages.value;
  const key = state.keys.get(kid);
  try {
    if (one === undefined || two === undefined || key === undefined) {
      throw new Refused('evidence', 'not two messages of a key that the log names');
    }
    if (equalBytes(one.hash, two.hash)) throw new Refused('evidence', 'the same message twice');
    for (const parsed of messages.value) {
      const { message, jws } = parsed;
      if (message.seq !== seq) throw new Refused('evidence', 'a message with another seq');
      requireRegistered(parsed, key.spec, state.genesis?.origin);
      verifyJws(jws, key.key);
    }
    // A decision may keep the second: the chain still runs over the first.
    return { seen: [{ kid, seq, hash: toHex(one.hash) }] };
  } catch (error) {
    return { fault: { code: 'evidence', message: faultIn(error).message } };
  }
}

/** Opens a batch file. Only a file with the root that the entry names says something of the entry. */
export function openBatchFile(
  bytes: Uint8Array,
  batchRoot: string,
  parseLeaf?: LeafParser,
): Opened<OpenBatch> {
  try {
    const batch = openBatch(bytes, parseLeaf);
    const root = toHex(batch.root);
    return root === batchRoot ? { value: batch } : garbled('batch', `it has the root ${root}`);
  } catch (error) {
    const fault = faultIn(error);
    return hasRoot(bytes, batchRoot) ? { fault } : garbled('batch', fault.message);
  }
}

/** True of a file whose leaves are those that the entry names, whatever is wrong with them. */
function hasRoot(bytes: Uint8Array, batchRoot: string): boolean {
  try {
    return toHex(treeRoot(parseBatchFile(bytes).leaves.map(leafHash))) === batchRoot;
  } catch (error) {
    faultIn(error);
    return false;
  }
}

export function openOpening(bytes: Uint8Array, commitment: string): Opened<Opening> {
  try {
    const value = parseOpening(bytes);
    const fits = toHex(commitmentOf(value.salt, value.opening)) === commitment;
    return fits ? { value } : garbled('commitment', 'the opening does not fit the commitment');
  } catch (error) {
    return garbled('commitment', faultIn(error).message);
  }
}

export function openForkFile(bytes: Uint8Array, evidence: string): Opened<readonly ForkMessage[]> {
  if (toHex(sha256(bytes)) !== evidence) return garbled('evidence', 'it has another hash');
  try {
    return { value: parseFramed(bytes, 2).map((leaf) => parseMessageLeaf(leaf).parsed) };
  } catch (error) {
    return { fault: { code: 'evidence', message: faultIn(error).message } };
  }
}

export function missing(
  code: string,
  path: string,
  { isWithheld = false }: { isWithheld?: boolean } = {},
): { readonly unusable: Unusable } {
  return { unusable: { code, message: `${path} is missing`, isMissing: true, isWithheld } };
}

function garbled(code: string, message: string): { readonly unusable: Unusable } {
  return { unusable: { code, message, isMissing: false, isWithheld: false } };
}

function faultIn(error: unknown): Fault {
  if (!(error instanceof Refused)) throw error;
  return { code: error.code, message: error.message };
}

/** Where the batch file of an hour is served. */
export function batchPathOf(spec: HourSpec): string {
  return 'commitment' in spec ? privateBatchPath(spec.batchRoot) : batchPath(spec.batchRoot);
}
