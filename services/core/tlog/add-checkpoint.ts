import { decodeUtf8, equalBytes, fromBase64, toBase64, utf8 } from '#core/bytes.ts';
import { Refused, within } from '#core/errors.ts';
import { parseCheckpoint, type Checkpoint } from './checkpoint.ts';
import {
  formatSignatures,
  maxNoteBytes,
  parseNote,
  parseSignatures,
  type Note,
  type NoteSignature,
} from './note.ts';
import { hashBytes } from './tree.ts';

/** The wire format of `add-checkpoint` (c2sp.org/tlog-witness). */
export interface CosignRequest {
  /** Of the last checkpoint that the witness is known to have cosigned; 0 for none. */
  readonly oldSize: number;
  /** The consistency path from `oldSize` to the checkpoint's size; at most 63 hashes. */
  readonly proof: readonly Uint8Array[];
  /** The signed checkpoint, as bytes. */
  readonly note: Uint8Array;
}

export const maxProofHashes = 63;
/** The content type of the body of a 409: the size of the newest checkpoint that was cosigned. */
export const conflictType = 'text/x.tlog.size';

const hashLineBytes = toBase64(new Uint8Array(hashBytes)).length + 1;
const maxSizeDigits = String(Number.MAX_SAFE_INTEGER).length;
const maxHeadBytes = 'old \n'.length + maxSizeDigits + maxProofHashes * hashLineBytes;
/** No request is longer, so a witness need not read further. */
export const maxRequestBytes = maxHeadBytes + 1 + maxNoteBytes;
/** The body of a 409, its newline included. */
export const maxConflictBytes = maxSizeDigits + 1;

const newline = 0x0a;

/** RangeError when the request could not be parsed back: it is the caller's own. */
export function formatAddCheckpoint({ oldSize, proof, note }: CosignRequest): Uint8Array {
  if (!isSize(oldSize)) throw new RangeError(`oldSize: ${oldSize} is not from 0 to 2^53-1`);
  if (proof.length > maxProofHashes) throw new RangeError(`proof: above ${maxProofHashes} hashes`);
  if (proof.some((hash) => hash.length !== hashBytes)) {
    throw new RangeError(`proof: a hash that is not ${hashBytes} bytes long`);
  }
  const head = utf8(`${headOf({ oldSize, proof })}\n`);
  const bytes = new Uint8Array(head.length + note.length);
  bytes.set(head);
  bytes.set(note, head.length);
  return bytes;
}

function headOf({ oldSize, proof }: Omit<CosignRequest, 'note'>): string {
  return `old ${oldSize}\n${proof.map((hash) => `${toBase64(hash)}\n`).join('')}`;
}

/**
 * The parts of a request body; the note is not looked into. Refused('add-checkpoint') for every body
 * that `formatAddCheckpoint` would not write in the same bytes.
 */
export function parseAddCheckpoint(bytes: Uint8Array): CosignRequest {
  const head = headBytes(bytes);
  const [first = '', ...hashes] = within('add-checkpoint', () => decodeUtf8(head)).split('\n');
  // The head ends in a newline, so the last of its pieces is empty.
  hashes.pop();
  const oldSize = parseOldSize(first);
  const proof = hashes.map(parseHash);
  if (!equalBytes(utf8(headOf({ oldSize, proof })), head)) {
    throw new Refused('add-checkpoint', 'the lines before the checkpoint have another spelling');
  }
  return { oldSize, proof, note: bytes.subarray(head.length + 1) };
}

/** What stands before the first empty line, its own last newline included. */
function headBytes(bytes: Uint8Array): Uint8Array {
  const end = Math.min(bytes.length - 1, maxHeadBytes);
  for (let at = 1; at <= end; at++) {
    if (bytes[at] === newline && bytes[at - 1] === newline) return bytes.subarray(0, at);
  }
  throw new Refused(
    'add-checkpoint',
    `no empty line after an old size and at most ${maxProofHashes} hashes`,
  );
}

function parseOldSize(line: string): number {
  const digits = line.startsWith('old ') ? line.slice('old '.length) : '';
  const size = Number(digits);
  if (!isSize(size) || String(size) !== digits) {
    throw new Refused('add-checkpoint', 'the first line is not `old` and a decimal number');
  }
  return size;
}

function parseHash(line: string): Uint8Array {
  let hash: Uint8Array;
  try {
    hash = fromBase64(line);
  } catch (cause) {
    throw new Refused('add-checkpoint', 'a line of the proof is not base64', { cause });
  }
  if (hash.length !== hashBytes) {
    throw new Refused('add-checkpoint', `a hash of the proof is not ${hashBytes} bytes long`);
  }
  return hash;
}

/**
 * The note of a request and the checkpoint in it. Refused: `note`, `utf8` or `checkpoint` for its
 * form. One thing passes here that is no checkpoint: size 0 with another root than the empty tree's,
 * which a witness answers with 422 instead of 400, as `verifyConsistency` then refuses it.
 */
export function parseSubmitted(noteBytes: Uint8Array): {
  readonly note: Note;
  readonly checkpoint: Checkpoint;
} {
  const note = parseNote(noteBytes);
  const [origin, size, ...rest] = note.text.split('\n');
  if (size !== '0') return { note, checkpoint: parseCheckpoint(note.text) };
  // As the tree of any other size it has the form of a checkpoint, or has not.
  const checkpoint = parseCheckpoint([origin, '1', ...rest].join('\n'));
  return { note, checkpoint: { ...checkpoint, size: 0 } };
}

/** The body of a 409. RangeError when it is not a size. */
export function formatConflict(size: number): string {
  if (!isSize(size)) throw new RangeError(`size: ${size} is not from 0 to 2^53-1`);
  return `${size}\n`;
}

/** Refused('add-checkpoint') for every second spelling. */
export function parseConflict(bytes: Uint8Array): number {
  const size = Number(within('add-checkpoint', () => decodeUtf8(bytes)).slice(0, -1));
  if (!isSize(size) || !equalBytes(utf8(formatConflict(size)), bytes)) {
    throw new Refused('add-checkpoint', 'the size in a 409 is not a decimal number and a newline');
  }
  return size;
}

/** The body of a 200: one line a signature, by the witness's keys. */
export function formatCosignatures(signatures: readonly NoteSignature[]): Uint8Array {
  return utf8(formatSignatures(signatures));
}

/** Refused('note' or 'utf8'); by whom the signatures are, and whether good, is for the caller. */
export function parseCosignatures(bytes: Uint8Array): NoteSignature[] {
  return parseSignatures(decodeUtf8(bytes));
}

function isSize(size: number): boolean {
  return Number.isSafeInteger(size) && size >= 0 && !Object.is(size, -0);
}
