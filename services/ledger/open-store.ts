import { hourSeconds } from '#core/energy/hours.ts';
import type { Sql } from '#platform/postgres.ts';

/** What ingestion stored of hours that are not sealed yet, read by their place under each key. */

export interface OpenPlant {
  readonly plantId: number;
  readonly isPrivate: boolean;
  /** End of the newest hour that is sealed; 0 before the first. */
  readonly openFrom: number;
}

const plantSql = `
  select p.plant_id, p.spec ->> 'disclosure' as disclosure,
    (select max(h.start) from hour_value h where h.plant_id = p.plant_id) as newest
  from plant p where p.plant = $1`;

export async function readOpenPlant(sql: Sql, plant: string): Promise<OpenPlant | undefined> {
  const [row] = await sql.rows<{
    plant_id: number;
    disclosure: string;
    newest: number | null;
  }>(plantSql, [plant]);
  if (row === undefined) return undefined;
  const { plant_id: plantId, disclosure, newest } = row;
  const openFrom = newest === null ? 0 : newest + hourSeconds;
  return { plantId, isPrivate: disclosure !== 'public', openFrom };
}

/** The last number under a key of which nothing more is to be told. */
export interface Position {
  readonly keyId: number;
  readonly seq: number;
}

const positionsSql = `
  select k.key_id, coalesce((
    select m.seq from message m where m.key_id = k.key_id and m.t_last <= $2
    order by m.t_last desc, m.seq desc limit 1), 0) as seq
  from meter_key k join meter using (meter_id)
  where plant_id = $1 and (k.last_t is null or k.last_t > $2)
  order by k.key_id limit $3`;

/**
 * Where the open hours of a plant begin, by key, for the first `limit` keys that have not ended before
 * them. By the index on (key_id, t_last): one row of it a key.
 */
export async function readOpenPositions(
  sql: Sql,
  { plantId, openFrom }: OpenPlant,
  limit: number,
): Promise<Position[]> {
  const values = [plantId, openFrom, limit];
  const rows = await sql.rows<{ key_id: number; seq: number }>(positionsSql, values);
  return rows.map(({ key_id, seq }) => ({ keyId: key_id, seq }));
}

export interface OpenMessage extends Position {
  readonly receivedAt: number;
  /** Only what was accepted will be a leaf; what a decision may yet accept is read when it has. */
  readonly isAccepted: boolean;
  /** Of the JWS. */
  readonly sizeBytes: number;
}

const followingSql = `
  select m.key_id, m.seq, m.received_at, m.code is null as accepted,
    octet_length(m.jws) as size_bytes
  from unnest($1::int[], $2::bigint[]) as w (key_id, seq)
  cross join lateral (
    select * from message f where f.key_id = w.key_id and f.seq > w.seq
    order by f.seq limit $3) m`;

/** Of each key the first `limit` messages after a position, ascending in `seq`; not their bytes. */
export async function readFollowing(
  sql: Sql,
  positions: readonly Position[],
  limit: number,
): Promise<OpenMessage[]> {
  const rows = await sql.rows<{
    key_id: number;
    seq: number;
    received_at: number;
    accepted: boolean;
    size_bytes: number;
  }>(followingSql, [positions.map(({ keyId }) => keyId), positions.map(({ seq }) => seq), limit]);
  return rows
    .map((row) => ({
      keyId: row.key_id,
      seq: row.seq,
      receivedAt: row.received_at,
      isAccepted: row.accepted,
      sizeBytes: row.size_bytes,
    }))
    .sort((a, b) => a.keyId - b.keyId || a.seq - b.seq);
}

const jwsSql = `
  select m.jws from unnest($1::int[], $2::bigint[]) with ordinality as w (key_id, seq, n)
  join message m on m.key_id = w.key_id and m.seq = w.seq
  order by w.n`;

/** The JWS of each, in this order. Messages are there for ever. */
export async function readJws(sql: Sql, wanted: readonly Position[]): Promise<Uint8Array[]> {
  if (wanted.length === 0) return [];
  const values = [wanted.map(({ keyId }) => keyId), wanted.map(({ seq }) => seq)];
  return (await sql.rows<{ jws: Uint8Array }>(jwsSql, values)).map(({ jws }) => jws);
}
