import { equalBytes, utf8 } from '#core/bytes.ts';
import { Fatal, Refused } from '#core/errors.ts';
import { policiesFor, type Genesis } from '#core/certificate/state/state.ts';
import { parsePublicJwk } from '#core/keys.ts';
import type { Signer } from '#core/signer.ts';
import { parseCheckpoint, type Checkpoint } from '#core/tlog/checkpoint.ts';
import { ed25519Type, parseNote, verifierKey, type Note } from '#core/tlog/note.ts';
import { rootAt } from '#core/tlog/proof.ts';
import { tileHashReader } from '#core/tlog/tile.ts';
import type { Logger } from '#platform/logger.ts';
import type { Pool } from '#platform/postgres.ts';
import { readMonitored } from '#platform/witness-client.ts';
import { noteFailure } from './cosign.ts';
import type { LogFolder } from './log-folder.ts';
import { readCheckpoint } from './log-store.ts';
import { askAll, canBeAsked, everyQuorumMet, keyName, witnessesOf } from './witnesses.ts';
import type { AskedWitness, WitnessBook, WitnessLimits, WitnessUrls } from './witnesses.ts';

/**
 * Keeps a ledger whose disk was rolled back from signing a second history (D5, step 6): what our own
 * key has signed, others may still know.
 */
export interface RollbackGuard {
  /** True once nothing stands against signing. */
  readonly isOpen: () => boolean;
  /**
   * Asks those witnesses that have not answered yet what they have seen, for a bounded time. Opens
   * with answers from a quorum of the policy in force, or without where the operator says so.
   * Fatal('rolled-back') when a checkpoint that our key signed contradicts ours.
   */
  readonly ask: (genesis: Genesis) => Promise<void>;
  /** The same question to one witness, at any time. */
  readonly examine: (genesis: Genesis, witness: AskedWitness, signal: AbortSignal) => Promise<void>;
}

export interface RollbackContext {
  readonly pool: Pool;
  readonly folder: LogFolder;
  readonly signers: readonly Signer[];
  readonly book: WitnessBook;
  readonly limits: WitnessLimits;
  readonly logger: Logger;
  readonly signWithoutWitnesses: boolean;
  readonly witnessUrls: WitnessUrls;
}

export function createRollbackGuard(context: RollbackContext): RollbackGuard {
  const { pool, book, limits, logger } = context;
  const answered = new Set<string>();
  let isOpen = false;
  let hasWarned = false;

  const examine: RollbackGuard['examine'] = async (genesis, witness, signal) => {
    const bytes = await seenBy(witness, signal, { origin: genesis.origin, context });
    if (bytes === 'silent') return;
    if (bytes !== undefined) {
      const seen = checkpointIn(bytes);
      if (seen?.checkpoint.origin !== genesis.origin) {
        // Something else may be listening there: that is no answer.
        book.ignored(witness, 'something that is no checkpoint of this log');
        book.failed(witness, new Refused('checkpoint', 'it shows no checkpoint of this log'));
        return;
      }
      const { note, checkpoint } = seen;
      if (isByUs(note, genesis, context.signers)) await requireKnown(checkpoint, context);
      else book.ignored(witness, `a checkpoint of ${checkpoint.size} that we did not sign`);
      book.saw(witness, checkpoint.size);
    }
    answered.add(keyName(witness));
  };

  return {
    isOpen: () => isOpen,
    examine,
    async ask(genesis) {
      if (isOpen) return;
      const { publishedSize } = await readCheckpoint(pool);
      // Before the first is published it is the genesis's own.
      const size = Math.max(1, publishedSize);
      const inForce = policiesFor(genesis, { publishedSize: size, size }).map(
        ({ policy }) => policy,
      );
      const isEnough = (): boolean => everyQuorumMet(inForce, answered);
      const waiting = witnessesOf(
        genesis.policies.map(({ policy }) => policy),
        context.witnessUrls,
      )
        .filter((witness) => !answered.has(keyName(witness)) && book.isReady(witness))
        .filter(canBeAsked);
      const ask = async (witness: AskedWitness, signal: AbortSignal): Promise<void> => {
        await examine(genesis, witness, signal);
        if (answered.has(keyName(witness))) book.succeeded(witness);
      };
      await askAll(waiting, { ask, isEnough, limits });
      isOpen = isEnough() || context.signWithoutWitnesses;
      if (!isEnough() && !hasWarned) {
        hasWarned = true;
        const what = isOpen
          ? 'signing without knowing what the witnesses have seen, as the operator wants it'
          : 'nothing is signed until a quorum of witnesses has said what it has seen';
        logger.warn({ answered: [...answered] }, what);
      } else if (isOpen && hasWarned) {
        logger.info({ answered: [...answered] }, 'the witnesses have answered: signing goes on');
      }
    },
  };
}

/** Undefined when it never cosigned a checkpoint of ours. */
async function seenBy(
  witness: AskedWitness,
  signal: AbortSignal,
  { origin, context }: { origin: string; context: RollbackContext },
): Promise<Uint8Array | 'silent' | undefined> {
  const timeoutMs = context.limits.cosignTimeoutMs;
  try {
    return await readMonitored(witness.url, origin, { timeoutMs, signal });
  } catch (error) {
    noteFailure(error, witness, context.book);
    return 'silent';
  }
}

export function checkpointIn(
  bytes: Uint8Array,
): { readonly note: Note; readonly checkpoint: Checkpoint } | undefined {
  try {
    const note = parseNote(bytes);
    return { note, checkpoint: parseCheckpoint(note.text) };
  } catch (error) {
    if (error instanceof Refused) return undefined;
    throw error;
  }
}

/**
 * True when the log's key, an earlier one, or one that we hold signed the note: where entries were
 * lost, the newest key may be one that the log as we know it does not name.
 */
export function isByUs(note: Note, genesis: Genesis, signers: readonly Signer[]): boolean {
  const held = genesis.logKeys.map(({ key }) => key);
  const keys = [...held, ...signers.map(({ jwk }) => parsePublicJwk(jwk))].map(({ raw }) =>
    verifierKey({ name: genesis.origin, type: ed25519Type, publicKey: raw }),
  );
  const text = utf8(note.text);
  return note.signatures.some(({ name, keyId, signature }) =>
    keys.some((key) => key.name === name && key.keyId === keyId && key.verify(text, signature)),
  );
}

/** Fatal('rolled-back') unless the checkpoint, which our key signed, is one of our log's. */
export async function requireKnown(
  { size, root }: Checkpoint,
  { pool, folder }: Pick<RollbackContext, 'pool' | 'folder'>,
): Promise<void> {
  // Read now, and not before the question: another ledger on this database may have signed meanwhile.
  const ours = await readCheckpoint(pool);
  if (size > ours.treeSize) {
    throw new Fatal(
      'rolled-back',
      `our key signed a checkpoint of ${size} entries, and the database knows ${ours.treeSize}`,
    );
  }
  // The partial tiles of that size may be gone; what is in them is in those of the newest.
  const reader = tileHashReader(folder.read, Math.max(size, ours.writtenSize));
  const known = size === ours.treeSize ? ours.root : await rootAt(size, reader);
  if (!equalBytes(known, root)) {
    throw new Fatal('rolled-back', `our key signed another tree of ${size} entries than ours`);
  }
}
