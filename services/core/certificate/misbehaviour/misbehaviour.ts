import { decodeUtf8, toBase64, toHex } from '../../bytes.ts';
import { Refused } from '../../errors.ts';
import { array, hashHex, integer, object, oneOf, optional, pattern } from '../../shape.ts';
import type { Infer, Shape } from '../../shape.ts';
import type { Boundary } from '../../tlog/equivocation.ts';
import { formatVkey, type VerifierKey } from '../../tlog/note.ts';
import type { IncludedLeaf } from '../proof/proof.ts';
import { openSealedFile, sealFile, type SealedFormat } from '../sealed-file.ts';

/**
 * Evidence files (FORMATS.md, "Evidence of misbehaviour"): what somebody signed and did not keep, in
 * one file that convicts by itself. They say who lied to whomever trusts the keys in question.
 */
export const evidenceLimitBytes = 16 * 1024 * 1024;
const evidenceFormat = 'hourseal-evidence/v1';

const base64 = pattern('[A-Za-z0-9+/]*={0,2}');
/** 32 bytes: the last character bears two bits that must be zero. */
const hash64 = pattern('[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=');
const path = array(hash64, { min: 0, max: 64 });
const included = object({ data: base64, index: integer(0), path });
/** A signed note, as published. */
const note = pattern('[^\\u0000-\\u0009\\u000b-\\u001f]{1,131072}');
const vkey = pattern('[^\\u0000-\\u0020]{1,1024}');

/** How many messages may lie between the two statements about one receipt chain. */
export const openedLimit = 100_000;

const equivocationShape = object({
  /** Roots of the rest of the second tree, from the boundary outwards; absent between equal sizes. */
  above: optional(array(hash64, { min: 1, max: 64 })),
  /** Roots of the perfect subtrees of the second tree before the first's size, left to right. */
  below: optional(array(hash64, { min: 1, max: 64 })),
  first: note,
  format: oneOf(evidenceFormat),
  /** One that signed both; or, of a log that changed its key, that of the first, that of the second. */
  keys: array(vkey, { min: 1, max: 2 }),
  kind: oneOf('equivocation'),
  second: note,
  sum: hashHex,
});
export type EquivocationEvidence = Infer<typeof equivocationShape>;

const dishonouredShape = object({
  checkpoint: note,
  /** Genesis, what changed the ingestion or issuing keys, and the entry `hour`, ascending by index. */
  entries: array(included, { min: 2, max: 256 }),
  format: oneOf(evidenceFormat),
  /** Index of the `hour` or `hour-correction` that the record is of. */
  hour: integer(1),
  kind: oneOf('dishonoured-receipt'),
  /**
   * Of the statement with the higher `throughSeq`: its chain at that of the other, and the hashes of the
   * messages in between that lead from there to what it states. Absent when both are equal.
   */
  opened: optional(
    object({ chain: hashHex, hashes: array(hashHex, { min: 1, max: openedLimit }) }),
  ),
  receipt: pattern('[A-Za-z0-9._-]{1,65000}'),
  record: included,
  /** Number of the meter records of that entry. */
  records: integer(1, 10_000),
  sum: hashHex,
});
export type DishonouredEvidence = Infer<typeof dishonouredShape>;

export type Evidence = EquivocationEvidence | DishonouredEvidence;

/** Told apart by `kind`, so that a refusal names what is wrong with the one that was meant. */
export const evidenceShape: Shape<Evidence> = {
  schema: { anyOf: [equivocationShape.schema, dishonouredShape.schema] },
  parse(value, place) {
    const kind =
      typeof value === 'object' && value !== null && 'kind' in value ? value.kind : undefined;
    const shape = kind === 'dishonoured-receipt' ? dishonouredShape : equivocationShape;
    return shape.parse(value, place);
  },
};

const sealedEvidence: SealedFormat<Evidence> = {
  called: 'an evidence file',
  format: evidenceFormat,
  shape: evidenceShape,
  limitBytes: evidenceLimitBytes,
};

export interface EquivocationParts {
  /** Notes, byte for byte; the second is of the larger tree, or of an equal size. */
  readonly first: Uint8Array;
  readonly second: Uint8Array;
  readonly boundary?: Boundary | undefined;
  readonly keys: readonly VerifierKey[];
}

export function encodeEquivocation(parts: EquivocationParts): Uint8Array {
  const { first, second, boundary, keys } = parts;
  return sealFile(
    {
      ...(boundary !== undefined && {
        above: boundary.above.map(toBase64),
        below: boundary.below.map(toBase64),
      }),
      first: decodeUtf8(first),
      format: evidenceFormat,
      keys: keys.map(formatVkey),
      kind: 'equivocation',
      second: decodeUtf8(second),
    },
    sealedEvidence,
  );
}

export interface DishonouredParts {
  readonly checkpoint: Uint8Array;
  readonly entries: readonly IncludedLeaf[];
  readonly hour: number;
  readonly receipt: string;
  readonly record: IncludedLeaf;
  readonly records: number;
  readonly opened?: { readonly chain: Uint8Array; readonly hashes: readonly Uint8Array[] };
}

export function encodeDishonoured(parts: DishonouredParts): Uint8Array {
  const { checkpoint, entries, hour, receipt, record, records, opened } = parts;
  const leaf = ({ data, index, path: hashes }: IncludedLeaf) => ({
    data: toBase64(data),
    index,
    path: hashes.map(toBase64),
  });
  return sealFile(
    {
      checkpoint: decodeUtf8(checkpoint),
      entries: entries.map(leaf),
      format: evidenceFormat,
      hour,
      kind: 'dishonoured-receipt',
      ...(opened !== undefined && {
        opened: { chain: toHex(opened.chain), hashes: opened.hashes.map(toHex) },
      }),
      receipt,
      record: leaf(record),
      records,
    },
    sealedEvidence,
  );
}

/** Parses an evidence file and checks its `sum`. Throws Refused. */
export function parseEvidence(bytes: Uint8Array): Evidence {
  const evidence = openSealedFile(bytes, sealedEvidence);
  if (evidence.kind === 'equivocation') {
    if ((evidence.above === undefined) !== (evidence.below === undefined)) {
      throw new Refused('form', 'above and below: one without the other');
    }
    return evidence;
  }
  for (let i = 1; i < evidence.entries.length; i++) {
    if ((evidence.entries[i]?.index ?? 0) <= (evidence.entries[i - 1]?.index ?? 0)) {
      throw new Refused('form', 'entries: not in ascending order of index');
    }
  }
  return evidence;
}

/** Whether a file means to be evidence; a proof file cannot hold this text, whatever it says. */
export function meansEvidence(bytes: Uint8Array): boolean {
  const mark = '"format":"hourseal-evidence/';
  try {
    return decodeUtf8(bytes).includes(mark);
  } catch (error) {
    if (error instanceof Refused) return false;
    throw error;
  }
}
