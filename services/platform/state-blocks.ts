import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { orNothing } from './folder-sums.ts';

/**
 * Whether the tables of a LevelDB folder that nobody has open are what was written. Each block of a
 * table has a CRC-32C that the database leaves unread when it looks up a row: where the damage is in a
 * key, or in what leads to it, a row that is there passes for one that never was (LevelDB,
 * doc/table_format.md; Snappy, format_description.txt).
 */

const magic = [0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb] as const;
const footerBytes = 48;
const trailerBytes = 5;
const snappy = 1;

interface Handle {
  readonly offset: number;
  readonly size: number;
}

/** At some 300 MB/s: for a folder whose files have no sums, since whoever had it open did not close it. */
export async function areTablesWhole(folder: string): Promise<boolean> {
  for (const name of await readdir(folder)) {
    if (!name.endsWith('.ldb')) continue;
    const table = await orNothing(readFile(join(folder, name)));
    if (table !== undefined && !isTableWhole(table)) return false;
  }
  return true;
}

/** Also true for a file that does not end as a table does: one that was begun, or that cannot be opened. */
export function isTableWhole(table: Uint8Array): boolean {
  const footer = table.subarray(Math.max(0, table.length - footerBytes));
  if (!magic.every((byte, i) => footer.at(i - magic.length) === byte)) return true;
  const read = readerOf(footer);
  const [meta, index] = [handleAt(read), handleAt(read)];
  for (const block of [meta, index]) {
    const content = contentOf(table, block);
    if (content === undefined) return false;
    // Of the index, what it leads to are the rows; of the other one, the filter.
    if (!handlesIn(content).every((handle) => isBlockWhole(table, handle))) return false;
  }
  return true;
}

function isBlockWhole(table: Uint8Array, { offset, size }: Handle): boolean {
  const end = offset + size;
  if (end + trailerBytes > table.length - footerBytes) return false;
  const { buffer, byteOffset } = table;
  const stated = new DataView(buffer, byteOffset + end + 1).getUint32(0, true);
  return stated === masked(crc32c(table.subarray(offset, end + 1)));
}

function contentOf(table: Uint8Array, handle: Handle): Uint8Array | undefined {
  if (!isBlockWhole(table, handle)) return undefined;
  const end = handle.offset + handle.size;
  const content = table.subarray(handle.offset, end);
  return table[end] === snappy ? unpacked(content) : content;
}

/** The values of a block whose rows are handles. Behind the rows are the places to begin at, and how many. */
function handlesIn(block: Uint8Array): Handle[] {
  const view = new DataView(block.buffer, block.byteOffset, block.length);
  const restarts = view.getUint32(block.length - 4, true);
  const end = block.length - 4 * (restarts + 1);
  const read = readerOf(block);
  const handles: Handle[] = [];
  while (read.at() < end) {
    read.number();
    const keyBytes = read.number();
    const valueBytes = read.number();
    read.skip(keyBytes);
    const behind = read.at() + valueBytes;
    handles.push(handleAt(read));
    read.skip(behind - read.at());
  }
  return handles;
}

function handleAt(read: Reader): Handle {
  return { offset: read.number(), size: read.number() };
}

type Reader = ReturnType<typeof readerOf>;

function readerOf(bytes: Uint8Array) {
  let at = 0;
  const byte = (): number => bytes[at++] ?? 0;
  /** Little-endian in groups of seven bits, all but the last with the eighth set. */
  const number = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const next = byte();
      value += (next & 127) * scale;
      if (next < 128) return value;
    }
  };
  /** Little-endian in so many bytes. */
  const fixed = (count: number): number => {
    let value = 0;
    for (let i = 0; i < count; i++) value += byte() * 256 ** i;
    return value;
  };
  const skip = (count: number): void => {
    at += count;
  };
  return { at: () => at, byte, number, fixed, skip };
}

/** Of a block that is as it was written. */
function unpacked(packed: Uint8Array): Uint8Array {
  const read = readerOf(packed);
  const bytes = new Uint8Array(read.number());
  let end = 0;
  const copy = (from: number, length: number): void => {
    // Byte by byte: what is copied may be what this very copy has just put there.
    for (let i = 0; i < length; i++) bytes[end + i] = bytes[from + i] ?? 0;
    end += length;
  };
  while (end < bytes.length) {
    const tag = read.byte();
    const high = tag >>> 2;
    if ((tag & 3) === 0) {
      const length = 1 + (high < 60 ? high : read.fixed(high - 59));
      bytes.set(packed.subarray(read.at(), read.at() + length), end);
      read.skip(length);
      end += length;
    } else if ((tag & 3) === 1) {
      const back = (tag >>> 5) * 256 + read.byte();
      copy(end - back, 4 + (high & 7));
    } else {
      const back = read.fixed((tag & 3) === 2 ? 2 : 4);
      copy(end - back, 1 + high);
    }
  }
  return bytes;
}

/** As LevelDB stores it, so that the sum of bytes that hold sums is a good one. */
function masked(crc: number): number {
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** CRC-32 with the polynomial of Castagnoli (RFC 3720, 12.1), four bytes at a time. */
export function crc32c(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const words = bytes.length - (bytes.length % 4);
  let crc = ~0;
  for (let at = 0; at < words; at += 4) {
    const word = crc ^ view.getUint32(at, true);
    crc =
      (crcTable[768 + (word & 255)] ?? 0) ^
      (crcTable[512 + ((word >>> 8) & 255)] ?? 0) ^
      (crcTable[256 + ((word >>> 16) & 255)] ?? 0) ^
      (crcTable[word >>> 24] ?? 0);
  }
  for (const byte of bytes.subarray(words)) {
    crc = (crc >>> 8) ^ (crcTable[(crc ^ byte) & 255] ?? 0);
  }
  return ~crc >>> 0;
}

/** What a byte comes to, then what it comes to with one, two and three zeros behind it. */
const crcTable = new Uint32Array(4 * 256);
for (let byte = 0; byte < 256; byte++) {
  let crc = byte;
  for (let bit = 0; bit < 32; bit++) {
    crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
    if (bit % 8 === 7) crcTable[(bit >> 3) * 256 + byte] = crc;
  }
}
