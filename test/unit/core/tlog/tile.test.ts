import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { sha256 } from '#crypto';
import { concat, toHex, utf8 } from '#core/bytes.ts';
import { Failed, refusalCode } from '#core/errors.ts';
import { proveConsistency, proveInclusion, rootAt } from '#core/tlog/proof.ts';
import {
  encodeBundle,
  encodeHashTile,
  hashesOfTile,
  maxEntryBytes,
  parseBundle,
  parseHashTile,
  parseTilePath,
  tileHashReader,
  tilePath,
  tilesOfGrowth,
  type Tile,
  type TileSource,
} from '#core/tlog/tile.ts';
import { emptyEdge, growEdge, leafHash, treeRoot } from '#core/tlog/tree.ts';
import { hexOf, referenceTree, storedReader } from './reference.ts';

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    return refusalCode(error);
  }
  return 'accepted';
}

const tree = referenceTree(700);
const stored = storedReader(growEdge(emptyEdge, tree.leaves).completed);

/** Publishes tiles as a log does that produces a checkpoint at each of the sizes. */
async function publish(sizes: readonly number[]): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  let from = 0;
  for (const to of sizes) {
    for (const tile of tilesOfGrowth({ from, to })) {
      if (tile.level === 'entries') continue;
      const hashes = await stored.read(hashesOfTile(tile));
      files.set(tilePath(tile), encodeHashTile(hashes));
    }
    from = to;
  }
  return files;
}

describe('paths of tiles', () => {
  it.each<[string, Tile]>([
    ['tile/0/x001/x234/067', { level: 0, index: 1_234_067, width: 256 }],
    ['tile/0/x001/067', { level: 0, index: 1067, width: 256 }],
    ['tile/0/000', { level: 0, index: 0, width: 256 }],
    ['tile/1/999.p/1', { level: 1, index: 999, width: 1 }],
    ['tile/63/x001/000.p/255', { level: 63, index: 1000, width: 255 }],
    ['tile/entries/x001/x234/067.p/8', { level: 'entries', index: 1_234_067, width: 8 }],
    [
      'tile/entries/x009/x007/x199/x254/x740/991',
      { level: 'entries', index: Number.MAX_SAFE_INTEGER, width: 256 },
    ],
  ])('%s', (path, tile) => {
    expect(tilePath(tile)).toBe(path);
    expect(parseTilePath(path)).toEqual(tile);
  });

  it('are read back as they were written', () => {
    const level = fc.oneof(fc.constant('entries' as const), fc.nat({ max: 63 }));
    const width = fc.integer({ min: 1, max: 256 });
    fc.assert(
      fc.property(fc.record({ level, index: fc.maxSafeNat(), width }), (tile) => {
        expect(parseTilePath(tilePath(tile))).toEqual(tile);
      }),
    );
  });

  it.each([
    '',
    'tile',
    'tile/0',
    'tile/0/0',
    'tile/0/00',
    'tile/0/0000',
    'tile/0/1000',
    'tile/0/x000/067',
    'tile/0/x000',
    'tile/0/001/067',
    'tile/0/x01/067',
    'tile/0/X001/067',
    'tile/0/x001/x067',
    'tile/0/x001//067',
    'tile/00/067',
    'tile/01/067',
    'tile/64/067',
    'tile/100/067',
    'tile/-1/067',
    'tile/0/-67',
    'tile/0/+67',
    'tile/0/067/',
    '/tile/0/067',
    'tile/0/067 ',
    'tile/0/067\n',
    'tile/0/067.p',
    'tile/0/067.p/',
    'tile/0/067.p/0',
    'tile/0/067.p/00',
    'tile/0/067.p/08',
    'tile/0/067.p/256',
    'tile/0/067.p/257',
    'tile/0/067.p/1.p/1',
    'tile/0/067.P/8',
    'tile/8/0/067',
    'tile/data/067',
    'tile/Entries/067',
    'tile/0/٠٦٧',
    'tile/0/x009/x007/x199/x254/x740/992',
    'tile/0/x001/x009/x007/x199/x254/x740/991',
    `tile/0/${'x001/'.repeat(100_000)}067`,
  ])('are refused in any other spelling: %#', (path) => {
    expect(codeOf(() => parseTilePath(path))).toBe('tile-path');
  });

  it.each<Tile>([
    { level: -1, index: 0, width: 256 },
    { level: 64, index: 0, width: 256 },
    { level: 0.5, index: 0, width: 256 },
    { level: 0, index: -1, width: 256 },
    { level: 0, index: 2 ** 53, width: 256 },
    { level: 0, index: 0, width: 0 },
    { level: 0, index: 0, width: 257 },
    { level: 0, index: 0, width: 1.5 },
  ])('are not made for a tile that cannot exist: %j', (tile) => {
    expect(() => tilePath(tile)).toThrow(RangeError);
  });
});

describe('the tiles of a log that grows', () => {
  function pathsOf(from: number, to: number): string[] {
    return [...tilesOfGrowth({ from, to })].map(tilePath);
  }

  it('are those of tlog-tiles for 70,000 leaves', () => {
    const tiles = [...tilesOfGrowth({ from: 0, to: 70_000 })];
    const full = (level: Tile['level']): number =>
      tiles.filter((tile) => tile.level === level && tile.width === 256).length;
    const partial = tiles.filter((tile) => tile.width < 256);
    expect([full('entries'), full(0), full(1), full(2)]).toEqual([273, 273, 1, 0]);
    expect(partial).toEqual([
      { level: 'entries', index: 273, width: 112 },
      { level: 0, index: 273, width: 112 },
      { level: 1, index: 1, width: 17 },
      { level: 2, index: 0, width: 1 },
    ]);
  });

  it('are full below and one wide above at 256 leaves', () => {
    expect(pathsOf(0, 256)).toEqual(['tile/entries/000', 'tile/0/000', 'tile/1/000.p/1']);
  });

  it('are only those that are new or wider', () => {
    expect(pathsOf(0, 0)).toEqual([]);
    expect(pathsOf(300, 300)).toEqual([]);
    expect(pathsOf(256, 300)).toEqual(['tile/entries/001.p/44', 'tile/0/001.p/44']);
    expect(pathsOf(255, 257)).toEqual([
      'tile/entries/000',
      'tile/entries/001.p/1',
      'tile/0/000',
      'tile/0/001.p/1',
      'tile/1/000.p/1',
    ]);
  });

  it('are those of Go’s sumdb/tlog', () => {
    const file = new URL('../../../vectors/go-sumdb.json', import.meta.url);
    const go = JSON.parse(readFileSync(file, 'utf8')) as {
      newTiles: [number, number][];
      newTilesSha256: string;
    };
    const lines = go.newTiles.map(([from, to]) => {
      const hashTiles = [...tilesOfGrowth({ from, to })].filter(({ level }) => level !== 'entries');
      return hashTiles.map((tile) => `${tilePath(tile).slice('tile/'.length)}\n`).join('');
    });
    expect(toHex(sha256(utf8(lines.map((text) => `${text}\n`).join(''))))).toBe(go.newTilesSha256);
  });

  it('come one at a time, so that a huge growth costs nothing before it is used', () => {
    const first = tilesOfGrowth({ from: 2 ** 53 - 3, to: 2 ** 53 - 1 });
    expect([...first].map(({ width }) => width)).toEqual([255, 255]);
    const huge = tilesOfGrowth({ from: 0, to: 2 ** 53 - 1 });
    expect(huge.next().value).toEqual({ level: 'entries', index: 0, width: 256 });
  });

  it('do not exist for a log that shrinks', () => {
    expect(() => pathsOf(2, 1)).toThrow(RangeError);
    expect(() => pathsOf(-1, 1)).toThrow(RangeError);
    expect(() => pathsOf(0, 2 ** 53)).toThrow(RangeError);
  });
});

describe('hash tiles', () => {
  it('are their hashes one after the other', () => {
    const hashes = tree.leaves.slice(0, 5);
    const bytes = encodeHashTile(hashes);
    expect(bytes).toEqual(concat(...hashes));
    expect(parseHashTile(bytes, 5)).toEqual(hashes);
  });

  it('are refused at any other length', () => {
    const bytes = encodeHashTile(tree.leaves.slice(0, 5));
    for (const wrong of [new Uint8Array(0), bytes.subarray(1), concat(bytes, Uint8Array.of(0))]) {
      expect(codeOf(() => parseHashTile(wrong, 5))).toBe('tile');
    }
    expect(codeOf(() => parseHashTile(bytes, 4))).toBe('tile');
    expect(codeOf(() => parseHashTile(bytes, 6))).toBe('tile');
    expect(() => parseHashTile(new Uint8Array(0), 0)).toThrow(RangeError);
    expect(() => parseHashTile(new Uint8Array(257 * 32), 257)).toThrow(RangeError);
  });

  it('are not made of anything but 1 to 256 hashes', () => {
    expect(() => encodeHashTile([])).toThrow(RangeError);
    expect(() => encodeHashTile(tree.leaves.slice(0, 257))).toThrow(RangeError);
    expect(() => encodeHashTile([new Uint8Array(31)])).toThrow(RangeError);
    expect(() => hashesOfTile({ level: 'entries', index: 0, width: 1 })).toThrow(RangeError);
  });
});

describe('bundles of entries', () => {
  const longest = new Uint8Array(maxEntryBytes).fill(7);
  const entries = [utf8('one'), new Uint8Array(0), longest, new Uint8Array(256)];

  it('put the length before each entry, big-endian', () => {
    expect(toHex(encodeBundle([utf8('one'), new Uint8Array(0), utf8('x')]))).toBe(
      '00036f6e650000000178',
    );
    expect(hexOf(parseBundle(encodeBundle(entries), 4))).toBe(hexOf(entries));
    expect(toHex(encodeBundle([longest]).subarray(0, 2))).toBe('ffff');
    expect(toHex(encodeBundle([new Uint8Array(256)]).subarray(0, 2))).toBe('0100');
  });

  it('are refused when cut anywhere, continued, or read with another width', () => {
    const bytes = encodeBundle([utf8('one'), new Uint8Array(0), utf8('xy')]);
    for (let end = 0; end < bytes.length; end++) {
      expect(codeOf(() => parseBundle(bytes.subarray(0, end), 3))).toBe('bundle');
    }
    expect(codeOf(() => parseBundle(concat(bytes, Uint8Array.of(0)), 3))).toBe('bundle');
    expect(codeOf(() => parseBundle(concat(bytes, Uint8Array.of(0, 0)), 3))).toBe('bundle');
    expect(codeOf(() => parseBundle(bytes, 2))).toBe('bundle');
    expect(codeOf(() => parseBundle(bytes, 4))).toBe('bundle');
    expect(() => parseBundle(bytes, 0)).toThrow(RangeError);
    expect(() => parseBundle(bytes, 257)).toThrow(RangeError);
  });

  it('hold 1 to 256 entries of at most 65,535 bytes', () => {
    expect(() => encodeBundle([])).toThrow(RangeError);
    expect(() => encodeBundle(Array.from({ length: 257 }, () => utf8('')))).toThrow(RangeError);
    expect(() => encodeBundle([new Uint8Array(maxEntryBytes + 1)])).toThrow(RangeError);
  });
});

describe('reading hashes from tiles', () => {
  it('gives the roots of every size to 600, from that size’s own tiles', async () => {
    const sizes = Array.from({ length: 600 }, (_, i) => i + 1);
    const files = await publish(sizes);
    for (const size of sizes) {
      const read = tileHashReader(async (path) => files.get(path), size);
      expect(toHex(await rootAt(size, read))).toBe(toHex(tree.root(size)));
    }
  });

  it('gives every stored hash of a tree, whatever the level', async () => {
    for (const size of [1, 255, 256, 257, 511, 512, 600]) {
      const files = await publish([size]);
      const read = tileHashReader(async (path) => files.get(path), size);
      const all = growEdge(emptyEdge, tree.leaves.slice(0, size)).completed;
      expect(hexOf(await read(all))).toBe(hexOf(all.map(({ hash }) => hash)));
    }
  });

  it('proves like a log that has every hash', async () => {
    for (const size of [1, 2, 254, 255, 256, 257, 258, 511, 512, 513, 599, 600]) {
      const files = await publish([size]);
      const read = tileHashReader(async (path) => files.get(path), size);
      for (let at = 1; at <= size; at += 7) {
        const [inclusion, growth] = [
          { index: at - 1, size },
          { from: at, to: size },
        ];
        expect(hexOf(await proveInclusion(inclusion, read))).toBe(hexOf(tree.path(at - 1, size)));
        expect(hexOf(await proveConsistency(growth, read))).toBe(hexOf(tree.proof(at, size)));
      }
    }
  });

  it('asks for the full tile where the tree has it and for its own partial ones', async () => {
    const files = await publish([300, 600]);
    const asked: string[] = [];
    const source: TileSource = async (path) => {
      asked.push(path);
      return files.get(path);
    };
    await rootAt(300, tileHashReader(source, 300));
    expect(asked.toSorted()).toEqual(['tile/0/001.p/44', 'tile/1/000.p/1']);
    asked.length = 0;
    await proveInclusion({ index: 0, size: 600 }, tileHashReader(source, 600));
    expect(asked.toSorted()).toEqual(['tile/0/000', 'tile/0/002.p/88', 'tile/1/000.p/2']);
  });

  it('finds a partial tile that is gone in the full one that took its place', async () => {
    const files = await publish([300, 600]);
    files.delete('tile/0/001.p/44');
    const read = tileHashReader(async (path) => files.get(path), 300);
    expect(toHex(await rootAt(300, read))).toBe(toHex(tree.root(300)));
  });

  it('fails when there is no such tile, and passes on why it could not be read', async () => {
    const missing = tileHashReader(async () => undefined, 300);
    await expect(rootAt(300, missing)).rejects.toThrow(Failed);
    await expect(rootAt(256, missing)).rejects.toMatchObject({ code: 'tile-missing' });
    const broken = tileHashReader(() => Promise.reject(new Error('disk')), 300);
    await expect(rootAt(300, broken)).rejects.toThrow('disk');
  });

  it('refuses a tile of a wrong length', async () => {
    const files = await publish([300]);
    for (const bytes of [new Uint8Array(0), new Uint8Array(43 * 32), new Uint8Array(45 * 32)]) {
      files.set('tile/0/001.p/44', bytes);
      const read = tileHashReader(async (path) => files.get(path), 300);
      await expect(rootAt(300, read)).rejects.toMatchObject({ code: 'tile' });
    }
  });

  it('believes the tiles, so that a false one leads to a false root', async () => {
    const files = await publish([300]);
    files.set('tile/1/000.p/1', leafHash(utf8('false')));
    const read = tileHashReader(async (path) => files.get(path), 300);
    expect(toHex(await rootAt(300, read))).not.toBe(toHex(tree.root(300)));
  });

  it('does not go beyond the tree', async () => {
    const read = tileHashReader(async () => undefined, 300);
    await expect(read([{ level: 0, index: 300 }])).rejects.toThrow(RangeError);
    await expect(read([{ level: 1, index: 150 }])).rejects.toThrow(RangeError);
    await expect(read([{ level: 9, index: 0 }])).rejects.toThrow(RangeError);
    await expect(read([{ level: -1, index: 0 }])).rejects.toThrow(RangeError);
    await expect(read([{ level: 0, index: 0.5 }])).rejects.toThrow(RangeError);
    expect(() => tileHashReader(async () => undefined, 2 ** 53)).toThrow(RangeError);
  });

  it('finds the tiles of the largest trees', async () => {
    const asked: string[] = [];
    const zero: TileSource = async (path) => {
      asked.push(path);
      return new Uint8Array(32 * parseTilePath(path).width);
    };
    const size = 2 ** 53 - 1;
    await rootAt(size, tileHashReader(zero, size));
    expect(asked.toSorted()).toEqual([
      'tile/0/x035/x184/x372/x088/831.p/255',
      'tile/1/x137/x438/x953/471.p/255',
      'tile/2/x536/x870/911.p/255',
      'tile/3/x002/x097/151.p/255',
      'tile/4/x008/191.p/255',
      'tile/5/031.p/255',
      'tile/6/000.p/31',
    ]);
  });

  it('fetches many tiles a few at a time', async () => {
    let running = 0;
    let most = 0;
    const source: TileSource = async () => {
      running += 1;
      most = Math.max(most, running);
      await Promise.resolve();
      running -= 1;
      return new Uint8Array(256 * 32);
    };
    const read = tileHashReader(source, 256 * 100);
    const roots = await read(Array.from({ length: 100 }, (_, i) => ({ level: 7, index: 2 * i })));
    const half = treeRoot(Array.from({ length: 128 }, () => new Uint8Array(32)));
    expect(most).toBeLessThanOrEqual(16);
    expect(new Set(roots.map(toHex))).toEqual(new Set([toHex(half)]));
  });
});
