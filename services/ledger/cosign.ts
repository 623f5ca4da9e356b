import { utf8 } from '#core/bytes.ts';
import { Failed } from '#core/errors.ts';
import { cosignatureVerifier } from '#core/tlog/checkpoint.ts';
import type { NoteSignature } from '#core/tlog/note.ts';
import type { Policy, Witness } from '#core/tlog/policy.ts';
import { addCheckpoint, type CosignAnswer } from '#platform/witness-client.ts';
import {
  askAll,
  canBeAsked,
  everyQuorumMet,
  keyName,
  Late,
  Spared,
  type AskedWitness,
  type WitnessBook,
  type WitnessLimits,
} from './witnesses.ts';

/** A signed checkpoint that witnesses are asked to cosign. */
export interface Submission {
  readonly size: number;
  /** What is signed: origin, size and root. */
  readonly text: string;
  /** Signed by the log alone. */
  readonly note: Uint8Array;
  /** The size of the published checkpoint: the first guess of what a witness has seen. */
  readonly publishedSize: number;
  /** Those whose quorum is needed. */
  readonly policies: readonly Policy[];
  /** All witnesses of these policies. */
  readonly witnesses: readonly Witness[];
  /** Others are not asked now; what they gave before counts. */
  readonly mayAsk: (witness: Witness) => boolean;
  /** Good cosignatures that there are already; those who made them are not asked again. */
  readonly gathered: readonly NoteSignature[];
}

export interface CosignContext {
  readonly book: WitnessBook;
  readonly limits: WitnessLimits;
  /** The consistency path from a size to that of the submission. */
  readonly proveFrom: (oldSize: number) => Promise<readonly Uint8Array[]>;
  /** Makes a verified cosignature durable before it counts. */
  readonly save: (cosignature: NoteSignature) => Promise<void>;
  /** Looks what a witness has that says that it is ahead of us; Fatal when that is true. */
  readonly examine: (witness: AskedWitness, signal: AbortSignal) => Promise<void>;
}

export interface Answers {
  /** Those that there are, old and new. */
  readonly cosignatures: readonly NoteSignature[];
  /** Witnesses (as `keyName`) that will never cosign this size: they refused it, or are beyond it. */
  readonly refusedBy: ReadonlySet<string>;
}

/**
 * Asks the witnesses of the policies for their cosignatures, all at once and for a bounded time
 * (D3.4). Whether those that there are then are a quorum is for the caller to judge. What a witness
 * does wrong is its own affair: it is left alone for a while.
 */
export async function gatherCosignatures(
  submission: Submission,
  context: CosignContext,
): Promise<Answers> {
  const { policies, text, witnesses, mayAsk } = submission;
  const { book, limits } = context;
  const verifiers = witnesses.map(({ key }) => cosignatureVerifier(key));
  const gathered = new Map<string, NoteSignature>();
  const refusedBy = new Set<string>();
  const message = utf8(text);
  const isGood = (signature: NoteSignature): boolean =>
    verifiers.some(
      ({ name, keyId, verify }) =>
        name === signature.name &&
        keyId === signature.keyId &&
        verify(message, signature.signature),
    );
  const idOf = (signature: NoteSignature): string => keyName({ key: signature });
  for (const old of submission.gathered) if (isGood(old)) gathered.set(idOf(old), old);

  const asked = witnesses
    .filter((witness) => !gathered.has(keyName(witness)) && book.isReady(witness))
    .filter((witness) => mayAsk(witness))
    .filter(canBeAsked);
  await askAll(asked, {
    limits,
    isEnough: () => everyQuorumMet(policies, new Set(gathered.keys())),
    async ask(witness, signal) {
      const signatures = await cosignedBy(witness, signal, { submission, context });
      if (signatures === 'refused') refusedBy.add(keyName(witness));
      if (signatures === undefined || signatures === 'refused') return;
      const good = signatures.filter(isGood);
      const garbage = signatures.length - good.length;
      if (garbage > 0) book.ignored(witness, 'signatures that are none', garbage);
      for (const signature of good) {
        await context.save(signature);
        gathered.set(idOf(signature), signature);
      }
      if (gathered.has(keyName(witness))) {
        book.saw(witness, submission.size);
        book.succeeded(witness);
      } else {
        book.failed(witness, new Failed('witness', 'it answered without a signature of its own'));
      }
    },
  });
  return { cosignatures: [...gathered.values()], refusedBy };
}

/**
 * What a witness signed, unverified; else, which the book then knows, 'refused' where it will not
 * sign this size at all, and undefined where it did not.
 */
async function cosignedBy(
  witness: AskedWitness,
  signal: AbortSignal,
  { submission, context }: { submission: Submission; context: CosignContext },
): Promise<readonly NoteSignature[] | 'refused' | undefined> {
  const { size, publishedSize } = submission;
  const { book } = context;
  const guess = Math.min(size, book.sizeSeen(witness) ?? publishedSize);
  const submit = (oldSize: number) => submitFrom(oldSize, { witness, signal, submission, context });
  let answer = await submit(guess);
  if (answer?.result === 'conflict' && answer.size <= size && answer.size !== guess) {
    book.saw(witness, answer.size);
    answer = await submit(answer.size);
  }
  if (answer === undefined) return undefined;
  if (answer.result === 'cosigned') return answer.signatures;
  if (answer.result === 'refused') {
    const { status, reason } = answer;
    book.failed(witness, new Failed('witness', `it refused, status ${status}: ${reason}`));
    return 'refused';
  }
  const isBeyond = answer.size > size;
  if (isBeyond) {
    // Anybody can say a number. Only a checkpoint that our own key signed would mean something.
    book.ignored(witness, `a size of ${answer.size}, above our ${size}`);
    await context.examine(witness, signal);
  }
  book.failed(witness, new Failed('witness', `it says that it is at ${answer.size} again`));
  return isBeyond ? 'refused' : undefined;
}

async function submitFrom(
  oldSize: number,
  {
    witness,
    signal,
    submission,
    context,
  }: {
    witness: AskedWitness;
    signal: AbortSignal;
    submission: Submission;
    context: CosignContext;
  },
): Promise<CosignAnswer | undefined> {
  const proof = await context.proveFrom(oldSize);
  const timeoutMs = context.limits.cosignTimeoutMs;
  try {
    const request = { oldSize, proof, note: submission.note };
    return await addCheckpoint(witness.url, request, { timeoutMs, signal });
  } catch (error) {
    noteFailure(error, witness, context.book);
    return undefined;
  }
}

/** A witness that did not answer has failed, unless nobody waited for it; anything else is ours. */
export function noteFailure(error: unknown, witness: Witness, book: WitnessBook): void {
  if (error instanceof Spared) return;
  if (!(error instanceof Failed || error instanceof Late)) throw error;
  book.failed(witness, error);
}
