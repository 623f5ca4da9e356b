import { sha256, sha256Hex } from '#crypto';
import { Fatal } from '#core/errors.ts';

/**
 * Merkle trees as in RFC 6962, section 2.1 (D3.2). Sizes and indexes go to 2^53 - 1, so nothing here
 * may use a 32-bit operator; powers of two and their products stay exact in a double.
 */
export const hashBytes = 32;

/**
 * Names a stored hash: the root of the perfect subtree over the leaves
 * [index * 2^level, (index + 1) * 2^level). Once its last leaf is in the log it never changes.
 */
export interface Coordinates {
  readonly level: number;
  readonly index: number;
}

export interface StoredHash extends Coordinates {
  readonly hash: Uint8Array;
}

/** The leaves [from, to) of a tree. */
interface Range {
  readonly from: number;
  readonly to: number;
}

/** Where inputs are put together, each gone before the next: making a new one takes as long as hashing it. */
const leafInput = new Uint8Array(4096);
const nodeInput = new Uint8Array(1 + 2 * hashBytes).fill(0x01, 0, 1);

/** SHA-256(0x00 || data). */
export function leafHash(data: Uint8Array): Uint8Array {
  return sha256(inputOfLeaf(data));
}

/** The same in lowercase hex, as entries name one another. */
export function leafHashHex(data: Uint8Array): string {
  return sha256Hex(inputOfLeaf(data));
}

function inputOfLeaf(data: Uint8Array): Uint8Array {
  const length = 1 + data.length;
  const input = length > leafInput.length ? new Uint8Array(length) : leafInput.subarray(0, length);
  input.set(data, 1);
  return input;
}

/** SHA-256(0x01 || left || right). */
export function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  if (left.length !== hashBytes || right.length !== hashBytes) {
    throw new RangeError(`node: hashes of ${left.length} and ${right.length} bytes`);
  }
  nodeInput.set(left, 1);
  nodeInput.set(right, 1 + hashBytes);
  return sha256(nodeInput);
}

/** The root of the tree without leaves: SHA-256 of nothing. */
export const emptyRoot: Uint8Array = sha256(new Uint8Array(0));

/** A size, index or level that a program of ours made up is its mistake, not refused input. */
export function checkCount(name: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new RangeError(`${name}: ${value} is not an integer from 0 to 2^53-1`);
  }
}

/** The largest power of two below `size` (RFC 6962's k), for a size of at least 2. */
export function splitPoint(size: number): number {
  let split = 1;
  while (split * 2 < size) split *= 2;
  return split;
}

/**
 * The perfect subtrees that tile the leaves [from, to), left to right, largest first. `from` must be
 * a multiple of the largest of them, as it is for every range that RFC 6962 ever splits off.
 */
export function subtreesOf({ from, to }: Range): Coordinates[] {
  const subtrees: Coordinates[] = [];
  let start = from;
  while (start < to) {
    let level = 0;
    let width = 1;
    while (width * 2 <= to - start) {
      width *= 2;
      level += 1;
    }
    if (start % width !== 0) throw new RangeError(`range: ${from} to ${to} is not aligned`);
    subtrees.push({ level, index: start / width });
    start += width;
  }
  return subtrees;
}

/** The root over the perfect subtrees of one range, left to right; at least one. */
export function rootOfSubtrees(hashes: readonly Uint8Array[]): Uint8Array {
  return hashes.reduceRight((right, left) => nodeHash(left, right));
}

/**
 * The right edge of a tree: all that is needed to append to it and to know its root. `hashes` are
 * the roots of the perfect subtrees of [0, size), left to right: one for every bit set in `size`.
 */
export interface Edge {
  readonly size: number;
  readonly hashes: readonly Uint8Array[];
}

export const emptyEdge: Edge = { size: 0, hashes: [] };

/**
 * An edge from where it was stored. Fatal('edge') when its hashes cannot belong to its size: an edge
 * is our own state, and appending to a damaged one would sign a tree that nobody can prove.
 */
export function edgeOf(size: number, hashes: readonly Uint8Array[]): Edge {
  checkCount('size', size);
  if (hashes.length !== subtreesOf({ from: 0, to: size }).length) {
    throw new Fatal('edge', `${hashes.length} hashes are not the edge of a tree of ${size}`);
  }
  if (hashes.some((hash) => hash.length !== hashBytes)) {
    throw new Fatal('edge', `a hash of the edge is not ${hashBytes} bytes long`);
  }
  return { size, hashes };
}

export function edgeRoot(edge: Edge): Uint8Array {
  return edge.hashes.length === 0 ? emptyRoot : rootOfSubtrees(edge.hashes);
}

export function appendToEdge(edge: Edge, leaf: Uint8Array): Edge {
  return growEdge(edge, [leaf]).edge;
}

/**
 * Appends leaf hashes. `completed` holds every perfect subtree that became whole, the leaves
 * themselves (level 0) included, each after the two below it: with those stored so far this is all
 * that tiles and proofs are ever made of.
 */
export function growEdge(
  edge: Edge,
  leaves: readonly Uint8Array[],
): { readonly edge: Edge; readonly completed: readonly StoredHash[] } {
  checkCount('size', edge.size + leaves.length);
  const hashes = [...edge.hashes];
  const completed: StoredHash[] = [];
  let { size } = edge;
  for (const leaf of leaves) {
    if (leaf.length !== hashBytes) {
      throw new RangeError(`leaf: a hash of ${leaf.length} bytes, not ${hashBytes}`);
    }
    let stored: StoredHash = { level: 0, index: size, hash: leaf };
    completed.push(stored);
    // An odd index is a right child whose left sibling ends the edge: together they are whole.
    while (stored.index % 2 === 1) {
      const left = hashes.pop();
      if (left === undefined) {
        throw new Fatal('edge', `the edge of a tree of ${edge.size} lacks a hash`);
      }
      stored = {
        level: stored.level + 1,
        index: (stored.index - 1) / 2,
        hash: nodeHash(left, stored.hash),
      };
      completed.push(stored);
    }
    hashes.push(stored.hash);
    size += 1;
  }
  return { edge: { size, hashes }, completed };
}

/** The root of a small tree that is in memory as a whole, such as a batch. */
export function treeRoot(leafHashes: readonly Uint8Array[]): Uint8Array {
  let row = leafHashes;
  while (row.length > 1) row = rowAbove(row);
  return row[0] ?? emptyRoot;
}

/**
 * The audit path (RFC 6962, 2.1.1) of one leaf of a small tree in memory, from the leaf upwards.
 * For a log's tree, which is not in memory, there is `proveInclusion`.
 */
export function inclusionPath(leafHashes: readonly Uint8Array[], index: number): Uint8Array[] {
  checkCount('index', index);
  if (index >= leafHashes.length) {
    throw new RangeError(`index: ${index} is not below the size ${leafHashes.length}`);
  }
  const path: Uint8Array[] = [];
  let row = leafHashes;
  let position = index;
  while (row.length > 1) {
    const sibling = row[position % 2 === 0 ? position + 1 : position - 1];
    if (sibling !== undefined) path.push(sibling);
    row = rowAbove(row);
    position = Math.floor(position / 2);
  }
  return path;
}

/** Pairs are hashed; a last one without a sibling rises as it is, which is RFC 6962's split. */
function rowAbove(row: readonly Uint8Array[]): Uint8Array[] {
  const above: Uint8Array[] = [];
  let left: Uint8Array | undefined;
  for (const hash of row) {
    if (left === undefined) left = hash;
    else {
      above.push(nodeHash(left, hash));
      left = undefined;
    }
  }
  if (left !== undefined) above.push(left);
  return above;
}
