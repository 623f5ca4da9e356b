import { Refused } from './errors.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/** Strict UTF-8. A byte order mark is kept, so that no two byte strings give one text. */
export function decodeUtf8(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw new Refused('utf8', 'not valid UTF-8', { cause });
  }
}

const hexDigits = utf8('0123456789abcdef');

/**
 * Texts of known length are put together as bytes and decoded at once: one that grows a character at a
 * time is kept by the engine as a chain of its pieces, many times its size, until somebody compares it.
 */
export function toHex(bytes: Uint8Array): string {
  const digits = new Uint8Array(2 * bytes.length);
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] ?? 0;
    digits[2 * i] = hexDigits[byte >> 4] ?? 0;
    digits[2 * i + 1] = hexDigits[byte & 15] ?? 0;
  }
  return decoder.decode(digits);
}

/** By character code; -1 for what is no lowercase hex digit. */
const valueOfHex = new Int8Array(128).fill(-1);
for (let i = 0; i < 16; i++) valueOfHex[i.toString(16).charCodeAt(0)] = i;

/** Lowercase hex only. `length` is in bytes. */
export function fromHex(text: string, length?: number): Uint8Array {
  if (text.length % 2 !== 0) throw new Refused('hex', 'not lowercase hex');
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i++) {
    const high = valueOfHex[text.charCodeAt(2 * i)] ?? -1;
    const low = valueOfHex[text.charCodeAt(2 * i + 1)] ?? -1;
    if (high < 0 || low < 0) throw new Refused('hex', 'not lowercase hex');
    bytes[i] = high * 16 + low;
  }
  if (length !== undefined && bytes.length !== length) {
    throw new Refused('hex', `not ${length} bytes of hex`);
  }
  return bytes;
}

interface Alphabet {
  readonly name: string;
  readonly characters: Uint8Array;
  readonly valueOf: Int8Array;
  readonly padded: boolean;
}

function alphabet(name: string, last: string, padded: boolean): Alphabet {
  const characters = `ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789${last}`;
  const valueOf = new Int8Array(128).fill(-1);
  for (let i = 0; i < 64; i++) valueOf[characters.charCodeAt(i)] = i;
  return { name, characters: utf8(characters), valueOf, padded };
}

const paddingSign = 0x3d;
const standard = alphabet('base64', '+/', true);
const urlSafe = alphabet('base64url', '-_', false);
const urlSafeValueOf = new Int8Array(256).fill(-1);
urlSafeValueOf.set(urlSafe.valueOf);

function encode(bytes: Uint8Array, { characters, padded }: Alphabet): string {
  const written = Math.ceil((bytes.length * 4) / 3);
  const text = new Uint8Array(padded ? Math.ceil(written / 4) * 4 : written).fill(paddingSign);
  for (let i = 0, at = 0; i < bytes.length; i += 3) {
    const left = Math.min(3, bytes.length - i);
    const group = ((bytes[i] ?? 0) << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    for (let k = 0; k <= left; k++) text[at++] = characters[(group >> (18 - 6 * k)) & 63] ?? 0;
  }
  return decoder.decode(text);
}

function decode(text: string, { name, valueOf, padded }: Alphabet): Uint8Array {
  let end = text.length;
  if (padded) {
    if (end % 4 !== 0) throw new Refused(name, `${name} of a wrong length`);
    while (end > 0 && text.length - end < 2 && text.charAt(end - 1) === '=') end--;
  }
  const bytes = new Uint8Array(Math.floor((end * 3) / 4));
  if (end % 4 === 1) throw new Refused(name, `${name} of a wrong length`);
  let buffer = 0;
  let bits = 0;
  let at = 0;
  for (let i = 0; i < end; i++) {
    const value = valueOf[text.charCodeAt(i)] ?? -1;
    if (value < 0) throw new Refused(name, `a character that is not ${name}`);
    buffer = ((buffer << 6) | value) & 0xffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes[at++] = (buffer >> bits) & 0xff;
    }
  }
  // The bits left over must be zero, or two texts would stand for the same bytes.
  if ((buffer & ((1 << bits) - 1)) !== 0) throw new Refused(name, `${name} with trailing bits`);
  return bytes;
}

export const toBase64 = (bytes: Uint8Array): string => encode(bytes, standard);
/** RFC 4648 section 4 in its only canonical spelling: padded, zero trailing bits, no white space. */
export const fromBase64 = (text: string): Uint8Array => decode(text, standard);
export const toBase64Url = (bytes: Uint8Array): string => encode(bytes, urlSafe);
/** RFC 4648 section 5 in its only canonical spelling here: no padding, zero trailing bits. */
export const fromBase64Url = (text: string): Uint8Array => decode(text, urlSafe);

/**
 * The same as `fromBase64Url` of the text that these bytes are in ASCII, without making the text;
 * undefined where it would refuse.
 */
export function readBase64Url(ascii: Uint8Array): Uint8Array | undefined {
  const { length } = ascii;
  const whole = length - (length % 4);
  const bytes = new Uint8Array(Math.floor((length * 3) / 4));
  let at = 0;
  for (let i = 0; i < whole; i += 4) {
    // Negative as soon as one of the four is.
    const group =
      (sextet(ascii[i]) << 18) |
      (sextet(ascii[i + 1]) << 12) |
      (sextet(ascii[i + 2]) << 6) |
      sextet(ascii[i + 3]);
    if (group < 0) return undefined;
    bytes[at++] = group >> 16;
    bytes[at++] = group >> 8;
    bytes[at++] = group;
  }
  if (whole === length) return bytes;
  if (length - whole === 1) return undefined;
  const third = length - whole === 3 ? sextet(ascii[whole + 2]) : 0;
  const group = (sextet(ascii[whole]) << 12) | (sextet(ascii[whole + 1]) << 6) | third;
  // The bits left over of the last character must be zero.
  if (group < 0 || (group & (length - whole === 3 ? 0x3 : 0x3ff)) !== 0) return undefined;
  bytes[at++] = group >> 10;
  if (length - whole === 3) bytes[at] = group >> 2;
  return bytes;
}

/** The value of a character, negative for none of the alphabet. */
function sextet(ascii: number | undefined): number {
  return urlSafeValueOf[ascii ?? 255] ?? -1;
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const joined = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Order of ids (D3): by their ASCII bytes, which for ASCII texts is the order of code units. */
export function compareAscii(a: string, b: string): -1 | 0 | 1 {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

export function uint32BE(value: number): Uint8Array {
  if (!Number.isInteger(value) || value < 0 || value > 0xffffffff) {
    throw new RangeError(`uint32BE: value ${value} is not an unsigned 32-bit integer`);
  }
  return new Uint8Array([value >>> 24, value >>> 16, value >>> 8, value]);
}

export function uint64BE(value: number): Uint8Array {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new RangeError(`uint64BE: value ${value} is not a safe unsigned integer`);
  }
  return concat(uint32BE(Math.floor(value / 2 ** 32)), uint32BE(value % 2 ** 32));
}
