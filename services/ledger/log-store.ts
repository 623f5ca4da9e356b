import { Fatal } from '#core/errors.ts';
import { hashBytes } from '#core/tlog/tree.ts';
import type { Sql } from '#platform/postgres.ts';
import { hashAt, hashes, integers, joined, texts } from './columns.ts';

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
/** Rows that are many bytes each: to decode one long value takes less than as many short ones. */
const groupedEntries = 256;
const entriesSql = `
  select array_agg(index order by index) as indexes,
    array_agg(octet_length(data) order by index)::bigint[] as lengths,
    string_agg(leaf_hash, ''::bytea order by index) as leaf_hashes,
    string_agg(data, ''::bytea order by index) as data
  from log_entry where index >= $1 and index < $2
  group by index / ${groupedEntries} order by index / ${groupedEntries}`;
const entriesByIndexSql = `
  select index, leaf_hash, data from log_entry where index = any($1::bigint[]) order by index`;
const insertEntriesSql = `
  insert into log_entry (index, leaf_hash, data, kind, time)
  select index, ${hashAt('$2')}, substr($3::bytea, start, length), kind, time
  from unnest($1::bigint[], $4::int[], $5::int[], $6::text[], $7::bigint[])
    with ordinality as r (index, start, length, kind, time, n)`;
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
  const entries = (await sql.rows<GroupRow>(entriesSql, [from, to])).flatMap(entriesOf);
  entries.forEach(({ index }, i) => {
    if (index !== from + i) throw new Fatal('log-gap', `entry ${from + i} is not in the database`);
  });
  if (entries.length !== to - from) {
    throw new Fatal('log-gap', `entry ${from + entries.length} is not in the database`);
  }
  return entries;
}

interface GroupRow {
  indexes: number[];
  lengths: number[];
  leaf_hashes: Uint8Array;
  data: Uint8Array;
}

function entriesOf({ indexes, lengths, leaf_hashes, data }: GroupRow): StoredEntry[] {
  let end = 0;
  return indexes.map((index, i) => {
    const start = end;
    end += lengths[i] ?? 0;
    return {
      index,
      leafHash: leaf_hashes.subarray(i * hashBytes, (i + 1) * hashBytes),
      data: data.subarray(start, end),
    };
  });
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

/** Index and time of the last `limit` entries before `size`, the last one first. */
export async function readLastTimes(
  sql: Sql,
  size: number,
  limit: number,
): Promise<{ index: number; time: number }[]> {
  return sql.rows<{ index: number; time: number }>(timesSql, [size, limit]);
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
  const data = joined(entries.map((entry) => entry.data));
  await sql.run(insertEntriesSql, [
    integers(entries.map(({ index }) => index)),
    hashes(entries.map(({ leafHash }) => leafHash)),
    data.bytes,
    data.starts,
    data.lengths,
    texts(entries.map(({ kind }) => kind)),
    integers(entries.map((entry) => entry.time)),
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
  /** Up to where tiles and bundles are durable as files. */
  readonly writtenSize: number;
  /** What the static file `checkpoint` shows. */
  readonly publishedSize: number;
}

const checkpointSql = `
  select tree_size, root, edge, note, written_size, published_size from checkpoint`;
const lockCheckpointSql = `${checkpointSql} for update`;
const swapSql = `
  update checkpoint set tree_size = $2, root = $3, edge = $4::bytea[], note = $5
  where tree_size = $1`;
const writtenSql = `update checkpoint set written_size = $1 where written_size < $1`;
const publishedSql = `
  with gone as (delete from pending_checkpoint where tree_size = $1)
  update checkpoint set published_size = $1 where published_size < $1`;
const timesSql = `
  select index, time from log_entry where index < $1 order by index desc limit $2`;
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
  written_size: number;
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
    writtenSize: row.written_size,
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

export async function noteWritten(sql: Sql, size: number): Promise<void> {
  await sql.run(writtenSql, [size]);
}

/** The checkpoint of `size` is not pending from then on. */
export async function notePublished(sql: Sql, size: number): Promise<void> {
  await sql.run(publishedSql, [size]);
}
