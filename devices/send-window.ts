import type { SeqRange } from '#core/energy/receipt.ts';

/**
 * Which messages of a store are on their way. Pure bookkeeping over `seq`s: a message is unsent, in
 * flight, or acknowledged by the broker, until a receipt settles it. Nothing here survives a crash;
 * after one, everything unsettled is unsent again.
 *
 * A connection begins with one message in flight, and each acknowledgement allows one more, up to the
 * limit: what kills the connection again and again is then found alone, not with a windowful of
 * others that never get their acknowledgement.
 */
export interface SendWindow {
  /** Takes the lowest unsent `seq` up to `lastSeq` that may be sent, if the window has room for it. */
  readonly take: (lastSeq: number, maySend: (seq: number) => boolean) => number | undefined;
  readonly acknowledged: (seq: number) => void;
  /**
   * The connection is gone. What was in flight is unsent again; so is the newest acknowledged
   * message, because the receipt for it may be lost with the connection: sending it once more makes
   * the other side say again what it has.
   */
  readonly lost: () => void;
  /** Makes the newest acknowledged message unsent, to ask for a receipt. False when there is none. */
  readonly probe: () => boolean;
  /** Marks acknowledged messages as unsent: the other side says that it does not have them. */
  readonly resend: (ranges: readonly SeqRange[]) => void;
  /** Forgets everything up to `throughSeq`. */
  readonly settled: (throughSeq: number) => void;
  /** Starts over at `seq`, when what was put aside is to be sent after all. */
  readonly rewind: (seq: number) => void;
  readonly inFlight: () => number;
  /** Whether everything sendable up to `lastSeq` is acknowledged. */
  readonly isQuiet: (lastSeq: number, maySend: (seq: number) => boolean) => boolean;
}

export function createSendWindow(limit: number, throughSeq: number): SendWindow {
  if (!Number.isSafeInteger(limit) || limit < 1) throw new RangeError(`limit: ${limit}`);
  const flying = new Set<number>();
  const acknowledged = new Set<number>();
  let cursor = throughSeq + 1;
  let allowed = 1;

  return {
    take,
    acknowledged(seq) {
      if (!flying.delete(seq)) return;
      acknowledged.add(seq);
      allowed = Math.min(limit, allowed + 1);
    },
    lost() {
      for (const seq of flying) cursor = Math.min(cursor, seq);
      flying.clear();
      allowed = 1;
      probe();
    },
    probe,
    resend,
    settled,
    rewind(seq) {
      cursor = Math.min(cursor, seq);
    },
    inFlight: () => flying.size,
    isQuiet: (lastSeq, maySend) => flying.size === 0 && nextUnsent(lastSeq, maySend) === undefined,
  };

  function take(lastSeq: number, maySend: (seq: number) => boolean): number | undefined {
    if (flying.size >= allowed) return undefined;
    const seq = nextUnsent(lastSeq, maySend);
    if (seq === undefined) return undefined;
    cursor = seq + 1;
    flying.add(seq);
    return seq;
  }

  function nextUnsent(lastSeq: number, maySend: (seq: number) => boolean): number | undefined {
    for (let seq = cursor; seq <= lastSeq; seq++) {
      if (!flying.has(seq) && !acknowledged.has(seq) && maySend(seq)) return seq;
    }
    return undefined;
  }

  function probe(): boolean {
    if (acknowledged.size === 0) return false;
    const newest = highest(acknowledged);
    acknowledged.delete(newest);
    cursor = Math.min(cursor, newest);
    return true;
  }

  function resend(ranges: readonly SeqRange[]): void {
    for (const seq of acknowledged) {
      if (!ranges.some(({ from, to }) => seq >= from && seq <= to)) continue;
      acknowledged.delete(seq);
      cursor = Math.min(cursor, seq);
    }
  }

  function settled(through: number): void {
    for (const seq of flying) if (seq <= through) flying.delete(seq);
    for (const seq of acknowledged) if (seq <= through) acknowledged.delete(seq);
    cursor = Math.max(cursor, through + 1);
  }
}

function highest(seqs: ReadonlySet<number>): number {
  let most = 0;
  for (const seq of seqs) most = Math.max(most, seq);
  return most;
}
