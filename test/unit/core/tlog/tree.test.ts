import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { sha256 } from '#crypto';
import { compareAscii, concat, fromHex, toHex, utf8 } from '#core/bytes.ts';
import { Fatal } from '#core/errors.ts';
import {
  appendToEdge,
  edgeOf,
  edgeRoot,
  emptyEdge,
  emptyRoot,
  growEdge,
  inclusionPath,
  leafHash,
  nodeHash,
  splitPoint,
  subtreesOf,
  treeRoot,
  type Edge,
  type StoredHash,
} from '#core/tlog/tree.ts';
import { hexOf, referenceTree } from './reference.ts';

interface TreeVectors {
  bytes: { roots: string[]; inclusion: { index: number; size: number; path: string[] }[] };
  batch: {
    messages: { meter: string; kid: string; seq: number; receivedAt: number; jws: string }[];
    order: [string, string, number][];
    leafHashes: string[];
    root: string;
    firstLeafData: string;
  };
  receipt: { order: number[]; chain: string };
}
const vectors = JSON.parse(
  readFileSync(new URL('../../../vectors/trees.json', import.meta.url), 'utf8'),
) as TreeVectors;

/** Inputs and roots of the certificate-transparency reference implementation, for sizes 1 to 8. */
const ctInputs = [
  '',
  '00',
  '10',
  '2021',
  '3031',
  '40414243',
  '5051525354555657',
  '606162636465666768696a6b6c6d6e6f',
];
const ctRoots = [
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];
const oneByteLeaves = Array.from({ length: 13 }, (_, i) => leafHash(Uint8Array.of(i)));
const reference = referenceTree(300);

function lineOf({ level, index, hash }: StoredHash): string {
  return `${level} ${index} ${toHex(hash)}`;
}

describe('hashing', () => {
  it('gives the empty tree the hash of nothing', () => {
    expect(toHex(emptyRoot)).toBe(
      'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    );
    expect(treeRoot([])).toEqual(emptyRoot);
  });

  it('keeps leaves and nodes apart by their first byte', () => {
    const [left, right] = [leafHash(utf8('a')), leafHash(utf8('b'))];
    expect(leafHash(utf8('a'))).toEqual(sha256(concat(Uint8Array.of(0), utf8('a'))));
    expect(nodeHash(left, right)).toEqual(sha256(concat(Uint8Array.of(1), left, right)));
    expect(leafHash(concat(left, right))).not.toEqual(nodeHash(left, right));
  });

  it('takes nothing over from what was hashed before, long or short', () => {
    for (const length of [9_000, 4_097, 4_096, 4_095, 4_094, 1, 0, 64, 65_535, 0]) {
      const data = new Uint8Array(length).fill(length % 251);
      expect(leafHash(data)).toEqual(sha256(concat(Uint8Array.of(0), data)));
    }
  });

  it('stops at what is no hash: no stranger can bring it here', () => {
    const hash = leafHash(utf8('a'));
    expect(() => nodeHash(hash.subarray(1), hash)).toThrow(RangeError);
    expect(() => nodeHash(hash, concat(hash, hash))).toThrow(RangeError);
  });
});

describe('roots', () => {
  it('are those of the certificate-transparency reference implementation', () => {
    const leaves = ctInputs.map((input) => leafHash(fromHex(input)));
    const roots = leaves.map((_, i) => toHex(treeRoot(leaves.slice(0, i + 1))));
    expect(roots).toEqual(ctRoots);
  });

  it('are those of the vectors', () => {
    const roots = vectors.bytes.roots.map((_, n) => toHex(treeRoot(oneByteLeaves.slice(0, n))));
    expect(roots).toEqual(vectors.bytes.roots);
  });

  it('are those of the RFC at every size to 300, whether appended singly or in bulk', () => {
    let edge: Edge = emptyEdge;
    for (let size = 1; size <= 300; size++) {
      edge = appendToEdge(edge, reference.leaves[size - 1] ?? emptyRoot);
      const root = toHex(reference.root(size));
      expect(toHex(edgeRoot(edge))).toBe(root);
      expect(toHex(treeRoot(reference.leaves.slice(0, size)))).toBe(root);
    }
  });

  it('hash the batch of the vectors, sorted by meter, key and number', () => {
    const { batch } = vectors;
    const sorted = batch.messages.toSorted(
      (a, b) => compareAscii(a.meter, b.meter) || compareAscii(a.kid, b.kid) || a.seq - b.seq,
    );
    const data = sorted.map((m) => `hourseal/message/v1\n${m.receivedAt}\n${m.jws}`);
    const leaves = data.map((text) => leafHash(utf8(text)));
    expect(sorted.map((m) => [m.meter, m.kid, m.seq])).toEqual(batch.order);
    expect(data[0]).toBe(batch.firstLeafData);
    expect(leaves.map(toHex)).toEqual(batch.leafHashes);
    expect(toHex(treeRoot(leaves))).toBe(batch.root);
  });

  it('of a receipt are a chain over the signing inputs', () => {
    const [, kid] = vectors.batch.order[1] ?? [];
    const chain = vectors.receipt.order.reduce<Uint8Array>((previous, seq) => {
      const message = vectors.batch.messages.find((m) => m.seq === seq && m.kid === kid);
      const input = message?.jws.slice(0, message.jws.lastIndexOf('.')) ?? '';
      return sha256(concat(previous, sha256(utf8(input))));
    }, new Uint8Array(32));
    expect(toHex(chain)).toBe(vectors.receipt.chain);
  });
});

describe('inclusion paths in memory', () => {
  it('are those of the vectors', () => {
    for (const { index, size, path } of vectors.bytes.inclusion) {
      expect(inclusionPath(oneByteLeaves.slice(0, size), index).map(toHex)).toEqual(path);
    }
  });

  it('are those of the RFC for every index at every size to 100', () => {
    for (let size = 1; size <= 100; size++) {
      const leaves = reference.leaves.slice(0, size);
      for (let index = 0; index < size; index++) {
        expect(hexOf(inclusionPath(leaves, index))).toBe(hexOf(reference.path(index, size)));
      }
    }
  });

  it.each([-1, 3, 0.5, NaN])('do not exist for index %s of three leaves', (index) => {
    expect(() => inclusionPath(oneByteLeaves.slice(0, 3), index)).toThrow(RangeError);
  });
});

describe('the right edge', () => {
  it('grows by any portions to the same edge and the same stored hashes', () => {
    const whole = growEdge(emptyEdge, reference.leaves);
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 60 }), { maxLength: 12 }), (portions) => {
        let edge: Edge = emptyEdge;
        const completed = [];
        for (const portion of [...portions, 300]) {
          const grown = growEdge(edge, reference.leaves.slice(edge.size, edge.size + portion));
          edge = grown.edge;
          completed.push(...grown.completed);
        }
        expect(hexOf(edge.hashes)).toBe(hexOf(whole.edge.hashes));
        expect(completed.map(lineOf)).toEqual(whole.completed.map(lineOf));
      }),
      { numRuns: 40 },
    );
  });

  it('names every perfect subtree once, when its last leaf arrives', () => {
    const { completed } = growEdge(emptyEdge, reference.leaves);
    const names = completed.map(({ level, index }) => `${level},${index}`);
    const expected = [];
    for (let leaf = 0; leaf < 300; leaf++) {
      for (let level = 0; (leaf + 1) % 2 ** level === 0; level++) {
        expected.push(`${level},${(leaf + 1) / 2 ** level - 1}`);
      }
    }
    expect(names).toEqual(expected);
    for (const { level, index, hash } of completed) {
      const leaves = reference.leaves.slice(index * 2 ** level, (index + 1) * 2 ** level);
      expect(toHex(hash)).toBe(toHex(treeRoot(leaves)));
    }
  });

  it('is left as it was by appending', () => {
    const { edge } = growEdge(emptyEdge, reference.leaves.slice(0, 7));
    const before = structuredClone(edge);
    growEdge(edge, reference.leaves.slice(7, 20));
    expect(edge).toEqual(before);
    expect(emptyEdge).toEqual({ size: 0, hashes: [] });
  });

  it('appends at the largest sizes without losing an index', () => {
    const size = Number.MAX_SAFE_INTEGER - 1;
    const edge = edgeOf(
      size,
      Array.from({ length: 52 }, (_, i) => leafHash(Uint8Array.of(i))),
    );
    const { completed, edge: next } = growEdge(edge, [emptyRoot]);
    expect(completed).toEqual([{ level: 0, index: size, hash: emptyRoot }]);
    expect(next.hashes).toHaveLength(53);
    expect(() => appendToEdge(next, emptyRoot)).toThrow(RangeError);
  });

  it('is refused as fatal when its hashes cannot belong to its size', () => {
    const hash = leafHash(utf8(''));
    expect(edgeOf(3, [hash, hash])).toEqual({ size: 3, hashes: [hash, hash] });
    expect(() => edgeOf(3, [hash])).toThrow(Fatal);
    expect(() => edgeOf(4, [hash, hash])).toThrow(Fatal);
    expect(() => edgeOf(0, [hash])).toThrow(Fatal);
    expect(() => edgeOf(1, [hash.subarray(1)])).toThrow(Fatal);
    expect(() => edgeOf(2 ** 53, [hash])).toThrow(RangeError);
    expect(() => appendToEdge({ size: 3, hashes: [hash] }, hash)).toThrow(Fatal);
  });

  it('does not take what is not a hash', () => {
    expect(() => appendToEdge(emptyEdge, new Uint8Array(31))).toThrow(RangeError);
  });
});

describe('splitting', () => {
  it('is by the largest power of two below the size', () => {
    expect([2, 3, 4, 5, 8, 9].map(splitPoint)).toEqual([1, 2, 2, 4, 4, 8]);
    expect(splitPoint(2 ** 53 - 1)).toBe(2 ** 52);
    expect(splitPoint(2 ** 52)).toBe(2 ** 51);
    expect(splitPoint(2 ** 32 + 1)).toBe(2 ** 32);
  });

  it('covers any beginning of a tree exactly, one subtree for every bit of the size', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (size) => {
        const subtrees = subtreesOf({ from: 0, to: size });
        let end = 0;
        for (const { level, index } of subtrees) {
          expect(index * 2 ** level).toBe(end);
          end = (index + 1) * 2 ** level;
        }
        expect(end).toBe(size);
        expect(subtrees).toHaveLength(size.toString(2).replaceAll('0', '').length);
      }),
    );
  });

  it('does not cover a range that no tree splits off', () => {
    expect(() => subtreesOf({ from: 1, to: 3 })).toThrow(RangeError);
  });
});
