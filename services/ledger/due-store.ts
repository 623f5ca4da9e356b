import { fromHex } from '#core/bytes.ts';
import type { Quarantined } from '#core/energy/batch.ts';
import type { Sql } from '#platform/postgres.ts';
import { integers, texts } from './columns.ts';

/** What the ledger remembers beside the log: when to look again, disputes, what was listed. */

export interface DueHour {
  readonly plantId: number;
  readonly start: number;
}

const dueSql = `
  select d.plant_id, p.plant, d.start from hour_due d join plant p using (plant_id)
  where d.due_at <= $1 and p.plant <> all($3::text[]) order by d.due_at limit $2`;
const incompleteSql = `select plant_id, start from hour_due where plant_id = any($1::int[])`;
const upsertDueSql = `
  insert into hour_due (plant_id, start, due_at)
  select * from unnest($1::int[], $2::bigint[], $3::bigint[])
  on conflict (plant_id, start) do update set due_at = excluded.due_at`;
const deleteDueSql = `
  delete from hour_due d using unnest($1::int[], $2::bigint[]) as r (plant_id, start)
  where d.plant_id = r.plant_id and d.start = r.start`;

/** None of `busy` plants. */
export async function readDueHours(
  sql: Sql,
  { nowS, limitHours, busy }: { nowS: number; limitHours: number; busy: ReadonlySet<string> },
): Promise<(DueHour & { readonly plant: string })[]> {
  const rows = await sql.rows<{ plant_id: number; plant: string; start: number }>(dueSql, [
    nowS,
    limitHours,
    texts([...busy]),
  ]);
  return rows.map(({ plant_id, plant, start }) => ({ plantId: plant_id, plant, start }));
}

/** The sealed but incomplete hours of some plants. */
export async function readIncompleteHours(
  sql: Sql,
  plantIds: readonly number[],
): Promise<DueHour[]> {
  if (plantIds.length === 0) return [];
  const rows = await sql.rows<{ plant_id: number; start: number }>(incompleteSql, [plantIds]);
  return rows.map(({ plant_id, start }) => ({ plantId: plant_id, start }));
}

export async function writeDueHours(
  sql: Sql,
  { due, done }: { due: readonly (DueHour & { dueAt: number })[]; done: readonly DueHour[] },
): Promise<void> {
  if (due.length > 0) {
    await sql.run(upsertDueSql, [
      integers(due.map(({ plantId }) => plantId)),
      integers(due.map(({ start }) => start)),
      integers(due.map(({ dueAt }) => dueAt)),
    ]);
  }
  if (done.length === 0) return;
  const values = [
    integers(done.map(({ plantId }) => plantId)),
    integers(done.map(({ start }) => start)),
  ];
  await sql.run(deleteDueSql, values);
}

const disputeSql = `
  insert into meter_dispute (meter_id, from_t)
  select meter_id, from_t from unnest($1::text[], $2::bigint[]) as d (meter, from_t)
  join meter using (meter)
  on conflict (meter_id) do update set from_t = least(meter_dispute.from_t, excluded.from_t)`;

export async function openDisputes(sql: Sql, disputes: ReadonlyMap<string, number>): Promise<void> {
  if (disputes.size === 0) return;
  await sql.run(disputeSql, [[...disputes.keys()], [...disputes.values()]]);
}

const unlistedSql = `
  select r.plant_id, k.kid, m.seq, m.hash, m.code
  from meter r join meter_key k using (meter_id) join message m on m.key_id = k.key_id
  where r.plant_id = any($1::int[]) and m.code is not null and not exists (
    select from quarantine_listing l
    where l.key_id = m.key_id and l.seq = m.seq and l.hash = m.hash)
  order by k.kid, m.seq limit $2`;
const listSql = `
  insert into quarantine_listing (key_id, seq, hash)
  select k.key_id, q.seq, q.hash
  from unnest($1::text[], $2::bigint[], $3::bytea[]) as q (kid, seq, hash)
  join meter_key k using (kid) on conflict do nothing`;

/** Quarantined messages that took a seq and stand in no batch file yet, by kid and seq. */
export async function readUnlisted(
  sql: Sql,
  plantIds: readonly number[],
  limitRows: number,
): Promise<(Quarantined & { readonly plantId: number; readonly hashBytes: Uint8Array })[]> {
  if (plantIds.length === 0) return [];
  const rows = await sql.rows<{
    plant_id: number;
    kid: string;
    seq: number;
    hash: Uint8Array;
    code: string;
  }>(unlistedSql, [plantIds, limitRows]);
  return rows.map(({ plant_id, kid, seq, hash, code }) => ({
    plantId: plant_id,
    hashBytes: hash,
    code,
    hash: Buffer.from(hash).toString('hex'),
    kid,
    seq,
  }));
}

export async function noteListed(sql: Sql, listed: readonly Quarantined[]): Promise<void> {
  if (listed.length === 0) return;
  await sql.run(listSql, [
    listed.map(({ kid }) => kid),
    listed.map(({ seq }) => seq),
    listed.map(({ hash }) => fromHex(hash)),
  ]);
}

export interface OpenFork {
  readonly keyId: number;
  readonly kid: string;
  readonly seq: number;
  readonly hash: Uint8Array;
  readonly second: { readonly receivedAt: number; readonly jws: Uint8Array };
  readonly first: { readonly receivedAt: number; readonly jws: Uint8Array };
}

const openForksSql = `
  select f.key_id, k.kid, f.seq, f.hash, f.received_at, f.jws,
    m.received_at as first_received_at, m.jws as first_jws
  from fork f join meter_key k using (key_id) join message m using (key_id, seq)
  where f.entry_index is null order by f.key_id, f.seq, f.hash limit $1`;
const noteForkSql = `
  update fork set entry_index = coalesce($4, (
    select min(o.entry_index) from fork o where o.key_id = $1 and o.seq = $2))
  where key_id = $1 and seq = $2 and hash = $3`;

/** Forks that the log does not name yet. */
export async function readOpenForks(sql: Sql, limitRows: number): Promise<OpenFork[]> {
  const rows = await sql.rows<{
    key_id: number;
    kid: string;
    seq: number;
    hash: Uint8Array;
    received_at: number;
    jws: Uint8Array;
    first_received_at: number;
    first_jws: Uint8Array;
  }>(openForksSql, [limitRows]);
  return rows.map((row) => ({
    keyId: row.key_id,
    kid: row.kid,
    seq: row.seq,
    hash: row.hash,
    second: { receivedAt: row.received_at, jws: row.jws },
    first: { receivedAt: row.first_received_at, jws: row.first_jws },
  }));
}

/** Without an index: that of the fork of the same seq which the log names. */
export async function noteFork(
  sql: Sql,
  { keyId, seq, hash }: OpenFork,
  index: number | undefined,
): Promise<void> {
  await sql.run(noteForkSql, [keyId, seq, hash, index]);
}
