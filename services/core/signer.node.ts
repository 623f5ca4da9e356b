import { createPrivateKey, createPublicKey, sign, type KeyObject } from 'node:crypto';
import { concat, fromHex, toBase64Url } from './bytes.ts';
import { isAcceptableEs256Signature } from './crypto.ts';
import { Refused } from './errors.ts';
import { parsePublicJwk, type Alg, type OwnKey } from './keys.ts';
import type { Signer } from './signer.ts';
import { p256 } from '@noble/curves/nist.js';

/** PKCS#8 of an Ed25519 seed up to the seed (RFC 8410, section 7). */
const ed25519Prefix = fromHex('302e020100300506032b657004220420');
const p256Order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/** A signer from a private key in PKCS#8 PEM. Refused('key') when it is not Ed25519 or P-256. */
export function signerFromPem(pem: string): Signer {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch (cause) {
    throw new Refused('key', 'not a private key in PKCS#8 PEM', { cause });
  }
  return signerFromKey(key);
}

/** A public key from SubjectPublicKeyInfo in PEM, as `openssl pkey -pubout` writes it. */
export function publicKeyFromPem(pem: string): OwnKey {
  let key: KeyObject;
  try {
    key = createPublicKey(pem);
  } catch (cause) {
    throw new Refused('key', 'not a public key in PEM', { cause });
  }
  return publicKeyOf(key);
}

/**
 * A signer from 32 bytes: the Ed25519 seed (RFC 8032) or the P-256 scalar. For tests and simulated
 * meters, whose keys are derived; real keys come from `signerFromPem`.
 */
export function signerFromSeed(seed: Uint8Array, alg: Alg = 'Ed25519'): Signer {
  return signerFromKey(privateKeyFromSeed(seed, alg));
}

/** The same key as PKCS#8 PEM. */
export function pemFromSeed(seed: Uint8Array, alg: Alg = 'Ed25519'): string {
  return privateKeyFromSeed(seed, alg).export({ format: 'pem', type: 'pkcs8' }).toString();
}

function privateKeyFromSeed(seed: Uint8Array, alg: Alg): KeyObject {
  if (seed.length !== 32) throw new RangeError('seed: not 32 bytes');
  if (alg === 'Ed25519') {
    const der = Buffer.from(concat(ed25519Prefix, seed));
    return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  }
  const point = p256.getPublicKey(seed, false);
  const d = toBase64Url(seed);
  const x = toBase64Url(point.subarray(1, 33));
  const y = toBase64Url(point.subarray(33));
  return createPrivateKey({
    key: { kty: 'EC', crv: 'P-256', d, x, y },
    format: 'jwk',
  });
}

/**
 * A public key that Node holds. Refused('key') where it is neither Ed25519 nor P-256: Node has no JWK form
 * for keys that are none of ours, such as DSA or brainpool curves.
 */
export function publicKeyOf(key: KeyObject): OwnKey {
  try {
    const { crv, kty, x, y } = key.export({ format: 'jwk' });
    if (crv === 'Ed25519') return parsePublicJwk({ crv, kty, x });
    if (crv === 'P-256') return parsePublicJwk({ crv, kty, x, y });
  } catch (cause) {
    throw new Refused('key', 'neither an Ed25519 nor a P-256 key', { cause });
  }
  throw new Refused('key', 'neither an Ed25519 nor a P-256 key');
}

function signerFromKey(key: KeyObject): Signer {
  const { alg, jwk, kid } = publicKeyOf(createPublicKey(key));
  if (alg === 'Ed25519') {
    return { alg, jwk, kid, sign: (message) => Uint8Array.from(sign(null, message, key)) };
  }
  const options = { key, dsaEncoding: 'ieee-p1363' } as const;
  return {
    alg,
    jwk,
    kid,
    sign: (message) => withLowS(Uint8Array.from(sign('sha256', message, options))),
  };
}

/** OpenSSL gives either of the two valid s; D3 accepts only the lower. */
function withLowS(signature: Uint8Array): Uint8Array {
  if (isAcceptableEs256Signature(signature)) return signature;
  const high = BigInt(`0x${Buffer.from(signature.subarray(32)).toString('hex')}`);
  const low = (p256Order - high).toString(16).padStart(64, '0');
  return concat(signature.subarray(0, 32), fromHex(low));
}
