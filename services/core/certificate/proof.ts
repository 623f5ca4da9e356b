import { sha256 } from '#crypto';
import { concat, decodeUtf8, fromBase64, toBase64, toHex, utf8 } from '../bytes.ts';
import { Refused } from '../errors.ts';
import { canonicalBytes, parseCanonical } from '../jcs.ts';
import { array, hashHex, instant, integer, object, oneOf, pattern, type Infer } from '../shape.ts';
import { itemShape, type Item } from './kinds.ts';

/** A proof file is at most 16 MiB (D3.5). */
export const proofLimitBytes = 16 * 1024 * 1024;

const proofFormat = 'hourseal-proof/v1';

const base64 = pattern('[A-Za-z0-9+/]*={0,2}');
const hash64 = pattern('[A-Za-z0-9+/]{43}=');
const path = array(hash64, { min: 0, max: 64 });

/** Something that a tree holds: its exact bytes, its index, and the path to the root. */
const included = object({ data: base64, index: integer(0), path });

const bodyMembers = {
  bundle: itemShape,
  /** The signed note, as published. */
  checkpoint: pattern('[^\\u0000-\\u0009\\u000b-\\u001f]{1,131072}'),
  entries: array(included, { min: 1, max: 20_000 }),
  format: oneOf(proofFormat),
  /** Index of the `hour` or `hour-correction` that issued the bundle. */
  hour: integer(1),
  messages: array(
    object({
      index: integer(0),
      jws: pattern('[A-Za-z0-9._-]{1,65000}'),
      path,
      receivedAt: instant,
    }),
    { min: 0, max: 20_000 },
  ),
  records: array(included, { min: 0, max: 10_000 }),
} as const;
export const proofBody = object(bodyMembers);
export const proofShape = object({ ...bodyMembers, sum: hashHex });
export type Proof = Infer<typeof proofShape>;

/** A leaf with its place in a tree, as the builder of a proof file has it. */
export interface IncludedLeaf {
  readonly data: Uint8Array;
  readonly index: number;
  readonly path: readonly Uint8Array[];
}

export interface ProofParts {
  readonly bundle: Item;
  /** The signed checkpoint note's bytes as text; every path to an entry leads to its root. */
  readonly checkpoint: string;
  /** Every entry that the rules consult for the certificate (D3.5), ascending by index. */
  readonly entries: readonly IncludedLeaf[];
  /** Index of the entry that issued the bundle. */
  readonly hour: number;
  /** First and last message of every segment, with paths in the batch tree, ascending by index. */
  readonly messages: readonly {
    readonly index: number;
    readonly jws: string;
    readonly path: readonly Uint8Array[];
    readonly receivedAt: number;
  }[];
  /** All meter records of that entry, ascending by index, with paths in the tree of records. */
  readonly records: readonly IncludedLeaf[];
}

function encodePath(hashes: readonly Uint8Array[]): readonly string[] {
  return hashes.map(toBase64);
}

/** The bytes of a proof file: JCS, with `sum` = SHA-256 of the JCS form of the rest (D3.5). */
export function encodeProof(parts: ProofParts): Uint8Array {
  const included = ({ data, index, path: hashes }: IncludedLeaf) => ({
    data: toBase64(data),
    index,
    path: encodePath(hashes),
  });
  const body = proofBody.parse({
    bundle: parts.bundle,
    checkpoint: parts.checkpoint,
    entries: parts.entries.map(included),
    format: proofFormat,
    hour: parts.hour,
    messages: parts.messages.map((message) => ({ ...message, path: encodePath(message.path) })),
    records: parts.records.map(included),
  });
  const bytes = canonicalBytes({ ...body, sum: toHex(sha256(canonicalBytes(body))) });
  if (bytes.length > proofLimitBytes) throw new Refused('size', 'a proof file above 16 MiB');
  return bytes;
}

/** Parses a proof file and checks its `sum`: step 1 of its verification. Throws Refused. */
export function parseProof(bytes: Uint8Array): Proof {
  if (bytes.length > proofLimitBytes) throw new Refused('size', 'a proof file above 16 MiB');
  const text = decodeUtf8(bytes);
  const fits = sumFits(bytes, text);
  if (fits === false) throw new Refused('sum', 'the sum does not fit: the file was changed');
  const value = parseJson(text);
  requireFormat(value);
  const proof = proofShape.parse(value);
  // Only now: to write out what a stranger nested or repeated at will costs gigabytes.
  parseCanonical(bytes);
  if (fits === undefined) throw new Refused('form', 'the file does not end in its sum');
  requireAscending(proof.entries, 'entries');
  requireAscending(proof.messages, 'messages');
  requireAscending(proof.records, 'records');
  return proof;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Refused('json', 'not JSON', { cause });
  }
}

const sumTail = /^,"sum":"([0-9a-f]{64})"\}$/;
const sumTailBytes = 74;
const formatMember = `"format":"${proofFormat}"`;

/**
 * `sum` sorts last, so what it covers are the file's own bytes before it and a brace: a changed file
 * is told by one hash, before it is parsed. Undefined where the bytes are no file of this format, which
 * is then the better reason.
 */
function sumFits(bytes: Uint8Array, text: string): boolean | undefined {
  const [, sum] = sumTail.exec(text.slice(-sumTailBytes)) ?? [];
  if (sum === undefined || !text.includes(formatMember)) return undefined;
  return toHex(sha256(concat(bytes.subarray(0, -sumTailBytes), utf8('}')))) === sum;
}

/** So that a file of a later version is called that, and not malformed. */
function requireFormat(value: unknown): void {
  const format =
    typeof value === 'object' && value !== null && 'format' in value ? value.format : undefined;
  if (typeof format !== 'string' || !/^hourseal-proof\/v[1-9][0-9]{0,3}$/.test(format)) {
    throw new Refused('form', 'not a proof file of this system');
  }
  if (format !== proofFormat) {
    throw new Refused('version', `a proof file of another version: ${format}`);
  }
}

function requireAscending(items: readonly { readonly index: number }[], name: string): void {
  for (let i = 1; i < items.length; i++) {
    if ((items[i]?.index ?? 0) <= (items[i - 1]?.index ?? 0)) {
      throw new Refused('form', `${name}: not in ascending order of index`);
    }
  }
}

export function decodePath(hashes: readonly string[]): readonly Uint8Array[] {
  return hashes.map(fromBase64);
}
