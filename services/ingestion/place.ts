import { equalBytes } from '#core/bytes.ts';
import { extendChain } from '#core/energy/receipt.ts';
import { isUsable, type KeptCode } from './decide.ts';

/** How far a key has come: the row of key_progress. */
export interface Head {
  /** Changes with every write; whoever writes must have read the last one. */
  readonly version: number;
  /** All of 1..throughSeq are stored; `chain` is the receipt chain there (D3.1). */
  readonly throughSeq: number;
  readonly chain: Uint8Array;
  /** The highest seq stored, and the last instant among its usable messages. */
  readonly maxSeq: number;
  readonly maxT: number;
}

/** A correctly signed message that would take its seq. */
export interface Candidate {
  readonly seq: number;
  /** SHA-256 of the signing input. */
  readonly hash: Uint8Array;
  readonly first: number;
  readonly last: number;
  readonly code: KeptCode | undefined;
}

/** What is stored at and around a seq that is not beyond `maxSeq`. */
export interface Around {
  /** Hash of the message stored under this seq, if any. */
  readonly hash: Uint8Array | undefined;
  /** Last instant of the nearest usable message below, first instant of the nearest above. */
  readonly beforeT: number | undefined;
  readonly afterT: number | undefined;
}

export interface Stored {
  readonly around: (seq: number) => Around;
  /** Hashes of stored messages by seq, from `throughSeq + 1` on, without a gap as far as they go. */
  readonly ahead: (seq: number) => Uint8Array | undefined;
}

export type Placed =
  | { readonly outcome: 'stored'; readonly code: KeptCode | undefined }
  | { readonly outcome: 'duplicate' }
  | { readonly outcome: 'fork' };

export interface Placement {
  readonly head: Head;
  /** One for each candidate, in their order. */
  readonly placed: readonly Placed[];
}

/** True when a candidate's verdict needs what the database holds, beyond the head. */
export function needsLookup(head: Head, { seq }: Pick<Candidate, 'seq'>): boolean {
  return seq <= head.maxSeq;
}

interface Taken {
  readonly hash: Uint8Array;
  readonly first: number;
  readonly last: number;
  readonly usable: boolean;
}

/**
 * Gives the messages of one key their places, in the order of arrival (D4.1): new, duplicate (the
 * same signing input again) or fork (another one under the same seq); `order` where t would fall as
 * seq grows. Then follows the chain as far as there is no gap. Pure: the same head, messages and
 * stored neighbours always give the same result.
 */
export function placeMessages(
  head: Head,
  candidates: readonly Candidate[],
  stored: Stored,
): Placement {
  const taken = new Map<number, Taken>();
  const placed: Placed[] = [];
  let { maxSeq, maxT } = head;
  for (const candidate of candidates) {
    const { seq, hash, first, last } = candidate;
    const around = needsLookup(head, candidate) ? stored.around(seq) : beyond(head);
    const standing = taken.get(seq)?.hash ?? around.hash;
    if (standing !== undefined) {
      placed.push({ outcome: equalBytes(standing, hash) ? 'duplicate' : 'fork' });
      continue;
    }
    const inOrder = seq > maxSeq ? first >= maxT : liesBetween(candidate, around, taken);
    const code = isUsable(candidate.code) && !inOrder ? 'order' : candidate.code;
    taken.set(seq, { hash, first, last, usable: isUsable(code) });
    if (isUsable(code)) maxT = Math.max(maxT, last);
    maxSeq = Math.max(maxSeq, seq);
    placed.push({ outcome: 'stored', code });
  }
  return { head: { ...follow(head, taken, stored), maxSeq, maxT }, placed };
}

function beyond({ maxT }: Head): Around {
  return { hash: undefined, beforeT: maxT, afterT: undefined };
}

/** Under one key t never falls as seq grows; equal times at the seam are fine (D3.1). */
function liesBetween(
  { seq, first, last }: Candidate,
  { beforeT, afterT }: Around,
  taken: ReadonlyMap<number, Taken>,
): boolean {
  if (first < (beforeT ?? first) || last > (afterT ?? last)) return false;
  for (const [otherSeq, other] of taken) {
    if (!other.usable) continue;
    if (otherSeq < seq ? first < other.last : last > other.first) return false;
  }
  return true;
}

function follow(
  { version, throughSeq, chain }: Head,
  taken: ReadonlyMap<number, Taken>,
  stored: Stored,
): Pick<Head, 'version' | 'throughSeq' | 'chain'> {
  let seq = throughSeq;
  let link = chain;
  for (;;) {
    const next = taken.get(seq + 1)?.hash ?? stored.ahead(seq + 1);
    if (next === undefined) return { version, throughSeq: seq, chain: link };
    link = extendChain(link, next);
    seq++;
  }
}
