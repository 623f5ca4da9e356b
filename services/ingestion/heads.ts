import type { Sql } from '#platform/postgres.ts';
import { numbers } from './columns.ts';
import type { Around, Head, Stored } from './place.ts';

/** A head, and whether a message that continues its chain is stored already. */
export interface LoadedHead extends Head {
  readonly behind: boolean;
}

const ensureProgressSql = `
  insert into key_progress (key_id) select unnest($1::integer[]) on conflict do nothing`;

/** Sorted, so that two processes that want the same keys wait in line instead of crosswise. */
const lockProgressSql = `
  select p.key_id, p.version, p.through_seq, p.chain, p.max_seq, p.max_t,
         p.through_seq < p.max_seq and exists (
           select 1 from message m where m.key_id = p.key_id and m.seq = p.through_seq + 1
         ) as behind
    from key_progress p
   where p.key_id = any($1::integer[])
   order by p.key_id
     for update of p`;

interface ProgressRow {
  readonly key_id: number;
  readonly version: number;
  readonly through_seq: number;
  readonly chain: Uint8Array;
  readonly max_seq: number;
  readonly max_t: number;
  readonly behind: boolean;
}

/** Heads of these keys, locked until the transaction ends; rows that are missing are made. */
export async function lockHeads(
  sql: Sql,
  keyIds: readonly number[],
): Promise<Map<number, LoadedHead>> {
  if (keyIds.length === 0) return new Map();
  const ids = numbers(keyIds);
  await sql.run(ensureProgressSql, [ids]);
  const rows = await sql.rows<ProgressRow>(lockProgressSql, [ids]);
  return new Map(
    rows.map((row) => [
      row.key_id,
      {
        version: row.version,
        throughSeq: row.through_seq,
        chain: row.chain,
        maxSeq: row.max_seq,
        maxT: row.max_t,
        behind: row.behind,
      },
    ]),
  );
}

const aroundSql = `
  select w.key_id, w.seq, m.hash,
         (select b.t_last from message b
           where b.key_id = w.key_id and b.seq < w.seq and (b.code is null or b.code = 'late')
           order by b.seq desc limit 1) as before_t,
         (select a.t_first from message a
           where a.key_id = w.key_id and a.seq > w.seq and (a.code is null or a.code = 'late')
           order by a.seq limit 1) as after_t
    from unnest($1::integer[], $2::bigint[]) as w (key_id, seq)
    left join message m on m.key_id = w.key_id and m.seq = w.seq`;

const aheadSql = `
  select seq, hash from message
   where key_id = $1 and seq > $2 order by seq limit $3`;

/** How far chains are followed in one transaction, all keys together; the rest is for the next. */
export const aheadLimitRows = 100_000;
const aheadPageRows = [64, 1_000, 10_000];

export interface Wanted {
  readonly keyId: number;
  readonly head: LoadedHead;
  readonly seqs: readonly number[];
}

/** What is stored around the messages of a batch. Read it under the lock of `lockHeads`. */
export async function loadStored(
  sql: Sql,
  wanted: readonly Wanted[],
): Promise<(keyId: number) => Stored> {
  const around = await loadAround(sql, wanted);
  const ahead = new Map<number, Map<number, Uint8Array>>();
  let budgetRows = aheadLimitRows;
  for (const { keyId, head, seqs } of wanted) {
    const fills = head.throughSeq < head.maxSeq && seqs.includes(head.throughSeq + 1);
    if (!fills && !head.behind) continue;
    const from = head.behind ? head.throughSeq : head.throughSeq + 1;
    const hashes = await loadAhead(sql, { keyId, from, budgetRows });
    budgetRows -= hashes.size;
    ahead.set(keyId, hashes);
  }
  return (keyId) => ({
    around: (seq) => around.get(`${keyId} ${seq}`) ?? nothingAround,
    ahead: (seq) => ahead.get(keyId)?.get(seq),
  });
}

const nothingAround: Around = { hash: undefined, beforeT: undefined, afterT: undefined };

async function loadAround(sql: Sql, wanted: readonly Wanted[]): Promise<Map<string, Around>> {
  const keyIds: number[] = [];
  const seqs: number[] = [];
  for (const of of wanted) {
    for (const seq of of.seqs) {
      if (seq > of.head.maxSeq) continue;
      keyIds.push(of.keyId);
      seqs.push(seq);
    }
  }
  if (seqs.length === 0) return new Map();
  const rows = await sql.rows<{
    key_id: number;
    seq: number;
    hash: Uint8Array | null;
    before_t: number | null;
    after_t: number | null;
  }>(aroundSql, [numbers(keyIds), numbers(seqs)]);
  return new Map(
    rows.map((row) => [
      `${row.key_id} ${row.seq}`,
      {
        hash: row.hash ?? undefined,
        beforeT: row.before_t ?? undefined,
        afterT: row.after_t ?? undefined,
      },
    ]),
  );
}

/**
 * The stored messages right after `from`, up to the first gap: mostly none or few, at times the 45
 * days that a device delivered in random order, so the pages grow.
 */
async function loadAhead(
  sql: Sql,
  { keyId, from, budgetRows }: { keyId: number; from: number; budgetRows: number },
): Promise<Map<number, Uint8Array>> {
  const hashes = new Map<number, Uint8Array>();
  let at = from;
  for (let page = 0; hashes.size < budgetRows; page++) {
    const limit = Math.min(
      aheadPageRows[Math.min(page, aheadPageRows.length - 1)] ?? 1,
      budgetRows - hashes.size,
    );
    const rows = await sql.rows<{ seq: number; hash: Uint8Array }>(aheadSql, [keyId, at, limit]);
    for (const { seq, hash } of rows) {
      if (seq !== at + 1) return hashes;
      hashes.set(seq, hash);
      at = seq;
    }
    if (rows.length < limit) return hashes;
  }
  return hashes;
}
