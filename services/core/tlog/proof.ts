import { equalBytes } from '#core/bytes.ts';
import { Failed, Refused } from '#core/errors.ts';
import {
  checkCount,
  edgeOf,
  edgeRoot,
  emptyRoot,
  hashBytes,
  nodeHash,
  rootOfSubtrees,
  splitPoint,
  subtreesOf,
  type Coordinates,
  type Edge,
} from './tree.ts';

/** No tree of at most 2^53 - 1 leaves has a path this long; a longer one is not even hashed. */
export const maxPathHashes = 64;

/**
 * Reads stored hashes, in the order of the coordinates given. This is the only view that proofs have
 * of storage. A reader rejects when it cannot find one; it never leaves one out.
 */
export type HashReader = (coordinates: readonly Coordinates[]) => Promise<readonly Uint8Array[]>;

export interface InclusionClaim {
  readonly leafHash: Uint8Array;
  readonly index: number;
  readonly size: number;
  readonly path: readonly Uint8Array[];
  readonly root: Uint8Array;
}

export interface ConsistencyClaim {
  readonly fromSize: number;
  readonly fromRoot: Uint8Array;
  readonly toSize: number;
  readonly toRoot: Uint8Array;
  readonly path: readonly Uint8Array[];
}

/**
 * Returns only if the leaf is in the tree (RFC 9162, 2.1.3.2, the checking procedure of RFC 6962's
 * audit paths). Refused('proof') when the claim has no meaning, Refused('inclusion') when it is false.
 */
export function verifyInclusion({ leafHash, index, size, path, root }: InclusionClaim): void {
  checkForm([index, size], [leafHash, root, ...checkLength(path)]);
  if (index >= size) throw new Refused('proof', `index ${index} is not below size ${size}`);

  let hash = leafHash;
  let position = index;
  let last = size - 1;
  for (const sibling of path) {
    if (last === 0) throw new Refused('inclusion', 'the inclusion path is too long');
    if (position % 2 === 1 || position === last) {
      hash = nodeHash(sibling, hash);
      // A last node without a sibling rises unhashed to where it becomes a right child.
      while (position % 2 === 0 && position !== 0) {
        position /= 2;
        last = half(last);
      }
    } else {
      hash = nodeHash(hash, sibling);
    }
    position = half(position);
    last = half(last);
  }
  if (last !== 0) throw new Refused('inclusion', 'the inclusion path is too short');
  if (!equalBytes(hash, root)) {
    throw new Refused('inclusion', `leaf ${index} is not in the tree of size ${size} by this path`);
  }
}

/**
 * Returns only if the larger tree begins with all of the smaller one (RFC 9162, 2.1.4.2). Beyond the
 * RFC, the empty tree is consistent with every tree, and so is a tree with itself, by an empty path.
 * Refused('proof') when the claim has no meaning, Refused('consistency') when it is false.
 */
export function verifyConsistency(claim: ConsistencyClaim): void {
  const { fromSize, fromRoot, toSize, toRoot, path } = claim;
  checkForm([fromSize, toSize], [fromRoot, toRoot, ...checkLength(path)]);
  if (fromSize > toSize) throw new Refused('proof', `size ${fromSize} is above size ${toSize}`);
  for (const [size, root] of [[fromSize, fromRoot] as const, [toSize, toRoot] as const]) {
    if (size === 0 && !equalBytes(root, emptyRoot)) {
      throw new Refused('consistency', 'the root of an empty tree is SHA-256 of nothing');
    }
  }
  if (fromSize === 0 || fromSize === toSize) {
    if (path.length > 0) throw new Refused('consistency', 'the consistency path must be empty');
    if (fromSize === toSize && !equalBytes(fromRoot, toRoot)) {
      throw new Refused('consistency', `two roots for the same size ${toSize}`);
    }
    return;
  }
  const roots = rootsByPath(claim);
  if (!equalBytes(roots.from, fromRoot) || !equalBytes(roots.to, toRoot)) {
    throw new Refused(
      'consistency',
      `size ${toSize} does not extend size ${fromSize} by this path`,
    );
  }
}

/** The two roots that a path leads to, for 0 < fromSize < toSize. */
function rootsByPath({ fromSize, fromRoot, toSize, path }: ConsistencyClaim): {
  from: Uint8Array;
  to: Uint8Array;
} {
  let position = fromSize - 1;
  let last = toSize - 1;
  while (position % 2 === 1) {
    position = half(position);
    last = half(last);
  }
  // Of a perfect old tree the verifier has the root already, so the path leaves it out.
  const [first, ...rest] = position === 0 ? [fromRoot, ...path] : path;
  if (first === undefined) throw new Refused('consistency', 'the consistency path is too short');
  let from = first;
  let to = first;
  for (const sibling of rest) {
    if (last === 0) throw new Refused('consistency', 'the consistency path is too long');
    if (position % 2 === 1 || position === last) {
      from = nodeHash(sibling, from);
      to = nodeHash(sibling, to);
      while (position % 2 === 0 && position !== 0) {
        position /= 2;
        last = half(last);
      }
    } else {
      to = nodeHash(to, sibling);
    }
    position = half(position);
    last = half(last);
  }
  if (last !== 0) throw new Refused('consistency', 'the consistency path is too short');
  return { from, to };
}

/** The audit path of leaf `index` in the tree of `size` (RFC 6962, 2.1.1), by one read at most. */
export async function proveInclusion(
  { index, size }: { readonly index: number; readonly size: number },
  read: HashReader,
): Promise<Uint8Array[]> {
  checkCount('index', index);
  checkCount('size', size);
  if (index >= size) throw new RangeError(`index: ${index} is not below the size ${size}`);
  const siblings: Coordinates[][] = [];
  let from = 0;
  let to = size;
  while (to - from > 1) {
    const middle = from + splitPoint(to - from);
    if (index < middle) {
      siblings.push(subtreesOf({ from: middle, to }));
      to = middle;
    } else {
      siblings.push(subtreesOf({ from, to: middle }));
      from = middle;
    }
  }
  return readRoots(siblings.reverse(), read);
}

/**
 * The consistency path (RFC 6962, 2.1.2) between two sizes of one log, by one read at most. From
 * size 0, and from a size to itself, it is empty.
 */
export async function proveConsistency(
  sizes: { readonly from: number; readonly to: number },
  read: HashReader,
): Promise<Uint8Array[]> {
  checkCount('from', sizes.from);
  checkCount('to', sizes.to);
  if (sizes.from > sizes.to) throw new RangeError(`from: ${sizes.from} is above ${sizes.to}`);
  if (sizes.from === 0 || sizes.from === sizes.to) return [];
  const parts: Coordinates[][] = [];
  let from = 0;
  let { to } = sizes;
  while (sizes.from !== to) {
    const middle = from + splitPoint(to - from);
    if (sizes.from <= middle) {
      parts.push(subtreesOf({ from: middle, to }));
      to = middle;
    } else {
      parts.push(subtreesOf({ from, to: middle }));
      from = middle;
    }
  }
  if (from > 0) parts.push(subtreesOf({ from, to }));
  return readRoots(parts.reverse(), read);
}

/** The right edge that the log had at `size`, by one read at most. */
export async function edgeAt(size: number, read: HashReader): Promise<Edge> {
  checkCount('size', size);
  return edgeOf(size, await readAll(subtreesOf({ from: 0, to: size }), read));
}

/** The root that the log had at `size`, by one read at most. */
export async function rootAt(size: number, read: HashReader): Promise<Uint8Array> {
  return edgeRoot(await edgeAt(size, read));
}

async function readRoots(
  ranges: readonly (readonly Coordinates[])[],
  read: HashReader,
): Promise<Uint8Array[]> {
  const hashes = await readAll(ranges.flat(), read);
  let at = 0;
  return ranges.map((range) => {
    const start = at;
    at += range.length;
    return rootOfSubtrees(hashes.slice(start, at));
  });
}

async function readAll(
  coordinates: readonly Coordinates[],
  read: HashReader,
): Promise<readonly Uint8Array[]> {
  if (coordinates.length === 0) return [];
  const hashes = await read(coordinates);
  if (hashes.length !== coordinates.length || hashes.some((hash) => hash.length !== hashBytes)) {
    throw new Failed('hashes', `not the ${coordinates.length} hashes that were asked for`);
  }
  return hashes;
}

function half(value: number): number {
  return Math.floor(value / 2);
}

function checkLength(path: readonly Uint8Array[]): readonly Uint8Array[] {
  if (path.length > maxPathHashes) {
    throw new Refused('proof', `a path of ${path.length} hashes, above ${maxPathHashes}`);
  }
  return path;
}

function checkForm(counts: readonly number[], hashes: readonly Uint8Array[]): void {
  if (!counts.every((count) => Number.isSafeInteger(count) && count >= 0)) {
    throw new Refused('proof', 'a size or index is not an integer from 0 to 2^53-1');
  }
  if (hashes.some((hash) => hash.length !== hashBytes)) {
    throw new Refused('proof', `a hash is not ${hashBytes} bytes long`);
  }
}
