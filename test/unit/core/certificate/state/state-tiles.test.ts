import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sha256 } from '#crypto';
import { toHex, utf8 } from '#core/bytes.ts';
import { isWhole, openTiles, tileHeight } from '#core/certificate/state/state-tiles.ts';
import { memoryTables } from '#core/certificate/state/tables.ts';
import type { Coordinates } from '#core/tlog/tree.ts';
import { rowsInMemory } from '#support/rows-in-memory.ts';

const width = 2 ** tileHeight;
const hashOf = ({ level, index }: Coordinates, salt = '') =>
  sha256(utf8(`${level} ${index} ${salt}`));

/** The hashes of a tree of that many leaves. */
function hashesOf(count: number): Coordinates[] {
  const found: Coordinates[] = [];
  for (let level = 0; 2 ** level <= count; level++) {
    for (let index = 0; isWhole({ level, index }, count); index++) found.push({ level, index });
  }
  return found;
}

/** Sets every hash of a tree that grows to each of these sizes in turn. */
function filled(...counts: readonly number[]) {
  const { tilesOf } = memoryTables();
  let before = 0;
  for (const count of counts) {
    const tiles = openTiles(tilesOf, before);
    for (const at of hashesOf(count)) if (!isWhole(at, before)) tiles.set(at, hashOf(at));
    tiles.write();
    before = count;
  }
  return { tilesOf, count: before };
}

describe('the tiles of a tree', () => {
  it('hold each of its hashes in a place of its own, however it grew', () => {
    const size = fc.integer({ min: 1, max: 3 * width ** 2 });
    fc.assert(
      fc.property(fc.array(size, { minLength: 1, maxLength: 5 }), (sizes) => {
        const { tilesOf, count } = filled(...sizes.toSorted((a, b) => a - b));
        const tiles = openTiles(tilesOf, count);
        const hashes = hashesOf(count);
        const found = hashes.map((at) => toHex(tiles.get(at)));
        expect(found).toEqual(hashes.map((at) => toHex(hashOf(at))));
        const rows = [0, 1, 2].map((level) => rowsInMemory(tilesOf(level)).size);
        expect(rows).toEqual(
          [1, 2, 3].map((level) => Math.ceil(Math.floor(count / width ** (level - 1)) / width)),
        );
      }),
      { numRuns: 30 },
    );
  });

  it('have places up to the largest tree', () => {
    const { tilesOf } = memoryTables();
    const tiles = openTiles(tilesOf, 0);
    const far = [
      { level: 0, index: 2 ** 53 - 2 },
      { level: 0, index: 2 ** 53 - 1 },
      { level: 52, index: 0 },
      { level: 53, index: 0 },
    ];
    for (const at of far) tiles.set(at, hashOf(at));
    tiles.write();
    const again = openTiles(tilesOf, 2 ** 53 - 1);
    expect(tilesOf(0).get(2 ** 49 - 1)?.length).toBe((2 * width - 2) * 32);
    expect(far.slice(0, 3).map((at) => toHex(again.get(at)))).toEqual(
      far.slice(0, 3).map((at) => toHex(hashOf(at))),
    );
  });

  it('show what was set at once, to others once it is written, and what it was to those before', () => {
    const { tilesOf, count } = filled(width + 3);
    const [one, other] = [openTiles(tilesOf, count), openTiles(tilesOf, count)];
    const at = { level: 0, index: 5 };
    const before = one.get(at);
    const row = tilesOf(0).get(0);
    const wasRow = row && toHex(row);
    one.set(at, hashOf(at, 'new'));
    expect(toHex(one.get(at))).toBe(toHex(hashOf(at, 'new')));
    expect([before, other.get(at), openTiles(tilesOf, count).get(at)].map(toHex)).toEqual(
      Array(3).fill(toHex(hashOf(at))),
    );
    one.write();
    expect(toHex(openTiles(tilesOf, count).get(at))).toBe(toHex(hashOf(at, 'new')));
    // A row is never changed, only replaced: who holds the one before sees what was.
    expect(row && toHex(row)).toBe(wasRow);
    expect([before, other.get(at)].map(toHex)).toEqual(Array(2).fill(toHex(hashOf(at))));
  });

  it('stay what they were also where a row is a Buffer, whose slices are none', () => {
    const { tilesOf: plain, count } = filled(width);
    const row = Buffer.from(plain(0).get(0) ?? []);
    plain(0).set(0, row);
    const at = { level: 0, index: 5 };
    const tiles = openTiles(plain, count);
    const before = tiles.get(at);
    tiles.set(at, hashOf(at, 'new'));
    expect([before, openTiles(plain, count).get(at)].map(toHex)).toEqual(
      Array(2).fill(toHex(hashOf(at))),
    );
  });

  it('are written only where something was set', () => {
    const { tilesOf, count } = filled(4 * width);
    const before = [...rowsInMemory(tilesOf(0)).values()];
    const tiles = openTiles(tilesOf, count);
    for (const at of hashesOf(count)) tiles.get(at);
    tiles.set({ level: 1, index: width }, hashOf({ level: 1, index: width }));
    tiles.write();
    const after = [...rowsInMemory(tilesOf(0)).values()];
    expect(after.map((row, i) => row === before[i])).toEqual([true, true, false, true]);
  });
});

describe('a tile that is lost', () => {
  it.each([
    ['missing', undefined],
    ['short', new Uint8Array((2 * width - 2) * 32 - 1)],
    ['long', new Uint8Array((2 * width - 2) * 32 + 1)],
    ['empty', new Uint8Array(0)],
  ])('(%s) is told from one that never was, to readers and to writers', (_how, row) => {
    const { tilesOf: whole, count } = filled(2 * width + 1);
    const tilesOf: typeof whole = (level) => ({
      ...{ has: () => false, set: () => undefined },
      get: (index) => (level === 0 && index === 1 ? row : whole(level).get(index)),
    });
    const lost = new RangeError('state tree: tile 0/1 is lost');
    const tiles = openTiles(tilesOf, count);
    for (const at of [
      { level: 0, index: width },
      { level: 3, index: 3 },
    ]) {
      expect(() => tiles.get(at)).toThrow(lost);
      expect(() => {
        tiles.set(at, hashOf(at));
      }).toThrow(lost);
    }
    for (const index of [0, width - 1, 2 * width]) {
      expect(tiles.get({ level: 0, index })).toEqual(hashOf({ level: 0, index }));
    }
    // The one behind the last leaf never was.
    expect(tiles.get({ level: 0, index: 3 * width }).every((byte) => byte === 0)).toBe(true);
  });
});

describe('a hash', () => {
  it.each([
    { level: 0, index: 0, least: 1 },
    { level: 0, index: 7, least: 8 },
    { level: 3, index: 0, least: 8 },
    { level: 3, index: 1, least: 16 },
    { level: 52, index: 0, least: 2 ** 52 },
  ])('($level, $index) is there once all leaves below it are: $least', ({ least, ...at }) => {
    expect([least - 1, least, least + 1].map((count) => isWhole(at, count))).toEqual([
      false,
      true,
      true,
    ]);
  });
});
