import { Refused } from '#core/errors.ts';
import { parseAddCheckpoint, parseSubmitted } from '#core/tlog/add-checkpoint.ts';
import { formatNote, noteVerifier, verifyNote, type Note } from '#core/tlog/note.ts';
import type { WatchedLog } from './logs.ts';
import type { SignedCheckpoint } from './records.ts';

/** A request that the log itself made, or could have made. */
export interface Submission {
  readonly log: WatchedLog;
  readonly oldSize: number;
  readonly proof: readonly Uint8Array[];
  /** Its note has the signatures of the log's trusted keys, each once, and no other. */
  readonly checkpoint: SignedCheckpoint;
}

/** Why a request is turned away before anything is compared with what was cosigned. */
export type Unacceptable = 'form' | 'unknown-log' | 'unsigned';

export type Examined =
  | { readonly result: 'submitted'; readonly submission: Submission }
  | { readonly result: Unacceptable; readonly reason: string };

/**
 * All that can be said of a request from its bytes alone, in the order of c2sp.org/tlog-witness:
 * whether the log is known, whether it signed, whether the sizes are in order.
 */
export function examine(body: Uint8Array, logs: ReadonlyMap<string, WatchedLog>): Examined {
  const parsed = refusalOf(() => {
    const { oldSize, proof, note: bytes } = parseAddCheckpoint(body);
    return { oldSize, proof, ...parseSubmitted(bytes) };
  });
  if (parsed instanceof Refused) return { result: 'form', reason: parsed.message };
  const { oldSize, proof, note, checkpoint } = parsed;
  const log = logs.get(checkpoint.origin);
  if (log === undefined) return { result: 'unknown-log', reason: 'not a log watched here' };
  const signed = refusalOf(() => signedBy(log, note));
  if (signed instanceof Refused) return { result: 'unsigned', reason: signed.message };
  if (oldSize > checkpoint.size) {
    return { result: 'form', reason: 'the old size is above that of the checkpoint' };
  }
  const submission = {
    log,
    oldSize,
    proof,
    checkpoint: { ...checkpoint, note: formatNote(signed) },
  };
  return { result: 'submitted', submission };
}

/** Refused when no trusted key signed, or one did badly. Unknown keys are ignored. */
function signedBy(log: WatchedLog, note: Note): Note {
  const good = verifyNote(note, log.keys.map(noteVerifier));
  const byKey = new Map(good.map((signature) => [signature.keyId, signature]));
  return { text: note.text, signatures: [...byKey.values()] };
}

function refusalOf<T>(work: () => T): T | Refused {
  try {
    return work();
  } catch (error) {
    if (error instanceof Refused) return error;
    throw error;
  }
}
