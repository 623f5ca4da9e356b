import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { sha256 } from '#crypto';
import { concat, fromHex, toHex, utf8 } from '#core/bytes.ts';
import { Failed, Refused } from '#core/errors.ts';
import {
  edgeAt,
  maxPathHashes,
  proveConsistency,
  proveInclusion,
  rootAt,
  verifyConsistency,
  verifyInclusion,
  type HashReader,
} from '#core/tlog/proof.ts';
import {
  edgeRoot,
  emptyEdge,
  emptyRoot,
  growEdge,
  leafHash,
  nodeHash,
  type Coordinates,
} from '#core/tlog/tree.ts';
import { damagedPaths, flipped, hexOf, referenceTree, storedReader } from './reference.ts';

interface TreeVectors {
  bytes: {
    roots: string[];
    inclusion: { index: number; size: number; path: string[] }[];
    consistency: { from: number; to: number; path: string[] }[];
  };
}
interface GoVectors {
  maxSize: number;
  rootsSha256: string;
  inclusionSha256: string;
  consistencySha256: string;
}
function vectorFile(name: string): unknown {
  return JSON.parse(readFileSync(new URL(`../../../vectors/${name}`, import.meta.url), 'utf8'));
}

/** The exhaustive tests take seconds on an idle machine and must not fail on a busy one. */
const exhaustiveLimitMs = 120_000;
const maxSize = 300;
const tree = referenceTree(maxSize);
const { read } = storedReader(growEdge(emptyEdge, tree.leaves).completed);
const anyHash = leafHash(utf8('any'));

function leaf(index: number): Uint8Array {
  return tree.leaves[index] ?? anyHash;
}

function codeOf(action: () => void): string {
  try {
    action();
  } catch (error) {
    if (error instanceof Refused) return error.code;
    throw error;
  }
  return 'accepted';
}

describe('other people’s proofs', () => {
  it('of the vectors are verified and made', async () => {
    const { roots, inclusion, consistency } = (vectorFile('trees.json') as TreeVectors).bytes;
    const leaves = Array.from({ length: 13 }, (_, i) => leafHash(Uint8Array.of(i)));
    const { read } = storedReader(growEdge(emptyEdge, leaves).completed);
    const rootOf = (size: number): Uint8Array => fromHex(roots[size] ?? '', 32);
    for (const { index, size, path } of inclusion) {
      const claim = { leafHash: leaves[index] ?? anyHash, index, size, root: rootOf(size) };
      verifyInclusion({ ...claim, path: path.map((hash) => fromHex(hash)) });
      expect((await proveInclusion({ index, size }, read)).map(toHex)).toEqual(path);
    }
    for (const { from, to, path } of consistency) {
      const sizes = { fromSize: from, fromRoot: rootOf(from), toSize: to, toRoot: rootOf(to) };
      verifyConsistency({ ...sizes, path: path.map((hash) => fromHex(hash)) });
      expect((await proveConsistency({ from, to }, read)).map(toHex)).toEqual(path);
    }
  });

  it(
    'made by Go’s sumdb/tlog at every size to 300 are byte for byte ours',
    async () => {
      const go = vectorFile('go-sumdb.json') as GoVectors;
      const roots: Uint8Array[] = [];
      const inclusion: Uint8Array[] = [];
      const consistency: Uint8Array[] = [];
      for (let size = 1; size <= go.maxSize; size++) {
        roots.push(await rootAt(size, read));
        for (let index = 0; index < size; index++) {
          const path = await proveInclusion({ index, size }, read);
          inclusion.push(Uint8Array.of(path.length), ...path);
        }
        for (let from = 1; from <= size; from++) {
          const path = await proveConsistency({ from, to: size }, read);
          consistency.push(Uint8Array.of(path.length), ...path);
        }
      }
      expect(toHex(sha256(concat(...roots)))).toBe(go.rootsSha256);
      expect(toHex(sha256(concatMany(inclusion)))).toBe(go.inclusionSha256);
      expect(toHex(sha256(concatMany(consistency)))).toBe(go.consistencySha256);
    },
    exhaustiveLimitMs,
  );
});

/** `concat` spreads its arguments; this many parts would overflow the stack. */
function concatMany(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

describe('every inclusion proof to size 100', () => {
  it(
    'is the RFC’s, is accepted, and is refused when anything in it is changed',
    async () => {
      const wrong: string[] = [];
      for (let size = 1; size <= 100; size++) {
        const root = tree.root(size);
        for (let index = 0; index < size; index++) {
          const path = await proveInclusion({ index, size }, read);
          const claim = { leafHash: leaf(index), index, size, path, root };
          const codes = [
            ...damagedPaths(path).map((damaged) => ({ path: damaged })),
            { leafHash: flipped(claim.leafHash) },
            { root: flipped(root, 255) },
            ...(index > 0 ? [{ index: index - 1 }] : []),
            ...(index < size - 1 ? [{ index: index + 1 }] : []),
          ].map((changed) => codeOf(() => verifyInclusion({ ...claim, ...changed })));
          if (hexOf(path) !== hexOf(tree.path(index, size)))
            wrong.push(`${index} of ${size}: path`);
          if (codeOf(() => verifyInclusion(claim)) !== 'accepted')
            wrong.push(`${index} of ${size}`);
          if (codes.some((code) => code !== 'inclusion'))
            wrong.push(`${index} of ${size}: changed`);
        }
      }
      expect(wrong).toEqual([]);
    },
    exhaustiveLimitMs,
  );
});

describe('every consistency proof to size 100', () => {
  it(
    'is the RFC’s, is accepted, and is refused when anything in it is changed',
    async () => {
      const wrong: string[] = [];
      for (let to = 1; to <= 100; to++) {
        for (let from = 1; from <= to; from++) {
          const path = await proveConsistency({ from, to }, read);
          const [fromRoot, toRoot] = [tree.root(from), tree.root(to)];
          const claim = { fromSize: from, fromRoot, toSize: to, toRoot, path };
          const codes = [
            ...damagedPaths(path).map((damaged) => ({ path: damaged })),
            { fromRoot: flipped(fromRoot, 9) },
            { toRoot: flipped(toRoot, 100) },
            ...(from === to ? [] : [{ fromRoot: toRoot, toRoot: fromRoot }]),
          ].map((changed) => codeOf(() => verifyConsistency({ ...claim, ...changed })));
          if (hexOf(path) !== hexOf(tree.proof(from, to))) wrong.push(`${from} to ${to}: path`);
          if (codeOf(() => verifyConsistency(claim)) !== 'accepted') wrong.push(`${from} to ${to}`);
          if (codes.some((code) => code !== 'consistency')) wrong.push(`${from} to ${to}: changed`);
        }
      }
      expect(wrong).toEqual([]);
    },
    exhaustiveLimitMs,
  );

  it('between two trees that differ in one early leaf is refused', async () => {
    const other = tree.leaves.slice(0, 100).with(3, anyHash);
    const forked = growEdge(emptyEdge, other);
    const { read: readForked } = storedReader(forked.completed);
    for (let from = 4; from < 100; from++) {
      const path = await proveConsistency({ from, to: 100 }, readForked);
      const roots = { fromRoot: tree.root(from), toRoot: edgeRoot(forked.edge) };
      const claim = { fromSize: from, toSize: 100, path, ...roots };
      expect(codeOf(() => verifyConsistency(claim))).toBe('consistency');
    }
  });
});

describe('a path and a root of one size', () => {
  it('prove nothing about a size of another depth', () => {
    for (let size = 2; size <= 64; size++) {
      const [path, root] = [tree.path(1, size), tree.root(size)];
      const included = { leafHash: leaf(1), index: 1, path, root };
      verifyInclusion({ ...included, size });
      const [fromRoot, proof] = [tree.root(1), tree.proof(1, size)];
      const grown = { fromSize: 1, fromRoot, toRoot: root, path: proof };
      verifyConsistency({ ...grown, toSize: size });
      for (const other of [size * 2, size * 1024, Math.ceil(size / 2)]) {
        if (other < 2) continue;
        expect(codeOf(() => verifyInclusion({ ...included, size: other }))).toBe('inclusion');
        expect(codeOf(() => verifyConsistency({ ...grown, toSize: other }))).toBe('consistency');
      }
    }
  });
});

describe('a path that goes on above the root', () => {
  it('is refused although a root was made to fit it', () => {
    for (let size = 1; size <= 20; size++) {
      const root = nodeHash(anyHash, tree.root(size));
      const path = [...tree.path(0, size), anyHash];
      const claim = { leafHash: leaf(0), index: 0, size, path, root };
      expect(codeOf(() => verifyInclusion(claim))).toBe('inclusion');
    }
    for (const [fromSize, toSize] of [
      [3, 4],
      [3, 7],
      [5, 9],
      [6, 8],
    ] as const) {
      const fromRoot = nodeHash(anyHash, tree.root(fromSize));
      const toRoot = nodeHash(anyHash, tree.root(toSize));
      const path = [...tree.proof(fromSize, toSize), anyHash];
      const claim = { fromSize, fromRoot, toSize, toRoot, path };
      expect(codeOf(() => verifyConsistency(claim))).toBe('consistency');
    }
  });
});

describe('the empty tree', () => {
  const toRoot = tree.root(5);
  const claim = { fromSize: 0, fromRoot: emptyRoot, toSize: 5, toRoot, path: [] };

  it('is consistent with every tree by an empty path', async () => {
    verifyConsistency(claim);
    verifyConsistency({ ...claim, toSize: 0, toRoot: emptyRoot });
    expect(await proveConsistency({ from: 0, to: 5 }, read)).toEqual([]);
    expect(await rootAt(0, read)).toEqual(emptyRoot);
  });

  it('has one root and an empty path', () => {
    expect(codeOf(() => verifyConsistency({ ...claim, fromRoot: toRoot }))).toBe('consistency');
    expect(codeOf(() => verifyConsistency({ ...claim, path: [anyHash] }))).toBe('consistency');
    const empty = { fromSize: 0, fromRoot: anyHash, toSize: 0, toRoot: anyHash, path: [] };
    expect(codeOf(() => verifyConsistency(empty))).toBe('consistency');
  });

  it('holds no leaf', () => {
    const none = { leafHash: anyHash, index: 0, size: 0, path: [], root: emptyRoot };
    expect(codeOf(() => verifyInclusion(none))).toBe('proof');
  });
});

describe('claims without a meaning', () => {
  const [path, root, toRoot] = [tree.path(2, 7), tree.root(7), tree.root(9)];
  const inclusion = { leafHash: leaf(2), index: 2, size: 7, path, root };
  const proof = tree.proof(7, 9);
  const consistency = { fromSize: 7, fromRoot: root, toSize: 9, toRoot, path: proof };

  it.each([
    { index: 7 },
    { index: -1 },
    { index: 1.5 },
    { index: NaN },
    { size: 2 },
    { size: 2 ** 53, index: 2 },
    { size: Infinity },
    { leafHash: leaf(2).subarray(1) },
    { root: concat(root, Uint8Array.of(0)) },
    { path: [...path.slice(1), new Uint8Array(33)] },
    { path: Array.from({ length: maxPathHashes + 1 }, () => anyHash) },
  ])('are refused of inclusion: %j', (changed) => {
    expect(codeOf(() => verifyInclusion(inclusion))).toBe('accepted');
    expect(codeOf(() => verifyInclusion({ ...inclusion, ...changed }))).toBe('proof');
  });

  it.each([
    { fromSize: 10 },
    { fromSize: -1 },
    { fromSize: 6.5 },
    { toSize: 2 ** 53 },
    { toSize: NaN },
    { fromRoot: new Uint8Array(0) },
    { toRoot: root.subarray(0, 31) },
    { path: [...proof.slice(1), new Uint8Array(31)] },
    { path: Array.from({ length: maxPathHashes + 1 }, () => anyHash) },
  ])('are refused of consistency: %j', (changed) => {
    expect(codeOf(() => verifyConsistency(consistency))).toBe('accepted');
    expect(codeOf(() => verifyConsistency({ ...consistency, ...changed }))).toBe('proof');
  });

  it('of any shape end in an error with a code, never in a crash', () => {
    const anyNumber = fc.oneof(fc.nat({ max: 20 }), fc.maxSafeInteger(), fc.double());
    const anyBytes = fc.oneof(
      fc.constant(anyHash),
      fc.constant(emptyRoot),
      fc.uint8Array({ maxLength: 40 }),
    );
    const anyPath = fc.array(anyBytes, { maxLength: 70 });
    const claim = fc.record({
      a: anyNumber,
      b: anyNumber,
      one: anyBytes,
      two: anyBytes,
      path: anyPath,
    });
    fc.assert(
      fc.property(claim, ({ a, b, one, two, path }) => {
        const included = codeOf(() =>
          verifyInclusion({ leafHash: one, index: a, size: b, path, root: two }),
        );
        const grown = codeOf(() =>
          verifyConsistency({ fromSize: a, fromRoot: one, toSize: b, toRoot: two, path }),
        );
        expect(['proof', 'inclusion', 'accepted']).toContain(included);
        expect(['proof', 'consistency', 'accepted']).toContain(grown);
      }),
      { numRuns: 500 },
    );
  });
});

describe('proving', () => {
  it('reads once, or not at all where no hash is needed', async () => {
    const counted = storedReader(growEdge(emptyEdge, tree.leaves).completed);
    await proveInclusion({ index: 41, size: 299 }, counted.read);
    expect(counted.reads()).toBe(1);
    await proveConsistency({ from: 41, to: 299 }, counted.read);
    expect(counted.reads()).toBe(2);
    await rootAt(299, counted.read);
    expect(counted.reads()).toBe(3);
    await proveInclusion({ index: 0, size: 1 }, counted.read);
    await proveConsistency({ from: 9, to: 9 }, counted.read);
    expect(counted.reads()).toBe(3);
  });

  it('gives back the edge that the log had at any earlier size', async () => {
    for (let size = 0; size <= maxSize; size++) {
      const { edge } = growEdge(emptyEdge, tree.leaves.slice(0, size));
      const found = await edgeAt(size, read);
      expect([found.size, hexOf(found.hashes)]).toEqual([size, hexOf(edge.hashes)]);
    }
  });

  it('is not done for what is not in the tree', async () => {
    await expect(proveInclusion({ index: 5, size: 5 }, read)).rejects.toThrow(RangeError);
    await expect(proveInclusion({ index: -1, size: 5 }, read)).rejects.toThrow(RangeError);
    await expect(proveInclusion({ index: 0, size: 2 ** 53 }, read)).rejects.toThrow(RangeError);
    await expect(proveConsistency({ from: 6, to: 5 }, read)).rejects.toThrow(RangeError);
    await expect(proveConsistency({ from: -1, to: 5 }, read)).rejects.toThrow(RangeError);
    await expect(proveConsistency({ from: 1, to: 1e300 }, read)).rejects.toThrow(RangeError);
    await expect(rootAt(0.5, read)).rejects.toThrow(RangeError);
  });

  it('fails when the reader leaves a hash out or gives something else', async () => {
    const short: HashReader = async (coordinates) => (await read(coordinates)).slice(1);
    const narrow: HashReader = async (coordinates) =>
      (await read(coordinates)).map((hash) => hash.subarray(1));
    for (const bad of [short, narrow]) {
      await expect(proveInclusion({ index: 4, size: 9 }, bad)).rejects.toThrow(Failed);
      await expect(proveConsistency({ from: 4, to: 9 }, bad)).rejects.toThrow(Failed);
      await expect(rootAt(9, bad)).rejects.toThrow(Failed);
    }
  });
});

describe('trees of up to 2^53-1 leaves', () => {
  /** A tree of equal leaves but for one, so that its hashes can be computed and not stored. */
  function sparse(special: number): HashReader {
    const equal = [leafHash(utf8('equal'))];
    function equalRoot(level: number): Uint8Array {
      const known = equal[level];
      if (known !== undefined) return known;
      const below = equalRoot(level - 1);
      return (equal[level] = nodeHash(below, below));
    }
    function hashAt({ level, index }: Coordinates): Uint8Array {
      if (Math.floor(special / 2 ** level) !== index) return equalRoot(level);
      if (level === 0) return leafHash(utf8('special'));
      const left = hashAt({ level: level - 1, index: index * 2 });
      const right = hashAt({ level: level - 1, index: index * 2 + 1 });
      return nodeHash(left, right);
    }
    return async (coordinates) => coordinates.map(hashAt);
  }
  const large = fc
    .tuple(fc.integer({ min: 1, max: 53 }), fc.maxSafeNat())
    .map(([bits, value]) => 1 + (value % (2 ** bits - 1)));

  it('prove a leaf at its own index and nowhere else', async () => {
    await fc.assert(
      fc.asyncProperty(large, fc.maxSafeNat(), fc.nat(), async (size, at, damage) => {
        const index = at % size;
        const reader = sparse(index);
        const path = await proveInclusion({ index, size }, reader);
        const root = await rootAt(size, reader);
        const claim = { leafHash: leafHash(utf8('special')), index, size, path, root };
        verifyInclusion(claim);
        const other = index > 0 ? index - 1 : index + 1;
        if (other < size) {
          expect(codeOf(() => verifyInclusion({ ...claim, index: other }))).toBe('inclusion');
        }
        const bad = damagedPaths(path);
        const damaged = bad[damage % bad.length] ?? [];
        expect(codeOf(() => verifyInclusion({ ...claim, path: damaged }))).toBe('inclusion');
      }),
      { numRuns: 150 },
    );
  });

  it('prove that they only grew', async () => {
    await fc.assert(
      fc.asyncProperty(large, fc.maxSafeNat(), fc.maxSafeNat(), async (to, a, b) => {
        const from = 1 + (a % to);
        const reader = sparse(b % to);
        const path = await proveConsistency({ from, to }, reader);
        const [fromRoot, toRoot] = [await rootAt(from, reader), await rootAt(to, reader)];
        const claim = { fromSize: from, fromRoot, toSize: to, toRoot, path };
        verifyConsistency(claim);
        for (const damaged of damagedPaths(path)) {
          expect(codeOf(() => verifyConsistency({ ...claim, path: damaged }))).toBe('consistency');
        }
      }),
      { numRuns: 150 },
    );
  });

  it('reach the very largest size', async () => {
    const size = Number.MAX_SAFE_INTEGER;
    for (const index of [0, 2 ** 31, 2 ** 32, 2 ** 52 - 1, 2 ** 52, size - 1]) {
      const reader = sparse(index);
      const path = await proveInclusion({ index, size }, reader);
      const root = await rootAt(size, reader);
      verifyInclusion({ leafHash: leafHash(utf8('special')), index, size, path, root });
      const grown = await proveConsistency({ from: index + 1, to: size }, reader);
      const fromRoot = await rootAt(index + 1, reader);
      const sizes = { fromSize: index + 1, toSize: size };
      verifyConsistency({ ...sizes, fromRoot, toRoot: root, path: grown });
    }
  });
});
