import type { Judgement } from '#core/certificate/fold.ts';
import { specAs } from '#core/certificate/kinds.ts';
import type { Item } from '#core/certificate/specs/parts.ts';
import type { LogState } from '#core/certificate/state/state.ts';
import type { Sql } from '#platform/postgres.ts';
import { integers, texts } from './columns.ts';

/** The history of units as rows (infra/migrations/0018-trade.sql): who did what to which range. */

interface Acted {
  readonly account?: string | undefined;
  readonly counterparty?: string | undefined;
}

const insertChangesSql = `
  insert into unit_change (series, range, entry_index, kind, account, counterparty)
  select series, int8range(low, high, '[]'), entry_index, kind, nullif(account, ''),
    nullif(counterparty, '')
  from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[])
    as r (series, low, high, entry_index, kind, account, counterparty)`;

/** Writes what the entries changed; what they issued stands in `bundle`. `state` is that after them. */
export async function insertUnitChanges(
  sql: Sql,
  state: LogState,
  judgements: readonly Judgement[],
): Promise<void> {
  const rows = judgements.flatMap((judgement) => {
    const { entry, ref, moved = [] } = judgement;
    const ranges = moved.flatMap(({ series, ranges: own, isIssue }) =>
      isIssue ? [] : own.map((range) => ({ series, ...range })),
    );
    if (entry === undefined || ranges.length === 0) return [];
    const { account = '', counterparty = '' } = actedIn(state, judgement);
    const row = { kind: entry.kind, index: ref.index, account, counterparty };
    return ranges.map((range) => ({ ...range, ...row }));
  });
  if (rows.length === 0) return;
  await sql.run(insertChangesSql, [
    texts(rows.map(({ series }) => series)),
    integers(rows.map(({ from }) => from)),
    integers(rows.map(({ to }) => to)),
    integers(rows.map(({ index }) => index)),
    texts(rows.map(({ kind }) => kind)),
    texts(rows.map(({ account }) => account)),
    texts(rows.map(({ counterparty }) => counterparty)),
  ]);
}

function actedIn({ tables }: LogState, { entry }: Judgement): Acted {
  switch (entry?.kind) {
    case 'offer':
      return specAs('offer', entry.spec);
    case 'accept': {
      const { account, offer } = specAs('accept', entry.spec);
      return { account, counterparty: tables.offers.get(offer.index)?.account };
    }
    case 'refuse': {
      const { account, offer } = specAs('refuse', entry.spec);
      const offered = tables.offers.get(offer.index);
      const isSeller = account === offered?.account;
      return { account, counterparty: isSeller ? offered.counterparty : offered?.account };
    }
    case 'settle': {
      const { account, accept } = specAs('settle', entry.spec);
      return { account, counterparty: tables.accepts.get(accept.index)?.account };
    }
    case 'cancel':
      return { account: specAs('cancel', entry.spec).account };
    default:
      return {};
  }
}

export interface UnitChange {
  readonly from: number;
  readonly to: number;
  readonly entryIndex: number;
  readonly kind: string;
  readonly account: string | null;
  readonly counterparty: string | null;
}

/** By the key of a series, since that is what the index has. */
const changesOfSql = `
  select lower(range) as low, upper(range) - 1 as high, entry_index, kind, account, counterparty
  from unit_change
  where series_key(series) = series_key($1) and series = $1 and range && int8range($2, $3, '[]')
  order by entry_index, lower(range)
  limit $4`;

/** Every change of any of these units since they were issued, in the order of entries; at most `limit`. */
export async function readUnitChanges(
  sql: Sql,
  { series, from, to }: Item,
  limit: number,
): Promise<UnitChange[]> {
  const rows = await sql.rows<{
    low: number;
    high: number;
    entry_index: number;
    kind: string;
    account: string | null;
    counterparty: string | null;
  }>(changesOfSql, [series, from, to, limit]);
  return rows.map(({ low, high, entry_index: entryIndex, ...row }) => ({
    ...{ from: low, to: high, entryIndex },
    ...row,
  }));
}
