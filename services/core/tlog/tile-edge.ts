import { Fatal } from '#core/errors.ts';
import { equalBytes } from '#core/bytes.ts';
import { encodeHashTile, parseHashTile, tilePath, tileWidth } from '#core/tlog/tile.ts';
import { edgeRoot, subtreesOf, treeRoot } from '#core/tlog/tree.ts';

/**
 * The right edge of the log in tiles: for each level of tiles (8 levels of the tree) the hashes of
 * its partial tile. With it alone the log can be appended to, its root computed and every new tile
 * written; nothing older is ever read again.
 */
export interface TileEdge {
  readonly size: number;
  /** By level of tiles; fewer than 256 hashes each. */
  readonly rows: readonly (readonly Uint8Array[])[];
}

/**
 * The edge as stored. Fatal('edge') unless it is that of a tree of `size` with `root`: signing what
 * grows on a damaged edge would split the log.
 */
export function openTileEdge(
  size: number,
  { edge, root }: { edge: readonly Uint8Array[]; root: Uint8Array },
): TileEdge {
  const rows = edge.map((bytes, level) => {
    const width = Math.floor(size / tileWidth ** level) % tileWidth;
    if (bytes.length !== 32 * width) {
      throw new Fatal(
        'edge',
        `level ${level} of a tree of ${size} does not end in ${width} hashes`,
      );
    }
    return width === 0 ? [] : parseHashTile(bytes, width);
  });
  if (size >= tileWidth ** rows.length) {
    throw new Fatal('edge', `${rows.length} levels are too few for a tree of ${size}`);
  }
  const opened = { size, rows };
  if (!equalBytes(rootOfEdge(opened), root)) {
    throw new Fatal('edge', `the stored edge of size ${size} does not lead to the stored root`);
  }
  return opened;
}

export function encodeTileEdge({ rows }: TileEdge): Uint8Array[] {
  return rows.map((row) => (row.length === 0 ? new Uint8Array(0) : encodeHashTile(row)));
}

/** The root of RFC 6962: over the perfect subtrees that the rows hold, from the highest down. */
export function rootOfEdge({ size, rows }: TileEdge): Uint8Array {
  const hashes = rows.toReversed().flatMap((row) => {
    const parts = subtreesOf({ from: 0, to: row.length });
    return parts.map(({ level, index }) =>
      treeRoot(row.slice(index * 2 ** level, (index + 1) * 2 ** level)),
    );
  });
  return edgeRoot({ size, hashes });
}

/** Appends leaf hashes; `tiles` are all hash tiles that are new or wider, by path. */
export function growTileEdge(
  edge: TileEdge,
  leaves: readonly Uint8Array[],
): { readonly edge: TileEdge; readonly tiles: Map<string, Uint8Array> } {
  const rows = edge.rows.map((row) => [...row]);
  const tiles = new Map<string, Uint8Array>();
  const size = edge.size + leaves.length;
  let arriving: readonly Uint8Array[] = leaves;
  for (let level = 0; arriving.length > 0; level++) {
    const row = rows[level] ?? [];
    rows[level] = row;
    const before = Math.floor(edge.size / tileWidth ** level);
    const rising: Uint8Array[] = [];
    let index = Math.floor(before / tileWidth);
    for (const hash of arriving) {
      row.push(hash);
      if (row.length < tileWidth) continue;
      tiles.set(tilePath({ level, index, width: tileWidth }), encodeHashTile(row));
      rising.push(treeRoot(row));
      row.length = 0;
      index += 1;
    }
    if (row.length > 0) {
      tiles.set(tilePath({ level, index, width: row.length }), encodeHashTile(row));
    }
    arriving = rising;
  }
  return { edge: { size, rows }, tiles };
}
