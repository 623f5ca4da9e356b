import { toHex } from '#core/bytes.ts';
import { commitmentOf, encodeOpening, openingPath } from '#core/certificate/commitment.ts';
import { hourOpeningShape } from '#core/certificate/specs/hours.ts';
import { parseRecords } from '#core/energy/evidence-file.ts';
import type { Sql } from '#platform/postgres.ts';
import type { LogFile } from './many-files.ts';

/** Meter records of sealed hours, by the entry that states them. */

const publicSql = `
  select entry_index, records from hour_record
  where entry_index >= $1 and entry_index < $2 and salt is null`;
const committedSql = `
  select records, salt, opening from hour_record
  where entry_index >= $1 and entry_index < $2 and salt is not null`;

/** Framed records of the public hours among the entries [from, to), by index. */
export async function readPublicRecords(
  sql: Sql,
  from: number,
  to: number,
): Promise<Map<number, Uint8Array>> {
  const rows = await sql.rows<{ entry_index: number; records: Uint8Array }>(publicSql, [from, to]);
  return new Map(rows.map(({ entry_index, records }) => [entry_index, records]));
}

/** The files that open the committed hours among the entries [from, to). */
export async function readOpenings(sql: Sql, from: number, to: number): Promise<LogFile[]> {
  const rows = await sql.rows<{ records: Uint8Array; salt: Uint8Array; opening: unknown }>(
    committedSql,
    [from, to],
  );
  return rows.map(({ records, salt, opening: hidden }) => {
    const opening = hourOpeningShape.parse(hidden);
    return {
      path: openingPath(toHex(commitmentOf(salt, opening))),
      bytes: encodeOpening({ opening, salt, records: parseRecords(records) }),
    };
  });
}

const consumptionSql = `
  select entry_index, opening from hour_record
  where entry_index >= $1 and entry_index < $2 and opening is not null`;

/** What sites took in the committed hours among the entries [from, to), Wh, by index. */
export async function readConsumption(
  sql: Sql,
  from: number,
  to: number,
): Promise<Map<number, number>> {
  const rows = await sql.rows<{ entry_index: number; opening: unknown }>(consumptionSql, [
    from,
    to,
  ]);
  return new Map(
    rows.map(({ entry_index, opening }) => [
      entry_index,
      hourOpeningShape.parse(opening).consumption,
    ]),
  );
}

const oneSql = `select records from hour_record where entry_index = $1`;

/** Framed records of one sealed hour. Failed('row-count') when there are none. */
export async function readRecords(sql: Sql, index: number): Promise<Uint8Array> {
  return (await sql.row<{ records: Uint8Array }>(oneSql, [index])).records;
}
