import type { Table } from '#core/certificate/state/rows.ts';

/** All rows of a table that lies in memory: a table as such cannot be walked. */
export function rowsInMemory<Key, Row>(table: Table<Key, Row>): ReadonlyMap<Key, Row> {
  if (!(table instanceof Map)) throw new TypeError('table: not in memory');
  return table;
}
