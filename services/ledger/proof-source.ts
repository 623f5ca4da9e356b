import { decodeUtf8 } from '#core/bytes.ts';
import { Failed, Refused } from '#core/errors.ts';
import { parseEntry } from '#core/certificate/entry.ts';
import { specOf, type Item } from '#core/certificate/kinds.ts';
import type { IncludedLeaf, ProofParts } from '#core/certificate/proof.ts';
import { issuedRangesOf, piecesWithin } from '#core/certificate/series.ts';
import { seriesOfPlant, type LogState } from '#core/certificate/state.ts';
import { batchPath, parseBatchFile, parseMessageLeaf } from '#core/energy/batch.ts';
import { parseRecords } from '#core/energy/evidence-file.ts';
import { parseMeterRecord } from '#core/energy/meter-record.ts';
import { parseCheckpoint, type Checkpoint } from '#core/tlog/checkpoint.ts';
import { parseNote } from '#core/tlog/note.ts';
import { proveInclusion } from '#core/tlog/proof.ts';
import { tileHashReader } from '#core/tlog/tile.ts';
import { inclusionPath, leafHash } from '#core/tlog/tree.ts';
import type { Pool } from '#platform/postgres.ts';
import type { LogFolder } from './log-folder.ts';
import { readEntriesByIndex } from './log-store.ts';
import { readRecords } from './record-store.ts';

/** Collects what proof files are made of (D3.5), as of one published checkpoint. */
export interface ProofSource {
  /** Entries that the checkpoint covers; nothing later can be proved with it. */
  readonly size: number;
  /**
   * Everything that a certificate's proof shows. Refused('range') unless the units were issued by one
   * entry; Failed('not-published') when the checkpoint does not cover that entry yet.
   */
  readonly collect: (bundle: Item) => Promise<ProofParts>;
}

/** Tiles kept while many certificates are proved; each is 8 KiB at most. */
const cachedTiles = 1_000;

/** Failed('not-published') when the log has no checkpoint yet. */
export async function openProofSource({
  pool,
  folder,
  state,
}: {
  pool: Pool;
  folder: LogFolder;
  state: () => Promise<LogState>;
}): Promise<ProofSource> {
  const note = await folder.read('checkpoint');
  if (note === undefined) throw new Failed('not-published', 'there is no checkpoint yet');
  const checkpoint: Checkpoint = parseCheckpoint(parseNote(note).text);
  const { size } = checkpoint;
  const read = tileHashReader(cached(folder.read), size);
  return {
    size,
    async collect(bundle) {
      const { plant, hour, indexes } = whatConcerns(await state(), bundle);
      if (hour >= size) throw new Failed('not-published', `entry ${hour} is not published yet`);
      const covered = indexes.filter((index) => index < size);
      const stored = await readEntriesByIndex(pool, covered);
      if (stored.length < covered.length) {
        throw new Failed(
          'entry',
          `${covered.length - stored.length} entries are not in the database`,
        );
      }
      const entries = await Promise.all(
        stored.map(async ({ index, data }): Promise<IncludedLeaf> => {
          return { data, index, path: await proveInclusion({ index, size }, read) };
        }),
      );
      const issuing = entries.find(({ index }) => index === hour);
      if (issuing === undefined)
        throw new Failed('entry', `entry ${hour} of ${plant} is not there`);
      const records = await recordsOf(pool, hour);
      const messages = await messagesOf(folder, batchRootOf(issuing.data), records);
      return { bundle, checkpoint: decodeUtf8(note), entries, hour, messages, records };
    },
  };
}

function cached(read: LogFolder['read']): LogFolder['read'] {
  const tiles = new Map<string, Promise<Uint8Array | undefined>>();
  return (path) => {
    const known = tiles.get(path);
    if (known !== undefined) return known;
    for (const oldest of tiles.keys()) {
      if (tiles.size < cachedTiles) break;
      tiles.delete(oldest);
    }
    const tile = read(path);
    tiles.set(path, tile);
    // What could not be read once may be read the next time.
    tile.catch(() => tiles.delete(path));
    return tile;
  };
}

/** Indexes, ascending, of every entry that the rules consult for a bundle. */
function whatConcerns(
  state: LogState,
  bundle: Item,
): { plant: string; hour: number; indexes: number[] } {
  const series = state.series.get(bundle.series);
  const [issued, ...others] = series === undefined ? [] : issuedRangesOf(series, bundle);
  if (series === undefined || issued === undefined) {
    throw new Refused('series', `no series ${bundle.series}`);
  }
  if (others.length > 0) throw new Refused('range', 'units of more than one hour');
  const found = [...state.plants].find(([name]) => seriesOfPlant(name) === bundle.series)?.[1];
  if (found === undefined) throw new Refused('series', `no plant of the series ${bundle.series}`);
  const pieces = piecesWithin(series, bundle);
  const accounts = new Set([found.spec.account, ...pieces.map(({ owner }) => owner)]);
  const indexes = new Set([
    ...(state.genesis?.entries ?? []),
    ...[...accounts].flatMap((name) => state.accounts.get(name)?.entries ?? []),
    ...found.entries,
    ...(found.hours.get(issued.hourStart)?.versions ?? []),
    ...pieces.map(({ lastIndex }) => lastIndex),
  ]);
  return {
    plant: found.spec.plant,
    hour: issued.index,
    indexes: [...indexes].sort((a, b) => a - b),
  };
}

async function recordsOf(pool: Pool, index: number): Promise<IncludedLeaf[]> {
  const records = parseRecords(await readRecords(pool, index));
  const hashes = records.map(leafHash);
  return records.map((data, i) => ({ data, index: i, path: inclusionPath(hashes, i) }));
}

function batchRootOf(data: Uint8Array): string {
  const entry = parseEntry(data);
  return entry.kind === 'hour'
    ? specOf.hour.parse(entry.spec).batchRoot
    : specOf['hour-correction'].parse(entry.spec).batchRoot;
}

/** First and last message of every segment, each once. */
async function messagesOf(
  folder: LogFolder,
  root: string,
  records: readonly IncludedLeaf[],
): Promise<ProofParts['messages']> {
  const file = await folder.read(batchPath(root));
  if (file === undefined) throw new Failed('batch-file', `${batchPath(root)} is not there`);
  const { leaves } = parseBatchFile(file);
  const hashes = leaves.map(leafHash);
  const wanted = new Set(
    records.flatMap(({ data }) =>
      parseMeterRecord(data).segments.flatMap(({ first, last }) =>
        [first, last].flatMap((end) => ('leaf' in end ? [end.leaf] : [])),
      ),
    ),
  );
  return [...wanted]
    .sort((a, b) => a - b)
    .map((index) => {
      const leaf = leaves[index];
      if (leaf === undefined) throw new Failed('batch-file', `${root} has no leaf ${index}`);
      const { receivedAt, bytes } = parseMessageLeaf(leaf);
      return { index, jws: decodeUtf8(bytes), path: inclusionPath(hashes, index), receivedAt };
    });
}
