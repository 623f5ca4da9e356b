import { createPublicKey, getCurves, verify as verifyWith, type KeyObject } from 'node:crypto';
import type { Verify } from './crypto.ts';
import { curves, isAcceptableEcdsaSignature, spkiOf, type Ecdsa, type EcdsaAlg } from './ecdsa.ts';
import { ecdsaVerifier as verifierWithoutOpenssl } from './ecdsa.browser.ts';

/** Distributions build OpenSSL without some of these curves; a verdict must not hang on that. */
const opensslCurves: ReadonlySet<string> = new Set(getCurves());

export function ecdsaVerifier(alg: EcdsaAlg, publicKey: Uint8Array): Verify {
  if (!opensslCurves.has(curves[alg].openssl)) return verifierWithoutOpenssl(alg, publicKey);
  let key: KeyObject | 'off the curve' | undefined;
  return (message, signature) => {
    if (!isAcceptableEcdsaSignature(alg, signature)) return false;
    key ??= importKey(alg, publicKey);
    if (key === 'off the curve') return false;
    return verifyWith('sha256', message, { key, dsaEncoding: 'ieee-p1363' }, signature);
  };
}

function importKey(alg: EcdsaAlg, publicKey: Uint8Array): KeyObject | 'off the curve' {
  const { sizeBytes } = curves[alg];
  if (publicKey.length !== 1 + 2 * sizeBytes || publicKey[0] !== 4) return 'off the curve';
  const der = Buffer.from(spkiOf(alg, publicKey));
  try {
    return createPublicKey({ key: der, format: 'der', type: 'spki' });
  } catch {
    return 'off the curve'; // OpenSSL refuses such a point: no signature is good.
  }
}

({ ecdsaVerifier }) satisfies Ecdsa;
