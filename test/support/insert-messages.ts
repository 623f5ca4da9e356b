import { utf8 } from '#core/bytes.ts';
import { hoursTouchedBy } from '#core/energy/hours.ts';
import { parseMessage } from '#core/energy/message.ts';
import { emptyChain, extendChain } from '#core/energy/receipt.ts';
import { inTransaction, type Pool, type Sql } from '#platform/postgres.ts';

/** Stores messages as ingestion does, for tests of what reads them. */
export interface Arrived {
  readonly jws: string;
  readonly receivedAt?: number;
  readonly code?: string;
}

const insertSql = `
  insert into message (key_id, seq, received_at, t_first, t_last, code, hash, jws)
  select k.key_id, r.seq, r.received_at, r.t_first, r.t_last, r.code, r.hash, r.jws
  from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[],
    $7::bytea[], $8::bytea[]) as r (kid, seq, received_at, t_first, t_last, code, hash, jws)
  join meter_key k using (kid)`;
const touchSql = `
  insert into plant_dirty (plant_id, start)
  select plant_id, start from unnest($1::text[], $2::bigint[]) as d (plant, start)
  join plant using (plant)
  on conflict (plant_id, start) do update set touched = plant_dirty.touched + 1`;
const progressSql = `
  insert into key_progress (key_id, through_seq, chain, max_seq, max_t)
  select key_id, $2, $3, $4, $5 from meter_key where kid = $1
  on conflict (key_id) do update set version = key_progress.version + 1,
    through_seq = excluded.through_seq, chain = excluded.chain, max_seq = excluded.max_seq`;
const hashesSql = `
  select seq, hash from message join meter_key using (key_id) where kid = $1 order by seq`;

export async function insertMessages(pool: Pool, arrived: readonly Arrived[]): Promise<void> {
  const rows = arrived.map(({ jws, receivedAt, code }) => {
    const bytes = utf8(jws);
    const { message, hash, jws: parsed } = parseMessage(bytes);
    const times = message.readings.map(({ t }) => t);
    const last = times.at(-1) ?? 0;
    return {
      kid: parsed.header.kid,
      bytes,
      hash,
      message,
      code,
      first: times[0] ?? 0,
      last,
      receivedAt: receivedAt ?? last + 5,
    };
  });
  await inTransaction(pool, async (sql) => {
    await sql.run(insertSql, [
      rows.map(({ kid }) => kid),
      rows.map(({ message }) => message.seq),
      rows.map(({ receivedAt }) => receivedAt),
      rows.map(({ first }) => first),
      rows.map(({ last }) => last),
      rows.map(({ code }) => code ?? null),
      rows.map(({ hash }) => hash),
      rows.map(({ bytes }) => bytes),
    ]);
    const usable = rows.filter(({ code }) => code === undefined || code === 'late');
    const touched = new Map(
      usable.flatMap(({ message, first, last }) =>
        [...hoursTouchedBy(first), ...hoursTouchedBy(last)].map(
          (start) => [`${message.plant} ${start}`, { plant: message.plant, start }] as const,
        ),
      ),
    );
    await sql.run(touchSql, [
      [...touched.values()].map(({ plant }) => plant),
      [...touched.values()].map(({ start }) => start),
    ]);
    for (const kid of new Set(rows.map((row) => row.kid))) await follow(sql, kid);
  });
}

async function follow(sql: Sql, kid: string): Promise<void> {
  let [through, max] = [0, 0];
  let chain: Uint8Array = emptyChain;
  for (const { seq, hash } of await sql.rows<{ seq: number; hash: Uint8Array }>(hashesSql, [kid])) {
    max = seq;
    if (seq !== through + 1) continue;
    through = seq;
    chain = extendChain(chain, hash);
  }
  await sql.run(progressSql, [kid, through, chain, max, 0]);
}

/** A second message under a seq that is taken. */
export async function insertFork(pool: Pool, { jws, receivedAt }: Arrived): Promise<void> {
  const bytes = utf8(jws);
  const { message, hash, jws: parsed } = parseMessage(bytes);
  await pool.run(
    `insert into fork (key_id, seq, hash, received_at, jws)
     select key_id, $2, $3, $4, $5 from meter_key where kid = $1`,
    [parsed.header.kid, message.seq, hash, receivedAt ?? message.readings[0]?.t, bytes],
  );
}
