import type { OutboxRow } from './news.ts';
import type { Sql } from './postgres.ts';

/** By the server's clock, which all who ask share. */
const holdSql = `
  update outbox_relay set holder = $1, until = clock_timestamp() + $2 * interval '1 millisecond'
   where holder = $1 or until < clock_timestamp()`;
const releaseSql = `update outbox_relay set until = '-infinity' where holder = $1`;

/** Takes or keeps the right to relay; false when another has it. */
export async function holdLease(
  sql: Sql,
  { holder, leaseMs }: { readonly holder: string; readonly leaseMs: number },
): Promise<boolean> {
  return (await sql.run(holdSql, [holder, leaseMs])) === 1;
}

export async function releaseLease(sql: Sql, holder: string): Promise<void> {
  await sql.run(releaseSql, [holder]);
}

const waitingSql = `
  select topic from unnest($1::text[]) as t (topic)
   where exists (select from outbox o where o.topic = t.topic)`;

/** Those of `topics` that have something in the outbox. */
export async function topicsWaiting(
  sql: Sql,
  topics: readonly string[],
): Promise<ReadonlySet<string>> {
  if (topics.length === 0) return new Set();
  const rows = await sql.rows<{ topic: string }>(waitingSql, [topics]);
  return new Set(rows.map(({ topic }) => topic));
}

/** The running sum leaves out the row itself, so that the first one always comes. */
const readSql = `
  select outbox_id, created_at, value
    from (select outbox_id, created_at, value,
                 sum(octet_length(value::text)) over (order by outbox_id) - octet_length(value::text)
                   as bytes_before
            from (select outbox_id, created_at, value from outbox
                   where topic = $1 order by outbox_id limit $2) as first_rows) as measured
   where bytes_before < $3 order by outbox_id`;

/** The first rows of a topic, in order: at most so many, and little more than so many bytes. */
export async function readRows(
  sql: Sql,
  topic: string,
  { roundRows, roundBytes }: { readonly roundRows: number; readonly roundBytes: number },
): Promise<OutboxRow[]> {
  const rows = await sql.rows<{ outbox_id: number; created_at: number; value: unknown }>(readSql, [
    topic,
    roundRows,
    roundBytes,
  ]);
  return rows.map(({ outbox_id, created_at, value }) => ({
    id: outbox_id,
    time: created_at,
    news: value,
  }));
}

export async function deleteRows(sql: Sql, ids: readonly number[]): Promise<void> {
  if (ids.length === 0) return;
  await sql.run('delete from outbox where outbox_id = any($1::bigint[])', [ids]);
}
