import { ed25519 } from '@noble/curves/ed25519.js';
import { p256 } from '@noble/curves/nist.js';
import { sha512 } from '@noble/hashes/sha2.js';
import fc from 'fast-check';
import { crypto_sign_verify_detached } from 'sodium-native';
import { describe, expect, it } from 'vitest';
import { concat, fromHex, toHex, utf8 } from '#core/bytes.ts';
import * as browser from '#core/crypto.browser.ts';
import * as node from '#core/crypto.node.ts';
import { isAcceptableEd25519Key } from '#core/crypto.ts';
import { signerFromSeed } from '#core/signer.node.ts';
import { fastVerify, judgeOf } from '#platform/libsodium.ts';

const { Point } = ed25519;
type EdwardsPoint = typeof Point.BASE;
const order = Point.Fn.ORDER;
const prime = 2n ** 255n - 19n;
const message = utf8('hourseal');

interface Signed {
  readonly key: Uint8Array;
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
}

/** As the threads of ingestion decide, for keys that the register has taken. */
const ingestion = {
  verifyEd25519: (key: Uint8Array, text: Uint8Array, signature: Uint8Array): boolean => {
    if (!isAcceptableEd25519Key(key)) return false;
    const judge = judgeOf(signature);
    if (judge === 'openssl') return node.verifyEd25519(key, text, signature);
    return judge === 'libsodium' && crypto_sign_verify_detached(signature, text, key);
  },
};

/** As the threads of an audit decide. */
const audit = {
  verifyEd25519: (key: Uint8Array, text: Uint8Array, signature: Uint8Array): boolean => {
    const verify = fastVerify({ alg: 'Ed25519', raw: key, verify: node.ed25519Verifier(key) });
    return isAcceptableEd25519Key(key) && verify(text, signature);
  },
};

/**
 * The one verdict of all implementations; that they differ is the fault these tests look for. The
 * browser's is asked twice, since it prepares a key at its first signature and keeps it for the next.
 */
function ed25519Verdict({ key, message: text, signature }: Signed): boolean {
  const [right, ...others] = [node, browser, browser, ingestion, audit].map((it) =>
    it.verifyEd25519(key, text, signature),
  );
  const context = `${toHex(key)} ${toHex(text)} ${toHex(signature)}`;
  expect(others, `node, browser and libsodium differ on ${context}`).toEqual([
    right,
    right,
    right,
    right,
  ]);
  return right ?? false;
}

function es256Verdict({ key, message: text, signature }: Signed): boolean {
  const verdicts = [node, browser].map((it) => it.verifyEs256(key, text, signature));
  const context = `${toHex(key)} ${toHex(text)} ${toHex(signature)}`;
  expect(verdicts[0], `node and browser differ on ${context}`).toBe(verdicts[1]);
  return verdicts[0] ?? false;
}

function littleEndian(value: bigint): Uint8Array {
  return fromHex(value.toString(16).padStart(64, '0')).reverse();
}

function bigEndian(value: bigint): Uint8Array {
  return fromHex(value.toString(16).padStart(64, '0'));
}

function numberOf(bytes: Uint8Array): bigint {
  return BigInt(`0x${toHex(Uint8Array.from(bytes).reverse())}`);
}

describe('SHA-256', () => {
  it.each([
    ['', 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
    ['abc', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
    [
      'abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq',
      '248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1',
    ],
    ['a'.repeat(1_000_000), 'cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0'],
  ])('is that of FIPS 180, case %#', (text, digest) => {
    expect(toHex(node.sha256(utf8(text)))).toBe(digest);
    expect(toHex(browser.sha256(utf8(text)))).toBe(digest);
    expect(node.sha256Hex(utf8(text))).toBe(digest);
    expect(browser.sha256Hex(utf8(text))).toBe(digest);
  });

  it('gives the same on random bytes, as 32 bytes of its own', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (data) => {
        const digest = node.sha256(data);
        expect(digest).toEqual(browser.sha256(data));
        expect(digest.length).toBe(32);
      }),
    );
  });
});

describe('Ed25519, RFC 8032 section 7.1', () => {
  it.each([
    [
      '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
      'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
      '',
      'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
    ],
    [
      '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
      '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
      '72',
      '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
    ],
    [
      'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
      'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
      'af82',
      '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
    ],
    [
      '833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42',
      'ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf',
      'ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f',
      'dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704',
    ],
  ])('signs and verifies the vector of seed %s', (...vector) => {
    const [seed, key, text, signature] = vector;
    const signer = signerFromSeed(fromHex(seed));
    expect(toHex(signer.sign(fromHex(text)))).toBe(signature);
    const signed = { key: fromHex(key), message: fromHex(text), signature: fromHex(signature) };
    expect(ed25519Verdict(signed)).toBe(true);
    expect(ed25519Verdict({ ...signed, message: concat(signed.message, fromHex('00')) })).toBe(
      false,
    );
  });
});

/** "Taming the many EdDSAs" (eprint 2020/1244), its twelve edge cases: key, message, signature. */
const taming = [
  [
    'small-order A and R, S = 0',
    false,
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa',
    '8c93255d71dcab10e8f379c26200f3c7bd5f09d9bc3068d3ef4edeb4853022b6',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a0000000000000000000000000000000000000000000000000000000000000000',
  ],
  [
    'small-order A, mixed-order R',
    false,
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa',
    '9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79',
    'f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43a5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04',
  ],
  [
    'mixed-order A, small-order R',
    true,
    'f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43',
    'aebf3f2601a0c8c5d39cc7d8911642f740b78168218da8471772b35f9d35b9ab',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa8c4bd45aecaca5b24fb97bc10ac27ac8751a7dfe1baff8b953ec9f5833ca260e',
  ],
  [
    'mixed-order A and R',
    true,
    'cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d',
    '9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79',
    '9046a64750444938de19f227bb80485e92b83fdb4b6506c160484c016cc1852f87909e14428a7a1d62e9f22f3d3ad7802db02eb2e688b6c52fcd6648a98bd009',
  ],
  [
    'good with the cofactor only',
    false,
    'cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d',
    'e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c',
    '160a1cb0dc9c0258cd0a7d23e94d8fa878bcb1925f2c64246b2dee1796bed5125ec6bc982a269b723e0668e540911a9a6a58921d6925e434ab10aa7940551a09',
  ],
  [
    'good with the cofactor before reduction',
    false,
    'cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d',
    'e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c',
    '21122a84e0b5fca4052f5b1235c80a537878b38f3142356b2c2384ebad4668b7e40bc836dac0f71076f9abe3a53f9c03c1ceeeddb658d0030494ace586687405',
  ],
  [
    'S above L',
    false,
    '442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623',
    '85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40',
    'e96f66be976d82e60150baecff9906684aebb1ef181f67a7189ac78ea23b6c0e547f7690a0e2ddcd04d87dbc3490dc19b3b3052f7ff0538cb68afb369ba3a514',
  ],
  [
    'S far above L',
    false,
    '442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623',
    '85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40',
    '8ce5b96c8f26d0ab6c47958c9e68b937104cd36e13c33566acd2fe8d38aa19427e71f98a473474f2f13f06f97c20d58cc3f54b8bd0d272f42b695dd7e89a8c22',
  ],
  [
    'non-canonical R, reduced for the hash',
    false,
    'f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43',
    'fdaebc429f4a735932a160da1301080c13280eea8bc280d1b392c6b9e6ba3a5a',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f454d370c8d9fc323a41450f8d513eafeb5b0697390c1e505a0d4ddc71f566607',
  ],
  [
    'non-canonical R',
    false,
    'f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43',
    '84b698d39be126ff55fe45079e6c8bf64a0d7db6994560b4e96b7021eb39c1a1',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f084d5b99c2a9463d9c8bd5026916996984eeec87ddf1d3be329006ace1b37b09',
  ],
] as const;

/** The eight points of small order, and the encodings of them that are not canonical. */
const smallOrder = [
  '0100000000000000000000000000000000000000000000000000000000000000',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0000000000000000000000000000000000000000000000000000000000000080',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa',
];
const secondSpellings = [
  '0100000000000000000000000000000000000000000000000000000000000080', // x = 0 with a sign
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff', // x = 0 with a sign
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f', // y = p
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f', // y = p + 1
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
];

const torsion = smallOrder.map((hex) => Point.fromBytes(fromHex(hex)));
const secret = 0x1234_5678_9abc_def0_1234_5678_9abc_def0_1234_5678n;
const scalar = fc.bigInt({ min: 1n, max: order - 1n });

function hashScalar(r: Uint8Array, key: Uint8Array, text: Uint8Array): bigint {
  return numberOf(sha512(concat(r, key, text))) % order;
}

/** R = rB + T', A = aB + T, S = r + ka: good with the cofactor, and without it where T' = -kT. */
function signWithTorsion(parts: {
  readonly r: bigint;
  readonly a: bigint;
  readonly ofR: EdwardsPoint;
  readonly ofA: EdwardsPoint;
}): Signed & { readonly cofactorless: boolean } {
  const base = (n: bigint): EdwardsPoint => (n === 0n ? Point.ZERO : Point.BASE.multiplyUnsafe(n));
  const key = base(parts.a).add(parts.ofA).toBytes();
  const r = base(parts.r).add(parts.ofR).toBytes();
  const k = hashScalar(r, key, message);
  const residue = parts.ofR.add(multiple(parts.ofA, k % 8n));
  const s = littleEndian((parts.r + k * parts.a) % order);
  return {
    key,
    message,
    signature: concat(r, s),
    cofactorless: residue.equals(Point.ZERO),
  };
}

function multiple(point: EdwardsPoint, times: bigint): EdwardsPoint {
  let sum = Point.ZERO;
  for (let i = 0n; i < times; i++) sum = sum.add(point);
  return sum;
}

describe('Ed25519, edge cases', () => {
  it.each(taming)('"Taming the many EdDSAs": %s gives %s', (...vector) => {
    const [, expected, key, text, signed] = vector;
    const given = { key: fromHex(key), message: fromHex(text), signature: fromHex(signed) };
    expect(ed25519Verdict(given)).toBe(expected);
  });

  it('refuses every key of small order and every second spelling, whatever R and S', () => {
    const encodings = [...smallOrder, ...secondSpellings].map((hex) => fromHex(hex));
    for (const key of encodings) {
      expect(isAcceptableEd25519Key(key)).toBe(false);
      for (const r of encodings) {
        expect(ed25519Verdict({ key, message, signature: concat(r, littleEndian(0n)) })).toBe(
          false,
        );
      }
    }
  });

  it('refuses all keys with y from p to 2^255 - 1, with either sign', () => {
    for (let y = prime; y < 2n ** 255n; y++) {
      for (const sign of [0n, 2n ** 255n]) {
        const key = littleEndian(y + sign);
        expect(isAcceptableEd25519Key(key)).toBe(false);
        expect(ed25519Verdict({ key, message, signature: new Uint8Array(64) })).toBe(false);
      }
    }
    expect(isAcceptableEd25519Key(littleEndian(prime - 3n))).toBe(true);
  });

  it('refuses every second spelling of a small-order R that a key signed for', () => {
    const key = Point.BASE.multiplyUnsafe(secret).toBytes();
    const verdicts = [...smallOrder, ...secondSpellings].map((hex) => {
      const r = fromHex(hex);
      const s = littleEndian((hashScalar(r, key, message) * secret) % order);
      return ed25519Verdict({ key, message, signature: concat(r, s) });
    });
    // R is the identity in its canonical spelling: a valid signature with the nonce 0.
    expect(verdicts).toEqual([true, ...Array<boolean>(13).fill(false)]);
  });

  it('never multiplies by the cofactor, for keys and R with any part of small order', () => {
    const point = fc.constantFrom(...torsion);
    const good = new Set<boolean>();
    fc.assert(
      fc.property(fc.record({ r: scalar, a: scalar, ofR: point, ofA: point }), (parts) => {
        const { cofactorless, ...signed } = signWithTorsion(parts);
        expect(ed25519Verdict(signed)).toBe(cofactorless);
        good.add(cofactorless);
      }),
      // One without a part of small order is good; of the others about every eighth is.
      {
        numRuns: 80,
        examples: [[{ r: 1n, a: secret, ofR: Point.ZERO, ofA: Point.ZERO }]],
      },
    );
    expect(good.size).toBe(2);
  });

  it('takes a signature by a key of mixed order where the parts cancel out', () => {
    const [, , , , ofA = Point.ZERO] = torsion;
    let found = 0;
    for (let r = 1n; found < 4 && r < 60n; r++) {
      for (const ofR of torsion) {
        const { cofactorless, ...signed } = signWithTorsion({ r, a: secret, ofR, ofA });
        if (!cofactorless) continue;
        found++;
        expect(ed25519Verdict(signed)).toBe(true);
      }
    }
    expect(found).toBeGreaterThan(3);
  });

  it('refuses S + L, S + 2L … up to 2^256, S = L, and takes S = L - 1 only where it is right', () => {
    const signer = signerFromSeed(new Uint8Array(32).fill(7));
    const key = ed25519.getPublicKey(new Uint8Array(32).fill(7));
    const signature = signer.sign(message);
    expect(ed25519Verdict({ key, message, signature })).toBe(true);
    const r = signature.subarray(0, 32);
    for (let s = numberOf(signature.subarray(32)) + order; s < 2n ** 256n; s += order) {
      expect(ed25519Verdict({ key, message, signature: concat(r, littleEndian(s)) })).toBe(false);
    }
    for (const s of [0n, order - 1n, order, order + 1n, 2n ** 252n, 2n ** 256n - 1n]) {
      expect(ed25519Verdict({ key, message, signature: concat(r, littleEndian(s)) })).toBe(false);
    }
  });

  it('refuses a key that is not on the curve', () => {
    let off = 0;
    for (let y = 2n; off < 20; y++) {
      const key = littleEndian(y);
      if (isOnCurve(key)) continue;
      off++;
      expect(ed25519Verdict({ key, message, signature: new Uint8Array(64) })).toBe(false);
    }
  });

  it('refuses keys and signatures of a wrong length, and does not throw', () => {
    const key = ed25519.getPublicKey(new Uint8Array(32).fill(7));
    const signature = signerFromSeed(new Uint8Array(32).fill(7)).sign(message);
    for (const length of [0, 31, 32, 63, 65, 96, 128]) {
      const other = new Uint8Array(length);
      other.set(signature.subarray(0, length));
      expect(ed25519Verdict({ key, message, signature: other })).toBe(false);
    }
    for (const length of [0, 31, 33, 64]) {
      const other = new Uint8Array(length);
      other.set(key.subarray(0, length));
      expect(ed25519Verdict({ key: other, message, signature })).toBe(false);
    }
  });

  it('gives one verdict on random mutations of key, message and signature', () => {
    const seeds = fc.uint8Array({ minLength: 32, maxLength: 32 });
    const flips = fc.array(fc.nat(32 * 8 + 64 * 8 + 10 * 8 - 1), { maxLength: 3 });
    fc.assert(
      fc.property(
        seeds,
        fc.uint8Array({ minLength: 10, maxLength: 10 }),
        flips,
        (seed, text, at) => {
          const whole = concat(ed25519.getPublicKey(seed), signerFromSeed(seed).sign(text), text);
          for (const bit of at) whole[bit >> 3] = (whole[bit >> 3] ?? 0) ^ (1 << (bit & 7));
          const verdict = ed25519Verdict({
            key: whole.subarray(0, 32),
            signature: whole.subarray(32, 96),
            message: whole.subarray(96),
          });
          const odd = at.filter((bit) => at.filter((other) => other === bit).length % 2 === 1);
          expect(verdict).toBe(odd.length === 0);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('gives one verdict on a signature changed as a number or as a point, for keys seen before', () => {
    const seeds = [7, 8, 9].map((fill) => new Uint8Array(32).fill(fill));
    const negated = (point: Uint8Array): Uint8Array =>
      point.map((byte, i) => (i === 31 ? byte ^ 0x80 : byte));
    const shifted = (point: Uint8Array, by: EdwardsPoint): Uint8Array =>
      Point.fromBytes(point).add(by).toBytes();
    /** By name, for a reader of the counterexample; each gets [key, R, S]. */
    type Parts = readonly [key: Uint8Array, r: Uint8Array, s: bigint];
    const changes: Readonly<Record<string, (parts: Parts, n: bigint) => Parts>> = {
      nothing: (parts) => parts,
      'S + n': ([key, r, s], n) => [key, r, (s + n) % 2n ** 256n],
      'S + L': ([key, r, s]) => [key, r, s + order],
      '-S': ([key, r, s]) => [key, r, order - s],
      'one limb of S': ([key, r, s], n) => [key, r, s ^ (0xffff_ffffn << (32n * (n % 8n)))],
      '-R': ([key, r, s]) => [key, negated(r), s],
      '-A': ([key, r, s]) => [negated(key), r, s],
      '-R, -A, -S': ([key, r, s]) => [negated(key), negated(r), order - s],
      'R + B, S + 1': ([key, r, s]) => [key, shifted(r, Point.BASE), (s + 1n) % order],
      'R + T': ([key, r, s], n) => [key, shifted(r, torsion[Number(n % 8n)] ?? Point.ZERO), s],
      'A + T': ([key, r, s], n) => [shifted(key, torsion[Number(n % 8n)] ?? Point.ZERO), r, s],
      'R for A': ([key, r, s]) => [r, key, s],
    };
    const names = fc.constantFrom(...Object.keys(changes));
    const numbers = fc.bigInt({ min: 0n, max: order - 1n });
    const texts = fc.uint8Array({ maxLength: 200 });
    const runs = fc.record({
      seed: fc.constantFrom(...seeds),
      text: texts,
      name: names,
      n: numbers,
    });
    const good = new Set<boolean>();
    fc.assert(
      fc.property(runs, ({ seed, text, name, n }) => {
        const whole = signerFromSeed(seed).sign(text);
        const right: Parts = [
          ed25519.getPublicKey(seed),
          whole.subarray(0, 32),
          numberOf(whole.subarray(32)),
        ];
        const [key, r, s] = changes[name]?.(right, n) ?? right;
        good.add(ed25519Verdict({ key, message: text, signature: concat(r, littleEndian(s)) }));
      }),
      { numRuns: 150 },
    );
    expect(good.size).toBe(2);
  });
});

function isOnCurve(key: Uint8Array): boolean {
  try {
    Point.fromBytes(key);
    return true;
  } catch {
    return false;
  }
}

describe('ES256', () => {
  const n = p256.Point.Fn.ORDER;
  const fieldPrime = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n;
  const seed = new Uint8Array(32).fill(9);
  const key = p256.getPublicKey(seed, false);
  const signature = signerFromSeed(seed, 'ES256').sign(message);
  const r = signature.subarray(0, 32);
  const s = BigInt(`0x${toHex(signature.subarray(32))}`);

  it('verifies the vector of RFC 6979 A.2.5, with its s made low', () => {
    const point = fromHex(
      '0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb67903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299',
    );
    const ofSample = fromHex('efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716');
    const high = 0xf7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8n;
    const sample = { key: point, message: utf8('sample') };
    const low = concat(ofSample, bigEndian(n - high));
    expect(es256Verdict({ ...sample, signature: low })).toBe(true);
    expect(es256Verdict({ ...sample, signature: concat(ofSample, bigEndian(high)) })).toBe(false);
  });

  it('takes low s alone', () => {
    expect(es256Verdict({ key, message, signature })).toBe(true);
    expect(es256Verdict({ key, message, signature: concat(r, bigEndian(n - s)) })).toBe(false);
  });

  it.each([
    ['r = 0', 0n, 1n],
    ['s = 0', 1n, 0n],
    ['both 0', 0n, 0n],
    ['r = n', n, 1n],
    ['r = n + 1', n + 1n, 1n],
    ['r = p', fieldPrime, 1n],
    ['r = 2^256 - 1', 2n ** 256n - 1n, 1n],
    ['s = n', 1n, n],
    ['s = 2^256 - 1', 1n, 2n ** 256n - 1n],
    ['s = (n + 1)/2', 1n, (n + 1n) / 2n],
    ['s = (n - 1)/2', 1n, (n - 1n) / 2n],
  ])('refuses %s', (_name, badR, badS) => {
    const bad = concat(bigEndian(badR), bigEndian(badS));
    expect(es256Verdict({ key, message, signature: bad })).toBe(false);
  });

  it('draws the line between low and high s where the design does, at n/2', () => {
    // Given r, s and k the key that fits is Q = (sR - zB)/r, so that any s can be tried.
    const z = BigInt(`0x${toHex(node.sha256(message))}`) % n;
    const nonce = p256.Point.BASE.multiply(secret);
    const x = nonce.toAffine().x % n;
    const verdicts = [(n - 1n) / 2n, (n + 1n) / 2n, 1n, n - 1n].map((tried) => {
      const rest = nonce.multiply(tried).subtract(p256.Point.BASE.multiply(z));
      const fitting = rest.multiply(p256.Point.Fn.inv(x)).toBytes(false);
      const made = concat(bigEndian(x), bigEndian(tried));
      return es256Verdict({ key: fitting, message, signature: made });
    });
    expect(verdicts).toEqual([true, false, true, false]);
  });

  it('refuses keys that are not on the curve, compressed, or beyond the field', () => {
    const flipped = Uint8Array.from(key);
    flipped[64] = (flipped[64] ?? 0) ^ 1;
    const swapped = concat(Uint8Array.of(4), key.subarray(33), key.subarray(1, 33));
    const zero = concat(Uint8Array.of(4), new Uint8Array(64));
    const hybrid = concat(Uint8Array.of(6 + ((key[64] ?? 0) & 1)), key.subarray(1));
    const compressed = p256.getPublicKey(seed, true);
    const infinity = new Uint8Array(65);
    for (const bad of [flipped, swapped, zero, hybrid, compressed, infinity, new Uint8Array(0)]) {
      expect(es256Verdict({ key: bad, message, signature })).toBe(false);
    }
  });

  it('refuses the second spelling of a coordinate that still fits into 32 bytes', () => {
    // (x, y) with x < 2^256 - p has the second spelling x + p. Nobody knows the secret of such a key.
    const { Fp } = p256.Point;
    const b = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn;
    let tried = 0;
    for (let x = 5n; tried < 5; x++) {
      const square = Fp.create(x ** 3n - 3n * x + b);
      if (Fp.pow(square, (fieldPrime - 1n) / 2n) !== 1n) continue;
      tried++;
      const y = bigEndian(Fp.sqrt(square));
      const spellings = [x, x + fieldPrime].map((of) => concat(Uint8Array.of(4), bigEndian(of), y));
      expect(spellings.map((of) => p256.utils.isValidPublicKey(of, false))).toEqual([true, false]);
      for (const of of spellings) expect(es256Verdict({ key: of, message, signature })).toBe(false);
    }
  });

  it('refuses signatures of a wrong length and in DER, and does not throw', () => {
    const der = p256.Signature.fromBytes(signature, 'compact').toBytes('der');
    for (const bad of [new Uint8Array(0), signature.subarray(1), concat(signature, r), der]) {
      expect(es256Verdict({ key, message, signature: bad })).toBe(false);
    }
  });

  it('gives one verdict on random mutations of key, message and signature', () => {
    const flips = fc.array(fc.nat(65 * 8 + 64 * 8 + 10 * 8 - 1), { maxLength: 2 });
    const texts = fc.uint8Array({ minLength: 10, maxLength: 10 });
    fc.assert(
      fc.property(texts, flips, (text, at) => {
        const whole = concat(key, signerFromSeed(seed, 'ES256').sign(text), text);
        for (const bit of at) whole[bit >> 3] = (whole[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        const verdict = es256Verdict({
          key: whole.subarray(0, 65),
          signature: whole.subarray(65, 129),
          message: whole.subarray(129),
        });
        const odd = at.filter((bit) => at.filter((other) => other === bit).length % 2 === 1);
        expect(verdict).toBe(odd.length === 0);
      }),
      { numRuns: 40 },
    );
  });

  it('gives one verdict on random r and s', () => {
    const edge = fc.oneof(
      fc.bigInt({ min: 0n, max: 2n ** 256n - 1n }),
      fc.constantFrom(0n, 1n, n / 2n, n / 2n + 1n, n - 1n, n, fieldPrime, 2n ** 256n - 1n),
    );
    fc.assert(
      fc.property(edge, edge, (first, second) => {
        const made = concat(bigEndian(first), bigEndian(second));
        expect(es256Verdict({ key, message, signature: made })).toBe(false);
      }),
      { numRuns: 80 },
    );
  });
});
