import { Failed } from '#core/errors.ts';
import { policiesFor, type Genesis, type LogState } from '#core/certificate/state/state.ts';
import { parseNote, type NoteSignature } from '#core/tlog/note.ts';
import type { Witness } from '#core/tlog/policy.ts';
import { proveConsistency } from '#core/tlog/proof.ts';
import { tileHashReader } from '#core/tlog/tile.ts';
import type { Logger } from '#platform/logger.ts';
import { isPassedOver, namesOf, recognisePublished, writeCheckpoint } from './checkpoint-file.ts';
import type { CheckpointFileContext, Gathered } from './checkpoint-file.ts';
import { gatherCosignatures } from './cosign.ts';
import { addCosignature, forgetSuperseded, readCosignatures } from './cosignature-store.ts';
import type { PendingCheckpoint } from './cosignature-store.ts';
import { readCheckpoint } from './log-store.ts';
import type { RollbackGuard } from './rollback.ts';
import { stateSizes } from './state-sizes.ts';
import { everyQuorumMet, witnessesOf, type WitnessBook, type WitnessLimits } from './witnesses.ts';
import { removeSuperseded } from './write-tiles.ts';

/** Has one signed size cosigned and published (D5, steps 6 and 7). */
export interface SizePublisher {
  /** Looks at what an earlier process published, unless that is known. */
  readonly recognise: (genesis: Genesis) => Promise<void>;
  readonly gather: Gather;
  /** Asks for the cosignatures of a size, and publishes it if it has its quorum. */
  readonly attempt: (pending: PendingCheckpoint, turn: PublishingTurn) => Promise<Attempted>;
  /** Nobody asks for sizes up to this one any more. */
  readonly forgetTo: (publishedSize: number) => void;
}

export interface PublishingTurn {
  readonly genesis: Genesis;
  /** Those who have nothing more to say to an older size that still waits for its quorum. */
  readonly mayAsk: (witness: Witness) => boolean;
}

/**
 * What became of a size. 'settled': it, or a newer one, is published. 'waits': nothing newer can have a
 * quorum without it. Else the witnesses that have cosigned it or never will, some of them refusing:
 * a newer size, with the `void` that they miss, say, may have a quorum of these.
 */
export type Attempted = 'settled' | 'waits' | ReadonlySet<string>;

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

interface Found extends Gathered {
  readonly refusedBy: ReadonlySet<string>;
}

type Gather = (
  pending: PendingCheckpoint,
  turn: { readonly publishedSize: number } & Pick<PublishingTurn, 'genesis'> &
    Partial<Pick<PublishingTurn, 'mayAsk'>>,
  options?: GatherOptions,
) => Promise<Found>;

/** Cosignatures for a pending checkpoint, by all who gave one. */
function createGather(
  context: PublisherContext,
  { book, guard }: { readonly book: WitnessBook; readonly guard: RollbackGuard },
): Gather {
  const { pool, folder, limits } = context;
  return async (pending, turn, { patience = limits, gathered } = {}) => {
    const { genesis, publishedSize, mayAsk = () => true } = turn;
    const { treeSize: size, note } = pending;
    const policies = policiesFor(genesis, { publishedSize, size }).map(({ policy }) => policy);
    const reader = tileHashReader(folder.read, size);
    const { text } = parseNote(note);
    const witnesses = witnessesOf(policies, context.witnessUrls);
    const submission = {
      ...{ size, text, note, publishedSize, policies, witnesses, mayAsk },
      gathered: gathered ?? (await readCosignatures(pool, size)),
    };
    const answers = await gatherCosignatures(submission, {
      book,
      limits: patience,
      proveFrom: (from) => proveConsistency({ from, to: size }, reader),
      save: (cosignature) => addCosignature(pool, size, cosignature),
      examine: (witness, signal) => guard.examine(genesis, witness, signal),
    });
    return { policies, ...answers };
  };
}

export function createSizePublisher(
  context: PublisherContext,
  parts: { readonly book: WitnessBook; readonly guard: RollbackGuard },
): SizePublisher {
  const { pool, folder } = context;
  const gather = createGather(context, parts);
  /** By size, who will never cosign it, as far as they told this process; they say it again. */
  const refusals = new Map<number, ReadonlySet<string>>();
  let isFileKnown = false;

  const publishMet = async (pending: PendingCheckpoint, gathered: Gathered): Promise<void> => {
    // Where this fails halfway, the file is looked at again before anything else happens.
    isFileKnown = false;
    const endsWithState = stateSizes(await context.state()).includes(pending.treeSize);
    await writeCheckpoint(context, pending, { ...gathered, endsWithState });
    isFileKnown = true;
  };

  return {
    gather,
    async recognise(genesis) {
      if (!isFileKnown) await recognisePublished(genesis, context);
      isFileKnown = true;
    },
    async attempt(pending, turn) {
      const { treeSize: size } = pending;
      const { publishedSize } = await readCheckpoint(pool);
      const found = await gather(pending, { ...turn, publishedSize }).catch(
        async (error: unknown) => {
          // Another ledger that has come further may have removed the partial tiles of this size.
          const isMissing = error instanceof Failed && error.code === 'tile-missing';
          if (isMissing && (await isPassedOver(pool, size))) return undefined;
          throw error;
        },
      );
      if (found === undefined) return 'settled';
      const { policies, cosignatures } = found;
      const isMet = everyQuorumMet(policies, namesOf(cosignatures));
      // Whoever else is at it finds, when it has its turn, what is left to do.
      await folder.exclusively(async () => {
        if (isMet) await publishMet(pending, { policies, cosignatures });
        await tidy(context);
      });
      if (await isPassedOver(pool, size)) return 'settled';
      const refusedBy = new Set([...(refusals.get(size) ?? []), ...found.refusedBy]);
      refusals.set(size, refusedBy);
      if (isMet || refusedBy.size === 0) return 'waits';
      return new Set([...refusedBy, ...namesOf(cosignatures)]);
    },
    forgetTo(publishedSize) {
      for (const size of refusals.keys()) if (size <= publishedSize) refusals.delete(size);
    },
  };
}

/** A crash in between leaves partial tiles that are removed when their tile is full. */
async function tidy({ pool, folder, limits }: PublisherContext): Promise<void> {
  const { publishedSize, treeSize } = await readCheckpoint(pool);
  const keep = limits.keptPendingSizes;
  // Forgotten first: from then on nobody publishes one of them.
  const superseded = await forgetSuperseded(pool, { publishedSize, keep, limit: tidiedSizes });
  await removeSuperseded(folder, { superseded, kept: [publishedSize, treeSize] });
}
