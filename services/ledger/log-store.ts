import { Fatal } from '#core/errors.ts';
import type { Sql } from '#platform/postgres.ts';

/** What the database holds of the log itself: entries in order, and the newest signed tree head. */

export interface StoredEntry {
  readonly index: number;
  readonly leafHash: Uint8Array;
  readonly data: Uint8Array;
}

export interface NewEntry extends StoredEntry {
  readonly kind: string;
  readonly time: number;
}

export interface EntryFault {
  readonly code: string;
  readonly message: string;
}

const lockSql = `select next_index, time from log_state for update`;
const nextIndexSql = `select next_index from log_state`;
const advanceSql = `update log_state set next_index = $2, time = $3 where next_index = $1`;
const entriesSql = `
  select index, leaf_hash, data from log_entry where index >= $1 and index < $2 order by index`;
const entriesByIndexSql = `
  select index, leaf_hash, data from log_entry where index = any($1::bigint[]) order by index`;
const insertEntriesSql = `
  insert into log_entry (index, leaf_hash, data, kind, time)
  select * from unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::text[], $5::bigint[])`;
const faultsSql = `
  select entry_index, code, message from entry_fault where entry_index >= $1 and entry_index < $2`;
const insertFaultSql = `insert into entry_fault (entry_index, code, message) values ($1, $2, $3)`;

/** The place of the next entry, locked until the transaction ends: nobody else sequences meanwhile. */
export async function lockLog(sql: Sql): Promise<{ nextIndex: number; time: number }> {
  const row = await sql.row<{ next_index: number; time: number }>(lockSql);
  return { nextIndex: row.next_index, time: row.time };
}

export async function readNextIndex(sql: Sql): Promise<number> {
  return (await sql.row<{ next_index: number }>(nextIndexSql)).next_index;
}

/** Entries [from, to), ascending, without gaps; Fatal('log-gap') when one is not there. */
export async function readEntries(sql: Sql, from: number, to: number): Promise<StoredEntry[]> {
  const rows = await sql.rows<{ index: number; leaf_hash: Uint8Array; data: Uint8Array }>(
    entriesSql,
    [from, to],
  );
  rows.forEach(({ index }, i) => {
    if (index !== from + i) throw new Fatal('log-gap', `entry ${from + i} is not in the database`);
  });
  if (rows.length !== to - from) {
    throw new Fatal('log-gap', `entry ${from + rows.length} is not in the database`);
  }
  return rows.map(({ index, leaf_hash, data }) => ({ index, leafHash: leaf_hash, data }));
}

/** Those of `indexes` that there are, ascending. */
export async function readEntriesByIndex(
  sql: Sql,
  indexes: readonly number[],
): Promise<StoredEntry[]> {
  const rows = await sql.rows<{ index: number; leaf_hash: Uint8Array; data: Uint8Array }>(
    entriesByIndexSql,
    [indexes],
  );
  return rows.map(({ index, leaf_hash, data }) => ({ index, leafHash: leaf_hash, data }));
}

export async function readFaults(
  sql: Sql,
  from: number,
  to: number,
): Promise<Map<number, EntryFault>> {
  const rows = await sql.rows<{ entry_index: number; code: string; message: string }>(faultsSql, [
    from,
    to,
  ]);
  return new Map(rows.map(({ entry_index, code, message }) => [entry_index, { code, message }]));
}

export async function insertFault(sql: Sql, index: number, fault: EntryFault): Promise<void> {
  await sql.run(insertFaultSql, [index, fault.code, fault.message]);
}

/** Appends at the place that `lockLog` gave. Fatal('log-moved') when that place is no longer it. */
export async function appendEntries(
  sql: Sql,
  from: number,
  { entries, time }: { entries: readonly NewEntry[]; time: number },
): Promise<void> {
  await sql.run(insertEntriesSql, [
    entries.map(({ index }) => index),
    entries.map(({ leafHash }) => leafHash),
    entries.map(({ data }) => data),
    entries.map(({ kind }) => kind),
    entries.map((entry) => entry.time),
  ]);
  if ((await sql.run(advanceSql, [from, from + entries.length, time])) !== 1) {
    throw new Fatal('log-moved', `entry ${from} was appended by somebody without the lock`);
  }
}

export interface StoredCheckpoint {
  readonly treeSize: number;
  readonly root: Uint8Array;
  /** For each level of tiles the hashes of its partial tile, joined; empty where there is none. */
  readonly edge: readonly Uint8Array[];
  readonly note: Uint8Array | undefined;
  /** What the static files show. */
  readonly publishedSize: number;
}

const checkpointSql = `select tree_size, root, edge, note, published_size from checkpoint`;
const lockCheckpointSql = `${checkpointSql} for update`;
const swapSql = `
  update checkpoint set tree_size = $2, root = $3, edge = $4::bytea[], note = $5
  where tree_size = $1`;
const publishedSql = `update checkpoint set published_size = $1 where published_size < $1`;
const insertTilesSql = `
  insert into pending_tile (path, data) select * from unnest($1::text[], $2::bytea[])
  on conflict (path) do nothing`;
const tilesSql = `
  select path, data from pending_tile where path > $1 order by path limit $2`;
const deleteTilesSql = `delete from pending_tile where path = any($1::text[])`;

interface CheckpointRow {
  tree_size: number;
  root: Uint8Array;
  edge: Uint8Array[];
  note: Uint8Array | null;
  published_size: number;
}

export async function readCheckpoint(
  sql: Sql,
  { lock = false }: { lock?: boolean } = {},
): Promise<StoredCheckpoint> {
  const row = await sql.row<CheckpointRow>(lock ? lockCheckpointSql : checkpointSql);
  return {
    treeSize: row.tree_size,
    root: row.root,
    edge: row.edge,
    note: row.note ?? undefined,
    publishedSize: row.published_size,
  };
}

/** Swaps the checkpoint of `oldSize`. Fatal('checkpoint-moved') unless that was exactly one row. */
export async function swapCheckpoint(
  sql: Sql,
  oldSize: number,
  next: Pick<StoredCheckpoint, 'treeSize' | 'root' | 'edge'> & { readonly note: Uint8Array },
): Promise<void> {
  const values = [oldSize, next.treeSize, next.root, next.edge, next.note];
  if ((await sql.run(swapSql, values)) !== 1) {
    throw new Fatal('checkpoint-moved', `the checkpoint of size ${oldSize} is not there any more`);
  }
}

/** A path always has the same bytes, so a tile that is there already need not be written again. */
export async function insertPendingTiles(
  sql: Sql,
  tiles: ReadonlyMap<string, Uint8Array>,
): Promise<void> {
  await sql.run(insertTilesSql, [[...tiles.keys()], [...tiles.values()]]);
}

/** In the order of their paths, from the first beyond `after`. */
export async function readPendingTiles(
  sql: Sql,
  { after, limit }: { after: string; limit: number },
): Promise<{ path: string; data: Uint8Array }[]> {
  return sql.rows<{ path: string; data: Uint8Array }>(tilesSql, [after, limit]);
}

export async function deletePendingTiles(sql: Sql, paths: readonly string[]): Promise<void> {
  await sql.run(deleteTilesSql, [paths]);
}

export async function notePublished(sql: Sql, size: number): Promise<void> {
  await sql.run(publishedSql, [size]);
}
