import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { rowsAt, rowsOf, type Rows } from '#core/certificate/state/rows.ts';
import { memoryTables } from '#core/certificate/state/tables.ts';
import { createBusyLog, testStartS } from '#support/log-builder.ts';

/** What a sequence says of itself, from before its first place to behind its last. */
function said<Row>(rows: Rows<Row> | readonly Row[]): unknown {
  const places = Array.from({ length: 2 * rows.length + 5 }, (_, i) => i - rows.length - 2);
  return { length: rows.length, all: [...rows], at: places.map((place) => rows.at(place)) };
}

const tableOf = (...rows: readonly string[]) => new Map(rows.entries());

describe('the rows of a table', () => {
  it('are none at first', () => {
    const rows = rowsOf(tableOf());
    expect([rows.length, rows.at(0), rows.at(-1), [...rows]]).toEqual([
      0,
      undefined,
      undefined,
      [],
    ]);
  });

  it('count from both ends, and are none beyond either', () => {
    const rows = rowsOf(tableOf('a', 'b', 'c'), 3);
    expect([0, 1, 2].map(rows.at)).toEqual(['a', 'b', 'c']);
    expect([-1, -2, -3].map(rows.at)).toEqual(['c', 'b', 'a']);
    expect([3, 4, -4, -5, 2 ** 53].map(rows.at)).toEqual(Array(5).fill(undefined));
    expect([...rows]).toEqual(['a', 'b', 'c']);
  });

  it('are as many more as were pushed, each behind the last', () => {
    const table = tableOf();
    const rows = rowsOf(table);
    for (const [i, row] of ['a', 'b', 'c'].entries()) {
      rows.push(row);
      expect([rows.length, rows.at(-1), rows.at(i), rows.at(i + 1)]).toEqual([
        i + 1,
        row,
        row,
        undefined,
      ]);
    }
    expect([...table]).toEqual([
      [0, 'a'],
      [1, 'b'],
      [2, 'c'],
    ]);
  });

  it('are the first of the table alone, whatever lies behind them', () => {
    const table = tableOf('a', 'b', 'lost', 'lost too');
    const rows = rowsOf(table, 2);
    expect(said(rows)).toEqual(said(['a', 'b']));
    expect(() => {
      rows.replace(2, 'x');
    }).toThrow(RangeError);
    rows.push('c');
    expect(said(rows)).toEqual(said(['a', 'b', 'c']));
    expect(table.get(3)).toBe('lost too');
  });

  it.each([
    [0, 0],
    [0, -1],
    [3, 3],
    [3, 4],
    [3, -1],
    [3, -3],
  ])('of %d refuse to replace that at %d, and leave all as it was', (length, place) => {
    const table = tableOf('a', 'b', 'c', 'lost');
    const rows = rowsOf(table, length);
    expect(() => {
      rows.replace(place, 'x');
    }).toThrow(new RangeError(`rows: ${place} of ${length}`));
    expect([...table.values()]).toEqual(['a', 'b', 'c', 'lost']);
    expect(rows.length).toBe(length);
  });

  it('are what an array is after the same steps', () => {
    const step = fc.tuple(fc.option(fc.nat(20), { nil: undefined }), fc.string({ maxLength: 3 }));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const rows = rowsOf(new Map<number, string>());
        const array: string[] = [];
        for (const [place, row] of steps) {
          if (place === undefined) {
            rows.push(row);
            array.push(row);
          } else if (place < array.length) {
            rows.replace(place, row);
            array[place] = row;
          }
          expect(said(rows)).toEqual(said(array));
        }
      }),
    );
  });
});

describe('tables in memory', () => {
  it('are new ones for every log, and for every plant and series in it', () => {
    const [one, other] = [memoryTables(), memoryTables()];
    one.nonces.set('kid nonce', true);
    one.placesOf('energy/solar').set(0, 7);
    expect(other.nonces.has('kid nonce')).toBe(false);
    expect(one.placesOf('energy/wind').has(0)).toBe(false);
    const log = createBusyLog();
    log.hour('solar', testStartS, 10);
    expect(log.state.plants.get('solar')?.hours.has(testStartS)).toBe(true);
    expect(log.state.plants.get('wind')?.hours.has(testStartS)).toBe(false);
  });
});

describe('rows by their places among others', () => {
  it('are those rows in the order of the places', () => {
    const all = rowsOf(tableOf('a', 'b', 'c', 'd'), 4);
    const some = rowsAt(rowsOf(new Map([3, 0, 2].entries()), 3), all);
    expect(said(some)).toEqual(said(['d', 'a', 'c']));
    expect(said(rowsAt([3, 0, 2], ['a', 'b', 'c', 'd']))).toEqual(said(some));
  });

  it('follow what is appended to either, and what is replaced', () => {
    const all = rowsOf(tableOf());
    const places = rowsOf(new Map<number, number>());
    const some = rowsAt(places, all);
    expect(said(some)).toEqual(said([]));
    for (const row of ['a', 'b', 'c']) all.push(row);
    expect(some.length).toBe(0);
    places.push(0);
    places.push(2);
    expect(said(some)).toEqual(said(['a', 'c']));
    all.replace(2, 'changed');
    all.replace(1, 'not one of them');
    expect(said(some)).toEqual(said(['a', 'changed']));
  });

  it('are none where there is no such place', () => {
    const some = rowsAt([1, 9], ['a', 'b']);
    expect([some.at(2), some.at(-3)]).toEqual([undefined, undefined]);
    expect(some.at(1)).toBeUndefined();
    expect([...some]).toEqual(['b']);
  });
});
