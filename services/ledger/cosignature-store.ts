import type { NoteSignature } from '#core/tlog/note.ts';
import type { Sql } from '#platform/postgres.ts';

/** Checkpoints on their way from signed to published, and the cosignatures that they have gathered. */

export interface PendingCheckpoint {
  readonly treeSize: number;
  /** Signed by the log alone. */
  readonly note: Uint8Array;
}

const insertSql = `insert into pending_checkpoint (tree_size, note) values ($1, $2)`;
/**
 * Asked of the entries, so that what is sequenced and signed meanwhile is never overlooked. Not by
 * `exists`, which under an `or` may be planned as a look at every entry of the log.
 */
const endsWithState = `
  (select kind from log_entry where index = tree_size - 1) is not distinct from 'state'`;
const dueSql = `
  with due as (
    select p.tree_size, p.note from pending_checkpoint p, checkpoint c
    where c.one and p.tree_size > c.published_size and p.tree_size <= c.written_size)
  select tree_size, note from due
  where tree_size = (select max(tree_size) from due) or ${endsWithState}
  order by tree_size`;
const isPendingSql = `
  select exists (select from pending_checkpoint where tree_size = $1) as pending`;
const supersededSql = `
  delete from pending_checkpoint where tree_size in (
    select tree_size from pending_checkpoint where tree_size < $1
      or tree_size < (select tree_size from pending_checkpoint order by tree_size desc offset $2 limit 1)
        and not ${endsWithState}
    order by tree_size limit $3)
  returning tree_size`;
const cosignaturesSql = `
  select name, key_id, signature from cosignature where tree_size = $1 order by name, key_id`;
const addSql = `
  insert into cosignature (tree_size, name, key_id, signature)
  select tree_size, $2, $3, $4 from pending_checkpoint where tree_size = $1 for key share
  on conflict do nothing`;

export async function insertPendingCheckpoint(
  sql: Sql,
  { treeSize, note }: PendingCheckpoint,
): Promise<void> {
  await sql.run(insertSql, [treeSize, note]);
}

/**
 * What is to be published, in this order: above the published size those that end with a `state`, and
 * the newest. Their tiles and bundles are durable as files.
 */
export async function readDuePending(sql: Sql): Promise<PendingCheckpoint[]> {
  const rows = await sql.rows<{ tree_size: number; note: Uint8Array }>(dueSql);
  return rows.map(({ tree_size, note }) => ({ treeSize: tree_size, note }));
}

export async function isPending(sql: Sql, treeSize: number): Promise<boolean> {
  return (await sql.row<{ pending: boolean }>(isPendingSql, [treeSize])).pending;
}

/**
 * Forgets pending checkpoints below the published size, and the oldest of more than `keep` but for
 * those that end with a `state`; those forgotten, ascending, at most `limit`.
 */
export async function forgetSuperseded(
  sql: Sql,
  { publishedSize, keep, limit }: { publishedSize: number; keep: number; limit: number },
): Promise<number[]> {
  const rows = await sql.rows<{ tree_size: number }>(supersededSql, [
    publishedSize,
    keep - 1,
    limit,
  ]);
  return rows.map(({ tree_size }) => tree_size).sort((a, b) => a - b);
}

export async function readCosignatures(sql: Sql, treeSize: number): Promise<NoteSignature[]> {
  const rows = await sql.rows<{ name: string; key_id: string; signature: Uint8Array }>(
    cosignaturesSql,
    [treeSize],
  );
  return rows.map(({ name, key_id, signature }) => ({ name, keyId: key_id, signature }));
}

/** Does nothing where the checkpoint is not pending any more, or has one by this key. */
export async function addCosignature(
  sql: Sql,
  treeSize: number,
  { name, keyId, signature }: NoteSignature,
): Promise<void> {
  await sql.run(addSql, [treeSize, name, keyId, signature]);
}
