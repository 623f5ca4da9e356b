import { encodeFramed, recordBundlePath } from '#core/energy/evidence-file.ts';
import { encodeBundle, tilePath, tileWidth, type Tile } from '#core/tlog/tile.ts';
import type { Pool } from '#platform/postgres.ts';
import type { LogFolder } from './log-folder.ts';
import type { LogFile } from './many-files.ts';
import { deletePendingTiles, noteWritten, readCheckpoint } from './log-store.ts';
import { readEntries, readPendingTiles, type StoredEntry } from './log-store.ts';
import { readOpenings, readPublicRecords } from './record-store.ts';

/** Makes files of what is signed: tiles of hashes and bundles of entries (D5, step 6). */

const tilesPage = 1_000;
/** Memory is bounded by as many entries. */
const bundledEntries = 16_384;

/**
 * Writes every tile and bundle of the newest signed checkpoint, durably. They follow from the
 * entries, so two ledgers may write the same ones at once. A crash anywhere in between: the rows of
 * the tiles are still there, and the same files are written again.
 */
export async function writeTiles(pool: Pool, folder: LogFolder): Promise<void> {
  const { treeSize, writtenSize } = await readCheckpoint(pool);
  if (treeSize === writtenSize) return;
  const written: string[] = [];
  for (;;) {
    const tiles = await readPendingTiles(pool, { after: written.at(-1) ?? '', limit: tilesPage });
    await folder.write(tiles.map(({ path, data }) => ({ path, bytes: data })));
    written.push(...tiles.map(({ path }) => path));
    if (tiles.length < tilesPage) break;
  }
  await writeBundles(pool, folder, { from: writtenSize, to: treeSize });
  await deletePendingTiles(pool, written);
  await noteWritten(pool, treeSize);
}

/** Entry bundles follow from the entries, so they are not stored a second time before they are files. */
async function writeBundles(
  pool: Pool,
  folder: LogFolder,
  { from, to }: { from: number; to: number },
): Promise<void> {
  const firstBundle = Math.floor(from / tileWidth);
  for (let first = firstBundle * tileWidth; first < to; first += bundledEntries) {
    const last = Math.min(to, first + bundledEntries);
    const entries = await readEntries(pool, first, last);
    const records = await readPublicRecords(pool, first, last);
    const files: LogFile[] = [];
    for (let at = 0; at < entries.length; at += tileWidth) {
      files.push(...bundleFiles(entries.slice(at, at + tileWidth), records));
    }
    await folder.write([...files, ...(await readOpenings(pool, Math.max(from, first), last))]);
  }
}

function bundleFiles(
  entries: readonly StoredEntry[],
  records: ReadonlyMap<number, Uint8Array>,
): LogFile[] {
  const index = Math.floor((entries[0]?.index ?? 0) / tileWidth);
  const path = tilePath({ level: 'entries', index, width: entries.length });
  const none = new Uint8Array(0);
  return [
    { path, bytes: encodeBundle(entries.map(({ data }) => data)) },
    {
      path: recordBundlePath(path),
      bytes: encodeFramed(entries.map((entry) => records.get(entry.index) ?? none)),
    },
  ];
}

/**
 * The files at the right edge of a tree of `size` that are not full and that no other size has: bundle
 * and tile of the leaves. Higher ones it shares with sizes around it, which may have been published.
 */
function partialFiles(size: number): string[] {
  return edgeOf(size)
    .filter(({ level, width }) => width > 0 && (level === 'entries' || level === 0))
    .flatMap(filesOf);
}

/** By level, the tile at the right edge; of width 0 where the one before it is full. */
function edgeOf(size: number): Tile[] {
  const levels: Tile['level'][] = ['entries'];
  for (let level = 0; tileWidth ** level <= size; level++) levels.push(level);
  return levels.map((level) => {
    const count = Math.floor(size / (level === 'entries' ? 1 : tileWidth ** level));
    return { level, index: Math.floor(count / tileWidth), width: count % tileWidth };
  });
}

function filesOf(tile: Tile): string[] {
  const path = tilePath(tile);
  return tile.level === 'entries' ? [path, recordBundlePath(path)] : [path];
}

/**
 * Removes what only checkpoints of `superseded` sizes, which were never published, needed; what one
 * of the `kept` sizes has stays.
 */
export async function removeSuperseded(
  folder: LogFolder,
  { superseded, kept }: { superseded: readonly number[]; kept: readonly number[] },
): Promise<void> {
  const needed = new Set(kept.flatMap(partialFiles));
  const gone = new Set(superseded.flatMap(partialFiles).filter((path) => !needed.has(path)));
  for (const path of gone) await folder.remove(path);
}

/**
 * Where a tile is full under the published checkpoint, its partial ones serve nobody any more
 * (tlog-tiles allows this then, and only then: readers of an older checkpoint find the full one).
 */
export async function removePartialTiles(
  folder: LogFolder,
  { from, to }: { from: number; to: number },
): Promise<void> {
  for (const { level, index, width } of edgeOf(from)) {
    const span = level === 'entries' ? 1 : tileWidth ** level;
    if (width === 0 || Math.floor(to / span) < (index + 1) * tileWidth) continue;
    for (const path of filesOf({ level, index, width: tileWidth }))
      await folder.remove(`${path}.p`);
  }
}
