import type { Sql } from '#platform/postgres.ts';
import { numbers, slices } from './columns.ts';
import type { Astray } from './plan.ts';

export interface QuarantineLimits {
  /** Unsigned rows kept for each sender; the oldest go first. */
  readonly unsignedRowsPerSender: number;
  readonly unsignedKeptS: number;
}

const insertSql = `
  insert into quarantine (received_at, sender, topic, code, detail, signed, kid, seq, hash, bytes)
  select u.received_at, u.sender, u.topic, u.code, u.detail, u.signed, u.kid, u.seq,
         substring($9::bytea from (u.n * 32 - 31)::integer for 32),
         substring($10::bytea from u.position for u.length)
    from unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::boolean[],
                $7::text[], $8::bigint[], $11::integer[], $12::integer[])
         with ordinality as u (received_at, sender, topic, code, detail, signed, kid, seq, position,
                               length, n)
  on conflict do nothing`;

/** By the partial index on (sender, quarantine_id): one look at the row where the allowance ends. */
const boundCountSql = `
  delete from quarantine q
   using (
     select s.sender, (
         select o.quarantine_id from quarantine o
          where o.sender = s.sender and not o.signed
          order by o.quarantine_id desc offset $2 limit 1
       ) as last_kept
       from unnest($1::text[]) as s (sender)
   ) as bound
   where q.sender = bound.sender and not q.signed and q.quarantine_id <= bound.last_kept`;

const boundAgeSql = `
  delete from quarantine
   where not signed and sender = any($1::text[]) and received_at < $2`;

/**
 * Keeps what takes no seq (D4.1): what is signed once and for ever, the rest as much as each sender
 * is allowed. In the transaction of the batch, so that a flood cannot outrun its own limit.
 */
export async function quarantine(
  sql: Sql,
  astray: readonly Astray[],
  { limits, nowS }: { readonly limits: QuarantineLimits; readonly nowS: number },
): Promise<void> {
  if (astray.length === 0) return;
  const bytes = slices(astray.map(({ arrival }) => arrival.bytes));
  await sql.run(insertSql, [
    numbers(astray.map(({ arrival }) => arrival.receivedAt)),
    astray.map(({ arrival }) => printable(arrival.sender)),
    astray.map(({ arrival }) => printable(arrival.topic)),
    astray.map(({ code }) => code),
    astray.map(({ detail }) => printable(detail)),
    astray.map(({ signed }) => signed),
    astray.map(({ kid }) => kid ?? null),
    numbers(astray.map(({ seq }) => seq ?? null)),
    slices(astray.map(({ hash }) => hash)).bytes,
    bytes.bytes,
    bytes.positions,
    bytes.lengths,
  ]);
  const unsigned = astray.filter(({ signed }) => !signed);
  const senders = [...new Set(unsigned.map(({ arrival }) => printable(arrival.sender)))].sort();
  if (senders.length === 0) return;
  await sql.run(boundCountSql, [senders, limits.unsignedRowsPerSender]);
  await sql.run(boundAgeSql, [senders, nowS - limits.unsignedKeptS]);
}

const textLimitCharacters = 256;

/** Text from outside, fit for a text column (no NUL) and for somebody's terminal. */
function printable(text: string): string {
  return text.slice(0, textLimitCharacters).replace(/[\p{Cc}\p{Cs}]/gu, '\u{FFFD}');
}
