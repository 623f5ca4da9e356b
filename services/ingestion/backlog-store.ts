import type { Arrival } from '#platform/intake.ts';
import { inTransaction, type Pool, type Sql } from '#platform/postgres.ts';
import { numbers, slices } from './columns.ts';

export interface BacklogLimits {
  /** What may wait of one sender; the rest is not acknowledged. */
  readonly backlogMessages: number;
  readonly backlogBytes: number;
}

/** One sender's message that is to wait. */
export interface PutOff {
  readonly sender: string;
  readonly arrival: Arrival;
}

export interface Waiting extends PutOff {
  readonly id: number;
}

const knowSendersSql = `
  insert into backlog_sender (sender) select unnest($1::text[]) on conflict do nothing`;
/** Always in the order of their names, so that nobody waits for each other. */
const lockSendersSql = `
  select sender, messages, bytes from backlog_sender
   where sender = any($1::text[]) order by sender for update`;
const insertSql = `
  insert into backlog (received_at, sender, topic, bytes)
  select received_at, sender, topic, substring($4::bytea from position for length)
    from unnest($1::bigint[], $2::text[], $3::text[], $5::integer[], $6::integer[])
         with ordinality as u (received_at, sender, topic, position, length, n)
   order by n`;
const countSql = `
  update backlog_sender s
     set messages = s.messages + u.messages, bytes = s.bytes + u.bytes,
         overflowed = s.overflowed + u.overflowed
    from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[])
         as u (sender, messages, bytes, overflowed)
   where s.sender = u.sender`;

interface Room {
  messages: number;
  bytes: number;
  overflowed: number;
}

/**
 * Stores what still fits for its sender, in one transaction, and returns the rest. In the order
 * given, and once something of a sender did not fit nothing after it does: its order stays whole.
 */
export async function storePutOff<Item extends PutOff>(
  pool: Pool,
  items: readonly Item[],
  limits: BacklogLimits,
): Promise<ReadonlySet<Item>> {
  const senders = [...new Set(items.map(({ sender }) => sender))].sort();
  return inTransaction(pool, async (sql) => {
    await sql.run(knowSendersSql, [senders]);
    const rows = await sql.rows<{ sender: string; messages: number; bytes: number }>(
      lockSendersSql,
      [senders],
    );
    const waiting = new Map(rows.map((row) => [row.sender, row]));
    const added = new Map<string, Room>();
    const overflow = new Set<Item>();
    for (const item of items) {
      const before = waiting.get(item.sender) ?? { messages: 0, bytes: 0 };
      const sum = added.get(item.sender) ?? { messages: 0, bytes: 0, overflowed: 0 };
      added.set(item.sender, sum);
      const { length } = item.arrival.bytes;
      const fits =
        sum.overflowed === 0 &&
        before.messages + sum.messages < limits.backlogMessages &&
        before.bytes + sum.bytes + length <= limits.backlogBytes;
      if (fits) {
        sum.messages++;
        sum.bytes += length;
      } else {
        sum.overflowed++;
        overflow.add(item);
      }
    }
    await insert(
      sql,
      items.filter((item) => !overflow.has(item)),
    );
    await count(sql, added);
    return overflow;
  });
}

async function insert(sql: Sql, items: readonly PutOff[]): Promise<void> {
  if (items.length === 0) return;
  const { bytes, positions, lengths } = slices(items.map(({ arrival }) => arrival.bytes));
  await sql.run(insertSql, [
    numbers(items.map(({ arrival }) => arrival.receivedAt)),
    items.map(({ sender }) => sender),
    items.map(({ arrival }) => arrival.topic),
    bytes,
    positions,
    lengths,
  ]);
}

async function count(sql: Sql, change: ReadonlyMap<string, Room>): Promise<void> {
  const sums = [...change.values()];
  await sql.run(countSql, [
    [...change.keys()],
    numbers(sums.map(({ messages }) => messages)),
    numbers(sums.map(({ bytes }) => bytes)),
    numbers(sums.map(({ overflowed }) => overflowed)),
  ]);
}

const waitingSendersSql = `select sender from backlog_sender where messages > 0`;

export async function readWaitingSenders(sql: Sql): Promise<ReadonlySet<string>> {
  const rows = await sql.rows<{ sender: string }>(waitingSendersSql);
  return new Set(rows.map(({ sender }) => sender));
}

/** By the database's own clock, which all processes share. */
const leaseSql = `
  update backlog_lease set holder = $1, until = now() + make_interval(secs => $2)
   where holder = $1 or until < now()`;
const releaseSql = `update backlog_lease set until = '-infinity' where holder = $1`;
const oldestSql = `
  select b.backlog_id as id, s.sender, b.received_at as "receivedAt", b.topic, b.bytes
    from unnest($1::text[]) as s (sender)
         cross join lateral (
           select * from backlog where backlog.sender = s.sender order by backlog_id limit $2
         ) b
   order by s.sender, b.backlog_id`;
const failedSql = `update backlog set failures = failures + 1 where backlog_id = any($1::bigint[])`;
/** What an error of ours keeps out for good is kept raw like all else that takes no seq. */
const giveUpSql = `
  insert into quarantine (received_at, sender, topic, code, detail, signed, hash, bytes)
  select received_at, sender, topic, 'error', 'could not be stored', false, sha256(bytes), bytes
    from backlog where backlog_id = any($1::bigint[]) and failures >= $2
  returning hash`;
const removeSql = `
  with gone as (
    delete from backlog
     where backlog_id = any($1::bigint[]) or (backlog_id = any($2::bigint[]) and failures >= $3)
    returning sender, length(bytes) as bytes
  ), sums as (select sender, count(*) as messages, sum(bytes) as bytes from gone group by sender)
  update backlog_sender s
     set messages = s.messages - sums.messages, bytes = s.bytes - sums.bytes
    from sums where s.sender = sums.sender`;

export interface DrainTurn {
  /** Who drains: a name of this process alone, and how long it may be silent before another does. */
  readonly holder: string;
  readonly leaseS: number;
  readonly senders: readonly string[];
  readonly messagesPerSender: number;
  /** After so many errors of ours a message is put into quarantine. */
  readonly failuresLimit: number;
}

/** What came of each: `kept` is left for another turn, as it is. */
export type Fate = 'done' | 'failed' | 'kept';

/**
 * Takes the oldest messages of some senders, has them worked on, and removes what is done. One process
 * at a time: false when another one does it now. What was worked on and not removed when this process
 * dies comes again, as a duplicate. No transaction is open meanwhile: the work has its own.
 */
export async function drainOldest(
  pool: Pool,
  { holder, leaseS, senders, messagesPerSender, failuresLimit }: DrainTurn,
  work: (waiting: readonly Waiting[]) => Promise<readonly Fate[]>,
): Promise<boolean> {
  if ((await pool.run(leaseSql, [holder, leaseS])) !== 1) return false;
  const rows = await pool.rows<Omit<Arrival, 'sender'> & { id: number; sender: string }>(
    oldestSql,
    [[...senders], messagesPerSender],
  );
  const fates = await work(rows.map((row) => ({ ...row, arrival: row })));
  const idsOf = (fate: Fate): string =>
    numbers(rows.filter((_, i) => fates[i] === fate).map(({ id }) => id));
  const [done, failed] = [idsOf('done'), idsOf('failed')];
  if (fates.every((fate) => fate === 'kept')) return true;
  await inTransaction(pool, async (sql) => {
    await sql.rows(lockSendersSql, [[...senders].sort()]);
    await sql.run(failedSql, [failed]);
    await sql.run(giveUpSql, [failed, failuresLimit]);
    await sql.run(removeSql, [done, failed, failuresLimit]);
  });
  return true;
}

/** So that another process need not wait until the lease is over. */
export async function releaseDrain(pool: Pool, holder: string): Promise<void> {
  await pool.run(releaseSql, [holder]);
}
