import { fromHex } from '#core/bytes.ts';
import type { AccountState } from '#core/certificate/state/state.ts';
import type { Sql } from '#platform/postgres.ts';

/** Accounts as the log now says them (infra/migrations/0019-accounts.sql). */

const saveSql = `
  insert into account
    (account, entry_index, role, custody, identity, jwk, next_jwk, next_from, frozen)
  values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
  on conflict (account) do update
    set jwk = excluded.jwk, next_jwk = excluded.next_jwk, next_from = excluded.next_from,
        frozen = excluded.frozen`;

/** `entryIndex` is that of its `account` entry; it counts only where the account is new. */
export async function saveAccount(
  sql: Sql,
  { spec, key, successor, frozen }: AccountState,
  entryIndex: number,
): Promise<void> {
  await sql.run(saveSql, [
    spec.account,
    entryIndex,
    spec.role,
    spec.custody,
    fromHex(spec.identity),
    JSON.stringify(key.jwk),
    successor && JSON.stringify(successor.key.jwk),
    successor?.fromS,
    frozen,
  ]);
}
