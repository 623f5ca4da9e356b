import { parsePublicJwk } from '#core/keys.ts';
import type { Sql } from '#platform/postgres.ts';

/** Accounts, as the log now says them. */

export interface Account {
  readonly account: string;
  readonly role: string;
  /** Who keeps its key; with the operator's, no action proves what its owner wanted (D4.4). */
  readonly custody: 'own' | 'operator';
  /** Thumbprint of the key that acts for it at the given time. */
  readonly kid: string;
  readonly frozen: boolean;
  /** Index of its `account` entry. */
  readonly entryIndex: number;
}

/** Accounts of one page; the next begins behind the last of them. */
export const accountsPerPage = 1_000;

const listSql = `
  select account, role, custody, frozen, entry_index,
         case when next_from <= $1 then next_jwk else jwk end as jwk
    from account
   where account > $2 and ($3::text is null or account = $3)
   order by account
   limit ${accountsPerPage}`;

interface Row {
  readonly account: string;
  readonly role: string;
  readonly custody: 'own' | 'operator';
  readonly frozen: boolean;
  readonly entry_index: number;
  readonly jwk: unknown;
}

/** By id, at most `accountsPerPage` from behind `after` on. */
export async function listAccounts(
  sql: Sql,
  { nowS, after = '' }: { readonly nowS: number; readonly after?: string },
): Promise<readonly Account[]> {
  return (await sql.rows<Row>(listSql, [nowS, after, null])).map(accountOf);
}

export async function readAccount(
  sql: Sql,
  account: string,
  { nowS }: { readonly nowS: number },
): Promise<Account | undefined> {
  const [row] = await sql.rows<Row>(listSql, [nowS, '', account]);
  return row && accountOf(row);
}

function accountOf({ entry_index: entryIndex, jwk, ...row }: Row): Account {
  return { ...row, entryIndex, kid: parsePublicJwk(jwk).kid };
}
