import { compareAscii, concat, decodeUtf8, uint32BE, utf8 } from '../bytes.ts';
import { Refused } from '../errors.ts';
import { canonicalBytes, parseCanonical } from '../jcs.ts';
import { array, hashHex, integer, object, thumbprint, type Infer } from '../shape.ts';
import { messageLimitBytes, type ParsedMessage } from './message.ts';
import { isPlacedOcmf } from './ocmf.ts';
import { reasonCode } from './receipt.ts';
import { parseSigned } from './signed.ts';

/** No leaf is longer. */
export const leafLimitBytes = messageLimitBytes + 64;

/** What a leaf begins with (D3.2): it says in which format the bytes after the time are. */
const prefixes = {
  message: utf8('hourseal/message/v1\n'),
  ocmf: utf8('hourseal/ocmf/v1\n'),
} as const;
const newline = 0x0a;

/** A message as the log keeps it: its bytes as they are kept (`parseSigned`), and when they came. */
export interface MessageLeaf {
  readonly receivedAt: number;
  readonly bytes: Uint8Array;
}

/** Leaf data of D3.2: the prefix of the format, `receivedAt` in decimal, newline, the bytes. */
export function encodeMessageLeaf({ receivedAt, bytes }: MessageLeaf): Uint8Array {
  const prefix = isPlacedOcmf(bytes) ? prefixes.ocmf : prefixes.message;
  return concat(prefix, utf8(`${receivedAt}\n`), bytes);
}

/** Strict inverse of `encodeMessageLeaf`, with the message parsed. Throws Refused. */
export function parseMessageLeaf(data: Uint8Array): MessageLeaf & { parsed: ParsedMessage } {
  const prefix = Object.values(prefixes).find((one) => startsWith(data, one));
  if (prefix === undefined) throw new Refused('leaf', 'not a message leaf');
  const end = data.indexOf(newline, prefix.length);
  if (end < 0) throw new Refused('leaf', 'without a time of arrival');
  const decimal = decodeUtf8(data.subarray(prefix.length, end));
  const receivedAt = Number(decimal);
  if (!Number.isSafeInteger(receivedAt) || receivedAt < 0 || String(receivedAt) !== decimal) {
    throw new Refused('leaf', 'a time of arrival in another spelling');
  }
  const bytes = data.subarray(end + 1);
  if (isPlacedOcmf(bytes) !== (prefix === prefixes.ocmf)) {
    throw new Refused('leaf', 'not in the format that its prefix names');
  }
  return { receivedAt, bytes, parsed: parseSigned(bytes) };
}

function startsWith(data: Uint8Array, prefix: Uint8Array): boolean {
  for (let i = 0; i < prefix.length; i++) if (data[i] !== prefix[i]) return false;
  return true;
}

/** What orders the leaves of a batch tree (D3.2). */
export interface LeafKey {
  readonly meter: string;
  readonly kid: string;
  readonly seq: number;
}

export function compareLeaves(a: LeafKey, b: LeafKey): number {
  return compareAscii(a.meter, b.meter) || compareAscii(a.kid, b.kid) || a.seq - b.seq;
}

/** A message that was refused although its signature is good; `hash` is that of its signing input. */
export const quarantinedShape = object({
  code: reasonCode,
  hash: hashHex,
  kid: thumbprint,
  seq: integer(1),
});
export type Quarantined = Infer<typeof quarantinedShape>;
const quarantinedList = array(quarantinedShape, { min: 0, max: 100_000 });

/** A batch file may hold this much; a reader refuses more before it allocates (256 MiB). */
export const batchFileLimitBytes = 256 * 1024 * 1024;

export interface BatchFile {
  readonly leaves: readonly Uint8Array[];
  readonly quarantined: readonly Quarantined[];
}

/**
 * A batch file (D3.2): a big-endian uint32 length and the data of each leaf in order, then, in the
 * same framing, the JCS form of the list of quarantined messages. The list comes last and begins
 * with "[", which no leaf does.
 */
export function encodeBatchFile({ leaves, quarantined }: BatchFile): Uint8Array {
  const list = canonicalBytes(quarantined);
  const parts = [...leaves, list];
  const file = new Uint8Array(parts.reduce((sum, { length }) => sum + 4 + length, 0));
  let at = 0;
  for (const data of parts) {
    file.set(uint32BE(data.length), at);
    file.set(data, at + 4);
    at += 4 + data.length;
  }
  return file;
}

/** Strict inverse of `encodeBatchFile`. The leaves' content is not looked into. Throws Refused. */
export function parseBatchFile(bytes: Uint8Array): BatchFile {
  if (bytes.length > batchFileLimitBytes) throw new Refused('size', 'batch file too large');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const parts: Uint8Array[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (at + 4 > bytes.length) throw new Refused('form', 'batch file cut off in a length');
    const length = view.getUint32(at);
    if (at + 4 + length > bytes.length) throw new Refused('form', 'batch file cut off');
    // Otherwise a file of nothing but lengths would cost its reader many times its own size.
    if (length === 0) throw new Refused('form', 'a leaf of no bytes');
    parts.push(bytes.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  const list = parts.pop();
  if (list === undefined) throw new Refused('form', 'batch file without its list');
  if (parts.some((data) => data.length > leafLimitBytes)) {
    throw new Refused('size', 'a leaf larger than a message can be');
  }
  return {
    leaves: parts,
    quarantined: quarantinedList.parse(parseCanonical(list)),
  };
}

/** Where the log serves a batch. `root` is the batch tree's, in lowercase hex. */
export function batchPath(root: string): string {
  return `batch/${root}`;
}
