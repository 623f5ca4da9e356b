import { ecdsa, weierstrass, type ECDSA } from '@noble/curves/abstract/weierstrass.js';
import { brainpoolP256r1, brainpoolP384r1 } from '@noble/curves/misc.js';
import { p256, p384 } from '@noble/curves/nist.js';
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { sha256 } from '@noble/hashes/sha2.js';
import type { Verify } from './crypto.ts';
import { isAcceptableEcdsaSignature, type Ecdsa, type EcdsaAlg } from './ecdsa.ts';

/** SEC 2, 2.2.1 and 2.2.2: curves that @noble has no file for. */
const secp192k1 = ecdsa(
  weierstrass({
    p: 0xfffffffffffffffffffffffffffffffffffffffeffffee37n,
    n: 0xfffffffffffffffffffffffe26f2fc170f69466a74defd8dn,
    h: 1n,
    a: 0n,
    b: 3n,
    Gx: 0xdb4ff10ec057e9ae26b07d0280b7f4341da5d1b1eae06c7dn,
    Gy: 0x9b2f2f6d9c5628a7844163d015be86344082aa88d95e2f9dn,
  }),
  sha256,
);
const secp192r1 = ecdsa(
  weierstrass({
    p: 0xfffffffffffffffffffffffffffffffeffffffffffffffffn,
    n: 0xffffffffffffffffffffffff99def836146bc9b1b4d22831n,
    h: 1n,
    a: 0xfffffffffffffffffffffffffffffffefffffffffffffffcn,
    b: 0x64210519e59c80e70fa7e9ab72243049feb8deecc146b9b1n,
    Gx: 0x188da80eb03090f67cbf20eb43a18800f4ff0afd82ff1012n,
    Gy: 0x07192b95ffc8da78631011ed6b24cdd573f977a11e794811n,
  }),
  sha256,
);

const nobleCurves: Readonly<Record<EcdsaAlg, ECDSA>> = {
  'ECDSA-secp192k1-SHA256': secp192k1,
  'ECDSA-secp256k1-SHA256': secp256k1,
  'ECDSA-secp192r1-SHA256': secp192r1,
  'ECDSA-secp256r1-SHA256': p256,
  'ECDSA-brainpool256r1-SHA256': brainpoolP256r1,
  'ECDSA-secp384r1-SHA256': p384,
  'ECDSA-brainpool384r1-SHA256': brainpoolP384r1,
};

export function ecdsaVerifier(alg: EcdsaAlg, publicKey: Uint8Array): Verify {
  const curve = nobleCurves[alg];
  let isOnCurve: boolean | undefined;
  return (message, signature) => {
    if (!isAcceptableEcdsaSignature(alg, signature)) return false;
    // At the first signature, since whoever replays a log parses every key and uses few.
    isOnCurve ??= curve.utils.isValidPublicKey(publicKey, false);
    // With the digest made here: the curves of 384 bits would else hash with SHA-384.
    const options = { prehash: false, lowS: false } as const;
    return isOnCurve && curve.verify(signature, sha256(message), publicKey, options);
  };
}

({ ecdsaVerifier }) satisfies Ecdsa;
