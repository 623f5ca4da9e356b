import { ed25519 } from '@noble/curves/ed25519.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromHex } from '#core/bytes.ts';
import * as browser from '#core/crypto.browser.ts';
import * as node from '#core/crypto.node.ts';
import { equationOf, keptEquationOf, keptKeys } from '#core/ed25519.browser.ts';
import { signerFromSeed } from '#core/signer.node.ts';

const { Point } = ed25519;
type EdwardsPoint = typeof Point.BASE;
const order = Point.Fn.ORDER;
/** Of order 8: its multiples are all points of small order. */
const torsion = Point.fromBytes(
  fromHex('c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a'),
);
const secret = 0x1234_5678_9abc_def0_1234_5678_9abc_def0_1234_5678n;

/** By noble's plain multiplication, one scalar after the other. */
function plainly(a: EdwardsPoint, s: bigint, k: bigint): EdwardsPoint {
  return Point.BASE.multiplyUnsafe(s).subtract(a.multiplyUnsafe(k));
}

/** Limbs of nothing, of one bit, and full ones, whose recoding carries into the place after the last. */
const edges = [
  0n,
  1n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 32n,
  2n ** 64n - 2n ** 32n,
  2n ** 224n - 1n,
  2n ** 224n,
  0xfff_ffff_0000_0000_ffff_ffff_0000_0000_ffff_ffff_0000_0000_ffff_ffff_0000_0000n % order,
  2n ** 252n - 1n,
  order - 2n,
  order - 1n,
];

describe('sB - kA with limbs', () => {
  const mixed = Point.BASE.multiplyUnsafe(secret).add(torsion);
  it.each([
    ['of the prime order', Point.BASE.multiplyUnsafe(secret)],
    ['of mixed order', mixed],
    ['the base point', Point.BASE],
    ['of order 8', torsion],
    ['of order 2', torsion.double().double()],
    ['of order 1', Point.ZERO],
  ])('is that without, for edge scalars and a key %s', (_name, a) => {
    const equation = equationOf(a.toBytes());
    for (const s of edges) {
      for (const k of edges) {
        expect(equation?.(s, k).toHex(), `${s} ${k}`).toBe(plainly(a, s, k).toHex());
      }
    }
  });

  it('is that without, for random scalars and keys with any part of small order', () => {
    const scalar = fc.bigInt({ min: 0n, max: order - 1n });
    const small = fc.bigInt({ min: 0n, max: 7n });
    fc.assert(
      fc.property(fc.record({ s: scalar, k: scalar, of: scalar, small }), (given) => {
        const a = Point.BASE.multiplyUnsafe(given.of).add(torsion.multiplyUnsafe(given.small));
        const found = equationOf(a.toBytes())?.(given.s, given.k);
        expect(found?.toHex()).toBe(plainly(a, given.s, given.k).toHex());
      }),
      { numRuns: 60 },
    );
  });

  it('loses nothing of a scalar above the order, which no caller has, and refuses one below 0', () => {
    const equation = equationOf(mixed.toBytes());
    for (const s of [order, order + 1n, 2n ** 256n - 1n, 2n ** 256n]) {
      expect(equation?.(s, 0n).toHex()).toBe(plainly(mixed, s % order, 0n).toHex());
    }
    expect(() => equation?.(-1n, 0n)).toThrow();
    expect(() => equation?.(0n, -1n)).toThrow();
  });

  it('has no equation for what is no point', () => {
    expect(equationOf(fromHex('02'.padEnd(64, '0')))).toBeUndefined();
  });
});

describe('the keys that are kept', () => {
  const message = fromHex('00ff');
  const people = Array.from({ length: keptKeys + 8 }, (_, i) => {
    const seed = new Uint8Array(32).fill(i + 1);
    seed[0] = i >> 8;
    return { key: ed25519.getPublicKey(seed), signature: signerFromSeed(seed).sign(message) };
  });

  it('are judged by their own equation, before and after more were used than are kept', () => {
    for (const round of [0, 1]) {
      people.forEach(({ key, signature }, i) => {
        const other = people[(i + 1 + round) % people.length]?.signature ?? signature;
        for (const [of, right] of [[signature, true] as const, [other, false] as const]) {
          expect(browser.verifyEd25519(key, message, of)).toBe(right);
          expect(node.verifyEd25519(key, message, of)).toBe(right);
        }
      });
    }
  });

  it('are the last ones used, at most so many', () => {
    const [first, second] = people.map(({ key }) => key);
    if (first === undefined || second === undefined) throw new Error('no people');
    const before = [first, second].map(keptEquationOf);
    expect([first, second].map(keptEquationOf)).toEqual(before);
    // As many others as there is room for beside one; the first is used in between, the second is not.
    for (const { key } of people.slice(2, keptKeys + 1)) {
      keptEquationOf(key);
      keptEquationOf(first);
    }
    expect(keptEquationOf(first)).toBe(before[0]);
    expect(keptEquationOf(second)).not.toBe(before[1]);
  });

  it('go by what the bytes are now, not by the array that holds them', () => {
    const [one, other] = people;
    if (one === undefined || other === undefined) throw new Error('no people');
    const key = Uint8Array.from(one.key);
    const verify = browser.ed25519Verifier(key);
    key.set(other.key);
    expect(verify(message, one.signature)).toBe(false);
    expect(browser.verifyEd25519(one.key, message, one.signature)).toBe(true);
    expect(browser.verifyEd25519(other.key, message, one.signature)).toBe(false);
    expect(browser.verifyEd25519(other.key, message, other.signature)).toBe(true);
  });

  it('stay refused when they are not on the curve', () => {
    const off = fromHex('02'.padEnd(64, '0'));
    for (const _round of [1, 2]) {
      expect(browser.verifyEd25519(off, message, new Uint8Array(64))).toBe(false);
      expect(node.verifyEd25519(off, message, new Uint8Array(64))).toBe(false);
    }
  });
});
