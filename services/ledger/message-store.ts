import { hourSeconds } from '#core/energy/hours.ts';
import { hashBytes } from '#core/tlog/tree.ts';
import type { Sql } from '#platform/postgres.ts';
import { integers } from './columns.ts';

/** What ingestion stored, read in bulk for sealing. */

export interface MessageRow {
  readonly keyId: number;
  readonly seq: number;
  readonly receivedAt: number;
  readonly code: string | undefined;
  readonly hash: Uint8Array;
  readonly jws: Uint8Array;
}

/** A stretch of time of a key; `n` is the caller's own number for it. */
export interface Window {
  readonly n: number;
  readonly keyId: number;
  readonly from: number;
  readonly to: number;
}

/** Rows that are many messages each: to decode one long value takes less than as many short ones. */
const groupedSeqs = 256;
const grouped = (from: string): string => `
  select w.n, m.key_id,
    array_agg(m.seq order by m.seq) as seqs,
    array_agg(m.received_at order by m.seq) as received,
    array_agg(m.code order by m.seq) as codes,
    string_agg(m.hash, ''::bytea order by m.seq) as hashes,
    array_agg(octet_length(m.jws) order by m.seq)::bigint[] as lengths,
    string_agg(m.jws, ''::bytea order by m.seq) as jws
  ${from}
  group by w.n, m.key_id, m.seq / ${groupedSeqs}`;
const windows = `
  unnest($1::int[], $2::int[], $3::bigint[], $4::bigint[]) as w (n, key_id, from_t, to_t)`;
/** A message lies within one closed hour, so one that begins by to_t ends within an hour of it. */
const withinSql = grouped(`
  from ${windows}
  join message m on m.key_id = w.key_id and m.t_last between w.from_t and w.to_t + ${hourSeconds}
    and m.t_first <= w.to_t`);
/** Only what was accepted, or may be by a decision, can bracket an hour. */
const usable = `(code is null or code = 'late')`;
const beforeSql = grouped(`
  from ${windows}
  cross join lateral (
    select * from message b where b.key_id = w.key_id and b.t_last < w.from_t and ${usable}
    order by b.t_last desc, b.seq desc limit $5) m`);
const afterSql = grouped(`
  from ${windows}
  cross join lateral (
    select * from message a where a.key_id = w.key_id and a.t_last > w.to_t and a.t_first > w.to_t
      and ${usable}
    order by a.t_last, a.seq limit $5) m`);

interface GroupRow {
  n: number;
  key_id: number;
  seqs: number[];
  received: number[];
  codes: (string | null)[];
  hashes: Uint8Array;
  lengths: number[];
  jws: Uint8Array;
}

/** A message of window `n`. */
export interface WindowRow {
  readonly n: number;
  readonly message: MessageRow;
}

function messagesOf(row: GroupRow): WindowRow[] {
  let end = 0;
  return row.seqs.map((seq, i) => {
    const from = end;
    end += row.lengths[i] ?? 0;
    return {
      n: row.n,
      message: {
        keyId: row.key_id,
        seq,
        receivedAt: row.received[i] ?? 0,
        code: row.codes[i] ?? undefined,
        hash: row.hashes.subarray(i * hashBytes, (i + 1) * hashBytes),
        jws: row.jws.subarray(from, end),
      },
    };
  });
}

function valuesOf(list: readonly Window[]): readonly string[] {
  return [
    integers(list.map(({ n }) => n)),
    integers(list.map(({ keyId }) => keyId)),
    integers(list.map(({ from }) => from)),
    integers(list.map(({ to }) => to)),
  ];
}

/** Messages with a reading in one of the windows, both ends included; in any order. */
export async function readWithin(sql: Sql, list: readonly Window[]): Promise<WindowRow[]> {
  if (list.length === 0) return [];
  return (await sql.rows<GroupRow>(withinSql, valuesOf(list))).flatMap(messagesOf);
}

/** The last `limit` usable messages that end before each window. */
export async function readBefore(
  sql: Sql,
  list: readonly Window[],
  limit: number,
): Promise<WindowRow[]> {
  if (list.length === 0) return [];
  return (await sql.rows<GroupRow>(beforeSql, [...valuesOf(list), limit])).flatMap(messagesOf);
}

/** The first `limit` usable messages that begin after each window. */
export async function readAfter(
  sql: Sql,
  list: readonly Window[],
  limit: number,
): Promise<WindowRow[]> {
  if (list.length === 0) return [];
  return (await sql.rows<GroupRow>(afterSql, [...valuesOf(list), limit])).flatMap(messagesOf);
}

const keyIdsSql = `
  select k.kid, k.key_id from meter_key k join meter using (meter_id)
  where plant_id = any($1::int[])`;

/** Kid to key id, of all keys of these plants. */
export async function readKeyIds(
  sql: Sql,
  plantIds: readonly number[],
): Promise<Map<string, number>> {
  const rows = await sql.rows<{ kid: string; key_id: number }>(keyIdsSql, [plantIds]);
  return new Map(rows.map(({ kid, key_id }) => [kid, key_id]));
}

const progressSql = `
  select key_id, through_seq from key_progress where key_id = any($1::int[])`;

export async function readProgress(
  sql: Sql,
  keyIds: readonly number[],
): Promise<Map<number, number>> {
  const rows = await sql.rows<{ key_id: number; through_seq: number }>(progressSql, [keyIds]);
  return new Map(rows.map(({ key_id, through_seq }) => [key_id, through_seq]));
}

export interface SeqSpan {
  readonly keyId: number;
  /** Exclusive. */
  readonly after: number;
  readonly to: number;
}

const beyondSql = `
  select m.key_id, m.seq from unnest($1::int[], $2::bigint[], $3::bigint[]) as w (key_id, low, high)
  join message m on m.key_id = w.key_id and m.seq > w.low and m.seq <= w.high
  order by m.key_id, m.seq`;
const hashesSql = `
  select m.key_id, m.seq, m.hash
  from unnest($1::int[], $2::bigint[], $3::bigint[]) as w (key_id, low, high)
  join message m on m.key_id = w.key_id and m.seq > w.low and m.seq <= w.high
  order by m.key_id, m.seq`;

function spanValues(spans: readonly SeqSpan[]): readonly (readonly number[])[] {
  return [
    spans.map(({ keyId }) => keyId),
    spans.map(({ after }) => after),
    spans.map(({ to }) => to),
  ];
}

/** The stored seqs of each span, ascending, by key. */
export async function readSeenBeyond(
  sql: Sql,
  spans: readonly SeqSpan[],
): Promise<Map<number, number[]>> {
  const seen = new Map<number, number[]>();
  if (spans.length === 0) return seen;
  const rows = await sql.rows<{ key_id: number; seq: number }>(beyondSql, spanValues(spans));
  for (const { key_id, seq } of rows) {
    const list = seen.get(key_id);
    if (list === undefined) seen.set(key_id, [seq]);
    else list.push(seq);
  }
  return seen;
}

/** Hashes of the messages of each span, in order, by key. */
export async function readHashes(
  sql: Sql,
  spans: readonly SeqSpan[],
): Promise<Map<number, { seq: number; hash: Uint8Array }[]>> {
  const found = new Map<number, { seq: number; hash: Uint8Array }[]>();
  if (spans.length === 0) return found;
  const rows = await sql.rows<{ key_id: number; seq: number; hash: Uint8Array }>(
    hashesSql,
    spanValues(spans),
  );
  for (const { key_id, seq, hash } of rows) {
    const list = found.get(key_id);
    if (list === undefined) found.set(key_id, [{ seq, hash }]);
    else list.push({ seq, hash });
  }
  return found;
}

const disputesSql = `
  select meter, from_t from meter_dispute join meter using (meter_id)
  where plant_id = any($1::int[])`;

/** From when on meters of these plants are disputed, by meter id. */
export async function readDisputes(
  sql: Sql,
  plantIds: readonly number[],
): Promise<Map<string, number>> {
  const rows = await sql.rows<{ meter: string; from_t: number }>(disputesSql, [plantIds]);
  return new Map(rows.map(({ meter, from_t }) => [meter, from_t]));
}

const forksSql = `
  select f.seq, f.received_at, f.hash, f.jws from fork f join meter_key using (key_id)
  where kid = $1 and f.hash = $2`;

/** The second message under a seq, where a decision says that it is the one that counts. */
export async function readForkMessage(
  sql: Sql,
  kid: string,
  hash: Uint8Array,
): Promise<{ seq: number; receivedAt: number; hash: Uint8Array; jws: Uint8Array } | undefined> {
  const [row] = await sql.rows<{
    seq: number;
    received_at: number;
    hash: Uint8Array;
    jws: Uint8Array;
  }>(forksSql, [kid, hash]);
  return row && { seq: row.seq, receivedAt: row.received_at, hash: row.hash, jws: row.jws };
}
