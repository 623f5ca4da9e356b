import { equalBytes } from '#core/bytes.ts';
import { Failed, Fatal, Refused } from '#core/errors.ts';
import { encodeFramed, recordBundlePath } from '#core/energy/evidence-file.ts';
import { signCheckpoint, verifyCheckpoint } from '#core/tlog/checkpoint.ts';
import { ed25519Type, noteSigner, verifierKeyOf, type VerifierKey } from '#core/tlog/note.ts';
import { encodeBundle, tilePath, tileWidth, type Tile } from '#core/tlog/tile.ts';
import { leafHash } from '#core/tlog/tree.ts';
import type { Signer } from '#core/signer.ts';
import { inTransaction, type Pool, type Sql } from '#platform/postgres.ts';
import type { LogFile, LogFolder } from './log-folder.ts';
import { deletePendingTiles, insertPendingTiles, notePublished } from './log-store.ts';
import { readCheckpoint, readEntries, readNextIndex, readPendingTiles } from './log-store.ts';
import { swapCheckpoint, type StoredCheckpoint, type StoredEntry } from './log-store.ts';
import { readPublicRecords, readOpenings } from './record-store.ts';
import { encodeTileEdge, growTileEdge, openTileEdge, rootOfEdge } from './tile-edge.ts';

/** Signs what was sequenced and writes what everybody may read (D5, steps 5 and 6). */
export interface Publisher {
  /**
   * Brings checkpoint and static files up to what is sequenced. Doing it again does nothing more, so
   * it is also the recovery after a crash at any of its steps. Resolves to the signed size.
   */
  readonly publish: () => Promise<number>;
}

export interface PublisherContext {
  readonly pool: Pool;
  readonly folder: LogFolder;
  readonly signer: Signer;
  readonly origin: () => Promise<string | undefined>;
}

/** A checkpoint covers at most this many entries more than the one before, so that memory is bounded. */
const stepEntries = 16_384;
const tilesPage = 1_000;

export function createPublisher(context: PublisherContext): Publisher {
  let compared = false;
  return {
    async publish() {
      if (!compared) await requireNotRolledBack(context);
      compared = true;
      for (;;) {
        const signed = await sign(context);
        // What an earlier process signed and did not write is written here, before anything newer.
        await writeFiles(context);
        if (signed.treeSize === signed.nextIndex) return signed.treeSize;
      }
    },
  };
}

/**
 * What is published was in the database before it was a file. So a published checkpoint of ours that
 * the database does not know means that the database was rolled back, lost or exchanged, and that
 * signing on would split the log. What our key did not sign proves nothing, and is ignored (D5, step 6).
 */
async function requireNotRolledBack({
  pool,
  folder,
  signer,
  origin,
}: PublisherContext): Promise<void> {
  const bytes = await folder.read('checkpoint');
  const name = await origin();
  if (bytes === undefined || name === undefined) return;
  const size = sizeSignedBy(verifierKeyOf(name, ed25519Type, signer), bytes);
  if (size === undefined) return;
  const { note, treeSize } = await readCheckpoint(pool);
  const isOurs = note !== undefined && equalBytes(note, bytes);
  if (size > treeSize || (size === treeSize && !isOurs)) {
    throw new Fatal(
      'rolled-back',
      `a checkpoint of ${size} entries is published, and the database knows ${treeSize} or others`,
    );
  }
}

function sizeSignedBy(log: VerifierKey, bytes: Uint8Array): number | undefined {
  try {
    return verifyCheckpoint(bytes, { log, cosigners: [] }).size;
  } catch (error) {
    if (error instanceof Refused) return undefined;
    throw error;
  }
}

/**
 * Step 5: re-reads the stored bytes, computes the root from the stored right edge, and swaps in the
 * signed checkpoint together with its tiles.
 *
 * A crash before the commit: the signature was seen by nobody. After it: the tiles and the note are in
 * the database, and `writeFiles` finds them. Outcome unknown: Fatal; the process ends, and starting up
 * reads which it was. Ed25519 is deterministic, so signing a size again gives the same note.
 */
async function sign({
  pool,
  signer,
  origin,
}: PublisherContext): Promise<{ treeSize: number; nextIndex: number }> {
  const name = await origin();
  try {
    return await inTransaction(pool, async (sql) => {
      // Locked, so that two ledgers sign one after the other and each grows on what the other signed.
      const stored = await readCheckpoint(sql, { lock: true });
      const nextIndex = await readNextIndex(sql);
      if (nextIndex < stored.treeSize) {
        throw new Fatal(
          'log-shrunk',
          `${nextIndex} entries under a checkpoint of ${stored.treeSize}`,
        );
      }
      if (nextIndex === stored.treeSize || name === undefined) {
        return { treeSize: stored.treeSize, nextIndex: stored.treeSize };
      }
      const treeSize = Math.min(nextIndex, stored.treeSize + stepEntries);
      const { edge, tiles } = await grow(sql, stored, treeSize);
      const root = rootOfEdge(edge);
      const checkpoint = { origin: name, size: treeSize, root };
      const note = signCheckpoint(checkpoint, [noteSigner(name, signer)]);
      await insertPendingTiles(sql, tiles);
      const next = { treeSize, root, edge: encodeTileEdge(edge), note };
      await swapCheckpoint(sql, stored.treeSize, next);
      return { treeSize, nextIndex };
    });
  } catch (error) {
    if (!(error instanceof Failed) || error.code !== 'commit-unknown') throw error;
    throw new Fatal('commit-unknown', 'nobody knows which checkpoint is stored', { cause: error });
  }
}

/** Bytes that rotted or were changed since they were sequenced must never come under a signature. */
async function grow(sql: Sql, stored: StoredCheckpoint, treeSize: number) {
  const edge = openTileEdge(stored.treeSize, stored);
  const leaves = (await readEntries(sql, stored.treeSize, treeSize)).map((entry) => {
    const hash = leafHash(entry.data);
    if (!equalBytes(hash, entry.leafHash)) {
      throw new Fatal('leaf-hash', `entry ${entry.index} is not what its hash says`);
    }
    return hash;
  });
  return growTileEdge(edge, leaves);
}

/**
 * Step 6: tiles and entry bundles, then `checkpoint`, so that no checkpoint is seen before what it
 * covers; then the tiles in the database may go. A crash anywhere in between: the rows are still
 * there, and the same files are written again.
 */
async function writeFiles({ pool, folder }: PublisherContext): Promise<void> {
  const { treeSize, publishedSize } = await readCheckpoint(pool);
  if (treeSize === publishedSize) return;
  // Whoever else is writing, finds the rest when it looks again; so does this process.
  await folder.exclusively(() => writeCheckpoint(pool, folder));
}

async function writeCheckpoint(pool: Pool, folder: LogFolder): Promise<void> {
  const { note, treeSize, publishedSize } = await readCheckpoint(pool);
  if (note === undefined) return;
  const written: string[] = [];
  for (;;) {
    const tiles = await readPendingTiles(pool, { after: written.at(-1) ?? '', limit: tilesPage });
    await folder.write(tiles.map(({ path, data }) => ({ path, bytes: data })));
    written.push(...tiles.map(({ path }) => path));
    if (tiles.length < tilesPage) break;
  }
  await writeBundles(pool, folder, { from: publishedSize, to: treeSize });
  await folder.write([{ path: 'checkpoint', bytes: note }]);
  await deletePendingTiles(pool, written);
  await notePublished(pool, treeSize);
  await removePartialTiles(folder, { from: publishedSize, to: treeSize });
}

/** Entry bundles follow from the entries, so they are not stored a second time before they are files. */
async function writeBundles(
  pool: Pool,
  folder: LogFolder,
  { from, to }: { from: number; to: number },
): Promise<void> {
  const firstBundle = Math.floor(from / tileWidth);
  for (let first = firstBundle * tileWidth; first < to; first += stepEntries) {
    const last = Math.min(to, first + stepEntries);
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

/** Where a tile is full, its partial ones serve nobody any more (tlog-tiles allows this). */
async function removePartialTiles(
  folder: LogFolder,
  { from, to }: { from: number; to: number },
): Promise<void> {
  const levels: Tile['level'][] = ['entries'];
  for (let level = 0; tileWidth ** level <= to; level++) levels.push(level);
  for (const level of levels) {
    const width = level === 'entries' ? 1 : tileWidth ** level;
    const before = Math.floor(from / width);
    if (before % tileWidth === 0) continue;
    const index = Math.floor(before / tileWidth);
    if (Math.floor(to / width) < (index + 1) * tileWidth) continue;
    const path = tilePath({ level, index, width: tileWidth });
    await folder.remove(`${path}.p`);
    if (level === 'entries') await folder.remove(`${recordBundlePath(path)}.p`);
  }
}
