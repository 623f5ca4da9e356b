import { sha256 } from '#crypto';
import { fromHex, toHex, utf8 } from '#core/bytes.ts';
import { buildReceipt, type SeqRange } from '#core/energy/receipt.ts';
import { receiptsTopic } from '#core/energy/message.ts';
import { Failed } from '#core/errors.ts';
import type { Signer } from '#core/signer.ts';
import type { SendReceipt } from '#platform/intake.ts';
import type { Pool } from '#platform/postgres.ts';
import type { KeyFacts } from './decide.ts';
import type { Head } from './place.ts';
import type { Astray, Examined } from './plan.ts';
import type { Committed } from './store.ts';

export interface ReceiptLimits {
  /** At most one receipt for each key in this time. */
  readonly receiptEveryMs: number;
  /** Signing costs the event loop some 50 microseconds; this bounds what a second spends on it. */
  readonly receiptsPerTurn: number;
  readonly receiptTurnMs: number;
  /** Refusals of one key that wait to be told; older ones go, the device will be refused again. */
  readonly refusedPerKey: number;
}

export interface Receipts {
  /** After the commit, and only then: what these keys may now be told. */
  readonly note: (batch: readonly Examined[], committed: Committed) => void;
  /** Receipts that could not be handed over; they are repeated with the key's next message. */
  readonly lost: () => number;
  /** Sends what is due, and ends. */
  readonly stop: () => Promise<void>;
}

/** What a receipt lists at most (D3.1). */
const listLimit = 100;

interface Due {
  readonly key: KeyFacts;
  head: Pick<Head, 'throughSeq' | 'chain' | 'maxSeq'> | undefined;
  readonly refused: { readonly hash: string; readonly code: string }[];
  readonly dueMs: number;
}

const headSql = `
  select through_seq, chain, max_seq from key_progress where key_id = $1`;

/** The gaps above `through_seq`, from the seqs that are there; bounded for keys with very many. */
const missingSql = `
  select before + 1 as "from", seq - 1 as "to"
    from (select seq, lag(seq, 1, $2::bigint) over (order by seq) as before
            from (select seq from message where key_id = $1 and seq > $2 order by seq limit 10000) s
         ) gaps
   where seq > before + 1 order by seq limit ${listLimit}`;

/** What is due, by key: refusals gather until the key's next receipt. */
interface DueList {
  readonly entryOf: (key: KeyFacts) => Due;
  readonly refuse: (key: KeyFacts, hash: Uint8Array, code: string) => void;
  /** Takes out what is due now, or everything. */
  readonly take: (everything: boolean) => Due[];
  readonly isEmpty: () => boolean;
}

function createDueList(limits: ReceiptLimits): DueList {
  const due = new Map<number, Due>();
  /** When each key was sent its last receipt, in the order of sending, while that still matters. */
  const sentAtMs = new Map<number, number>();

  const entryOf = (key: KeyFacts): Due => {
    const known = due.get(key.keyId);
    if (known !== undefined) return known;
    const soonest = performance.now() + limits.receiptTurnMs;
    const sent = sentAtMs.get(key.keyId) ?? Number.NEGATIVE_INFINITY;
    const dueMs = Math.max(soonest, sent + limits.receiptEveryMs);
    const entry: Due = { key, head: undefined, refused: [], dueMs };
    due.set(key.keyId, entry);
    return entry;
  };
  const refuse = (key: KeyFacts, hash: Uint8Array, code: string): void => {
    const entry = entryOf(key);
    entry.refused.push({ hash: toHex(hash), code });
    if (entry.refused.length > limits.refusedPerKey) entry.refused.shift();
  };
  const take = (everything: boolean): Due[] => {
    const now = performance.now();
    for (const [keyId, sent] of sentAtMs) {
      if (sent + limits.receiptEveryMs > now) break;
      sentAtMs.delete(keyId);
    }
    const ready: Due[] = [];
    for (const [keyId, entry] of due) {
      if (!everything && ready.length === limits.receiptsPerTurn) break;
      if (!everything && entry.dueMs > now) continue;
      due.delete(keyId);
      // Taken out first, so that the Map stays in the order of sending.
      sentAtMs.delete(keyId);
      sentAtMs.set(keyId, now);
      ready.push(entry);
    }
    return ready;
  };
  return { entryOf, refuse, take, isEmpty: () => due.size === 0 };
}

export interface ReceiptContext {
  readonly pool: Pool;
  /** Who signs now. Throws where nobody may: then there are no receipts, and `onError` is told. */
  readonly signer: () => Signer;
  readonly send: SendReceipt;
  readonly onError: (error: unknown) => void;
}

/**
 * Receipts (D3.1), signed by the ingestion key. What they say was committed before; when one is lost
 * on its way the device sends again, and is answered again.
 */
export function createReceipts(context: ReceiptContext, limits: ReceiptLimits): Receipts {
  const due = createDueList(limits);
  let lost = 0;
  let timer: NodeJS.Timeout | undefined;
  let turn: Promise<void> = Promise.resolve();
  let stopped = false;

  const sendDue = async (everything: boolean): Promise<void> => {
    for (const entry of due.take(everything)) {
      for (const { hash, code } of entry.refused.splice(listLimit)) {
        due.refuse(entry.key, fromHex(hash), code);
      }
      try {
        await sendOne(entry, context);
      } catch (error) {
        lost++;
        // Not tried again: the device that misses it sends again, which asks for the next one.
        if (!(error instanceof Failed)) context.onError(error);
      }
    }
  };

  const schedule = (): void => {
    if (stopped || timer !== undefined || due.isEmpty()) return;
    timer = setTimeout(() => {
      turn = sendDue(false).then(() => {
        timer = undefined;
        schedule();
      });
    }, limits.receiptTurnMs);
  };

  return {
    note: (batch, { progress }) => {
      for (const { key, head, outcomes } of progress) {
        if (outcomes.length > 0) due.entryOf(key).head = head;
        for (const { kept, placed } of outcomes) {
          const code = placed.outcome === 'stored' ? placed.code : placed.outcome;
          if (code === undefined || code === 'duplicate' || code === 'late') continue;
          due.refuse(key, sha256(kept.arrival.bytes), code);
        }
      }
      for (const { tell, hash, code } of batch.filter(isAstray)) {
        if (tell !== undefined) due.refuse(tell, hash, code);
      }
      schedule();
    },
    lost: () => lost,
    stop: async () => {
      stopped = true;
      clearTimeout(timer);
      await turn;
      await sendDue(true);
    },
  };
}

async function sendOne(
  { key, head: known, refused }: Due,
  { pool, signer, send }: ReceiptContext,
): Promise<void> {
  const head = known ?? (await readHead(pool, key.keyId));
  const gaps = head.throughSeq < head.maxSeq;
  const receipt = buildReceipt(signer(), {
    chain: toHex(head.chain),
    kid: key.publicKey.kid,
    missing: gaps ? await readMissing(pool, key.keyId, head.throughSeq) : [],
    refused,
    throughSeq: head.throughSeq,
  });
  await send(receiptsTopic(key.plant, key.meter), utf8(receipt));
}

function isAstray(item: Examined): item is Astray {
  return item.kind === 'astray';
}

async function readHead(pool: Pool, keyId: number): Promise<NonNullable<Due['head']>> {
  const [row] = await pool.rows<{ through_seq: number; chain: Uint8Array; max_seq: number }>(
    headSql,
    [keyId],
  );
  if (row === undefined) return { throughSeq: 0, chain: new Uint8Array(32), maxSeq: 0 };
  return { throughSeq: row.through_seq, chain: row.chain, maxSeq: row.max_seq };
}

function readMissing(pool: Pool, keyId: number, throughSeq: number): Promise<SeqRange[]> {
  return pool.rows<SeqRange>(missingSql, [keyId, throughSeq]);
}
