import { sha256 } from '#crypto';
import { concat, equalBytes, uint32BE } from './bytes.ts';
import { Refused } from './errors.ts';

/**
 * The bytes of a small durable store (D6): a file of frames, each holding the records that were
 * made durable together.
 *
 *     frame  = "HSf1" || uint32 length of body || first 8 bytes of SHA-256(length || body) || body
 *     body   = record …
 *     record = uint32 length || payload
 *
 * Integers are big-endian. A frame is written only after the one before it is durable, so a crash
 * can tear nothing but the last; hence one frame for one fsync, never several.
 */
const magic = Uint8Array.of(0x48, 0x53, 0x66, 0x31);
const checksumBytes = 8;
const headerBytes = magic.length + 4 + checksumBytes;
const recordHeaderBytes = 4;
export const maxFrameBytes = 64 * 1024 * 1024;

/** How many bytes a record takes inside a frame. */
export function recordSizeBytes(payload: Uint8Array): number {
  return recordHeaderBytes + payload.length;
}

/** RangeError when the records do not fit into one frame. */
export function encodeFrame(payloads: readonly Uint8Array[]): Uint8Array {
  const body = concat(...payloads.flatMap((payload) => [uint32BE(payload.length), payload]));
  if (headerBytes + body.length > maxFrameBytes)
    throw new RangeError('payloads: too large a frame');
  const length = uint32BE(body.length);
  return concat(magic, length, checksum(length, body), body);
}

export interface DecodedFile {
  readonly records: readonly Uint8Array[];
  /** Length of the part that is whole; what follows is a torn frame and must be cut off. */
  readonly wholeBytes: number;
}

/**
 * Reads a file. What cannot be read at its end is a torn frame, whose records nobody was told were
 * durable; when a good frame follows it, it is damage: Refused('record-file'). (Damage to the very
 * last frame cannot be told from tearing.)
 */
export function decodeFile(file: Uint8Array): DecodedFile {
  const records: Uint8Array[] = [];
  let at = 0;
  while (at < file.length) {
    const body = frameAt(file, at);
    if (body === undefined) {
      refuseDamage(file, at);
      break;
    }
    records.push(...recordsOf(body, at));
    at += headerBytes + body.length;
  }
  return { records, wholeBytes: at };
}

function checksum(length: Uint8Array, body: Uint8Array): Uint8Array {
  return sha256(concat(length, body)).subarray(0, checksumBytes);
}

/** The body of the frame that begins at `at`; undefined when there is no whole and right one. */
function frameAt(file: Uint8Array, at: number): Uint8Array | undefined {
  const header = file.subarray(at, at + headerBytes);
  if (header.length < headerBytes) return undefined;
  if (!equalBytes(header.subarray(0, magic.length), magic)) return undefined;
  const length = header.subarray(magic.length, magic.length + 4);
  const size = uint32At(length, 0);
  const start = at + headerBytes;
  if (start + size > file.length || headerBytes + size > maxFrameBytes) return undefined;
  const body = file.subarray(start, start + size);
  const expected = header.subarray(magic.length + 4);
  return equalBytes(checksum(length, body), expected) ? body : undefined;
}

function recordsOf(body: Uint8Array, frameStart: number): Uint8Array[] {
  const records: Uint8Array[] = [];
  let at = 0;
  while (at < body.length) {
    const start = at + recordHeaderBytes;
    const end = start <= body.length ? start + uint32At(body, at) : Infinity;
    if (end > body.length) {
      throw new Refused('record-file', `the frame at byte ${frameStart} holds no whole records`);
    }
    records.push(body.subarray(start, end));
    at = end;
  }
  return records;
}

function refuseDamage(file: Uint8Array, at: number): void {
  for (let next = at + 1; next + headerBytes <= file.length; next++) {
    if (file[next] === magic[0] && frameAt(file, next) !== undefined) {
      throw new Refused('record-file', `damaged at byte ${at}, and good again at byte ${next}`);
    }
  }
}

function uint32At(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(at);
}
