import { leafHash, nodeHash, emptyRoot, type StoredHash } from '#core/tlog/tree.ts';
import type { HashReader } from '#core/tlog/proof.ts';
import { toHex, utf8 } from '#core/bytes.ts';

/**
 * RFC 6962, section 2.1, written down as its recursive definitions stand, to hold the project's
 * loops against. Slow, and for trees in memory alone.
 */
export interface Reference {
  readonly leaves: readonly Uint8Array[];
  readonly root: (size: number) => Uint8Array;
  readonly path: (index: number, size: number) => Uint8Array[];
  readonly proof: (from: number, to: number) => Uint8Array[];
}

/** Leaf i is the text "entry i". */
export function referenceTree(maxSize: number): Reference {
  const leaves = Array.from({ length: maxSize }, (_, i) => leafHash(utf8(`entry ${i}`)));
  const known = new Map<string, Uint8Array>();

  function mth(from: number, to: number): Uint8Array {
    const key = `${from}-${to}`;
    let hash = known.get(key);
    if (hash === undefined) {
      const middle = from + split(to - from);
      hash = to - from === 1 ? leafOf(from) : nodeHash(mth(from, middle), mth(middle, to));
      known.set(key, hash);
    }
    return hash;
  }

  function leafOf(index: number): Uint8Array {
    const leaf = leaves[index];
    if (leaf === undefined) throw new RangeError(`no leaf ${index}`);
    return leaf;
  }

  function path(index: number, from: number, to: number): Uint8Array[] {
    if (to - from === 1) return [];
    const middle = from + split(to - from);
    return index < middle
      ? [...path(index, from, middle), mth(middle, to)]
      : [...path(index, middle, to), mth(from, middle)];
  }

  function subproof(size: number, range: [number, number], whole: boolean): Uint8Array[] {
    const [from, to] = range;
    if (size === to) return whole ? [] : [mth(from, to)];
    const middle = from + split(to - from);
    return size <= middle
      ? [...subproof(size, [from, middle], whole), mth(middle, to)]
      : [...subproof(size, [middle, to], false), mth(from, middle)];
  }

  return {
    leaves,
    root: (size) => (size === 0 ? emptyRoot : mth(0, size)),
    path: (index, size) => path(index, 0, size),
    proof: (from, to) => subproof(from, [0, to], true),
  };
}

function split(size: number): number {
  let k = 1;
  while (2 * k < size) k *= 2;
  return k;
}

/** A reader over what a log has stored, which counts how often it is asked. */
export function storedReader(stored: readonly StoredHash[]): {
  readonly read: HashReader;
  readonly reads: () => number;
} {
  const hashes = new Map(stored.map(({ level, index, hash }) => [`${level},${index}`, hash]));
  let reads = 0;
  const read: HashReader = async (coordinates) => {
    reads += 1;
    return coordinates.map(({ level, index }) => {
      const hash = hashes.get(`${level},${index}`);
      if (hash === undefined) throw new Error(`hash (${level}, ${index}) is not stored`);
      return hash;
    });
  };
  return { read, reads: () => reads };
}

/** The same bytes with one bit of one byte turned. */
export function flipped(bytes: Uint8Array, bit = 0): Uint8Array {
  const copy = Uint8Array.from(bytes);
  const at = Math.floor(bit / 8);
  copy[at] = (copy[at] ?? 0) ^ (1 << (bit % 8));
  return copy;
}

/** The paths that somebody who would cheat could send instead of a true one. */
export function damagedPaths(path: readonly Uint8Array[]): Uint8Array[][] {
  const extra = leafHash(utf8('extra'));
  return [
    ...path.map((hash, i) => path.with(i, flipped(hash, (i * 37) % 256))),
    ...(path.length > 0 ? [path.slice(0, -1), path.slice(1)] : []),
    [...path, extra],
    [extra, ...path],
  ];
}

/** A path as one text: thousands of them are compared, and vitest compares texts much faster. */
export function hexOf(path: readonly Uint8Array[]): string {
  return path.map(toHex).join(' ');
}
