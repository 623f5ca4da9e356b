import { concat } from '#core/bytes.ts';
import { Failed, Refused } from '#core/errors.ts';
import type { HashReader } from './proof.ts';
import { checkCount, hashBytes, nodeHash, type Coordinates } from './tree.ts';

/** Tiles as in c2sp.org/tlog-tiles: 256 hashes wide, which is 8 levels of the tree high. */
export const tileWidth = 256;
const tileHeight = 8;
const maxTileLevel = 63;
/** The length prefix of an entry in a bundle is a uint16. */
export const maxEntryBytes = 65_535;
/** How many tiles one read of a `tileHashReader` fetches at the same time. */
const concurrentTileReads = 16;

/**
 * A tile of hashes at a level, or a bundle of the log's entries. `width` is how many hashes or
 * entries it holds: 256 when full, 1 to 255 when it is the partial one at the right edge.
 */
export interface Tile {
  readonly level: number | 'entries';
  readonly index: number;
  readonly width: number;
}

/** `tile/0/x001/x234/067.p/8`. The tile must be one that can exist. */
export function tilePath({ level, index, width }: Tile): string {
  if (level !== 'entries') checkCount('level', level);
  if (level !== 'entries' && level > maxTileLevel) throw new RangeError(`level: ${level} above 63`);
  checkCount('index', index);
  checkWidth(width);
  const digits = String(index);
  const padded = digits.padStart(3 * Math.ceil(digits.length / 3), '0');
  // Every element but the last has an "x", so that no file is named as a folder is.
  const number = padded.replace(/\d{3}(?=\d)/g, 'x$&/');
  return `tile/${level}/${number}${width === tileWidth ? '' : `.p/${width}`}`;
}

const pathPattern = /^tile\/(entries|\d{1,2})\/((?:x\d{3}\/){0,5}\d{3})(?:\.p\/(\d{1,3}))?$/;

/** The tile that a path names. Refused('tile-path') for anything that `tilePath` would not write. */
export function parseTilePath(path: string): Tile {
  const [, level, number, width] = pathPattern.exec(path) ?? [];
  if (level === undefined || number === undefined) {
    throw new Refused('tile-path', 'not the path of a tile');
  }
  const tile: Tile = {
    level: level === 'entries' ? level : Number(level),
    index: Number(number.replaceAll(/[x/]/g, '')),
    width: width === undefined ? tileWidth : Number(width),
  };
  let spelled: string;
  try {
    spelled = tilePath(tile);
  } catch (cause) {
    throw new Refused('tile-path', 'the path of a tile that cannot exist', { cause });
  }
  if (spelled !== path) throw new Refused('tile-path', `the tile's path is ${spelled}`);
  return tile;
}

/**
 * The tiles and bundles that a log must publish with size `to` when those of size `from` are
 * published: every one that is new or wider than it was. Bundles come first, then each level from
 * the leaves upwards, so that whoever stops in between has published nothing that lacks its parts.
 */
export function* tilesOfGrowth({
  from,
  to,
}: {
  readonly from: number;
  readonly to: number;
}): Generator<Tile> {
  checkCount('from', from);
  checkCount('to', to);
  if (from > to) throw new RangeError(`from: ${from} is above ${to}`);
  yield* grownAtLevel('entries', from, to);
  let before = from;
  let after = to;
  for (let level = 0; after > 0; level++) {
    yield* grownAtLevel(level, before, after);
    before = Math.floor(before / tileWidth);
    after = Math.floor(after / tileWidth);
  }
}

function* grownAtLevel(level: Tile['level'], before: number, after: number): Generator<Tile> {
  if (before === after) return;
  const full = Math.floor(after / tileWidth);
  for (let index = Math.floor(before / tileWidth); index < full; index++) {
    yield { level, index, width: tileWidth };
  }
  if (after > full * tileWidth) yield { level, index: full, width: after - full * tileWidth };
}

/** The coordinates of a hash tile's hashes, in order. */
export function hashesOfTile({ level, index, width }: Tile): Coordinates[] {
  if (level === 'entries') throw new RangeError('level: a bundle of entries has no hashes');
  return Array.from({ length: width }, (_, i) => ({
    level: level * tileHeight,
    index: index * tileWidth + i,
  }));
}

/** A hash tile is its hashes, one after the other. */
export function encodeHashTile(hashes: readonly Uint8Array[]): Uint8Array {
  checkWidth(hashes.length);
  if (hashes.some((hash) => hash.length !== hashBytes)) {
    throw new RangeError(`hashes: one is not ${hashBytes} bytes long`);
  }
  return concat(...hashes);
}

/** Refused('tile') unless the bytes are exactly `width` hashes. */
export function parseHashTile(bytes: Uint8Array, width: number): Uint8Array[] {
  checkWidth(width);
  if (bytes.length !== width * hashBytes) {
    throw new Refused('tile', `${bytes.length} bytes are not a tile of ${width} hashes`);
  }
  return Array.from({ length: width }, (_, i) =>
    bytes.subarray(i * hashBytes, (i + 1) * hashBytes),
  );
}

/** A bundle is its entries, each after its length as a big-endian uint16. */
export function encodeBundle(entries: readonly Uint8Array[]): Uint8Array {
  checkWidth(entries.length);
  return concat(
    ...entries.flatMap((entry) => {
      if (entry.length > maxEntryBytes) {
        throw new RangeError(`entry: ${entry.length} bytes, above ${maxEntryBytes}`);
      }
      return [Uint8Array.of(entry.length >>> 8, entry.length & 0xff), entry];
    }),
  );
}

/** Refused('bundle') unless the bytes are exactly `width` entries. */
export function parseBundle(bytes: Uint8Array, width: number): Uint8Array[] {
  checkWidth(width);
  const entries: Uint8Array[] = [];
  let at = 0;
  while (entries.length < width) {
    const [high, low] = [bytes[at], bytes[at + 1]];
    if (high === undefined || low === undefined) {
      throw new Refused('bundle', `the bundle ends after ${entries.length} of ${width} entries`);
    }
    const end = at + 2 + high * 256 + low;
    if (end > bytes.length) throw new Refused('bundle', 'the bundle ends within an entry');
    entries.push(bytes.subarray(at + 2, end));
    at = end;
  }
  if (at !== bytes.length) throw new Refused('bundle', 'bytes follow the last entry of the bundle');
  return entries;
}

/** `undefined` when there is no such tile; rejects when it is not known. */
export type TileSource = (path: string) => Promise<Uint8Array | undefined>;

/**
 * Reads the stored hashes of a tree of `size` from its published tiles. It believes the tiles: what
 * is computed from them must lead to a root that is trusted. A partial tile that is gone is looked
 * for in the full tile that took its place (tlog-tiles lets a log delete it then).
 * The reader throws Refused('tile') for a tile of a wrong length, Failed('tile-missing').
 */
export function tileHashReader(readTile: TileSource, size: number): HashReader {
  checkCount('size', size);
  return async (coordinates) => {
    const places = coordinates.map((place) => placeInTile(place, size));
    const wanted = new Map(places.map(({ tile }) => [tilePath(tile), tile]));
    const hashesByPath = new Map<string, readonly Uint8Array[]>();
    const pending = [...wanted];
    while (pending.length > 0) {
      await Promise.all(
        pending.splice(0, concurrentTileReads).map(async ([path, tile]) => {
          hashesByPath.set(path, await readHashes(tile, readTile));
        }),
      );
    }
    return places.map(({ tile, first, count }) => {
      const hashes = hashesByPath.get(tilePath(tile)) ?? [];
      return perfectRoot(hashes.slice(first, first + count));
    });
  };
}

async function readHashes(tile: Tile, readTile: TileSource): Promise<readonly Uint8Array[]> {
  const bytes = await readTile(tilePath(tile));
  if (bytes !== undefined) return parseHashTile(bytes, tile.width);
  const full = tile.width < tileWidth ? { ...tile, width: tileWidth } : undefined;
  const replacement = full && (await readTile(tilePath(full)));
  if (replacement !== undefined) return parseHashTile(replacement, tileWidth);
  throw new Failed('tile-missing', `there is no ${tilePath(tile)}`);
}

/** The tile, as wide as it is in a tree of `size`, and which of its hashes make up a stored hash. */
function placeInTile(
  { level, index }: Coordinates,
  size: number,
): { tile: Tile; first: number; count: number } {
  checkCount('level', level);
  checkCount('index', index);
  if ((index + 1) * 2 ** level > size) {
    throw new RangeError(`index: hash (${level}, ${index}) is not whole in a tree of ${size}`);
  }
  const tileLevel = Math.floor(level / tileHeight);
  const count = 2 ** (level % tileHeight);
  const start = index * count;
  const tileIndex = Math.floor(start / tileWidth);
  const hashesInLevel = Math.floor(size / tileWidth ** tileLevel);
  const width = Math.min(tileWidth, hashesInLevel - tileIndex * tileWidth);
  return {
    tile: { level: tileLevel, index: tileIndex, width },
    first: start - tileIndex * tileWidth,
    count,
  };
}

/** The root over 2^k hashes; the levels between those of the tiles are not stored. */
function perfectRoot(hashes: readonly Uint8Array[]): Uint8Array {
  const [first] = hashes;
  if (first === undefined) throw new RangeError('hashes: none');
  if (hashes.length === 1) return first;
  const middle = hashes.length / 2;
  return nodeHash(perfectRoot(hashes.slice(0, middle)), perfectRoot(hashes.slice(middle)));
}

function checkWidth(width: number): void {
  if (!Number.isInteger(width) || width < 1 || width > tileWidth) {
    throw new RangeError(`width: ${width} is not within 1 to ${tileWidth}`);
  }
}
