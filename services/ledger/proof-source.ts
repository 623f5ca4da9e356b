import { decodeUtf8, toBase64 } from '#core/bytes.ts';
import { Failed, Refused } from '#core/errors.ts';
import { parseEntry } from '#core/certificate/entry.ts';
import { specOf } from '#core/certificate/kinds.ts';
import type { Item } from '#core/certificate/specs/parts.ts';
import type { IncludedLeaf, ProofParts } from '#core/certificate/proof/proof.ts';
import { issuedRangesOf, noSeries, piecesWithin } from '#core/certificate/state/series.ts';
import { advanceStateTree, countAsOf, encodePiece } from '#core/certificate/state/state-tree.ts';
import {
  encodeStateLeaf,
  piecesAsOf,
  stateHashReader,
} from '#core/certificate/state/state-tree.ts';
import { seriesOfPlant, type LogState } from '#core/certificate/state/state.ts';
import { batchPath, parseBatchFile, parseMessageLeaf } from '#core/energy/batch.ts';
import { isPlacedOcmf } from '#core/energy/ocmf.ts';
import { parseRecords } from '#core/energy/evidence-file.ts';
import { parseMeterRecord } from '#core/energy/meter-record.ts';
import { parseCheckpoint } from '#core/tlog/checkpoint.ts';
import { parseNote } from '#core/tlog/note.ts';
import { proveInclusion, type HashReader } from '#core/tlog/proof.ts';
import { tileHashReader } from '#core/tlog/tile.ts';
import { inclusionPath, leafHash, treeRoot } from '#core/tlog/tree.ts';
import type { Pool } from '#platform/postgres.ts';
import { stateCheckpointPath } from './checkpoint-file.ts';
import type { LogFolder } from './log-folder.ts';
import { readEntriesByIndex } from './log-store.ts';
import { readRecords } from './record-store.ts';
import { readUnitChanges, type UnitChange } from './unit-changes.ts';

/**
 * Collects what proof files are made of (D3.5), as of the published checkpoint, or of the one that ends
 * with the newest `state` where nothing about the certificate came after it: that one proves its life.
 */
export interface ProofSource {
  /** Entries that the published checkpoint covers; nothing later can be proved with it. */
  readonly size: number;
  /**
   * Everything that a certificate's proof shows. Refused('range') unless the units were issued by one
   * entry; Failed('not-published') when the checkpoint does not cover that entry yet.
   */
  readonly collect: (bundle: Item) => Promise<ProofParts>;
}

/** Changes of a bundle's units that a proof shows; more would not fit into a file anyway. */
const changesLimit = 10_000;

/** Tiles kept while many certificates are proved; each is 8 KiB at most. */
const cachedTiles = 1_000;
/** Hashes kept likewise: those between the levels of tiles are worked out from up to 128 others. */
const rememberedHashes = 65_536;

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
  const published = await signedSize(folder, 'checkpoint');
  if (published === undefined) throw new Failed('not-published', 'there is no checkpoint yet');
  const stated = await signedSize(folder, stateCheckpointPath);
  // Between two reads the second may have been replaced by one that is about to be published.
  const largest = Math.max(published.size, stated?.size ?? 0);
  const read = remembering(tileHashReader(cached(folder.read), largest));
  return {
    size: published.size,
    async collect(bundle) {
      const log = await state();
      const changes = await readUnitChanges(pool, bundle, changesLimit + 1);
      if (changes.length > changesLimit) {
        throw new Refused('size', `more than ${changesLimit} changes of these units`);
      }
      const { plant, hour, indexes } = whatConcerns(log, bundle, changes);
      if (hour >= published.size)
        throw new Failed('not-published', `entry ${hour} is not published yet`);
      const known = indexes.filter((index) => index < published.size);
      const isAllStated = stated !== undefined && known.every((index) => index < stated.size);
      const { note, size } = isAllStated ? stated : published;
      const shown = await stateOf(log, { bundle, size });
      const covered = shown === undefined ? known : [...known, shown.entry];
      const [stored, records] = await Promise.all([
        readEntriesByIndex(pool, covered),
        recordsOf(pool, hour),
      ]);
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
      const messages = await messagesOf(folder, batchRootOf(issuing.data), records);
      const { from, series, to } = bundle;
      return {
        // In the order of JCS, as all of it, which is the quickest to write.
        bundle: { from, series, to },
        checkpoint: decodeUtf8(note),
        entries,
        hour,
        messages,
        records,
        state: shown,
      };
    },
  };
}

/** A checkpoint in the folder, with its size. */
async function signedSize(
  folder: Pick<LogFolder, 'read'>,
  path: string,
): Promise<{ readonly note: Uint8Array; readonly size: number } | undefined> {
  const note = await folder.read(path);
  return note && { note, size: parseCheckpoint(parseNote(note).text).size };
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

/** A hash of a perfect subtree never changes, and the paths of a log's entries share most of theirs. */
function remembering(read: HashReader): HashReader {
  const known = new Map<string, Uint8Array>();
  return async (coordinates) => {
    const found = coordinates.map(({ level, index }) => known.get(`${level} ${index}`));
    const missing = coordinates.filter((_, i) => found[i] === undefined);
    if (missing.length === 0) return found.filter((hash) => hash !== undefined);
    const hashes = await read(missing);
    missing.forEach(({ level, index }, i) => {
      const hash = hashes[i];
      if (hash !== undefined) known.set(`${level} ${index}`, hash);
    });
    for (const oldest of known.keys()) {
      if (known.size <= rememberedHashes) break;
      known.delete(oldest);
    }
    let next = 0;
    return found.flatMap((hash) => hash ?? hashes[next++] ?? []);
  };
}

const seriesPrefix = seriesOfPlant('');

/** Indexes, ascending, of every entry that the rules consult for a bundle. */
function whatConcerns(
  state: LogState,
  bundle: Item,
  changes: readonly UnitChange[],
): { plant: string; hour: number; indexes: number[] } {
  const series = state.series.get(bundle.series);
  const [issued, ...others] = series === undefined ? [] : issuedRangesOf(series, bundle);
  if (series === undefined || issued === undefined) {
    throw new Refused('series', `no series ${bundle.series}`);
  }
  if (others.length > 0) throw new Refused('range', 'units of more than one hour');
  const found = state.plants.get(bundle.series.slice(seriesPrefix.length));
  if (found === undefined || seriesOfPlant(found.spec.plant) !== bundle.series) {
    throw new Refused('series', `no plant of the series ${bundle.series}`);
  }
  const pieces = piecesWithin(series, bundle);
  const actors = changes.flatMap(({ account, counterparty }) => [account, counterparty]);
  const owners = pieces.map(({ owner }) => owner);
  const accounts = new Set([found.spec.account, ...owners, ...actors.filter((id) => id !== null)]);
  const indexes = new Set([
    ...(state.genesis?.entries ?? []),
    ...[...accounts].flatMap((name) => state.accounts.get(name)?.entries ?? []),
    ...found.entries,
    ...(found.hours.get(issued.hourStart)?.versions ?? []),
    ...pieces.map(({ lastIndex }) => lastIndex),
    ...changes.map(({ entryIndex }) => entryIndex),
  ]);
  return {
    plant: found.spec.plant,
    hour: issued.index,
    indexes: [...indexes].sort((a, b) => a - b),
  };
}

/** What the newest `state` under the checkpoint says of a bundle; undefined before the first. */
async function stateOf(
  log: LogState,
  { bundle, size }: { bundle: Item; size: number },
): Promise<ProofParts['state']> {
  const { stateTree: tree } = log;
  const stated = [log.latestState, log.previousState].find(
    (found) => found !== undefined && found.ref.index < size,
  );
  if (stated === undefined) return undefined;
  const { asOf, ref } = stated;
  if (tree.asOf < asOf) advanceStateTree(tree, asOf);
  if (tree.asOf !== asOf && tree.previous.asOf !== asOf) return undefined;
  const [issued] = issuedRangesOf(log.series.get(bundle.series) ?? noSeries, bundle);
  if (issued === undefined || issued.index >= asOf) return undefined;
  const all = piecesAsOf(tree, issued, asOf);
  const data = all.map(encodePiece);
  const hashes = data.map(leafHash);
  const pieces = all.flatMap(({ from, to }, index): IncludedLeaf[] =>
    to < bundle.from || from > bundle.to
      ? []
      : [{ data: data[index] ?? new Uint8Array(0), index, path: inclusionPath(hashes, index) }],
  );
  const { position } = issued;
  const leaf: IncludedLeaf = {
    data: encodeStateLeaf(issued, treeRoot(hashes)),
    index: position,
    path: await proveInclusion(
      { index: position, size: countAsOf(tree.ranges, asOf) },
      stateHashReader(tree, asOf),
    ),
  };
  return { entry: ref.index, leaf, pieces, size: all.length };
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
      const shown = isPlacedOcmf(bytes) ? { ocmf: toBase64(bytes) } : { jws: decodeUtf8(bytes) };
      return { index, ...shown, path: inclusionPath(hashes, index), receivedAt };
    });
}
