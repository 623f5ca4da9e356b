import { equalBytes } from '#core/bytes.ts';
import { Failed, Refused } from '#core/errors.ts';
import {
  boundaryAt,
  isSameState,
  rootsAt,
  type Boundary,
  type SignedState,
} from './equivocation.ts';
import type { HashReader } from './proof.ts';

/**
 * The states that a log and its witnesses show to a monitor, which of them it must compare, and how two
 * relate. What follows is decided in monitor.ts.
 */

/** What a monitor remembers. Every state in it was signed by the log. */
export interface Memory {
  /** The largest state that the log showed with its quorum, and that extends every head before it. */
  readonly head: SignedState | undefined;
  /** Heads before it, ascending; thinned out as they become many. */
  readonly past: readonly SignedState[];
  /** Of these it is not known whether they are a part of the head's history. */
  readonly open: readonly SignedState[];
  /** The largest size that each witness has shown, by its name. */
  readonly witnesses: Readonly<Record<string, number>>;
}

export const emptyMemory: Memory = { head: undefined, past: [], open: [], witnesses: {} };

export const memoryLimits = { past: 64, open: 64 } as const;

export interface Seen {
  /** What the log shows; undefined when it shows nothing that can be read. */
  readonly shown: SignedState | undefined;
  /** What each witness that answered has cosigned last. */
  readonly cosigned: readonly { readonly witness: string; readonly state: SignedState }[];
  /** What witnesses say that the log signed beside that: it is only believed to be signed. */
  readonly told?: readonly SignedState[];
}

export interface Pair {
  readonly smaller: SignedState;
  /** Of a larger size, or of the same. */
  readonly larger: SignedState;
}

export type Relation =
  | { readonly result: 'consistent' }
  /** A boundary for two sizes; for equal ones the two say it all. */
  | { readonly result: 'contradiction'; readonly boundary: Boundary | undefined }
  /** It cannot be told, since the log does not show what would tell it. */
  | { readonly result: 'open'; readonly reason: string };

export interface RelatedPair extends Pair {
  readonly relation: Relation;
}

/** The two in the order of their sizes. */
export function pairOf(a: SignedState, b: SignedState): Pair {
  return a.size <= b.size ? { smaller: a, larger: b } : { smaller: b, larger: a };
}

export function isAmong(states: readonly SignedState[], state: SignedState): boolean {
  return states.some((one) => isSameState(one, state));
}

function unique(states: readonly SignedState[]): SignedState[] {
  return states.filter((state, i) => !isAmong(states.slice(0, i), state));
}

/** States that were not seen before, each once; what the log shows comes first. */
export function freshStates(
  { head, past, open }: Memory,
  { shown, cosigned, told = [] }: Seen,
): readonly SignedState[] {
  const first = shown === undefined ? [] : [shown];
  const seen = [...first, ...cosigned.map(({ state }) => state), ...told];
  const known = [...(head === undefined ? [] : [head]), ...past, ...open];
  return unique(seen).filter((state) => !isAmong(known, state));
}

/**
 * Which pairs to compare: what is new with everything that is open, and with the head; what is open
 * with the head, once more; and what is new and smaller than the head with the past heads beside it,
 * since a log that went back may not show any more what its head consisted of.
 */
export function pairsToCompare(memory: Memory, seen: Seen): readonly Pair[] {
  const { head, past, open } = memory;
  const fresh = freshStates(memory, seen);
  const pairs = fresh.flatMap((state, i) =>
    [...fresh.slice(0, i), ...open].map((other) => pairOf(state, other)),
  );
  if (head === undefined) return pairs;
  for (const state of [...fresh, ...open]) {
    pairs.push(pairOf(head, state));
    if (state.size >= head.size) continue;
    const below = past.findLast(({ size }) => size <= state.size);
    const above = past.find(({ size }) => size >= state.size);
    for (const other of new Set([below, above])) {
      if (other !== undefined) pairs.push(pairOf(other, state));
    }
  }
  return pairs;
}

/**
 * How two states relate, by the stored hashes that `readerOf` gives of a tree of the larger size.
 * Nothing that it reads is believed unless it leads to the larger one's signed root.
 */
export async function relate(
  { smaller, larger }: Pair,
  readerOf: (size: number) => HashReader,
): Promise<Relation> {
  if (smaller.size === larger.size) {
    const isSame = equalBytes(smaller.root, larger.root);
    return isSame ? { result: 'consistent' } : { result: 'contradiction', boundary: undefined };
  }
  if (smaller.size === 0) return { result: 'consistent' };
  const place = { size: smaller.size, total: larger.size };
  let boundary: Boundary;
  try {
    boundary = await boundaryAt(place, readerOf(larger.size));
  } catch (error) {
    if (error instanceof Failed || error instanceof Refused) {
      return { result: 'open', reason: error.message };
    }
    throw error;
  }
  const { inner, outer } = rootsAt(place, boundary);
  if (!equalBytes(outer, larger.root)) {
    return { result: 'open', reason: `the tiles do not lead to the root at size ${larger.size}` };
  }
  const isPart = equalBytes(inner, smaller.root);
  return isPart ? { result: 'consistent' } : { result: 'contradiction', boundary };
}
