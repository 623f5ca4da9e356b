import { equalBytes } from '#core/bytes.ts';
import { Refused } from '#core/errors.ts';
import {
  cosignatureVerifier,
  parseCheckpoint,
  verifyCheckpoint,
  type Checkpoint,
  type VerifiedCheckpoint,
} from './checkpoint.ts';
import { cosignatureType, parseNote, verifyNote, type VerifierKey } from './note.ts';
import type { HashReader } from './proof.ts';
import {
  checkCount,
  hashBytes,
  nodeHash,
  rootOfSubtrees,
  splitPoint,
  subtreesOf,
  type Coordinates,
} from './tree.ts';

/**
 * When two signed checkpoints of one log cannot both be true (D3.4, D5 step 6): one size with two
 * roots, or a larger tree that does not begin with the smaller one.
 */

/**
 * What a tree consists of on both sides of a size inside it: `below`, the roots of the perfect
 * subtrees of the leaves before it, left to right; `above`, the roots of the rest, from the innermost
 * to the outermost. Together they lead to the tree's root, `below` alone to the root at that size.
 */
export interface Boundary {
  readonly below: readonly Uint8Array[];
  readonly above: readonly Uint8Array[];
}

/** A boundary at `size`, in a tree of `total` leaves; 0 < size < total. */
export interface BoundaryPlace {
  readonly size: number;
  readonly total: number;
}

interface Range {
  readonly from: number;
  readonly to: number;
}

/** From the root down to the boundary: which side each split leaves behind, as RFC 6962 splits. */
function partsOf({ size, total }: BoundaryPlace): {
  readonly sides: readonly ('below' | 'above')[];
  readonly above: readonly Range[];
} {
  const sides: ('below' | 'above')[] = [];
  const above: Range[] = [];
  let from = 0;
  let to = total;
  while (size !== to) {
    const middle = from + splitPoint(to - from);
    if (size <= middle) {
      sides.push('above');
      above.push({ from: middle, to });
      to = middle;
    } else {
      sides.push('below');
      from = middle;
    }
  }
  return { sides, above };
}

function checkPlace({ size, total }: BoundaryPlace): void {
  checkCount('size', size);
  checkCount('total', total);
  if (size < 1 || size >= total) throw new RangeError(`size: ${size} is not inside ${total}`);
}

/** By one read. What storage gives is believed: `rootsAt` must lead to a root that was signed. */
export async function boundaryAt(place: BoundaryPlace, read: HashReader): Promise<Boundary> {
  checkPlace(place);
  const inner = subtreesOf({ from: 0, to: place.size });
  const outer = partsOf(place).above.map(subtreesOf).reverse();
  const coordinates: Coordinates[] = [...inner, ...outer.flat()];
  const hashes = await read(coordinates);
  let at = inner.length;
  const above = outer.map((parts) => {
    const start = at;
    at += parts.length;
    return rootOfSubtrees(hashes.slice(start, at));
  });
  return { below: hashes.slice(0, inner.length), above };
}

/**
 * The roots that a boundary leads to: of the first `size` leaves, and of all `total`. Refused('boundary')
 * when it has not exactly the hashes that these sizes ask for.
 */
export function rootsAt(
  place: BoundaryPlace,
  { below, above }: Boundary,
): { readonly inner: Uint8Array; readonly outer: Uint8Array } {
  checkPlace(place);
  const parts = partsOf(place);
  if (
    below.length !== subtreesOf({ from: 0, to: place.size }).length ||
    above.length !== parts.above.length ||
    [...below, ...above].some((hash) => hash.length !== hashBytes)
  ) {
    throw new Refused(
      'boundary',
      `not the hashes around size ${place.size} in a tree of ${place.total}`,
    );
  }
  const left = [...below];
  const right = [...above];
  const take = (hashes: Uint8Array[], hash = hashes.pop()): Uint8Array => {
    if (hash === undefined) throw new RangeError('boundary: a hash is missing');
    return hash;
  };
  right.reverse();
  let outer = take(left);
  for (const side of parts.sides.toReversed()) {
    outer = side === 'below' ? nodeHash(take(left), outer) : nodeHash(outer, take(right));
  }
  return { inner: rootOfSubtrees(below), outer };
}

/** Two trees that cannot be one log's: of equal size, or `boundary` at the smaller in the larger. */
export interface Contradiction {
  readonly first: Checkpoint;
  readonly second: Checkpoint;
  readonly boundary?: Boundary | undefined;
}

/**
 * Returns only if the two contradict each other: the root that `second` has at the size of `first`.
 * An honest log cannot be accused so: its own trees have but one root at a size, and every other would
 * be a collision of SHA-256.
 * Refused: `origin` (two logs), `order` (the first is the larger, or empty), `boundary` (hashes that do
 * not lead to the second's root, or that are missing or too many), `consistent` (no contradiction).
 */
export function verifyContradiction({ first, second, boundary }: Contradiction): Uint8Array {
  if (first.origin !== second.origin) {
    throw new Refused('origin', `two logs, ${first.origin} and ${second.origin}`);
  }
  if (first.size < 1 || first.size > second.size) {
    throw new Refused('order', `size ${first.size} cannot be shown to differ in ${second.size}`);
  }
  const inner =
    first.size === second.size
      ? rootOfWhole(second, boundary)
      : rootInside(first, second, boundary);
  if (equalBytes(inner, first.root)) {
    throw new Refused('consistent', `the two agree about the first ${first.size} entries`);
  }
  return inner;
}

function rootOfWhole({ root }: Checkpoint, boundary: Boundary | undefined): Uint8Array {
  if (boundary !== undefined) throw new Refused('boundary', 'a boundary between equal sizes');
  return root;
}

function rootInside(
  first: Checkpoint,
  second: Checkpoint,
  boundary: Boundary | undefined,
): Uint8Array {
  if (boundary === undefined) throw new Refused('boundary', 'no boundary between two sizes');
  const { inner, outer } = rootsAt({ size: first.size, total: second.size }, boundary);
  if (!equalBytes(outer, second.root)) {
    throw new Refused('boundary', `the hashes do not lead to the root at size ${second.size}`);
  }
  return inner;
}

/**
 * The checkpoint of a note that this key signed as a log, or cosigned as a witness; whatever else is
 * under the note is nobody's business here. Refused as `verifyCheckpoint`; `note-unsigned` where a
 * witness did not cosign.
 */
export function checkpointBy(key: VerifierKey, noteBytes: Uint8Array): Checkpoint {
  if (key.type !== cosignatureType) return verifyCheckpoint(noteBytes, { log: key, cosigners: [] });
  const note = parseNote(noteBytes);
  const checkpoint = parseCheckpoint(note.text);
  verifyNote(note, [cosignatureVerifier(key)]);
  return checkpoint;
}

/** A checkpoint that a log signed, with all that proves it to others. */
export interface SignedState extends VerifiedCheckpoint {
  /** The note, byte for byte. */
  readonly note: Uint8Array;
  /** The keys of the log, then of witnesses, whose good signatures are under it. */
  readonly signers: readonly VerifierKey[];
}

/**
 * Opens a note of a log that has one or more of `logs` as its keys, all of one name. Refused as
 * `verifyCheckpoint`: every signature by one of these keys must be good, and one of the log's be there.
 */
export function openSignedState(
  noteBytes: Uint8Array,
  { logs, witnesses }: { logs: readonly VerifierKey[]; witnesses: readonly VerifierKey[] },
): SignedState {
  const note = parseNote(noteBytes);
  const has = ({ name, keyId }: VerifierKey): boolean =>
    note.signatures.some((signature) => signature.name === name && signature.keyId === keyId);
  const [first] = logs;
  if (first === undefined) throw new RangeError('logs: none');
  const signed = logs.filter(has);
  const asked = signed.length === 0 ? [first] : signed;
  const verified = asked.map((log) => verifyCheckpoint(noteBytes, { log, cosigners: witnesses }));
  const [checkpoint] = verified;
  if (checkpoint === undefined) throw new RangeError('logs: none');
  return { ...checkpoint, note: noteBytes, signers: [...signed, ...witnesses.filter(has)] };
}

export function isSameState(a: Checkpoint, b: Checkpoint): boolean {
  return a.size === b.size && equalBytes(a.root, b.root);
}

/**
 * Whom two contradicting states accuse: every key that signed both; and if no key of the log did,
 * since it changed its key in between, one key of the log under each.
 */
export function accusedBy(first: SignedState, second: SignedState): (readonly VerifierKey[])[] {
  const both = first.signers.filter((key) => second.signers.includes(key));
  const isLog = ({ type }: VerifierKey): boolean => type !== cosignatureType;
  const [before] = first.signers.filter(isLog);
  const [after] = second.signers.filter(isLog);
  const rotated = before !== undefined && after !== undefined && !both.some(isLog);
  return [...(rotated ? [[before, after]] : []), ...both.map((key) => [key])];
}
