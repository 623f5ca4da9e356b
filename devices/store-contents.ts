import { sha256 } from '#crypto';
import { fromHex, toHex, utf8 } from '#core/bytes.ts';
import { Fatal } from '#core/errors.ts';
import { parseMessage } from '#core/energy/message.ts';
import { emptyChain, extendChain } from '#core/energy/receipt.ts';
import type { KeptReceipt, StoreRecord } from './store-journal.ts';

/** A message that was signed and is kept until a receipt says that it is durable elsewhere. */
export interface StoredMessage {
  readonly seq: number;
  readonly jws: string;
  readonly sizeBytes: number;
  /** Of its last reading, Unix seconds. */
  readonly lastT: number;
  /** SHA-256 of the signing input: what the chain runs over. */
  readonly hash: Uint8Array;
  /** SHA-256 of the bytes as sent, lowercase hex: what `refused` in a receipt names. */
  readonly sentHash: string;
}

/** Whose messages a store holds: one meter's, under one key. */
export interface StoreOwner {
  readonly meter: string;
  readonly kid: string;
}

/** What the records of a journal add up to. Changed by `apply` alone. */
export interface Contents {
  throughSeq: number;
  chain: Uint8Array;
  lastSeq: number;
  lastT: number;
  sizeBytes: number;
  readonly messages: Map<number, StoredMessage>;
  readonly aside: Map<number, string>;
  /** The newest, of those that were honoured. */
  receipt: KeptReceipt | undefined;
}

export function emptyContents(): Contents {
  const [throughSeq, lastSeq, lastT, sizeBytes] = [0, 0, -1, 0];
  const [messages, aside] = [new Map<number, StoredMessage>(), new Map<number, string>()];
  const receipt = undefined;
  return { throughSeq, chain: emptyChain, lastSeq, lastT, sizeBytes, messages, aside, receipt };
}

/** One record's effect. The only place that changes contents, so that recovery is the normal path. */
export function apply(contents: Contents, record: StoreRecord): void {
  contents.receipt = receiptAfter(contents.receipt, record);
  switch (record.kind) {
    case 'owner':
      return;
    case 'base':
      contents.throughSeq = record.throughSeq;
      contents.lastSeq = record.throughSeq;
      contents.lastT = record.lastT;
      contents.chain = fromHex(record.chain, 32);
      return;
    case 'message':
      applyMessage(contents, storedMessage(record.jws));
      return;
    case 'through':
      applyThrough(contents, record.seq, fromHex(record.chain, 32));
      return;
    case 'aside':
      contents.aside.set(record.seq, record.code);
      return;
    case 'retry':
      contents.aside.clear();
      return;
  }
}

/** The newest receipt once a record is in the journal, by what it was before. */
export function receiptAfter(
  before: KeptReceipt | undefined,
  record: StoreRecord,
): KeptReceipt | undefined {
  if (record.kind === 'base') return record.receipt;
  if (record.kind !== 'through' || record.receipt === undefined) return before;
  return { jws: record.receipt, seq: record.seq };
}

function applyMessage(contents: Contents, message: StoredMessage): void {
  if (message.seq !== contents.lastSeq + 1) {
    throw new Fatal('store', `seq ${message.seq} follows ${contents.lastSeq}`);
  }
  contents.messages.set(message.seq, message);
  contents.lastSeq = message.seq;
  contents.lastT = Math.max(contents.lastT, message.lastT);
  contents.sizeBytes += message.sizeBytes;
}

function applyThrough(contents: Contents, throughSeq: number, chain: Uint8Array): void {
  for (let seq = contents.throughSeq + 1; seq <= throughSeq; seq++) {
    const message = contents.messages.get(seq);
    if (message === undefined)
      throw new Fatal('store', `seq ${seq} is settled but was never stored`);
    contents.messages.delete(seq);
    contents.aside.delete(seq);
    contents.sizeBytes -= message.sizeBytes;
  }
  contents.throughSeq = throughSeq;
  contents.chain = chain;
}

export function chainThrough(contents: Contents, throughSeq: number): Uint8Array {
  let { chain } = contents;
  for (let seq = contents.throughSeq + 1; seq <= throughSeq; seq++) {
    const message = contents.messages.get(seq);
    if (message === undefined) throw new Fatal('store', `seq ${seq} is missing from the store`);
    chain = extendChain(chain, message.hash);
  }
  return chain;
}

function storedMessage(jws: string): StoredMessage {
  const bytes = utf8(jws);
  const { hash, message } = parseMessage(bytes);
  const lastT = message.readings.at(-1)?.t ?? -1;
  const sentHash = toHex(sha256(bytes));
  return { seq: message.seq, jws, sizeBytes: bytes.length, lastT, hash, sentHash };
}

/** The same contents in as few records as possible. */
export function snapshot(contents: Contents, { meter, kid }: StoreOwner): readonly StoreRecord[] {
  const { throughSeq, chain, lastT, messages, aside, receipt } = contents;
  const kept = receipt === undefined ? {} : { receipt };
  return [
    { kind: 'owner', v: 1, meter, kid },
    { kind: 'base', throughSeq, chain: toHex(chain), lastT, ...kept },
    ...Array.from(messages.values(), ({ jws }) => ({ kind: 'message', jws }) as const),
    ...Array.from(aside, ([seq, code]) => ({ kind: 'aside', seq, code }) as const),
  ];
}
