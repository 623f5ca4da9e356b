import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { equalBytes, toHex, uint32BE } from '#core/bytes.ts';
import { Fatal } from '#core/errors.ts';
import { encodeHashTile, parseTilePath, tilesOfGrowth, tilePath } from '#core/tlog/tile.ts';
import { leafHash, treeRoot } from '#core/tlog/tree.ts';
import { encodeTileEdge, growTileEdge, openTileEdge, rootOfEdge } from '#core/tlog/tile-edge.ts';

const leaves = Array.from({ length: 1_400 }, (_, i) => leafHash(uint32BE(i)));
const empty = { size: 0, rows: [] };

describe('the right edge in tiles', () => {
  test('leads to the root of RFC 6962 at every size', () => {
    let edge = growTileEdge(empty, []).edge;
    for (let size = 0; size <= 520; size++) {
      // Exhaustively where tiles are small and where they become full.
      if (size < 70 || size % 256 < 3 || size % 256 > 253) {
        expect(toHex(rootOfEdge(edge))).toBe(toHex(treeRoot(leaves.slice(0, size))));
      }
      edge = growTileEdge(edge, leaves.slice(size, size + 1)).edge;
    }
  });

  test('grows in any steps to the same edge, and writes exactly the tiles that tlog-tiles asks for', () => {
    const steps = fc.array(fc.integer({ min: 0, max: 700 }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(steps, (counts) => {
        let edge = growTileEdge(empty, []).edge;
        for (const count of counts) {
          const from = edge.size;
          const to = Math.min(leaves.length, from + count);
          const grown = growTileEdge(edge, leaves.slice(from, to));
          const wanted = [...tilesOfGrowth({ from, to })].filter(
            ({ level }) => level !== 'entries',
          );
          expect([...grown.tiles.keys()].sort()).toEqual(wanted.map(tilePath).sort());
          ({ edge } = grown);
          for (const [path, bytes] of grown.tiles) {
            const { level, index, width } = parseTilePath(path);
            if (level !== 0) continue;
            const expected = encodeHashTile(leaves.slice(index * 256, index * 256 + width));
            expect(equalBytes(bytes, expected)).toBe(true);
          }
        }
        const root = treeRoot(leaves.slice(0, edge.size));
        expect(rootOfEdge(openTileEdge(edge.size, { edge: encodeTileEdge(edge), root }))).toEqual(
          root,
        );
      }),
      { numRuns: 12 },
    );
  });

  test('is fatal when what was stored does not lead to the stored root', () => {
    const { edge } = growTileEdge(empty, leaves.slice(0, 300));
    const stored = encodeTileEdge(edge);
    const root = rootOfEdge(edge);
    const [row = new Uint8Array(0), ...rest] = stored;
    const flipped = row.slice();
    flipped[40] = (flipped[40] ?? 0) ^ 1;
    for (const [size, rows] of [
      [300, [flipped, ...rest]],
      [300, [row.subarray(32), ...rest]],
      [300, stored.slice(0, 1)],
      [301, stored],
      [44, stored.slice(0, 1)],
    ] as const) {
      expect(() => openTileEdge(size, { edge: rows, root })).toThrow(Fatal);
    }
  });
});
