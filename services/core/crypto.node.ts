import { createPublicKey, hash, verify as verifyWith, type KeyObject } from 'node:crypto';
import { concat, fromHex, toBase64Url } from './bytes.ts';
import {
  isAcceptableEd25519Key,
  isAcceptableEd25519Signature,
  isAcceptableEs256Signature,
  type Crypto,
  type Verify,
} from './crypto.ts';

const never: Verify = () => false;
/** SubjectPublicKeyInfo of an Ed25519 key up to the key itself (RFC 8410, section 4). */
const ed25519Prefix = fromHex('302a300506032b6570032100');

export function sha256(data: Uint8Array): Uint8Array {
  const digest = hash('sha256', data, 'buffer');
  return new Uint8Array(digest.buffer, digest.byteOffset, digest.byteLength);
}

export function ed25519Verifier(publicKey: Uint8Array): Verify {
  if (!isAcceptableEd25519Key(publicKey)) return never;
  const key = createPublicKey({
    key: Buffer.from(concat(ed25519Prefix, publicKey)),
    format: 'der',
    type: 'spki',
  });
  return (message, signature) =>
    isAcceptableEd25519Signature(signature) && verifyWith(null, message, key, signature);
}

export function es256Verifier(publicKey: Uint8Array): Verify {
  const key = importP256(publicKey);
  if (key === undefined) return never;
  return (message, signature) =>
    isAcceptableEs256Signature(signature) &&
    verifyWith('sha256', message, { key, dsaEncoding: 'ieee-p1363' }, signature);
}

function importP256(publicKey: Uint8Array): KeyObject | undefined {
  if (publicKey.length !== 65 || publicKey[0] !== 4) return undefined;
  const x = toBase64Url(publicKey.subarray(1, 33));
  const y = toBase64Url(publicKey.subarray(33));
  try {
    return createPublicKey({
      key: { kty: 'EC', crv: 'P-256', x, y },
      format: 'jwk',
    });
  } catch {
    return undefined; // OpenSSL refuses a point that is not on the curve: no signature is good.
  }
}

export const verifyEd25519 = (
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): boolean => ed25519Verifier(publicKey)(message, signature);

export const verifyEs256 = (
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): boolean => es256Verifier(publicKey)(message, signature);

({ sha256, ed25519Verifier, es256Verifier }) satisfies Crypto;
