import { sha256 } from '#crypto';
import { concat, decodeUtf8, toHex, utf8 } from '../bytes.ts';
import { Refused } from '../errors.ts';
import { canonicalBytes, parseCanonical } from '../jcs.ts';
import type { Shape } from '../shape.ts';

/**
 * A JCS file whose member `sum`, the last in order, is SHA-256 of the JCS form of the rest: a file that
 * was cut off or changed on its way is told by one hash, before anything of it is believed.
 */
export interface SealedFormat<T> {
  /** What such a file is called in a reason. */
  readonly called: string;
  /** The value of its member `format`: a name, `/v` and a number. */
  readonly format: string;
  readonly shape: Shape<T>;
  /** Whole mebibytes. */
  readonly limitBytes: number;
}

const tail = /^,"sum":"([0-9a-f]{64})"\}$/;
const tailBytes = 74;

/** The file's bytes. Refused('form' or 'size') when they could not be read back. */
export function sealFile<T>(body: object, sealed: SealedFormat<T>): Uint8Array {
  const sum = toHex(sha256(canonicalBytes(body)));
  const bytes = canonicalBytes(sealed.shape.parse({ ...body, sum }));
  requireSize(bytes, sealed);
  return bytes;
}

/** Refused: `size`, `utf8`, `sum`, `json`, `version`, `form` or `jcs`. */
export function openSealedFile<T>(bytes: Uint8Array, sealed: SealedFormat<T>): T {
  requireSize(bytes, sealed);
  const text = decodeUtf8(bytes);
  const fits = sumFits(bytes, text, sealed);
  if (fits === false) throw new Refused('sum', 'the sum does not fit: the file was changed');
  const value = parseJson(text);
  requireFormat(value, sealed);
  const parsed = sealed.shape.parse(value);
  // Only now: to write out what a stranger nested or repeated at will costs gigabytes.
  parseCanonical(bytes);
  if (fits === undefined) throw new Refused('form', 'the file does not end in its sum');
  return parsed;
}

function requireSize(
  bytes: Uint8Array,
  { called, limitBytes }: Pick<SealedFormat<unknown>, 'called' | 'limitBytes'>,
): void {
  if (bytes.length <= limitBytes) return;
  throw new Refused('size', `${called} above ${limitBytes / 1024 ** 2} MiB`);
}

/**
 * `sum` sorts last, so what it covers are the file's own bytes before it and a brace: a changed file
 * is told by one hash, before it is parsed. Undefined where the bytes are no file of this format, which
 * is then the better reason.
 */
function sumFits(
  bytes: Uint8Array,
  text: string,
  { format }: Pick<SealedFormat<unknown>, 'format'>,
): boolean | undefined {
  const [, sum] = tail.exec(text.slice(-tailBytes)) ?? [];
  if (sum === undefined || !text.includes(`"format":"${format}"`)) return undefined;
  return toHex(sha256(concat(bytes.subarray(0, -tailBytes), utf8('}')))) === sum;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Refused('json', 'not JSON', { cause });
  }
}

/** So that a file of a later version is called that, and not malformed. */
function requireFormat(
  value: unknown,
  { called, format }: Pick<SealedFormat<unknown>, 'called' | 'format'>,
): void {
  const given =
    typeof value === 'object' && value !== null && 'format' in value ? value.format : undefined;
  if (given === format) return;
  const name = format.slice(0, format.lastIndexOf('/v') + 2);
  const isLater =
    typeof given === 'string' &&
    given.startsWith(name) &&
    /^[1-9][0-9]{0,3}$/.test(given.slice(name.length));
  if (isLater) throw new Refused('version', `${called} of another version: ${given}`);
  throw new Refused('form', `not ${called} of this system`);
}
