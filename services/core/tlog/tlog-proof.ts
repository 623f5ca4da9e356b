import { decodeUtf8, equalBytes, fromBase64, toBase64, utf8 } from '#core/bytes.ts';
import { Refused, within } from '#core/errors.ts';
import { parseCheckpoint, verifyCheckpoint, type VerifiedCheckpoint } from './checkpoint.ts';
import { maxNoteBytes, parseNote } from './note.ts';
import { quorumMet, type Policy } from './policy.ts';
import { maxPathHashes, verifyInclusion } from './proof.ts';
import { hashBytes } from './tree.ts';

/**
 * That a log holds an entry, and that witnesses have seen it, in one text that needs no network to
 * check (c2sp.org/tlog-proof). What the entry is, the verifier brings itself.
 */
export interface TlogProof {
  readonly index: number;
  /** The audit path of RFC 6962, 2.1.1, from the leaf's sibling upwards; 32 bytes each. */
  readonly path: readonly Uint8Array[];
  /** The signed note, byte for byte as the log and its witnesses made it. */
  readonly checkpoint: Uint8Array;
  /** At least one byte, for the application. Nobody vouches for it. */
  readonly extra?: Uint8Array;
}

export interface VerifiedTlogProof {
  readonly checkpoint: VerifiedCheckpoint;
  readonly index: number;
}

/** The format sets no limit: a note of the greatest size, and as much again for all before it. */
export const maxTlogProofBytes = 2 * maxNoteBytes;

const firstLine = 'c2sp.org/tlog-proof@v1';
const extraWord = 'extra ';
const indexWord = 'index ';

/** The proof's bytes. Refused as by `parseTlogProof` when they would not parse back. */
export function formatTlogProof(proof: TlogProof): Uint8Array {
  const bytes = write(proof);
  read(bytes);
  return bytes;
}

/**
 * A proof's parts; nothing is verified yet. Refused('tlog-proof') for its own form, which has one
 * spelling for everything; `note`, `checkpoint` or `utf8` for that of the checkpoint inside.
 */
export function parseTlogProof(bytes: Uint8Array): TlogProof {
  const proof = read(bytes);
  if (!equalBytes(write(proof), bytes)) refuse('not in its only spelling');
  return proof;
}

/**
 * Returns only if the log that the checkpoint names, under a key that the policy has for it, holds
 * the leaf at the proof's index, and a quorum of the policy's witnesses cosigned. The times of the
 * cosignatures are returned and not judged.
 * Refused: as `parseTlogProof` for the form; `checkpoint-origin` for a log that the policy does not
 * name; `checkpoint-unsigned`, `note-signature` or `quorum` for the signatures; `proof` or
 * `inclusion` for the path.
 */
export function verifyTlogProof(
  bytes: Uint8Array,
  { leafHash, policy }: { readonly leafHash: Uint8Array; readonly policy: Policy },
): VerifiedTlogProof {
  const { index, path, checkpoint: note } = parseTlogProof(bytes);
  const checkpoint = verifyByPolicy(note, policy);
  verifyInclusion({ leafHash, index, path, size: checkpoint.size, root: checkpoint.root });
  return { checkpoint, index };
}

function verifyByPolicy(bytes: Uint8Array, policy: Policy): VerifiedCheckpoint {
  const note = parseNote(bytes);
  const { origin } = parseCheckpoint(note.text);
  const logs = policy.logs.map(({ key }) => key).filter(({ name }) => name === origin);
  if (logs.length === 0) {
    throw new Refused('checkpoint-origin', `the policy names no key for the log ${origin}`);
  }
  // A log that changes its key has two of them in the policy. Each that signed must have signed well.
  const signed = logs.filter((key) =>
    note.signatures.some(({ name, keyId }) => name === key.name && keyId === key.keyId),
  );
  const cosigners = policy.witnesses.map(({ key }) => key);
  const [checkpoint] = signed.map((log) => verifyCheckpoint(bytes, { log, cosigners }));
  if (checkpoint === undefined) {
    throw new Refused('checkpoint-unsigned', `no key that the policy has for ${origin} signed`);
  }
  const by = new Set(checkpoint.cosignatures.map(({ name, keyId }) => `${name}+${keyId}`));
  if (!quorumMet(policy, ({ key }) => by.has(`${key.name}+${key.keyId}`))) {
    throw new Refused('quorum', `${by.size} cosignatures are not a quorum of the policy`);
  }
  return checkpoint;
}

function write({ index, path, checkpoint, extra }: TlogProof): Uint8Array {
  const lines = [
    firstLine,
    ...(extra === undefined ? [] : [`${extraWord}${toBase64(extra)}`]),
    `${indexWord}${index}`,
    ...path.map(toBase64),
    '',
  ];
  return utf8(`${lines.join('\n')}\n${decodeUtf8(checkpoint)}`);
}

function read(bytes: Uint8Array): TlogProof {
  if (bytes.length > maxTlogProofBytes) {
    refuse(`${bytes.length} bytes, above ${maxTlogProofBytes}`);
  }
  const text = decodeUtf8(bytes);
  const end = text.indexOf('\n\n');
  if (end < 0) refuse('no empty line before the checkpoint');
  const [first, ...lines] = text.slice(0, end).split('\n');
  if (first !== firstLine) refuse(`the first line is not ${firstLine}`);
  const extra = lines[0]?.startsWith(extraWord) === true ? lines.shift() : undefined;
  const [numbered = '', ...hashes] = lines;
  if (hashes.length > maxPathHashes) refuse(`a path of more than ${maxPathHashes} hashes`);
  const checkpoint = utf8(text.slice(end + 2));
  within('checkpoint', () => parseCheckpoint(parseNote(checkpoint).text));
  return {
    index: readIndex(numbered),
    path: hashes.map(readHash),
    checkpoint,
    ...(extra !== undefined && { extra: readExtra(extra) }),
  };
}

function readExtra(line: string): Uint8Array {
  const extra = readBase64('the extra data', line.slice(extraWord.length));
  if (extra.length === 0) refuse('extra data of no bytes, which is spelled by leaving it out');
  return extra;
}

function readIndex(line: string): number {
  const digits = line.startsWith(indexWord) ? line.slice(indexWord.length) : '';
  const index = Number(digits);
  if (!Number.isSafeInteger(index) || index < 0 || String(index) !== digits) {
    refuse('the index is not a decimal number from 0 to 2^53-1');
  }
  return index;
}

function readHash(line: string, i: number): Uint8Array {
  const hash = readBase64(`hash ${i} of the path`, line);
  if (hash.length !== hashBytes) refuse(`hash ${i} of the path is not ${hashBytes} bytes long`);
  return hash;
}

function readBase64(what: string, text: string): Uint8Array {
  try {
    return fromBase64(text);
  } catch (cause) {
    throw new Refused('tlog-proof', `${what} is not base64`, { cause });
  }
}

function refuse(reason: string): never {
  throw new Refused('tlog-proof', reason);
}
