import { equalBytes, fromHex, toHex, utf8 } from '#core/bytes.ts';
import { Failed, Fatal, Refused } from '#core/errors.ts';
import { parseMessage } from '#core/energy/message.ts';
import type { Receipt, SeqRange } from '#core/energy/receipt.ts';
import {
  apply,
  chainThrough,
  emptyContents,
  snapshot,
  type Contents,
  type StoredMessage,
  type StoreOwner,
} from './store-contents.ts';
import type { KeptReceipt, StoreJournal, StoreRecord } from './store-journal.ts';

export interface StoreLimits {
  /** How long an unacknowledged message is kept (D4.1: 45 days). */
  readonly keepS: number;
  readonly countLimit: number;
  readonly sizeLimitBytes: number;
}

export const defaultStoreLimits: StoreLimits = {
  keepS: 45 * 86400,
  countLimit: 100_000,
  sizeLimitBytes: 64 * 1024 * 1024,
};

export interface StoreState {
  readonly meter: string;
  readonly kid: string;
  /** 0 before the first message. */
  readonly lastSeq: number;
  /** Of the last reading ever stored, -1 before the first. */
  readonly lastT: number;
  /** Everything up to here is durable elsewhere, or was given up for its age. */
  readonly throughSeq: number;
  readonly count: number;
  readonly sizeBytes: number;
  /** The `seq`s that are put aside because the other side refused them, with its reasons. */
  readonly aside: ReadonlyMap<number, string>;
}

export type ReceiptOutcome =
  | { readonly kind: 'stale' }
  | { readonly kind: 'kept'; readonly dropped: number; readonly resend: readonly SeqRange[] };

/**
 * A gateway's messages of one key. Every change is in the journal before it is visible here: a
 * promise that resolves means "survives a crash" as far as the journal does.
 */
export interface MessageStore {
  readonly state: () => StoreState;
  readonly get: (seq: number) => StoredMessage | undefined;
  /**
   * Gives the next `seq` to `sign`, and persists what it returns. The number is used up only when the
   * message is stored: a crash before that signs the same number again, and nobody has seen the first.
   * Failed('store-full') beyond the limits: new readings are refused rather than old ones dropped,
   * because a later reading of a growing register still carries the energy, while a missing `seq`
   * would hold up every hour behind it.
   */
  readonly append: (sign: (seq: number) => string) => Promise<StoredMessage>;
  /**
   * Drops what a receipt covers, if its chain is the one this store computes, and keeps `jws`, the
   * receipt as it was received, in the place of one for fewer messages. Its signature is the caller's
   * to check. Refused('key' | 'chain'), Fatal('store-rolled-back').
   */
  readonly settle: (receipt: Receipt, jws: string) => Promise<ReceiptOutcome>;
  /**
   * The newest receipt: what holds the operator to the messages that this store has dropped (D3.1). It
   * is in the journal's very record that drops them, so that no crash leaves the one without the other.
   */
  readonly receipt: () => KeptReceipt | undefined;
  /** Puts a refused message aside: it is kept, and not sent. False when it is not here any more. */
  readonly setAside: (sentHash: string, code: string) => Promise<number | undefined>;
  /** Takes everything put aside back into sending, after somebody has put the reason right. */
  readonly retryAside: () => Promise<readonly number[]>;
  /** Gives up what is older than `keepS`, oldest first; returns the range for saying so aloud. */
  readonly expire: (nowS: number) => Promise<SeqRange | undefined>;
  readonly close: () => Promise<void>;
}

/** After this many journal records that no longer matter, the journal is written anew. */
const garbageLimit = 2000;

interface Opened {
  readonly contents: Contents;
  readonly owner: StoreOwner;
  readonly limits: StoreLimits;
  readonly commit: (record: StoreRecord) => Promise<void>;
}

/**
 * A store over a journal, from the records that are in it. Refused('store') when they are another
 * meter's or key's, Fatal('store') when they contradict each other.
 */
export async function openStore(
  journal: StoreJournal,
  owner: StoreOwner,
  limits: StoreLimits = defaultStoreLimits,
): Promise<MessageStore> {
  const contents = emptyContents();
  const records = await journal.read();
  requireOwner(records[0], owner);
  for (const record of records) apply(contents, record);
  const { meter, kid } = owner;
  if (records.length === 0) await journal.append({ kind: 'owner', v: 1, meter, kid });
  const commit = createCommit({ journal, contents, owner, written: records.length });
  const opened: Opened = { contents, owner, limits, commit };
  let queue: Promise<unknown> = Promise.resolve();

  /** One change at a time: two appends at once would sign two messages with one `seq`, a fork. */
  function serially<T>(change: () => Promise<T>): Promise<T> {
    const result = queue.then(change);
    queue = result.then(nothing, nothing);
    return result;
  }

  return {
    state: () => stateOf(opened),
    get: (seq) => contents.messages.get(seq),
    append: (sign) => serially(() => append(opened, sign)),
    settle: (receipt, jws) => serially(() => settle(opened, receipt, jws)),
    receipt: () => contents.receipt,
    setAside: (sentHash, code) => serially(() => setAside(opened, sentHash, code)),
    retryAside: () => serially(() => retryAside(opened)),
    expire: (nowS) => serially(() => expire(opened, nowS)),
    close: () => serially(() => journal.close()),
  };
}

function nothing(): void {
  // The result itself carries the error to whoever asked; the queue only needs to know it is over.
}

function requireOwner(first: StoreRecord | undefined, owner: StoreOwner): void {
  if (first === undefined) return;
  if (first.kind !== 'owner') throw new Fatal('store', 'the store does not say whose it is');
  if (first.meter !== owner.meter || first.kid !== owner.kid) {
    const text = `the store belongs to ${first.meter} and its key ${first.kid}`;
    throw new Refused('store', text);
  }
}

/**
 * Journal first, then memory. When the journal fails nobody knows whether the record is in it: to go
 * on would risk a second message with the same `seq`, so the store stays shut until it is opened
 * again and reads what is really there.
 */
function createCommit(options: {
  readonly journal: StoreJournal;
  readonly contents: Contents;
  readonly owner: StoreOwner;
  readonly written: number;
}): (record: StoreRecord) => Promise<void> {
  const { contents, journal, owner } = options;
  let { written } = options;
  let broken: unknown;
  return async (record) => {
    if (broken !== undefined) {
      throw new Failed('store-broken', `${owner.meter}: open the store again`, { cause: broken });
    }
    try {
      await journal.append(record);
      apply(contents, record);
      written++;
      if (written - contents.messages.size < garbageLimit) return;
      const fresh = snapshot(contents, owner);
      await journal.replace(fresh);
      written = fresh.length;
    } catch (cause) {
      broken = cause;
      throw new Failed('store-broken', `${owner.meter}: the store cannot be written`, { cause });
    }
  };
}

function stateOf({ contents, owner }: Opened): StoreState {
  const { aside, lastSeq, lastT, messages, sizeBytes, throughSeq } = contents;
  return { ...owner, lastSeq, lastT, throughSeq, count: messages.size, sizeBytes, aside };
}

async function append(
  { commit, contents, limits, owner }: Opened,
  sign: (seq: number) => string,
): Promise<StoredMessage> {
  const { lastSeq, messages, sizeBytes } = contents;
  if (messages.size >= limits.countLimit || sizeBytes >= limits.sizeLimitBytes) {
    throw new Failed('store-full', `${owner.meter}: ${messages.size} messages wait for a receipt`);
  }
  const jws = sign(lastSeq + 1);
  const { message } = parseMessage(utf8(jws));
  if (message.seq !== lastSeq + 1) throw new RangeError(`signed as seq ${message.seq}`);
  await commit({ kind: 'message', jws });
  const stored = messages.get(message.seq);
  if (stored === undefined) throw new Fatal('store', `seq ${message.seq} is not stored`);
  return stored;
}

async function settle(
  { commit, contents, owner }: Opened,
  receipt: Receipt,
  jws: string,
): Promise<ReceiptOutcome> {
  const { kid, throughSeq } = receipt;
  if (kid !== owner.kid) throw new Refused('key', `a receipt for the key ${kid}`);
  if (throughSeq > contents.lastSeq) {
    const text = `seq ${throughSeq} has a receipt, this store knows ${contents.lastSeq}`;
    throw new Fatal('store-rolled-back', `${owner.meter}: ${text}`);
  }
  if (throughSeq < contents.throughSeq) return { kind: 'stale' };
  const chain = chainThrough(contents, throughSeq);
  if (!equalBytes(chain, fromHex(receipt.chain, 32))) {
    const text = `the receipt through ${throughSeq} covers other messages`;
    throw new Refused('chain', `${owner.meter}: ${text}`);
  }
  const dropped = throughSeq - contents.throughSeq;
  if (throughSeq > (contents.receipt?.seq ?? 0)) {
    await commit({ kind: 'through', seq: throughSeq, chain: toHex(chain), receipt: jws });
  }
  return { kind: 'kept', dropped, resend: receipt.missing };
}

async function setAside(
  { commit, contents }: Opened,
  sentHash: string,
  code: string,
): Promise<number | undefined> {
  for (const { seq, sentHash: own } of contents.messages.values()) {
    if (own !== sentHash) continue;
    if (contents.aside.get(seq) !== code) await commit({ kind: 'aside', seq, code });
    return seq;
  }
  return undefined;
}

async function retryAside({ commit, contents }: Opened): Promise<readonly number[]> {
  const seqs = [...contents.aside.keys()];
  if (seqs.length > 0) await commit({ kind: 'retry' });
  return seqs;
}

async function expire(
  { commit, contents, limits }: Opened,
  nowS: number,
): Promise<SeqRange | undefined> {
  const from = contents.throughSeq + 1;
  let to = contents.throughSeq;
  for (let seq = from; seq <= contents.lastSeq; seq++) {
    const message = contents.messages.get(seq);
    if (message === undefined || message.lastT >= nowS - limits.keepS) break;
    to = seq;
  }
  if (to < from) return undefined;
  await commit({ kind: 'through', seq: to, chain: toHex(chainThrough(contents, to)) });
  return { from, to };
}
