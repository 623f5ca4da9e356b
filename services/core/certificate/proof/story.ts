import { fromBase64, toHex } from '../../bytes.ts';
import { Refused } from '../../errors.ts';
import { parseVkey, type VerifierKey } from '../../tlog/note.ts';
import { leafHash } from '../../tlog/tree.ts';
import { parseEntry, type Entry } from '../entry.ts';
import { advance, type Judgement } from '../fold.ts';
import { specOf, type SpecOf } from '../kinds.ts';
import type { Proof } from './proof.ts';
import { emptyState, type LogState } from '../state/state.ts';

/** An entry of a proof file, parsed as far as everything needs it. */
export interface ToldEntry {
  readonly index: number;
  readonly data: Uint8Array;
  /** Parses its envelope, once for all who ask. Throws Refused. */
  readonly entry: () => Entry;
  readonly path: readonly string[];
  readonly leafHash: Uint8Array;
}

export type SealedHour =
  | { readonly kind: 'hour'; readonly spec: OpenHour }
  | { readonly kind: 'hour-correction'; readonly spec: OpenCorrection };
type OpenHour = Extract<SpecOf<'hour'>, { certificates: object }>;
type OpenCorrection = Extract<SpecOf<'hour-correction'>, { certificates: object }>;

/** The entries of a proof file as bytes and hashes. Throws Refused when they are not even that. */
export function openEntries(proof: Proof): readonly ToldEntry[] {
  return proof.entries.map(({ index, data, path }) => {
    const bytes = fromBase64(data);
    let entry: Entry | undefined;
    return {
      index,
      data: bytes,
      entry: () => (entry ??= parseEntry(bytes)),
      path,
      leafHash: leafHash(bytes),
    };
  });
}

/** The `genesis` that a proof file brings along. It proves itself by its place in the log. */
export function openGenesis(entries: readonly ToldEntry[]): SpecOf<'genesis'> {
  const first = entries[0];
  if (first?.index !== 0) throw new Refused('genesis', 'the genesis of the log is missing');
  const entry = first.entry();
  if (entry.kind !== 'genesis') throw new Refused('genesis', 'entry 0 is not a genesis');
  return specOf.genesis.parse(entry.spec, 'spec');
}

/** The checkpoint keys that genesis and `log-key` entries name, the newest last. */
export function openLogKeys(first: string, entries: readonly ToldEntry[]): readonly VerifierKey[] {
  const later = entries.flatMap(({ entry }) => {
    const { kind, spec } = entry();
    return kind === 'log-key' ? [specOf['log-key'].parse(spec, 'spec').logKey] : [];
  });
  return [first, ...later].map(parseVkey);
}

/** The entry that issued the bundle. Committed hours issue nothing, so it is an open one. */
export function openIssuingHour(proof: Proof, entries: readonly ToldEntry[]): SealedHour {
  const found = entries.find(({ index }) => index === proof.hour);
  if (found === undefined) throw new Refused('hour', `entry ${proof.hour} is missing`);
  return openIssuingEntry(found);
}

/** An `hour` or `hour-correction` whose energy is public. Refused('hour') for any other entry. */
export function openIssuingEntry({ index, entry }: Pick<ToldEntry, 'index' | 'entry'>): SealedHour {
  const { kind, spec: given } = entry();
  if (kind === 'hour') {
    const spec = specOf.hour.parse(given, 'spec');
    if ('certificates' in spec) return { kind, spec };
  } else if (kind === 'hour-correction') {
    const spec = specOf['hour-correction'].parse(given, 'spec');
    if ('certificates' in spec) return { kind, spec };
  }
  throw new Refused('hour', `entry ${index} issues no certificates`);
}

/**
 * The state of the log as far as a proof file tells it, folded in two parts: up to the entry that
 * issued the bundle, which the evidence is judged by, and to the end.
 */
export interface Story {
  readonly state: LogState;
  readonly judgements: readonly Judgement[];
  /** Folds the rest, from the issuing entry on, and returns all judgements. Call it once. */
  readonly finish: () => readonly Judgement[];
}

export function tellStory(proof: Proof, entries: readonly ToldEntry[]): Story {
  const state = emptyState({ partial: true });
  const voided = namedVoid(entries);
  const fold = ({ index, data, entry }: ToldEntry): Judgement =>
    advance(state, data, { index, entry: entry(), evidence: voided.get(index) });
  const judgements = entries.filter(({ index }) => index < proof.hour).map(fold);
  return {
    state,
    judgements,
    finish: () => [...judgements, ...entries.filter(({ index }) => index >= proof.hour).map(fold)],
  };
}

/** Entries of the file that a later entry of the file declares void. */
function namedVoid(
  entries: readonly ToldEntry[],
): ReadonlyMap<number, { code: string; message: string }> {
  const hashes = new Map(entries.map((entry) => [entry.index, toHex(entry.leafHash)]));
  const found = new Map<number, { code: string; message: string }>();
  for (const { index: by, entry } of entries) {
    const { kind, spec } = entry();
    if (kind !== 'void') continue;
    const { index, leafHash: hash, code } = specOf.void.parse(spec, 'spec');
    if (index < by && hashes.get(index) === hash)
      found.set(index, { code, message: `void by entry ${by}` });
  }
  return found;
}
