import { uint32BE } from '../bytes.ts';
import { Refused } from '../errors.ts';

/**
 * Files beside the log's tiles that hold evidence (D3.2): the two messages of a fork, and the meter
 * records of the hours. All of them use the framing of the batch file.
 */

/** Each part after its length as a big-endian uint32. */
export function encodeFramed(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + 4 + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(uint32BE(part.length), at);
    bytes.set(part, at + 4);
    at += 4 + part.length;
  }
  return bytes;
}

/** Strict inverse of `encodeFramed`. Refused('form') when cut off or of more than `limitParts`. */
export function parseFramed(bytes: Uint8Array, limitParts: number): Uint8Array[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const parts: Uint8Array[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (parts.length === limitParts) throw new Refused('form', `more than ${limitParts} parts`);
    if (at + 4 > bytes.length) throw new Refused('form', 'cut off in a length');
    const end = at + 4 + view.getUint32(at);
    if (end > bytes.length) throw new Refused('form', 'cut off in a part');
    parts.push(bytes.subarray(at + 4, end));
    at = end;
  }
  return parts;
}

/** Where the log serves the evidence of a fork: the leaves of both messages, the kept one first. */
export function evidencePath(sha256Hex: string): string {
  return `evidence/${sha256Hex}`;
}

/** A plant has at most this many meters in one hour. */
export const recordsLimit = 10_000;

/** The meter records of one hour in the order of their tree; no bytes at all for any other entry. */
export function parseRecords(bytes: Uint8Array): Uint8Array[] {
  return parseFramed(bytes, recordsLimit);
}

/**
 * The meter records of the entries of one entry bundle (tlog-tiles), one part an entry: of a public
 * `hour` or `hour-correction` its records, framed in their turn; empty for every other entry.
 */
export function parseRecordBundle(bytes: Uint8Array, width: number): Uint8Array[] {
  const parts = parseFramed(bytes, width);
  if (parts.length !== width) throw new Refused('form', `${parts.length} parts, not ${width}`);
  return parts;
}

/** `meters/x001/234.p/8` beside the entry bundle `tile/entries/x001/234.p/8`. */
export function recordBundlePath(entryBundlePath: string): string {
  return entryBundlePath.replace(/^tile\/entries\//, 'meters/');
}
