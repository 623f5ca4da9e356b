import { brainpoolP256r1, brainpoolP384r1 } from '@noble/curves/misc.js';
import { p256, p384 } from '@noble/curves/nist.js';
import { secp256k1 } from '@noble/curves/secp256k1.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sha256 } from '#crypto';
import { concat, fromHex, toHex, utf8 } from '#core/bytes.ts';
import * as browser from '#core/ecdsa.browser.ts';
import * as node from '#core/ecdsa.node.ts';
import { curves, ecdsaAlgs, integerOf, parseEcdsaSignature } from '#core/ecdsa.ts';
import { parseSpki, spkiOf, type EcdsaAlg } from '#core/ecdsa.ts';
import { refusalCode } from '#core/errors.ts';
import { ocmfMeter, publicKeyOfSpki, publishedRecords } from '#support/ocmf.ts';

interface Signed {
  readonly alg: EcdsaAlg;
  readonly key: Uint8Array;
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
}

/** The one verdict of both implementations; that they differ is the fault these tests look for. */
function verdict({ alg, key, message, signature }: Signed): boolean {
  const verdicts = [node, browser].map((it) => it.ecdsaVerifier(alg, key)(message, signature));
  const context = `${alg} ${toHex(key)} ${toHex(message)} ${toHex(signature)}`;
  expect(verdicts[0], `node and browser differ on ${context}`).toBe(verdicts[1]);
  return verdicts[0] ?? false;
}

function bytesOf(value: bigint, length: number): Uint8Array {
  return fromHex(value.toString(16).padStart(2 * length, '0'));
}

const message = utf8('hourseal');

function signedBy(alg: EcdsaAlg, secret = 12345n): Signed {
  const meter = ocmfMeter(alg, secret);
  const signature = parseEcdsaSignature(alg, meter.sign(message));
  return { alg, key: meter.key.raw, message, signature };
}

describe.each(ecdsaAlgs)('%s', (alg) => {
  const { sizeBytes, order } = curves[alg];
  const signed = signedBy(alg);
  const [r, s] = [signed.signature.subarray(0, sizeBytes), signed.signature.subarray(sizeBytes)];

  it('verifies what OpenSSL signed, with either of the two s', () => {
    expect(verdict(signed)).toBe(true);
    const other = bytesOf(order - integerOf(s), sizeBytes);
    expect(verdict({ ...signed, signature: concat(r, other) })).toBe(true);
  });

  it('refuses other content, and flipped bits of key and signature', () => {
    expect(verdict({ ...signed, message: utf8('hoursea1') })).toBe(false);
    for (const part of ['key', 'signature'] as const) {
      for (let i = 0; i < signed[part].length; i += 7) {
        const changed = signed[part].slice();
        changed[i] = (changed[i] ?? 0) ^ (1 << (i % 8));
        expect(verdict({ ...signed, [part]: changed }), `${part} ${i}`).toBe(false);
      }
    }
  });

  it('refuses r and s that are zero, the order or above, and every other length', () => {
    const top = 2n ** BigInt(8 * sizeBytes) - 1n;
    for (const value of [0n, order, order + 1n, top]) {
      const bytes = bytesOf(value, sizeBytes);
      expect(verdict({ ...signed, signature: concat(bytes, s) })).toBe(false);
      expect(verdict({ ...signed, signature: concat(r, bytes) })).toBe(false);
    }
    for (const signature of [r, concat(r, s, Uint8Array.of(0)), concat(Uint8Array.of(0), r, s)]) {
      expect(verdict({ ...signed, signature })).toBe(false);
    }
    expect(verdict({ ...signed, signature: new Uint8Array(0) })).toBe(false);
  });

  it('has no good signature by what is no point of the curve', () => {
    const [x, y] = [signed.key.subarray(1, 1 + sizeBytes), signed.key.subarray(1 + sizeBytes)];
    const compressed = concat(Uint8Array.of(2 + ((y.at(-1) ?? 0) & 1)), x);
    const keys = [
      concat(Uint8Array.of(4), y, x),
      concat(Uint8Array.of(4), new Uint8Array(2 * sizeBytes)),
      concat(Uint8Array.of(4), new Uint8Array(2 * sizeBytes).fill(255)),
      concat(Uint8Array.of(6 + ((y.at(-1) ?? 0) & 1)), x, y),
      concat(Uint8Array.of(7), x, y),
      compressed,
      Uint8Array.of(0),
      new Uint8Array(0),
      concat(signed.key, Uint8Array.of(0)),
    ];
    for (const key of keys) expect(verdict({ ...signed, key })).toBe(false);
  });

  it('gives one verdict on random content, keys and signatures', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 80 }),
        fc.bigInt({ min: 1n, max: order - 1n }),
        fc.bigInt({ min: 1n, max: order - 1n }),
        (content, secret, forged) => {
          const meter = ocmfMeter(alg, secret);
          const signature = parseEcdsaSignature(alg, meter.sign(content));
          const good = { alg, key: meter.key.raw, message: content, signature };
          expect(verdict(good)).toBe(true);
          const bad = concat(bytesOf(forged, sizeBytes), signature.subarray(sizeBytes));
          expect(verdict({ ...good, signature: bad })).toBe(false);
        },
      ),
      { numRuns: 4 },
    );
  });

  it('is handed round as SubjectPublicKeyInfo', () => {
    const der = spkiOf(alg, signed.key);
    expect(parseSpki(der)).toEqual({ alg, publicKey: signed.key });
    expect(refusalCode(caught(() => parseSpki(der.subarray(0, -1))))).toBe('key');
    expect(refusalCode(caught(() => parseSpki(concat(der, Uint8Array.of(0)))))).toBe('key');
  });
});

describe('a point whose x is not below the order', () => {
  it.each([
    ['ECDSA-secp256r1-SHA256', p256],
    ['ECDSA-secp256k1-SHA256', secp256k1],
    ['ECDSA-brainpool256r1-SHA256', brainpoolP256r1],
    ['ECDSA-secp384r1-SHA256', p384],
    ['ECDSA-brainpool384r1-SHA256', brainpoolP384r1],
  ] as const)('counts by its rest, as r does: %s', (alg, { Point }) => {
    const { order, sizeBytes } = curves[alg];
    const nonce = pointFrom(Point, order);
    const [r, s, digest] = [nonce.x - order, 77n, integerOf(sha256(message))];
    // The key by which (r, s) is good for this message: (sR - eG) / r.
    const inverse = Point.Fn.inv(r);
    const left = nonce.multiply(Point.Fn.create(s * inverse));
    const key = left.subtract(Point.BASE.multiply(Point.Fn.create(digest * inverse)));
    const signature = concat(bytesOf(r, sizeBytes), bytesOf(s, sizeBytes));
    const signed = { alg, key: key.toBytes(false), message, signature };
    expect(verdict(signed)).toBe(true);
    expect(verdict({ ...signed, message: utf8('hoursea1') })).toBe(false);
  });
});

/** The first point of the curve whose x is above the order. */
function pointFrom(Point: typeof p256.Point, order: bigint) {
  for (let x = order + 1n; x < Point.Fp.ORDER; x++) {
    try {
      return Point.fromBytes(concat(Uint8Array.of(2), bytesOf(x, Point.Fp.BYTES)));
    } catch {
      continue; // No point has this x.
    }
  }
  throw new Error('no such point');
}

function caught(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was refused');
}

describe('a signature in DER', () => {
  const alg = 'ECDSA-secp256r1-SHA256';
  const parse = (hex: string): string => toHex(parseEcdsaSignature(alg, fromHex(hex)));
  const one = '01'.padStart(64, '0');
  const high = 'ff'.repeat(32);

  it.each([
    ['the shortest', '3006020101020101', one + one],
    ['a zero byte before a high bit', `3026022100${high}020101`, high + one],
    ['without that zero byte, as some meters write it', `30250220${high}020101`, high + one],
    ['zero, which no signature has', '3006020100020101', '00'.repeat(32) + one],
    ['integers as long as the order', `30440220${one}0220${one}`, one + one],
    ['one byte longer, if it is zero', `3026022100${one}020101`, one + one],
  ])('reads %s', (_what, hex, expected) => {
    expect(parse(hex)).toBe(expected);
  });

  it.each([
    ['nothing', ''],
    ['a tag alone', '30'],
    ['another tag', '3106020101020101'],
    ['a length too short', '3005020101020101'],
    ['a length too long', '3007020101020101'],
    ['a length in the long form', '308106020101020101'],
    ['an indefinite length', '30800201010201010000'],
    ['one integer', '3003020101'],
    ['three integers', '3009020101020101020101'],
    ['bytes after it', '300602010102010100'],
    ['an integer of no bytes', '30050200020101'],
    ['another type than an integer', '3006030101020101'],
    ['two zero bytes', `302702220000${high}020101`],
    ['an integer longer than the order', `3026022101${high}020101`],
    ['an integer that runs over the end', '3006020101020201'],
  ])('refuses %s', (_what, hex) => {
    expect(refusalCode(caught(() => parse(hex)))).toBe('form');
  });
});

describe('the keys beside published records', () => {
  it.each(publishedRecords().map(({ name, publicKey }) => [name, publicKey] as const))(
    'reads that of %s',
    (_name, hex) => {
      const { alg, raw } = publicKeyOfSpki(hex);
      expect(ecdsaAlgs).toContain(alg);
      expect(toHex(spkiOf(alg as EcdsaAlg, raw))).toBe(hex);
    },
  );
});
