import { ed25519Verifier, sha256 } from '#crypto';
import { concat, decodeUtf8, fromBase64, fromHex, toBase64, toHex, utf8 } from '#core/bytes.ts';
import { isAcceptableEd25519Key, type Verify } from '#core/crypto.ts';
import { Refused } from '#core/errors.ts';
import { parsePublicJwk } from '#core/keys.ts';
import type { Signer } from '#core/signer.ts';

/** Signed notes as in c2sp.org/signed-note, with the limits of D3.4. */
export const maxNoteBytes = 128 * 1024;
export const maxNoteSignatures = 100;

/** Signature types of c2sp.org/signed-note that this project verifies; others are carried along. */
export const ed25519Type = 0x01;
export const cosignatureType = 0x04;
export type SignatureType = typeof ed25519Type | typeof cosignatureType;

export interface NoteSignature {
  readonly name: string;
  /** 8 lowercase hex digits. */
  readonly keyId: string;
  /** What follows the key id: 64 bytes for Ed25519, 8 + 64 for a cosignature, anything else. */
  readonly signature: Uint8Array;
}

export interface Note {
  /** Ends in a newline; this is what is signed. */
  readonly text: string;
  /** At least one; by known and by unknown keys, in the order of the note. */
  readonly signatures: readonly NoteSignature[];
}

/** Who can tell a good signature over a note's text from a bad one. */
export interface NoteVerifier {
  readonly name: string;
  readonly keyId: string;
  readonly verify: (text: Uint8Array, signature: Uint8Array) => boolean;
}

export interface NoteSigner {
  readonly name: string;
  readonly keyId: string;
  /** Signs a note's text; what it returns stands after the key id in the signature line. */
  readonly sign: (text: Uint8Array) => Uint8Array;
}

export interface VerifierKey {
  readonly name: string;
  readonly keyId: string;
  readonly type: SignatureType;
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** Plain Ed25519 by this key, over whatever the type says is signed. */
  readonly verify: Verify;
}

export interface KeyMaterial {
  readonly name: string;
  readonly type: SignatureType;
  readonly publicKey: Uint8Array;
}

const signaturePrefix = '\u2014 ';
const newline = 0x0a;
const space = 0x20;

/** SHA-256(name || "\n" || type || public key)[:4] as 8 lowercase hex digits. */
export function noteKeyId({ name, type, publicKey }: KeyMaterial): string {
  const digest = sha256(concat(utf8(`${name}\n`), Uint8Array.of(type), publicKey));
  return toHex(digest.subarray(0, 4));
}

/** `name+keyid+base64(type || public key)`. */
export function formatVkey(key: KeyMaterial): string {
  const { name, keyId, type, publicKey } = verifierKey(key);
  return `${name}+${keyId}+${toBase64(concat(Uint8Array.of(type), publicKey))}`;
}

/** Refused('vkey') for a second spelling, a wrong key id, or a type or key that cannot be verified. */
export function parseVkey(vkey: string): VerifierKey {
  const [, name, encoded] = /^([^+]+)\+[0-9a-f]{8}\+([A-Za-z0-9+/=]+)$/.exec(vkey) ?? [];
  if (name === undefined || encoded === undefined) throw new Refused('vkey', 'not a verifier key');
  let bytes: Uint8Array;
  try {
    bytes = fromBase64(encoded);
  } catch (cause) {
    throw new Refused('vkey', 'the key is not base64', { cause });
  }
  const [type] = bytes;
  if (type !== ed25519Type && type !== cosignatureType) {
    throw new Refused('vkey', `signature type ${type ?? 'missing'} is not 1 or 4`);
  }
  const key = verifierKey({ name, type, publicKey: bytes.subarray(1) });
  if (formatVkey(key) !== vkey) throw new Refused('vkey', 'the key id is not that of the key');
  return key;
}

/** Refused('vkey') when the name is not one, or no signature by the key could ever be accepted. */
export function verifierKey({ name, type, publicKey }: KeyMaterial): VerifierKey {
  if (!isKeyName(name)) throw new Refused('vkey', 'the name is empty, or has a space or plus');
  if (!isAcceptableEd25519Key(publicKey)) {
    throw new Refused('vkey', 'not an acceptable Ed25519 key');
  }
  const keyId = noteKeyId({ name, type, publicKey });
  return { name, keyId, type, publicKey, verify: ed25519Verifier(publicKey) };
}

/** The verifier key under which a signer's notes are checked. Refused('vkey') unless it is Ed25519. */
export function verifierKeyOf(name: string, type: SignatureType, signer: Signer): VerifierKey {
  if (signer.alg !== 'Ed25519') throw new Refused('vkey', 'notes are signed with Ed25519 alone');
  return verifierKey({ name, type, publicKey: parsePublicJwk(signer.jwk).raw });
}

/** The vkey of a signer's notes. Refused as `verifierKeyOf`. */
export function vkeyOf(name: string, type: SignatureType, signer: Signer): string {
  return formatVkey(verifierKeyOf(name, type, signer));
}

/** Signs notes plainly (type 0x01). Cosignatures are made by `cosignatureSigner`. */
export function noteSigner(name: string, signer: Signer): NoteSigner {
  const { keyId } = verifierKeyOf(name, ed25519Type, signer);
  return { name, keyId, sign: signer.sign };
}

/** Verifies plain Ed25519 signatures (type 0x01). Refused('vkey') for a key of another type. */
export function noteVerifier({ name, keyId, type, verify }: VerifierKey): NoteVerifier {
  if (type !== ed25519Type) throw new Refused('vkey', `${name}: not a key of signature type 1`);
  return { name, keyId, verify };
}

/** Refused('note' or 'utf8') unless the bytes are a signed note; nobody's signature is checked yet. */
export function parseNote(bytes: Uint8Array): Note {
  checkNoteBytes(bytes);
  const message = decodeUtf8(bytes);
  // The text may hold empty lines; the last one of the note ends it.
  const end = message.lastIndexOf('\n\n');
  if (end < 0) throw new Refused('note', 'no empty line before the signatures');
  return { text: message.slice(0, end + 1), signatures: parseSignatures(message.slice(end + 2)) };
}

/** The note's bytes. Refused('note') when they would not parse to the same note. */
export function formatNote({ text, signatures }: Note): Uint8Array {
  if (!text.endsWith('\n') || !text.isWellFormed()) {
    throw new Refused('note', 'the text does not end its last line, or is not Unicode');
  }
  checkNumber(signatures.length);
  const bytes = utf8(`${text}\n${formatSignatures(signatures)}`);
  checkNoteBytes(bytes);
  return bytes;
}

/** Signature lines alone, as a witness answers with them. Refused('note'). */
export function parseSignatures(lines: string): NoteSignature[] {
  if (!lines.endsWith('\n')) throw new Refused('note', 'the last line has no end');
  const signatures = lines
    .slice(0, -1)
    .split('\n', maxNoteSignatures + 1)
    .map(parseSignature);
  checkNumber(signatures.length);
  return signatures;
}

export function formatSignatures(signatures: readonly NoteSignature[]): string {
  return signatures.map(formatSignature).join('');
}

function parseSignature(line: string): NoteSignature {
  const [, name, encoded] = /^\u2014 ([^ ]+) ([A-Za-z0-9+/=]+)$/.exec(line) ?? [];
  if (name === undefined || encoded === undefined || !isKeyName(name)) {
    throw new Refused('note', 'not a signature line');
  }
  let bytes: Uint8Array;
  try {
    bytes = fromBase64(encoded);
  } catch (cause) {
    throw new Refused('note', `the signature of ${name} is not base64`, { cause });
  }
  if (bytes.length < 5) throw new Refused('note', `the signature of ${name} is too short`);
  return { name, keyId: toHex(bytes.subarray(0, 4)), signature: bytes.subarray(4) };
}

function formatSignature({ name, keyId, signature }: NoteSignature): string {
  if (!isKeyName(name)) throw new Refused('note', 'a name is empty, or has a space or plus');
  if (signature.length === 0) throw new Refused('note', `the signature of ${name} is empty`);
  return `${signaturePrefix}${name} ${toBase64(concat(fromHex(keyId, 4), signature))}\n`;
}

/** Signs the note's text. A signature by the same key that was there before gives way. */
export function signNote(
  { text, signatures = [] }: { readonly text: string; readonly signatures?: Note['signatures'] },
  signers: readonly NoteSigner[],
): Note {
  const message = utf8(text);
  const added = signers.map(({ name, keyId, sign }) => ({ name, keyId, signature: sign(message) }));
  return withSignatures({ text, signatures }, added);
}

/** The note with more signatures; those by the same keys that were there before give way. */
export function withSignatures(note: Note, added: readonly NoteSignature[]): Note {
  const renewed = new Set(added.map(keyOf));
  const kept = note.signatures.filter((signature) => !renewed.has(keyOf(signature)));
  return { text: note.text, signatures: [...kept, ...added] };
}

/**
 * The signatures of those verifiers that signed, in the note's order; of a key that signed twice,
 * both. Unknown keys are ignored. Refused('note-signature') when a known key's signature is bad,
 * Refused('note-unsigned') when no known key signed, Refused('vkey') when two verifiers share a name
 * and a key id, since one of them is then not what somebody thought it was.
 */
export function verifyNote(note: Note, verifiers: readonly NoteVerifier[]): NoteSignature[] {
  const known = new Map(verifiers.map((verifier) => [keyOf(verifier), verifier]));
  if (known.size !== verifiers.length) throw new Refused('vkey', 'two verifiers share a key id');
  const message = utf8(note.text);
  const good = note.signatures.filter((signature) => {
    const verifier = known.get(keyOf(signature));
    if (verifier === undefined) return false;
    if (verifier.verify(message, signature.signature)) return true;
    throw new Refused('note-signature', `the signature of ${signature.name} is bad`);
  });
  if (good.length === 0) throw new Refused('note-unsigned', 'no known key signed the note');
  return good;
}

/** A key is known by its name and id together (signed-note, "Signatures"); names have no plus. */
function keyOf({ name, keyId }: { readonly name: string; readonly keyId: string }): string {
  return `${name}+${keyId}`;
}

function isKeyName(name: string): boolean {
  return /^[^\p{White_Space}\p{Cs}+]+$/u.test(name) && !hasControlBytes(utf8(name));
}

function checkNoteBytes(bytes: Uint8Array): void {
  if (bytes.length > maxNoteBytes) {
    throw new Refused('note', `${bytes.length} bytes, above ${maxNoteBytes}`);
  }
  if (hasControlBytes(bytes)) throw new Refused('note', 'a control character');
}

/** UTF-8 writes a byte below 0x20 for a control character and for nothing else. */
function hasControlBytes(bytes: Uint8Array): boolean {
  return bytes.some((byte) => byte < space && byte !== newline);
}

function checkNumber(signatures: number): void {
  if (signatures < 1 || signatures > maxNoteSignatures) {
    throw new Refused('note', `not 1 to ${maxNoteSignatures} signatures`);
  }
}
