import { equalBytes } from '#core/bytes.ts';
import { Failed, Refused } from '#core/errors.ts';
import type { Signer } from '#core/signer.ts';
import { cosignatureSigner } from '#core/tlog/checkpoint.ts';
import {
  formatNote,
  parseNote,
  signNote,
  withSignatures,
  type NoteSignature,
} from '#core/tlog/note.ts';
import { verifyConsistency } from '#core/tlog/proof.ts';
import { emptyRoot } from '#core/tlog/tree.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/logger.ts';
import type { WitnessLimits } from './config.ts';
import type { Submission } from './examine.ts';
import type { Judge } from './judge.ts';
import type { Head } from './records.ts';
import type { WitnessStore } from './store.ts';

/** What becomes of a checkpoint that its log has signed. */
export type Outcome =
  | { readonly result: 'cosigned'; readonly signatures: readonly NoteSignature[] }
  /** The newest checkpoint that was cosigned has this size. */
  | { readonly result: 'conflict'; readonly size: number }
  /** The log did not only grow, or that was not shown. */
  | { readonly result: 'inconsistent'; readonly reason: string }
  /** The auditor found a broken rule. */
  | { readonly result: 'faulty'; readonly reason: string };

export interface CosignerParts {
  readonly name: string;
  readonly vkey: string;
  readonly signer: Signer;
  readonly store: WitnessStore;
  readonly judge: Judge;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: Pick<WitnessLimits, 'clockBehindS'>;
}

export interface Signals {
  /** Nobody waits for the answer any more. */
  readonly gone: AbortSignal;
  /** The witness ends. */
  readonly stop: AbortSignal;
}

export interface Cosigner {
  /**
   * For one submission of a log at a time. Failed when nothing could be decided for now, Fatal when
   * nothing can be from now on; a signal that aborts leaves the head where it is.
   */
  readonly cosign: (submission: Submission, signals: Signals) => Promise<Outcome>;
  /** The newest checkpoint that was cosigned by this very key, with its cosignature. */
  readonly newest: (origin: string) => Uint8Array | undefined;
}

/**
 * Decides, stores, signs, in this order (D5): the head is durable before anybody can see the
 * cosignature. *Crash before the head is stored: nothing was said. After: the head has moved and
 * nobody was told; the log is answered 409 with the new size, submits the same checkpoint again from
 * there, and gets the cosignature.*
 */
export function createCosigner(parts: CosignerParts): Cosigner {
  const { name, vkey, signer, store } = parts;

  /** Ed25519 is deterministic: a head signed again gets the very cosignature that it had. */
  const signaturesOf = ({ checkpoint, time }: Head): readonly NoteSignature[] => {
    const { text } = parseNote(checkpoint.note);
    return signNote({ text }, [cosignatureSigner(name, signer, time)]).signatures;
  };

  return {
    async cosign(submission, signals) {
      requireWanted(signals);
      const { checkpoint, log, oldSize } = submission;
      const head = store.head(log.origin);
      await keepContradiction(submission, head, parts);
      const size = head?.checkpoint.size ?? 0;
      if (oldSize !== size) return { result: 'conflict', size };
      const inconsistency = inconsistencyOf(submission, head);
      if (inconsistency !== undefined) return { result: 'inconsistent', reason: inconsistency };
      // The same tree as before, by the same key: it has been judged.
      const known = head?.vkey === vkey && head.checkpoint.size === checkpoint.size;
      const fault = known ? undefined : await parts.judge(checkpoint, signals.stop);
      if (fault !== undefined) return { result: 'faulty', reason: fault };
      requireWanted(signals);
      const time = timeNow(parts);
      if (known && head.time === time) {
        return { result: 'cosigned', signatures: signaturesOf(head) };
      }
      const next: Head = { record: 'head', checkpoint, time, vkey };
      await store.advance(head, next);
      return { result: 'cosigned', signatures: signaturesOf(next) };
    },
    newest(origin) {
      const head = store.head(origin);
      if (head?.vkey !== vkey) return undefined;
      return formatNote(withSignatures(parseNote(head.checkpoint.note), signaturesOf(head)));
    },
  };
}

function requireWanted({ gone, stop }: Signals): void {
  if (stop.aborted) throw new Failed('stopping', 'the witness is stopping');
  if (gone.aborted) throw new Failed('gone', 'nobody waits for the answer');
}

function inconsistencyOf(
  { checkpoint, proof }: Submission,
  head: Head | undefined,
): string | undefined {
  const { size, root } = head?.checkpoint ?? { size: 0, root: emptyRoot };
  try {
    verifyConsistency({
      fromSize: size,
      fromRoot: root,
      toSize: checkpoint.size,
      toRoot: checkpoint.root,
      path: proof,
    });
    return undefined;
  } catch (error) {
    if (error instanceof Refused) return error.message;
    throw error;
  }
}

/**
 * Two roots for one size, both signed by the log, prove by themselves that it lied. A path that
 * leads nowhere proves nothing: anybody can send a wrong one along with a checkpoint of the log.
 */
async function keepContradiction(
  { checkpoint: other, log }: Submission,
  head: Head | undefined,
  { store, logger, clock }: CosignerParts,
): Promise<void> {
  // At size 0 the other one is no checkpoint at all.
  if (head === undefined || other.size === 0) return;
  const { checkpoint } = head;
  if (other.size !== checkpoint.size || equalBytes(other.root, checkpoint.root)) return;
  logger.error({ origin: log.origin, size: other.size }, 'the log signed two roots for one size');
  await store.keepContradiction({
    record: 'contradiction',
    checkpoint,
    other,
    time: clock.nowS(),
  });
}

/**
 * Never before a time that was given, so that a clock set back makes no older statement look newer.
 * It is stated a little late instead, but not for long: a time far from now would be false.
 */
function timeNow({ clock, store, limits }: CosignerParts): number {
  const now = clock.nowS();
  const latest = store.latestTime();
  if (now + limits.clockBehindS < latest) {
    throw new Failed('clock', `the clock is ${latest - now} s behind the last cosignature`);
  }
  return Math.max(now, latest);
}
