import { describe, expect, it } from 'vitest';
import { sha256 } from '#crypto';
import { decodeUtf8, utf8 } from '#core/bytes.ts';
import { refusalCode } from '#core/errors.ts';
import { signerFromSeed } from '#core/signer.node.ts';
import { cosignatureSigner, signCheckpoint } from '#core/tlog/checkpoint.ts';
import {
  accusedBy,
  boundaryAt,
  checkpointBy,
  openSignedState,
  rootsAt,
  verifyContradiction,
  type Boundary,
  type Contradiction,
} from '#core/tlog/equivocation.ts';
import { cosignatureType, ed25519Type, noteSigner, verifierKeyOf } from '#core/tlog/note.ts';
import { emptyEdge, growEdge, leafHash, treeRoot } from '#core/tlog/tree.ts';
import { storedReader } from './reference.ts';

const origin = 'log.example/one';
const maxSize = 20;

function tree(name: string, common = 0) {
  const leaves = Array.from({ length: maxSize }, (_, i) =>
    leafHash(utf8(i < common ? `entry ${i}` : `${name} ${i}`)),
  );
  const { read } = storedReader(growEdge(emptyEdge, leaves).completed);
  const roots = Array.from({ length: maxSize + 1 }, (_, size) => treeRoot(leaves.slice(0, size)));
  const root = (size: number): Uint8Array => roots[size] ?? new Uint8Array(0);
  return { read, root, at: (size: number) => ({ origin, size, root: root(size) }) };
}

const honest = tree('entry', maxSize);
const pairs = Array.from({ length: maxSize }, (_, b) =>
  Array.from({ length: b }, (_unused, a) => ({ size: a + 1, total: b + 1 })).filter(
    ({ size, total }) => size < total,
  ),
).flat();

function codeOf(contradiction: Contradiction): string {
  try {
    verifyContradiction(contradiction);
    return 'proved';
  } catch (error) {
    return refusalCode(error);
  }
}

describe('a boundary', () => {
  it('leads to the roots at both sizes, for every pair of sizes', async () => {
    expect(pairs).toHaveLength((maxSize * (maxSize - 1)) / 2);
    for (const place of pairs) {
      const { inner, outer } = rootsAt(place, await boundaryAt(place, honest.read));
      expect(inner).toEqual(honest.root(place.size));
      expect(outer).toEqual(honest.root(place.total));
    }
  });

  it('is refused with a hash too many, too few, or of another length', async () => {
    for (const place of [
      { size: 1, total: 2 },
      { size: 13, total: 20 },
      { size: 16, total: 17 },
    ]) {
      const { below, above } = await boundaryAt(place, honest.read);
      const hash = honest.root(1);
      const wrong: Boundary[] = [
        { below: [...below, hash], above },
        { below: below.slice(1), above },
        { below, above: [...above, hash] },
        { below, above: above.slice(1) },
        { below: below.map(() => hash.subarray(1)), above },
      ];
      for (const boundary of wrong) {
        expect(() => rootsAt(place, boundary)).toThrow('not the hashes');
      }
    }
  });

  it('is nowhere but inside a tree', () => {
    for (const place of [
      { size: 0, total: 3 },
      { size: 3, total: 3 },
      { size: 4, total: 3 },
      { size: 1.5, total: 3 },
    ]) {
      expect(() => rootsAt(place, { below: [], above: [] })).toThrow(RangeError);
    }
  });
});

describe('a contradiction', () => {
  it('is proved for two trees that part before the smaller ends, at every pair of sizes', async () => {
    for (const common of [0, 1, 7, 8, maxSize]) {
      const other = tree('other', common);
      for (const place of pairs) {
        const boundary = await boundaryAt(place, honest.read);
        const code = codeOf({
          first: other.at(place.size),
          second: honest.at(place.total),
          boundary,
        });
        expect([common, place, code]).toEqual([
          common,
          place,
          place.size > common ? 'proved' : 'consistent',
        ]);
      }
    }
  });

  it('is never proved for one history', async () => {
    for (const place of pairs) {
      const boundary = await boundaryAt(place, honest.read);
      const pair = { first: honest.at(place.size), second: honest.at(place.total) };
      expect(codeOf({ ...pair, boundary })).toBe('consistent');
    }
    expect(codeOf({ first: honest.at(9), second: honest.at(9) })).toBe('consistent');
  });

  it('is not made by hashes of another tree, which do not lead to the root that was signed', async () => {
    const other = tree('other', 5);
    for (const place of pairs) {
      const boundary = await boundaryAt(place, other.read);
      const pair = { first: honest.at(place.size), second: honest.at(place.total) };
      expect(codeOf({ ...pair, boundary })).toBe(place.total > 5 ? 'boundary' : 'consistent');
    }
  });

  it('needs exactly what its sizes ask for', async () => {
    const other = tree('other');
    const boundary = await boundaryAt({ size: 5, total: 9 }, honest.read);
    const [first, second] = [other.at(5), honest.at(9)];
    expect(codeOf({ first, second })).toBe('boundary');
    expect(codeOf({ first: second, second: first, boundary })).toBe('order');
    expect(codeOf({ first: other.at(6), second, boundary })).toBe('boundary');
    expect(codeOf({ first: other.at(9), second })).toBe('proved');
    expect(codeOf({ first: other.at(9), second, boundary })).toBe('boundary');
    expect(codeOf({ first: { ...first, origin: 'log.example/two' }, second, boundary })).toBe(
      'origin',
    );
    expect(codeOf({ first: { ...first, size: 0 }, second, boundary })).toBe('order');
  });
});

const signerOf = (name: string) => signerFromSeed(sha256(utf8(`equivocation test ${name}`)));
const [log, next, witness] = ['log', 'next', 'witness'].map(signerOf);
if (!log || !next || !witness) throw new Error('three signers');
const logKey = verifierKeyOf(origin, ed25519Type, log);
const nextKey = verifierKeyOf(origin, ed25519Type, next);
const witnessKey = verifierKeyOf('witness.example/one', cosignatureType, witness);
const cosign = cosignatureSigner(witnessKey.name, witness, 1_767_261_600);
const by = { logs: [logKey, nextKey], witnesses: [witnessKey] };

describe('a signed state', () => {
  it('names whose good signatures are under it', () => {
    const note = signCheckpoint(honest.at(3), [noteSigner(origin, next), cosign]);
    const state = openSignedState(note, by);
    expect([state.size, state.signers]).toEqual([3, [nextKey, witnessKey]]);
    expect(checkpointBy(nextKey, note)).toMatchObject({ size: 3 });
    expect(checkpointBy(witnessKey, note)).toMatchObject({ size: 3 });
    expect(() => checkpointBy(logKey, note)).toThrow('did not sign');
  });

  it('is refused with a bad signature by anybody known, or none by the log', () => {
    const signed = decodeUtf8(signCheckpoint(honest.at(3), [noteSigner(origin, log), cosign]));
    const lines = signed.trimEnd().split('\n');
    const last = lines.pop() ?? '';
    const forged = last.replace(/.{4}$/, (end) =>
      end === 'AAA=' ? 'AAE=' : `AAA${end.at(-1) ?? ''}`,
    );
    expect(() => openSignedState(utf8(`${[...lines, forged].join('\n')}\n`), by)).toThrow();
    const cosigned = utf8(`${[...lines.slice(0, -1), last].join('\n')}\n`);
    expect(() => openSignedState(cosigned, by)).toThrow('did not sign');
    expect(checkpointBy(witnessKey, cosigned)).toMatchObject({ size: 3 });
  });

  it('accuses with another each who signed both, and a log that changed its key in between', () => {
    const state = (signers: Parameters<typeof signCheckpoint>[1]) =>
      openSignedState(signCheckpoint(honest.at(3), signers), by);
    const old = state([noteSigner(origin, log), cosign]);
    const both = state([noteSigner(origin, log), noteSigner(origin, next)]);
    const young = state([noteSigner(origin, next), cosign]);
    expect(accusedBy(old, old)).toEqual([[logKey], [witnessKey]]);
    expect(accusedBy(old, both)).toEqual([[logKey]]);
    expect(accusedBy(old, young)).toEqual([[logKey, nextKey], [witnessKey]]);
  });
});
