import {
  concat,
  decodeUtf8,
  equalBytes,
  fromBase64,
  toBase64,
  uint64BE,
  utf8,
} from '#core/bytes.ts';
import { Refused } from '#core/errors.ts';
import type { Signer } from '#core/signer.ts';
import {
  cosignatureType,
  formatNote,
  noteVerifier,
  parseNote,
  signNote,
  verifierKeyOf,
  verifyNote,
  type NoteSignature,
  type NoteSigner,
  type NoteVerifier,
  type VerifierKey,
} from './note.ts';
import { emptyRoot, hashBytes } from './tree.ts';

/** What a log's tree is at one size (c2sp.org/tlog-checkpoint). */
export interface Checkpoint {
  readonly origin: string;
  readonly size: number;
  /** 32 bytes. */
  readonly root: Uint8Array;
}

/** That `name` had seen no larger consistent tree of this log at `time` (Unix seconds, UTC). */
export interface Cosignature {
  readonly name: string;
  readonly keyId: string;
  readonly time: number;
}

export interface VerifiedCheckpoint extends Checkpoint {
  /** One for each of the cosigners asked for that signed. */
  readonly cosignatures: readonly Cosignature[];
}

/** As much as one length byte can say in other encodings of an origin (tlog-cosignature). */
const maxOriginBytes = 255;
const timestampBytes = 8;
const signatureBytes = 64;

/** The three lines that are signed. Refused('checkpoint') when they would not parse back. */
export function formatCheckpoint({ origin, size, root }: Checkpoint): string {
  const text = `${origin}\n${size}\n${toBase64(root)}\n`;
  parseCheckpoint(text);
  return text;
}

/**
 * Refused('checkpoint') unless the text is exactly origin, size and root: no extension lines (D3.4),
 * no second spelling of the number or the base64, and for size 0 the root of the empty tree.
 */
export function parseCheckpoint(text: string): Checkpoint {
  const [origin, digits, encoded, end, ...more] = text.split('\n', 5);
  if (origin === undefined || digits === undefined || encoded === undefined) {
    throw new Refused('checkpoint', 'a checkpoint has three lines');
  }
  if (end !== '' || more.length > 0) {
    throw new Refused('checkpoint', 'a checkpoint is three lines and nothing more');
  }
  const originBytes = utf8(origin).length;
  if (originBytes < 1 || originBytes > maxOriginBytes || !isPlainLine(origin)) {
    throw new Refused('checkpoint', `the origin is not a line of 1 to ${maxOriginBytes} bytes`);
  }
  const size = Number(digits);
  if (!Number.isSafeInteger(size) || size < 0 || String(size) !== digits) {
    throw new Refused('checkpoint', 'the size is not a decimal number from 0 to 2^53-1');
  }
  const root = parseRoot(encoded);
  if (size === 0 && !equalBytes(root, emptyRoot)) {
    throw new Refused('checkpoint', 'the root of an empty tree is SHA-256 of nothing');
  }
  return { origin, size, root };
}

function parseRoot(encoded: string): Uint8Array {
  let root: Uint8Array;
  try {
    root = fromBase64(encoded);
  } catch (cause) {
    throw new Refused('checkpoint', 'the root is not base64', { cause });
  }
  if (root.length !== hashBytes) {
    throw new Refused('checkpoint', `the root is not ${hashBytes} bytes long`);
  }
  return root;
}

function isPlainLine(line: string): boolean {
  return line.isWellFormed() && !/\p{Cc}/u.test(line);
}

/** The bytes of the checkpoint as a note, signed by each signer in turn: the log's key or keys. */
export function signCheckpoint(checkpoint: Checkpoint, signers: readonly NoteSigner[]): Uint8Array {
  return formatNote(signNote({ text: formatCheckpoint(checkpoint) }, signers));
}

/**
 * Cosigns checkpoints (c2sp.org/tlog-cosignature, cosignature/v1) as seen at `time`, Unix seconds.
 * `sign` throws Refused('checkpoint') for any other text: a witness makes no other statement.
 */
export function cosignatureSigner(name: string, signer: Signer, time: number): NoteSigner {
  const { keyId } = verifierKeyOf(name, cosignatureType, signer);
  const timestamp = uint64BE(time);
  return {
    name,
    keyId,
    sign(text) {
      parseCheckpoint(decodeUtf8(text));
      return concat(timestamp, signer.sign(cosignedMessage(time, text)));
    },
  };
}

/** Verifies cosignatures (type 0x04). Refused('vkey') for a key of another type. */
export function cosignatureVerifier({ name, keyId, type, verify }: VerifierKey): NoteVerifier {
  if (type !== cosignatureType) throw new Refused('vkey', `${name}: not a key of signature type 4`);
  return {
    name,
    keyId,
    verify(text, signature) {
      const time = cosignatureTime(signature);
      return (
        time !== undefined &&
        verify(cosignedMessage(time, text), signature.subarray(timestampBytes))
      );
    },
  };
}

/**
 * The time in a cosignature's bytes, or undefined when they have not the form of one. The format
 * allows times to 2^63 - 1; beyond 2^53 - 1 seconds they are nobody's clock and refused here.
 */
function cosignatureTime(signature: Uint8Array): number | undefined {
  if (signature.length !== timestampBytes + signatureBytes) return undefined;
  const view = new DataView(signature.buffer, signature.byteOffset, timestampBytes);
  const time = view.getUint32(0) * 2 ** 32 + view.getUint32(4);
  return Number.isSafeInteger(time) ? time : undefined;
}

function cosignedMessage(time: number, text: Uint8Array): Uint8Array {
  return concat(utf8(`cosignature/v1\ntime ${time}\n`), text);
}

/**
 * A checkpoint that the log signed, from a note that anybody handed over. Signatures by other keys
 * are ignored; whether the cosignatures are enough is for a policy to say.
 * Refused: `note`, `utf8` or `checkpoint` for its form; `checkpoint-origin` when it is another log's;
 * `checkpoint-unsigned` when the log's key did not sign; `note-signature` when a signature by the
 * log or one of the cosigners is bad; `vkey` when a key is of the wrong type or given twice.
 */
export function verifyCheckpoint(
  noteBytes: Uint8Array,
  { log, cosigners }: { readonly log: VerifierKey; readonly cosigners: readonly VerifierKey[] },
): VerifiedCheckpoint {
  const note = parseNote(noteBytes);
  const checkpoint = parseCheckpoint(note.text);
  if (checkpoint.origin !== log.name) {
    throw new Refused('checkpoint-origin', `a checkpoint of another log than ${log.name}`);
  }
  if (!note.signatures.some((signature) => isBy(log, signature))) {
    throw new Refused('checkpoint-unsigned', `${log.name} did not sign`);
  }
  const verifiers = [noteVerifier(log), ...cosigners.map(cosignatureVerifier)];
  const latest = new Map<string, Cosignature>();
  for (const signed of verifyNote(note, verifiers)) {
    const { name, keyId, signature } = signed;
    const time = isBy(log, signed) ? undefined : cosignatureTime(signature);
    if (time === undefined) continue;
    const key = `${name}+${keyId}`;
    // A witness that signed twice counts once; both of its statements hold, the later says more.
    if (time >= (latest.get(key)?.time ?? 0)) latest.set(key, { name, keyId, time });
  }
  return { ...checkpoint, cosignatures: [...latest.values()] };
}

function isBy(key: VerifierKey, { name, keyId }: NoteSignature): boolean {
  return name === key.name && keyId === key.keyId;
}
