import { RFC9162 } from '@transmute/rfc9162';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { leafHash } from '#core/tlog/tree.ts';
import { verifyConsistency, verifyInclusion } from '#core/tlog/proof.ts';
import type { ConsistencyClaim, InclusionClaim } from '#core/tlog/proof.ts';
import * as peers from '#support/peers/claims.ts';
import { accepts, at, maxSize } from '#support/peers/claims.ts';

/**
 * `@transmute/rfc9162` hashes every entry anew for each proof that it makes, so what it makes is
 * sampled: at every size an end of it, the other, or what lies before the root's split, in turn. What it verifies is,
 * at every size, the first and the last index and every third between, and likewise of the smaller
 * sizes (of equal ones it knows no proof); some of them once more with a bit turned. Go's sumdb,
 * which is faster, is asked at every index and for every pair (go.test.ts).
 */
/** Far above what a busy machine takes: millions of hashes, a promise for each. */
const limitMs = 600_000;
const log = peers.createPeerLog();

// For every hash it looks for `window` first and catches that there is none. A third of the time of
// these tests would go into the stack traces of those errors.
const { stackTraceLimit } = Error;
beforeAll(() => {
  Error.stackTraceLimit = 0;
});
afterAll(() => {
  Error.stackTraceLimit = stackTraceLimit;
});

const everySecond = <T>(list: readonly T[]): T[] => list.filter((_, i) => i % 2 === 0);
/** Each third of the `count` places at a size, another third at the next; its ends always. */
const isAsked = (place: number, count: number): boolean =>
  place === 0 || place === count - 1 || (place + count) % 3 === 0;
const bytesOf = (hash: Uint8Array): Uint8Array => Uint8Array.from(hash);

function sampled(size: number): number {
  let split = 1;
  while (split * 2 < size) split *= 2;
  return at([0, size - 1, split - 1], size % 3);
}

/**
 * The package leaves out step 2 of RFC 9162, 2.1.4.2: its consistency paths begin with the older root
 * also where a verifier has it already.
 */
const isSpelledOut = (fromSize: number): boolean => Number.isInteger(Math.log2(fromSize));

async function included(claim: InclusionClaim): Promise<boolean> {
  const { root, leafHash: leaf, path, index, size } = claim;
  return RFC9162.verifyInclusionProof(root, leaf, {
    log_id: '',
    tree_size: size,
    leaf_index: index,
    inclusion_path: [...path],
  });
}

async function consistent(claim: ConsistencyClaim): Promise<boolean> {
  const { fromSize, fromRoot, toSize, toRoot, path } = claim;
  return RFC9162.verifyConsistencyProof(fromRoot, toRoot, {
    log_id: '',
    tree_size_1: fromSize,
    tree_size_2: toSize,
    consistency_path: isSpelledOut(fromSize) ? [fromRoot, ...path] : [...path],
  });
}

/** The claims of which `verify` says something else than `expected`. */
async function judgedOtherwise<T extends peers.Claim>(
  claims: readonly T[],
  expected: boolean,
  verify: (claim: T) => Promise<boolean>,
): Promise<string[]> {
  const found: string[] = [];
  for (const claim of claims) {
    if ((await verify(claim)) !== expected) found.push(peers.nameOf(claim));
  }
  return found;
}

describe('@transmute/rfc9162', { timeout: limitMs }, () => {
  it('finds our root at every size, and at every fifth no other', async () => {
    for (let size = 1; size <= maxSize; size++) {
      const entries = log.entries.slice(0, size);
      const root = at(log.roots, size);
      expect(await RFC9162.verifyTree(root, entries)).toBe(true);
      if (size % 5 !== 0) continue;
      expect(await RFC9162.verifyTree(peers.bitFlipped(root, size), entries)).toBe(false);
    }
  });

  describe('inclusion', () => {
    let claims: readonly InclusionClaim[] = [];
    beforeAll(async () => {
      const all = await peers.inclusionClaims(log);
      claims = all.filter(({ index, size }) => isAsked(index, size));
    });

    it('is accepted as we prove it, at every size', async () => {
      expect(new Set(claims.map(({ size }) => size)).size).toBe(maxSize);
      expect(new Set(claims.map(({ index }) => index)).size).toBe(maxSize);
      expect(claims.length).toBeGreaterThan((maxSize * maxSize) / 6);
      expect(await judgedOtherwise(claims, true, included)).toEqual([]);
    });

    it('is refused with a bit turned', async () => {
      const damaged = everySecond(claims.map(peers.damagedInclusion));
      expect(await judgedOtherwise(damaged, false, included)).toEqual([]);
    });

    it('is accepted by us as it proves it, and refused with a bit turned', async () => {
      for (let size = 1; size <= maxSize; size++) {
        const entries = log.entries.slice(0, size);
        const root = bytesOf(await RFC9162.treeHead(entries));
        const index = sampled(size);
        const entry = at(entries, index);
        const made = await RFC9162.inclusionProof(entry, entries);
        const path = made.inclusion_path.map(bytesOf);
        const claim = { leafHash: leafHash(entry), index, size, path, root };
        expect(accepts(() => verifyInclusion(claim))).toBe(true);
        const damaged = peers.damagedInclusion(claim, size + index);
        expect(accepts(() => verifyInclusion(damaged))).toBe(false);
      }
    });
  });

  describe('consistency', () => {
    let claims: readonly ConsistencyClaim[] = [];
    beforeAll(async () => {
      const all = await peers.consistencyClaims(log);
      claims = all.filter(
        ({ fromSize, toSize }) => fromSize < toSize && isAsked(fromSize - 1, toSize - 1),
      );
    });

    it('is accepted as we prove it, to every size and from every smaller one', async () => {
      expect(new Set(claims.map(({ toSize }) => toSize)).size).toBe(maxSize - 1);
      expect(new Set(claims.map(({ fromSize }) => fromSize)).size).toBe(maxSize - 1);
      expect(claims.length).toBeGreaterThan((maxSize * maxSize) / 6);
      expect(await judgedOtherwise(claims, true, consistent)).toEqual([]);
    });

    it('is refused with a bit turned', async () => {
      const damaged = everySecond(claims.map(peers.damagedConsistency));
      expect(await judgedOtherwise(damaged, false, consistent)).toEqual([]);
    });

    it('is accepted by us as it proves it, and refused with a bit turned', async () => {
      for (let toSize = 2; toSize <= maxSize; toSize++) {
        const entries = log.entries.slice(0, toSize);
        const fromSize = sampled(toSize - 1) + 1;
        const made = (await RFC9162.PROOF(fromSize, entries)).map(bytesOf);
        const fromRoot = at(log.roots, fromSize);
        if (isSpelledOut(fromSize)) expect(made[0]).toEqual(fromRoot);
        const path = isSpelledOut(fromSize) ? made.slice(1) : made;
        const claim = { fromSize, toSize, fromRoot, toRoot: at(log.roots, toSize), path };
        expect(accepts(() => verifyConsistency(claim))).toBe(true);
        const damaged = peers.damagedConsistency(claim, toSize + fromSize);
        expect(accepts(() => verifyConsistency(damaged))).toBe(false);
      }
    });
  });
});
