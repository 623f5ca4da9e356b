import { fromBase64, toBase64 } from '#core/bytes.ts';
import { Refused, within } from '#core/errors.ts';
import { canonicalBytes, parseCanonical } from '#core/jcs.ts';
import { either, instant, object, oneOf, pattern, text } from '#core/shape.ts';
import { parseCheckpoint, type Checkpoint } from '#core/tlog/checkpoint.ts';
import { parseNote } from '#core/tlog/note.ts';

/** A checkpoint with the bytes of the note in which its log signed it. */
export interface SignedCheckpoint extends Checkpoint {
  readonly note: Uint8Array;
}

/** The newest checkpoint of a log that was cosigned, or is about to be. */
export interface Head {
  readonly record: 'head';
  readonly checkpoint: SignedCheckpoint;
  /** The cosignature's, in Unix seconds. */
  readonly time: number;
  /** The key that cosigned: a witness keeps its heads when it changes its key. */
  readonly vkey: string;
}

/** A checkpoint that the log signed and the auditor will not have cosigned, and why. */
export interface Refusal {
  readonly record: 'refusal';
  readonly checkpoint: SignedCheckpoint;
  readonly time: number;
  readonly code: string;
  readonly reason: string;
}

/** Two checkpoints of one size with different roots, both signed by the log. */
export interface Contradiction {
  readonly record: 'contradiction';
  /** The one that was cosigned. */
  readonly checkpoint: SignedCheckpoint;
  readonly other: SignedCheckpoint;
  readonly time: number;
}

/** What a witness's store holds; each is one record in its file, in JCS, a note being base64. */
export type WitnessRecord = Head | Refusal | Contradiction;

export const maxCodeCharacters = 100;
export const maxReasonCharacters = 500;

const note = pattern('[A-Za-z0-9+/]+={0,2}');
const shape = either(
  object({ record: oneOf('head'), note, time: instant, vkey: text(1_000) }),
  either(
    object({
      record: oneOf('refusal'),
      note,
      time: instant,
      code: text(maxCodeCharacters),
      reason: text(maxReasonCharacters),
    }),
    object({ record: oneOf('contradiction'), note, other: note, time: instant }),
  ),
);

export function encodeRecord({ checkpoint, ...record }: WitnessRecord): Uint8Array {
  const inNote = toBase64(checkpoint.note);
  if (record.record !== 'contradiction') return canonicalBytes({ ...record, note: inNote });
  return canonicalBytes({ ...record, note: inNote, other: toBase64(record.other.note) });
}

/** Refused('witness-store') when it is none that `encodeRecord` wrote. */
export function parseRecord(bytes: Uint8Array): WitnessRecord {
  try {
    const { note: inNote, ...record } = shape.parse(parseCanonical(bytes));
    const checkpoint = signedCheckpoint(fromBase64(inNote));
    if (record.record !== 'contradiction') return { ...record, checkpoint };
    return { ...record, checkpoint, other: signedCheckpoint(fromBase64(record.other)) };
  } catch (cause) {
    if (!(cause instanceof Refused)) throw cause;
    throw new Refused('witness-store', `a record of the store: ${cause.message}`, { cause });
  }
}

function signedCheckpoint(bytes: Uint8Array): SignedCheckpoint {
  return { ...within('note', () => parseCheckpoint(parseNote(bytes).text)), note: bytes };
}
