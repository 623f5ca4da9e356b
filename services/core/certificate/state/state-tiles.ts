import { hashBytes, type Coordinates } from '../../tlog/tree.ts';
import type { LogTables } from './tables.ts';

/**
 * The hashes of the state tree in rows. A row is a tile: the hashes of a perfect subtree without its
 * root, which lies in the tile above. A path through 16^n leaves is n rows, and of one leaf that changes
 * as many are written anew: a higher tile is read with more, and written with much more, that nobody
 * asked for. At the right edge of the tree a tile is as long as any other, its end without meaning.
 */
export const tileHeight = 4;
const tileWidth = 2 ** tileHeight;
/** Its leaves, then each level above them. */
const hashesInTile = 2 * tileWidth - 2;

type Tiles = LogTables['tilesOf'];

interface TileAt {
  readonly level: number;
  readonly index: number;
}

/** Whether all leaves below a hash are among the first `count`: before that there is no such hash. */
export function isWhole({ level, index }: Coordinates, count: number): boolean {
  return (index + 1) * 2 ** level <= count;
}

/** Hashes that can be read and set. Each tile is read once; what is set is kept in mind until `write`. */
export interface OpenTiles {
  /** Of what is whole; it stays what it is when another is set. RangeError where its tile is lost. */
  readonly get: (at: Coordinates) => Uint8Array;
  readonly set: (at: Coordinates, hash: Uint8Array) => void;
  readonly write: () => void;
}

/** `count` is how many leaves the tiles hold: whichever of them begins before that must be there. */
export function openTiles(tilesOf: Tiles, count: number): OpenTiles {
  const open = new Map<string, OpenTile>();
  const openAt = (tile: TileAt): OpenTile => {
    const key = `${tile.level} ${tile.index}`;
    const found = open.get(key) ?? { tile, row: storedRow(tilesOf, tile, count), isChanged: false };
    open.set(key, found);
    return found;
  };
  return {
    get(at) {
      const { tile, offset } = placeOf(at);
      return copyOf(openAt(tile).row.subarray(offset, offset + hashBytes));
    },
    set(at, hash) {
      const { tile, offset } = placeOf(at);
      const found = openAt(tile);
      // Rows are never changed, only replaced.
      if (!found.isChanged) found.row = copyOf(found.row);
      found.isChanged = true;
      found.row.set(hash, offset);
    },
    write() {
      for (const { tile, row, isChanged } of open.values()) {
        if (isChanged) tilesOf(tile.level).set(tile.index, row);
      }
    },
  };
}

/** Also of a Buffer, whose own `slice` is none. */
const copyOf = (bytes: Uint8Array): Uint8Array => new Uint8Array(bytes);

interface OpenTile {
  readonly tile: TileAt;
  row: Uint8Array;
  isChanged: boolean;
}

function storedRow(tilesOf: Tiles, { level, index }: TileAt, count: number): Uint8Array {
  const bytes = hashesInTile * hashBytes;
  const first = { level: level * tileHeight, index: index * tileWidth };
  if (!isWhole(first, count)) return new Uint8Array(bytes);
  const row = tilesOf(level).get(index);
  // What was lost must not pass for what never was.
  if (row?.length !== bytes) throw new RangeError(`state tree: tile ${level}/${index} is lost`);
  return row;
}

function placeOf({ level, index }: Coordinates): {
  readonly tile: TileAt;
  readonly offset: number;
} {
  /** Hashes of that level in one tile. */
  const width = 2 ** (tileHeight - (level % tileHeight));
  const tile = Math.floor(index / width);
  const place = 2 * (tileWidth - width) + (index - tile * width);
  return {
    tile: { level: Math.floor(level / tileHeight), index: tile },
    offset: place * hashBytes,
  };
}
