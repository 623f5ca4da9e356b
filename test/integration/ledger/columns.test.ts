import { expect, test } from 'vitest';
import { hashAt, hashes, integers, joined, texts } from '#ledger/columns.ts';
import { onEachEngine } from '#support/postgres.ts';

/** The server reads back what was sent, whatever it is. */

const hostile = [
  'hour',
  'null',
  'NULL',
  '',
  ' ',
  '"',
  '\\',
  '\\"',
  'a,b',
  '{}',
  '{"x"}',
  'ä',
  '\n',
];

onEachEngine('columns', (start) => {
  test('texts and integers come back as they were', async () => {
    const { pool } = await start({ migrated: false });
    const row = await pool.row<{ texts: string[]; integers: (number | null)[] }>(
      'select $1::text[] as texts, $2::bigint[] as integers',
      [texts(hostile), integers([0, -1, undefined, Number.MAX_SAFE_INTEGER])],
    );
    expect(row.texts).toEqual(hostile);
    expect(row.integers).toEqual([0, -1, null, Number.MAX_SAFE_INTEGER]);
    const none = await pool.row<{ texts: string[]; integers: number[] }>(
      'select $1::text[] as texts, $2::bigint[] as integers',
      [texts([]), integers([])],
    );
    expect(none).toEqual({ texts: [], integers: [] });
  });

  test('every value is cut out of joined bytes where it stands', async () => {
    const { pool } = await start({ migrated: false });
    const values = [[], [1], [0, 255, 0], [], Array.from({ length: 70_000 }, (_, i) => i % 251)];
    const column = joined(values.map((value) => Uint8Array.from(value)));
    const rows = await pool.rows<{ value: Uint8Array }>(
      `select substr($1::bytea, r.start, r.length) as value
       from unnest($2::int[], $3::int[]) with ordinality as r (start, length, n) order by n`,
      [column.bytes, column.starts, column.lengths],
    );
    expect(rows.map(({ value }) => [...value])).toEqual(values);
  });

  test('hashes are cut out by their row', async () => {
    const { pool } = await start({ migrated: false });
    const values = [1, 2, 3].map((byte) => new Uint8Array(32).fill(byte));
    const rows = await pool.rows<{ hash: Uint8Array }>(
      `select ${hashAt('$1')} as hash from generate_series(1, 3) as n order by n`,
      [hashes(values)],
    );
    expect(rows.map(({ hash }) => hash)).toEqual(values);
  });
});

test('a hash of another length would shift all that follow, and is refused', () => {
  expect(() => hashes([new Uint8Array(32), new Uint8Array(31)])).toThrow(RangeError);
});
