import { equalBytes } from '#core/bytes.ts';
import { Failed, Fatal, Refused } from '#core/errors.ts';
import { logKeysAt, type Genesis, type LogState } from '#core/certificate/state/state.ts';
import type { Signer } from '#core/signer.ts';
import { signCheckpoint } from '#core/tlog/checkpoint.ts';
import { noteSigner, type NoteSigner } from '#core/tlog/note.ts';
import { encodeTileEdge, growTileEdge, openTileEdge, rootOfEdge } from '#core/tlog/tile-edge.ts';
import { leafHash } from '#core/tlog/tree.ts';
import { inTransaction, type Pool, type Sql } from '#platform/postgres.ts';
import { insertPendingCheckpoint } from './cosignature-store.ts';
import { insertPendingTiles, readCheckpoint, readEntries, readLastTimes } from './log-store.ts';
import { readNextIndex, swapCheckpoint, type StoredCheckpoint } from './log-store.ts';
import { stateSizes } from './state-sizes.ts';

/** A checkpoint covers at most this many entries more than the one before, so that memory is bounded. */
const stepEntries = 16_384;
/** Entries without effect at the end of a checkpoint that its time is looked for behind. */
const timesLooked = 256;

export interface SigningContext {
  readonly pool: Pool;
  /** Every key that the log names for the time; others are not used. */
  readonly signers: readonly Signer[];
  readonly state: () => Promise<LogState>;
}

/**
 * Step 5: re-reads the stored bytes, computes the root from the stored right edge, and swaps in the
 * signed checkpoint together with its tiles: of everything that is sequenced, but at most up to the
 * next `state`. Refused('log-key') without a key that must sign.
 *
 * A crash before the commit: the signature was seen by nobody. After it: the tiles and the note are in
 * the database, and `writeTiles` finds them. Outcome unknown: Fatal; the process ends, and starting up
 * reads which it was. Ed25519 is deterministic, so signing a size again gives the same note.
 */
export async function signNext({
  pool,
  signers,
  state,
}: SigningContext): Promise<{ readonly treeSize: number }> {
  const folded = await state();
  const { genesis, size: foldedSize, time, violations } = folded;
  if (genesis === undefined) return readCheckpoint(pool);
  const isVoid = new Set(violations.keys());
  const stated = stateSizes(folded);
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
      // Only what the fold knows: it says whose signatures the checkpoint needs.
      const ends = stated.filter((size) => size > stored.treeSize);
      const treeSize = Math.min(foldedSize, nextIndex, stored.treeSize + stepEntries, ...ends);
      if (treeSize <= stored.treeSize) return stored;
      const isChanging = genesis.logKeys.length > 1;
      const lastTime = isChanging ? await timeOf(sql, treeSize, isVoid) : undefined;
      const signing = noteSigners(genesis, { size: treeSize, time: lastTime ?? time, signers });
      await signSize(sql, { stored, treeSize, origin: genesis.origin, signing });
      return { treeSize };
    });
  } catch (error) {
    if (!(error instanceof Failed) || error.code !== 'commit-unknown') throw error;
    throw new Fatal('commit-unknown', 'nobody knows which checkpoint is stored', { cause: error });
  }
}

async function signSize(
  sql: Sql,
  {
    stored,
    treeSize,
    origin,
    signing,
  }: {
    stored: StoredCheckpoint;
    treeSize: number;
    origin: string;
    signing: readonly NoteSigner[];
  },
): Promise<void> {
  const { edge, tiles } = await grow(sql, stored, treeSize);
  const root = rootOfEdge(edge);
  const note = signCheckpoint({ origin, size: treeSize, root }, signing);
  await insertPendingTiles(sql, tiles);
  await insertPendingCheckpoint(sql, { treeSize, note });
  const next = { treeSize, root, edge: encodeTileEdge(edge), note };
  await swapCheckpoint(sql, stored.treeSize, next);
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

/** Time of the log after its first `size` entries: that of the last one which is not void. */
async function timeOf(
  sql: Sql,
  size: number,
  isVoid: ReadonlySet<number>,
): Promise<number | undefined> {
  const last = await readLastTimes(sql, size, timesLooked);
  return last.find(({ index }) => !isVoid.has(index))?.time;
}

/** During an overlap the old and the new key sign (D3.4): with one missing, nobody signs. */
function noteSigners(
  genesis: Genesis,
  { size, time, signers }: { size: number; time: number; signers: readonly Signer[] },
): NoteSigner[] {
  return logKeysAt(genesis, { size, time }).map(({ key }) => {
    const signer = signers.find(({ kid }) => kid === key.kid);
    if (signer === undefined) {
      throw new Refused('log-key', `a key that the log names is not here: ${key.kid}`);
    }
    return noteSigner(genesis.origin, signer);
  });
}
