import { Failed } from '#core/errors.ts';
import { policiesFor, type Genesis, type LogState } from '#core/certificate/state/state.ts';
import { parseNote, type NoteSignature } from '#core/tlog/note.ts';
import { proveConsistency } from '#core/tlog/proof.ts';
import { tileHashReader } from '#core/tlog/tile.ts';
import type { Logger } from '#platform/logger.ts';
import { addToPublished, namesOf, readPublished, recognisePublished } from './checkpoint-file.ts';
import { writeCheckpoint, type CheckpointFileContext, type Gathered } from './checkpoint-file.ts';
import { gatherCosignatures } from './cosign.ts';
import { addCosignature, forgetSuperseded, readCosignatures } from './cosignature-store.ts';
import { readNewestPending, type PendingCheckpoint } from './cosignature-store.ts';
import { readCheckpoint, readNextIndex } from './log-store.ts';
import { createRollbackGuard, type RollbackGuard } from './rollback.ts';
import { signNext } from './sign.ts';
import { createWitnessBook, everyQuorumMet, witnessesOf } from './witnesses.ts';
import type { WitnessBook, WitnessLimits } from './witnesses.ts';
import { removeSuperseded, writeTiles } from './write-tiles.ts';

/** Signs what was sequenced, has it cosigned, and shows it to everybody (D3.4; D5, steps 5 to 7). */
export interface Publisher {
  /**
   * Brings up what an earlier process left, and finds out whether our disk was rolled back. To be
   * called before each round of work: while witnesses are away it waits for them, but never longer
   * than `cosignTimeoutMs`. Fatal('rolled-back').
   */
  readonly recover: () => Promise<void>;
  /**
   * Signs what is sequenced and writes its files, `checkpoint` excepted. Doing it again does nothing
   * more. Nothing is signed before `recover` has found that we may. Resolves to the signed size.
   */
  readonly sign: () => Promise<number>;
  /**
   * Asks for the cosignatures of the newest signed checkpoint, and publishes it if it has its
   * quorum. Resolves, after `cosignTimeoutMs` at the latest and what the disk takes, to the size
   * that was tried and the size that is published. Not to be called twice at once.
   */
  readonly publish: () => Promise<Published>;
  /**
   * Asks everybody who has not cosigned the published checkpoint, adds what they give to the file, and
   * resolves to the names of those who still have not. Failed('not-published') when a newer one is
   * on its way.
   */
  readonly complete: () => Promise<readonly string[]>;
}

export interface Published {
  readonly tried: number;
  readonly publishedSize: number;
}

/** How many superseded sizes are forgotten at once. */
const tidiedSizes = 1_000;

export interface PublisherLimits extends WitnessLimits {
  /**
   * Sizes that were signed and not published whose partial tiles are kept, at least 1: a slow witness
   * may still be reading them.
   */
  readonly keptPendingSizes: number;
}

export interface PublisherContext extends CheckpointFileContext {
  readonly state: () => Promise<LogState>;
  readonly logger: Logger;
  readonly limits: PublisherLimits;
  readonly signWithoutWitnesses: boolean;
}

interface GatherOptions {
  readonly patience?: WitnessLimits;
  /** Where they are not in the database any more. */
  readonly gathered?: readonly NoteSignature[];
}

type Gather = (
  pending: PendingCheckpoint,
  turn: { readonly genesis: Genesis; readonly publishedSize: number },
  options?: GatherOptions,
) => Promise<Gathered>;

/** Cosignatures for a pending checkpoint, by all who gave one. */
function createGather(
  context: PublisherContext,
  { book, guard }: { readonly book: WitnessBook; readonly guard: RollbackGuard },
): Gather {
  const { pool, folder, limits } = context;
  return async (pending, { genesis, publishedSize }, { patience = limits, gathered } = {}) => {
    const { treeSize: size, note } = pending;
    const policies = policiesFor(genesis, { publishedSize, size }).map(({ policy }) => policy);
    const reader = tileHashReader(folder.read, size);
    const { text } = parseNote(note);
    const witnesses = witnessesOf(policies, context.witnessUrls);
    const submission = {
      ...{ size, text, note, publishedSize, policies, witnesses },
      gathered: gathered ?? (await readCosignatures(pool, size)),
    };
    const cosignatures = await gatherCosignatures(submission, {
      book,
      limits: patience,
      proveFrom: (from) => proveConsistency({ from, to: size }, reader),
      save: (cosignature) => addCosignature(pool, size, cosignature),
      examine: (witness, signal) => guard.examine(genesis, witness, signal),
    });
    return { policies, cosignatures };
  };
}

export function createPublisher(context: PublisherContext): Publisher {
  const { pool, folder, signers, limits, logger } = context;
  const book = createWitnessBook(limits, logger);
  const guard = createRollbackGuard({ ...context, book });
  let isFileKnown = false;
  const genesisOf = async (): Promise<Genesis | undefined> => (await context.state()).genesis;
  const current = async () => ({
    publishedSize: (await readCheckpoint(pool)).publishedSize,
    pending: await readNewestPending(pool),
    genesis: await genesisOf(),
  });
  const gather = createGather(context, { book, guard });
  /** Another ledger that has come further may have removed the partial tiles of this size. */
  const isPassedOver = async (error: unknown, size: number): Promise<boolean> => {
    if (!(error instanceof Failed && error.code === 'tile-missing')) return false;
    const { publishedSize, pending } = await current();
    return Math.max(publishedSize, pending?.treeSize ?? 0) > size;
  };

  return {
    async recover() {
      const genesis = await genesisOf();
      if (genesis === undefined) return;
      if (!isFileKnown) await recognisePublished(genesis, context);
      isFileKnown = true;
      if (guard.isOpen()) return;
      // What an earlier process signed and did not write is written here, before anything newer.
      await writeTiles(pool, folder);
      await guard.ask(genesis);
    },
    async sign() {
      if (!guard.isOpen()) return (await readCheckpoint(pool)).treeSize;
      for (;;) {
        const { treeSize } = await signNext({ pool, signers, state: context.state });
        await writeTiles(pool, folder);
        if (treeSize >= (await readNextIndex(pool))) return treeSize;
      }
    },
    async publish() {
      const { publishedSize, pending, genesis } = await current();
      const tried = pending?.treeSize ?? publishedSize;
      if (pending === undefined || genesis === undefined || tried <= publishedSize) {
        return { tried: publishedSize, publishedSize };
      }
      if (!guard.isOpen()) return { tried, publishedSize };
      const found = await gather(pending, { genesis, publishedSize }).catch(
        async (error: unknown) => {
          if (await isPassedOver(error, tried)) return undefined;
          throw error;
        },
      );
      if (found === undefined) {
        return { tried, publishedSize: (await readCheckpoint(pool)).publishedSize };
      }
      const { policies, cosignatures } = found;
      const isMet = everyQuorumMet(policies, namesOf(cosignatures));
      // Whoever else is at it finds, when it has its turn, what is left to do.
      await folder.exclusively(async () => {
        // Where this fails halfway, the file is looked at again before anything else happens.
        isFileKnown = !isMet;
        if (isMet) {
          const endsWithState = isAfterState(await context.state(), tried);
          await writeCheckpoint(context, pending, { policies, cosignatures, endsWithState });
        }
        isFileKnown = true;
        await tidy(context);
      });
      return { tried, publishedSize: (await readCheckpoint(pool)).publishedSize };
    },
    async complete() {
      const genesis = await genesisOf();
      const published = await readPublished(context);
      if (genesis === undefined || published === undefined) {
        throw new Failed('not-published', 'the newest checkpoint has no quorum yet');
      }
      const { pending, cosignatures: gathered } = published;
      const turn = { genesis, publishedSize: pending.treeSize };
      const patience = { ...limits, cosignGraceMs: limits.cosignTimeoutMs };
      return addToPublished(context, pending, await gather(pending, turn, { patience, gathered }));
    },
  };
}

/** Whether the last of the first `size` entries is a `state` that is not void. */
function isAfterState({ latestState, previousState }: LogState, size: number): boolean {
  return [latestState, previousState].some((stated) => stated?.ref.index === size - 1);
}

/** A crash in between leaves partial tiles that are removed when their tile is full. */
async function tidy({ pool, folder, limits }: PublisherContext): Promise<void> {
  const { publishedSize, treeSize } = await readCheckpoint(pool);
  const keep = limits.keptPendingSizes;
  // Forgotten first: from then on nobody publishes one of them.
  const superseded = await forgetSuperseded(pool, { publishedSize, keep, limit: tidiedSizes });
  await removeSuperseded(folder, { superseded, kept: [publishedSize, treeSize] });
}
