import { Fatal } from '#core/errors.ts';
import { emptyChain, extendChain } from '#core/energy/receipt.ts';
import type { Sql } from '#platform/postgres.ts';
import { readHashes } from './message-store.ts';

/**
 * Receipt chains (D3.1) at the messages that hours end with. A chain runs over all messages of a key
 * from the first, so where it stood is remembered: in memory for the key's newest, in `key_chain`
 * every so often, for a ledger that starts again and for hours that are sealed late.
 */
export interface ChainBook {
  /** Works out what `at` will be asked: the chains of each key at seqs from `low` to `high`. */
  readonly load: (sql: Sql, needs: readonly ChainNeed[]) => Promise<void>;
  /** RangeError for a seq that was not loaded. */
  readonly at: (keyId: number, seq: number) => Uint8Array;
  /** Those of `chains` that are worth a row; written in the transaction that seals. */
  readonly store: (sql: Sql, chains: readonly StoredChain[]) => Promise<void>;
}

export interface ChainNeed {
  readonly keyId: number;
  readonly low: number;
  readonly high: number;
  /** Hashes that are at hand already, by seq. */
  readonly hashes: ReadonlyMap<number, Uint8Array>;
}

export interface StoredChain {
  readonly keyId: number;
  readonly seq: number;
  readonly chain: Uint8Array;
}

interface Base {
  readonly seq: number;
  readonly chain: Uint8Array;
}

/** So many messages of a key may have to be hashed again after a restart, at most. */
const storeEverySeqs = 256;
/** Keys whose newest chain is kept in memory; beyond it the oldest looked at is read again. */
const rememberedKeys = 200_000;

const nearestSql = `
  select w.key_id, c.seq, c.chain from unnest($1::int[], $2::bigint[]) as w (key_id, low)
  cross join lateral (
    select seq, chain from key_chain k where k.key_id = w.key_id and k.seq <= w.low
    order by seq desc limit 1) c`;
const insertSql = `
  insert into key_chain (key_id, seq, chain)
  select * from unnest($1::int[], $2::bigint[], $3::bytea[]) on conflict do nothing`;

export function createChainBook(): ChainBook {
  /** The first and the last chain of the last look at each key: hours overlap by a message or two. */
  const newest = new Map<number, readonly Base[]>();
  const stored = new Map<number, number>();
  /** By key and seq, of the last `load`. */
  let loaded = new Map<number, Map<number, Uint8Array>>();

  const remember = (keyId: number, bases: readonly Base[]): void => {
    newest.delete(keyId);
    newest.set(keyId, bases);
    for (const oldest of newest.keys()) {
      if (newest.size <= rememberedKeys) break;
      newest.delete(oldest);
      stored.delete(oldest);
    }
  };

  const basesOf = async (sql: Sql, needs: readonly ChainNeed[]) => {
    const bases = new Map<number, Base>();
    const unknown: ChainNeed[] = [];
    for (const need of needs) {
      const known = newest.get(need.keyId)?.findLast(({ seq }) => seq <= need.low);
      if (known !== undefined) bases.set(need.keyId, known);
      else unknown.push(need);
    }
    if (unknown.length === 0) return bases;
    const rows = await sql.rows<{ key_id: number; seq: number; chain: Uint8Array }>(nearestSql, [
      unknown.map(({ keyId }) => keyId),
      unknown.map(({ low }) => low),
    ]);
    for (const { key_id, seq, chain } of rows) {
      bases.set(key_id, { seq, chain });
      stored.set(key_id, Math.max(seq, stored.get(key_id) ?? 0));
    }
    return bases;
  };

  return {
    async load(sql, needs) {
      loaded = new Map();
      const bases = await basesOf(sql, needs);
      const spans = needs
        .map((need) => ({ need, base: bases.get(need.keyId) ?? { seq: 0, chain: emptyChain } }))
        .filter(({ need, base }) => !hasAll(need.hashes, base.seq + 1, need.high));
      const read = await readHashes(
        sql,
        spans.map(({ need, base }) => ({ keyId: need.keyId, after: base.seq, to: need.high })),
      );
      for (const need of needs) {
        const base = bases.get(need.keyId) ?? { seq: 0, chain: emptyChain };
        const rows = new Map(read.get(need.keyId)?.map(({ seq, hash }) => [seq, hash]));
        const chains = follow(base, need, (seq) => rows.get(seq) ?? need.hashes.get(seq));
        loaded.set(need.keyId, chains);
        remember(
          need.keyId,
          [need.low, need.high].flatMap((seq) => {
            const chain = chains.get(seq);
            return chain === undefined ? [] : [{ seq, chain }];
          }),
        );
      }
    },
    at(keyId, seq) {
      if (seq === 0) return emptyChain;
      const chain = loaded.get(keyId)?.get(seq);
      if (chain === undefined) throw new RangeError(`chain: seq ${seq} of key ${keyId} not loaded`);
      return chain;
    },
    async store(sql, chains) {
      const worth = chains.filter(
        ({ keyId, seq }) => seq - (stored.get(keyId) ?? 0) >= storeEverySeqs,
      );
      if (worth.length === 0) return;
      await sql.run(insertSql, [
        worth.map(({ keyId }) => keyId),
        worth.map(({ seq }) => seq),
        worth.map(({ chain }) => chain),
      ]);
      for (const { keyId, seq } of worth) stored.set(keyId, Math.max(seq, stored.get(keyId) ?? 0));
    },
  };
}

function hasAll(hashes: ReadonlyMap<number, Uint8Array>, from: number, to: number): boolean {
  if (to - from + 1 > hashes.size) return false;
  for (let seq = from; seq <= to; seq++) if (!hashes.has(seq)) return false;
  return true;
}

/** Chains at `low` … `high`, from a base at or before `low`. */
function follow(
  base: Base,
  { keyId, low, high }: ChainNeed,
  hashOf: (seq: number) => Uint8Array | undefined,
): Map<number, Uint8Array> {
  const chains = new Map<number, Uint8Array>();
  let { chain } = base;
  if (base.seq === low) chains.set(low, chain);
  for (let seq = base.seq + 1; seq <= high; seq++) {
    const hash = hashOf(seq);
    if (hash === undefined) {
      throw new Fatal('message-lost', `message ${seq} of key ${keyId} was stored and is gone`);
    }
    chain = extendChain(chain, hash);
    if (seq >= low) chains.set(seq, chain);
  }
  return chains;
}
