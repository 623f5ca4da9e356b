/**
 * Reads a message's payload (D3.1) straight from its bytes, where it is what nearly every device sends:
 * the one JCS text, with nothing in it that JSON could also write otherwise. It accepts less than the
 * strict parser and never anything else: whatever it does not know gives undefined, and the strict
 * parser says what that is.
 */
export interface MessageText {
  readonly log: string;
  readonly meter: string;
  readonly plant: string;
  readonly readings: readonly ReadingText[];
  readonly seq: number;
  readonly v: 1;
}

interface ReadingText {
  readonly clock?: 'synced' | 'unsynced';
  readonly registers: Readonly<Record<string, number>>;
  readonly status?: 'ok' | 'power-fail' | 'tamper' | 'fault';
  readonly t: number;
}

export interface TextLimits {
  readonly readings: number;
  readonly registers: number;
  readonly lastInstant: number;
}

/** Where reading has come to. Nothing is read past the end: there a byte is `undefined`. */
interface Cursor {
  readonly bytes: Uint8Array;
  at: number;
}

/** Register names of the reading before, by position: nearly always those of the next one too. */
type Names = { readonly text: string; readonly from: number }[];

export function readMessageText(bytes: Uint8Array, limits: TextLimits): MessageText | undefined {
  const cursor = { bytes, at: 0 };
  if (!skip(cursor, '{"log":"')) return undefined;
  const log = readText(cursor, originBytes, 255);
  if (log === undefined || !skip(cursor, ',"meter":"')) return undefined;
  const meter = readId(cursor);
  if (meter === undefined || !skip(cursor, ',"plant":"')) return undefined;
  const plant = readId(cursor);
  if (plant === undefined || !skip(cursor, ',"readings":[')) return undefined;
  const readings = readReadings(cursor, limits);
  if (readings === undefined || !skip(cursor, ',"seq":')) return undefined;
  const seq = readInteger(cursor);
  if (seq === undefined || seq < 1 || !skip(cursor, ',"v":1}')) return undefined;
  return cursor.at === bytes.length ? { log, meter, plant, readings, seq, v: 1 } : undefined;
}

function readReadings(cursor: Cursor, limits: TextLimits): ReadingText[] | undefined {
  const readings: ReadingText[] = [];
  const names: Names = [];
  do {
    const reading = readReading(cursor, limits, names);
    if (reading === undefined || readings.length === limits.readings) return undefined;
    readings.push(reading);
  } while (take(cursor, comma));
  return take(cursor, closingBracket) ? readings : undefined;
}

function readReading(cursor: Cursor, limits: TextLimits, names: Names): ReadingText | undefined {
  if (!take(cursor, openingBrace)) return undefined;
  const clock = readOption(cursor, clocks);
  if (!skip(cursor, '"registers":{')) return undefined;
  const registers = readRegisters(cursor, limits, names);
  if (registers === undefined || !take(cursor, comma)) return undefined;
  const status = readOption(cursor, statuses);
  if (!skip(cursor, '"t":')) return undefined;
  const t = readInteger(cursor);
  if (t === undefined || t > limits.lastInstant || !take(cursor, closingBrace)) return undefined;
  if (clock === undefined && status === undefined) return { registers, t };
  return {
    ...(clock !== undefined && { clock }),
    registers,
    ...(status !== undefined && { status }),
    t,
  };
}

function readRegisters(
  cursor: Cursor,
  limits: TextLimits,
  names: Names,
): Record<string, number> | undefined {
  const registers: Record<string, number> = {};
  let before = '';
  let count = 0;
  do {
    const name = count < limits.registers ? readName(cursor, names, count) : undefined;
    // Ascending, so that none comes twice.
    if (name === undefined || name <= before || !take(cursor, colon)) return undefined;
    const value = readInteger(cursor);
    if (value === undefined) return undefined;
    registers[name] = value;
    before = name;
    count++;
  } while (take(cursor, comma));
  return take(cursor, closingBrace) ? registers : undefined;
}

function readName(cursor: Cursor, names: Names, position: number): string | undefined {
  const { bytes } = cursor;
  if (!take(cursor, quote)) return undefined;
  const known = names[position];
  if (known !== undefined && isRepeated(bytes, known, cursor.at)) {
    cursor.at += known.text.length + 1;
    return known.text;
  }
  const from = cursor.at;
  const text = readId(cursor);
  if (text !== undefined) names[position] = { text, from };
  return text;
}

/** Whether the bytes at `at` are those of a name read before, its closing quote included. */
function isRepeated(
  bytes: Uint8Array,
  { text, from }: { readonly text: string; readonly from: number },
  at: number,
): boolean {
  for (let i = text.length; i >= 0; i--) if (bytes[at + i] !== bytes[from + i]) return false;
  return true;
}

const clocks = [
  ['"clock":"synced",', 'synced'],
  ['"clock":"unsynced",', 'unsynced'],
] as const;
const statuses = [
  ['"status":"ok",', 'ok'],
  ['"status":"power-fail",', 'power-fail'],
  ['"status":"tamper",', 'tamper'],
  ['"status":"fault",', 'fault'],
] as const;

/** One of these members with its comma, or nothing. */
function readOption<T>(
  cursor: Cursor,
  options: readonly (readonly [text: string, value: T])[],
): T | undefined {
  // Their second letters tell them from `registers` and `t`.
  if (cursor.bytes[cursor.at + 1] !== options[0]?.[0].charCodeAt(1)) return undefined;
  return options.find(([text]) => skip(cursor, text))?.[1];
}

const [comma, colon, quote, zero, nine] = [0x2c, 0x3a, 0x22, 0x30, 0x39];
const [openingBrace, closingBrace, closingBracket] = [0x7b, 0x7d, 0x5d];

function take(cursor: Cursor, byte: number): boolean {
  if (cursor.bytes[cursor.at] !== byte) return false;
  cursor.at++;
  return true;
}

function skip(cursor: Cursor, ascii: string): boolean {
  const { bytes, at } = cursor;
  for (let i = 0; i < ascii.length; i++) {
    if (bytes[at + i] !== ascii.charCodeAt(i)) return false;
  }
  cursor.at = at + ascii.length;
  return true;
}

/** Beyond it an integer need not be safe; the sum that is kept cannot round back under it. */
const digitsLimit = 16;

/** A safe integer from 0, in its one spelling. */
function readInteger(cursor: Cursor): number | undefined {
  const { bytes, at } = cursor;
  let end = at;
  let value = 0;
  for (;;) {
    const byte = bytes[end];
    if (byte === undefined || byte < zero || byte > nine) break;
    value = value * 10 + (byte - zero);
    end++;
  }
  const digits = end - at;
  if (digits === 0 || digits > digitsLimit || !Number.isSafeInteger(value)) return undefined;
  if (digits > 1 && bytes[at] === zero) return undefined;
  cursor.at = end;
  return value;
}

/** By byte, whether it may stand in such a text. The quote and the backslash never may. */
const originBytes = bytesOf(/[!#-*,-[\]-~]/);
const idBytes = bytesOf(/[A-Za-z0-9._-]/);
const firstIdBytes = bytesOf(/[A-Za-z0-9]/);

function bytesOf(characters: RegExp): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) =>
    byte < 128 && characters.test(String.fromCharCode(byte)) ? 1 : 0,
  );
}

const idLength = 64;

function readId(cursor: Cursor): string | undefined {
  if (firstIdBytes[cursor.bytes[cursor.at] ?? 0] !== 1) return undefined;
  return readText(cursor, idBytes, idLength);
}

/** The rest of a text of 1 to `maxLength` such characters, with its closing quote. */
function readText(cursor: Cursor, allowed: Uint8Array, maxLength: number): string | undefined {
  const { bytes, at } = cursor;
  let end = at;
  while (allowed[bytes[end] ?? 0] === 1) end++;
  if (end === at || end - at > maxLength || bytes[end] !== quote) return undefined;
  cursor.at = end + 1;
  let text = '';
  for (let i = at; i < end; i++) text += String.fromCharCode(bytes[i] ?? 0);
  return text;
}
