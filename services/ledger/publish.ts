import { Failed } from '#core/errors.ts';
import type { Genesis } from '#core/certificate/state/state.ts';
import { addToPublished, readPublished } from './checkpoint-file.ts';
import { readDuePending } from './cosignature-store.ts';
import { readCheckpoint, readNextIndex } from './log-store.ts';
import { createSizePublisher, type PublisherContext, type PublishingTurn } from './publish-size.ts';
import { createRollbackGuard } from './rollback.ts';
import { signNext } from './sign.ts';
import { createWitnessBook, keyName } from './witnesses.ts';
import { writeTiles } from './write-tiles.ts';

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
   * quorum; but before it those that end with a `state`, which no witness may be led past: it would
   * never cosign them any more. Resolves after `cosignTimeoutMs` at the latest for the first that
   * gets no quorum, and what the others and the disk take. Not to be called twice at once.
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
  /** The newest that there was to publish. */
  readonly newest: number;
  readonly publishedSize: number;
}

export function createPublisher(context: PublisherContext): Publisher {
  const { pool, folder, signers, limits, logger } = context;
  const book = createWitnessBook(limits, logger);
  const guard = createRollbackGuard({ ...context, book });
  const sizes = createSizePublisher(context, { book, guard });
  const genesisOf = async (): Promise<Genesis | undefined> => (await context.state()).genesis;
  return {
    async recover() {
      const genesis = await genesisOf();
      if (genesis === undefined) return;
      await sizes.recognise(genesis);
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
      const due = await readDuePending(pool);
      const publishedSize = async (): Promise<number> => (await readCheckpoint(pool)).publishedSize;
      const genesis = await genesisOf();
      const newest = due.at(-1)?.treeSize ?? (await publishedSize());
      if (genesis === undefined || !guard.isOpen()) {
        return { newest, publishedSize: await publishedSize() };
      }
      let mayAsk: PublishingTurn['mayAsk'] = () => true;
      for (const pending of due) {
        const became = await sizes.attempt(pending, { genesis, mayAsk });
        if (became === 'waits') break;
        if (became === 'settled') continue;
        const before = mayAsk;
        mayAsk = (witness) => before(witness) && became.has(keyName(witness));
      }
      const published = await publishedSize();
      sizes.forgetTo(published);
      return { newest, publishedSize: published };
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
      return addToPublished(
        context,
        pending,
        await sizes.gather(pending, turn, { patience, gathered }),
      );
    },
  };
}
