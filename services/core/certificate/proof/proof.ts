import { fromBase64, toBase64 } from '../../bytes.ts';
import { Refused } from '../../errors.ts';
import { array, hashHex, instant, integer, object, oneOf, optional, pattern } from '../../shape.ts';
import type { Infer } from '../../shape.ts';
import { itemShape, type Item } from '../specs/parts.ts';
import { openSealedFile, sealFile, type SealedFormat } from '../sealed-file.ts';

/** A proof file is at most 16 MiB (D3.5). */
export const proofLimitBytes = 16 * 1024 * 1024;

const proofFormat = 'hourseal-proof/v1';

const base64 = pattern('[A-Za-z0-9+/]*={0,2}');
/** 32 bytes: the last character bears two bits that must be zero. */
const hash64 = pattern('[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=');
const path = array(hash64, { min: 0, max: 64 });

/** Something that a tree holds: its exact bytes, its index, and the path to the root. */
const included = object({ data: base64, index: integer(0), path });

/**
 * What the newest `state` says of the bundle: `leaf` is that of its range in the state tree, `pieces`
 * those that cover it, in a tree of `size`.
 */
const stateProof = object({
  /** Index of the `state` entry, which is among the entries. */
  entry: integer(1),
  leaf: included,
  pieces: array(included, { min: 1, max: 20_000 }),
  size: integer(1),
});
export type ProofState = Infer<typeof stateProof>;

export const proofShape = object({
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
      /** One of the two: the JWS, or a record in OCMF as it is kept. */
      jws: optional(pattern('[A-Za-z0-9._-]{1,65000}')),
      ocmf: optional(base64),
      path,
      receivedAt: instant,
    }),
    { min: 0, max: 20_000 },
  ),
  records: array(included, { min: 0, max: 10_000 }),
  state: optional(stateProof),
  sum: hashHex,
});
export type Proof = Infer<typeof proofShape>;

const sealedProof: SealedFormat<Proof> = {
  called: 'a proof file',
  format: proofFormat,
  shape: proofShape,
  limitBytes: proofLimitBytes,
};

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
    readonly jws?: string;
    readonly ocmf?: string;
    readonly path: readonly Uint8Array[];
    readonly receivedAt: number;
  }[];
  /** All meter records of that entry, ascending by index, with paths in the tree of records. */
  readonly records: readonly IncludedLeaf[];
  /** Undefined as long as no `state` covers the bundle. */
  readonly state?:
    | {
        readonly entry: number;
        readonly leaf: IncludedLeaf;
        /** The pieces that cover the bundle, of `size` of its range, ascending by index. */
        readonly pieces: readonly IncludedLeaf[];
        readonly size: number;
      }
    | undefined;
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
  const body = {
    bundle: parts.bundle,
    checkpoint: parts.checkpoint,
    entries: parts.entries.map(included),
    format: proofFormat,
    hour: parts.hour,
    messages: parts.messages.map((message) => ({ ...message, path: encodePath(message.path) })),
    records: parts.records.map(included),
    ...(parts.state !== undefined && {
      state: {
        entry: parts.state.entry,
        leaf: included(parts.state.leaf),
        pieces: parts.state.pieces.map(included),
        size: parts.state.size,
      },
    }),
  };
  return sealFile(body, sealedProof);
}

/** Parses a proof file and checks its `sum`: step 1 of its verification. Throws Refused. */
export function parseProof(bytes: Uint8Array): Proof {
  const proof = openSealedFile(bytes, sealedProof);
  requireAscending(proof.entries, 'entries');
  requireAscending(proof.messages, 'messages');
  requireAscending(proof.records, 'records');
  requireAscending(proof.state?.pieces ?? [], 'pieces');
  return proof;
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
