import { fromHex, toHex } from '../../bytes.ts';
import { emptyChain, extendChain } from '../../energy/receipt.ts';

/**
 * What a statement about a receipt chain (D3.1), "the messages 1 to n of a key have this chain", says of
 * the first few of these messages: a chain hashes the one before, so it takes the hashes in between.
 */
export interface ChainStated {
  readonly throughSeq: number;
  /** Lowercase hex. */
  readonly chain: string;
}

/** The chain at a lower number, and the hashes that lead from there to what was stated. */
export interface Opened {
  readonly chain: Uint8Array;
  readonly hashes: readonly Uint8Array[];
}

/** Chains of one key over the messages that somebody shows. */
export interface ShownChains {
  /** Undefined where the messages shown do not lead to what is stated, or leave a gap above `seq`. */
  readonly open: (stated: ChainStated, seq: number) => Opened | undefined;
}

/**
 * Chains over messages by `seq`, hashes in lowercase hex. Where one is not shown, the chain goes on from
 * what one of `known` states, if any does.
 */
export function chainsOver(
  hashes: ReadonlyMap<number, string>,
  known: readonly ChainStated[] = [],
): ShownChains {
  const bases = new Map(known.map(({ throughSeq, chain }) => [throughSeq, chain]));
  /** By seq: the chain, and from which number on it is without a gap. */
  const chains = new Map<number, { readonly chain: Uint8Array; readonly from: number }>();
  chains.set(0, { chain: emptyChain, from: 0 });
  const places = [...new Set([...hashes.keys(), ...bases.keys()])].sort((a, b) => a - b);
  for (const seq of places) {
    const before = chains.get(seq - 1);
    const hash = hashes.get(seq);
    const base = bases.get(seq);
    if (before !== undefined && hash !== undefined) {
      chains.set(seq, { chain: extendChain(before.chain, fromHex(hash)), from: before.from });
    } else if (base !== undefined && seq > 0) {
      chains.set(seq, { chain: fromHex(base), from: seq });
    }
  }
  return {
    open({ throughSeq, chain }, seq) {
      const high = chains.get(throughSeq);
      const low = chains.get(seq);
      if (high === undefined || low === undefined || seq > throughSeq) return undefined;
      if (toHex(high.chain) !== chain || high.from > seq) return undefined;
      const between = Array.from({ length: throughSeq - seq }, (_, i) => hashes.get(seq + 1 + i));
      return {
        chain: low.chain,
        hashes: between.flatMap((hash) => (hash === undefined ? [] : [fromHex(hash)])),
      };
    },
  };
}

/** How a receipt and a record of the log relate; `seq` is the lower of what they speak of. */
export interface Compared {
  readonly seq: number;
  readonly agree: boolean;
  /** Of the one that speaks of more. */
  readonly opened: Opened | undefined;
}

/** Undefined where neither source opens the one that speaks of more. */
export function compareStated(
  receipt: ChainStated,
  record: ChainStated,
  sources: readonly ShownChains[],
): Compared | undefined {
  const [lower, higher] =
    receipt.throughSeq <= record.throughSeq ? [receipt, record] : [record, receipt];
  const seq = lower.throughSeq;
  if (seq === higher.throughSeq) {
    return { seq, agree: lower.chain === higher.chain, opened: undefined };
  }
  for (const { open } of sources) {
    const opened = open(higher, seq);
    if (opened !== undefined) return { seq, agree: toHex(opened.chain) === lower.chain, opened };
  }
  return undefined;
}
