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

/** By way of a text: a third of the time, for each Buffer that Node makes lies outside its own heap. */
export function sha256(data: Uint8Array): Uint8Array {
  const text = hash('sha256', data, 'binary');
  const digest = new Uint8Array(32);
  for (let i = 0; i < digest.length; i++) digest[i] = text.charCodeAt(i);
  return digest;
}

export function sha256Hex(data: Uint8Array): string {
  return hash('sha256', data, 'hex');
}

export function ed25519Verifier(publicKey: Uint8Array): Verify {
  if (!isAcceptableEd25519Key(publicKey)) return never;
  // Made at the first signature: whoever replays a log parses every key, and uses few.
  let key: KeyObject | undefined;
  return (message, signature) => {
    if (!isAcceptableEd25519Signature(signature)) return false;
    key ??= importEd25519(publicKey);
    return verifyWith(null, message, key, signature);
  };
}

export function es256Verifier(publicKey: Uint8Array): Verify {
  let verify: Verify | undefined;
  return (message, signature) => {
    if (!isAcceptableEs256Signature(signature)) return false;
    verify ??= verifierByP256(importP256(publicKey));
    return verify(message, signature);
  };
}

function verifierByP256(key: KeyObject | undefined): Verify {
  if (key === undefined) return never;
  return (message, signature) =>
    verifyWith('sha256', message, { key, dsaEncoding: 'ieee-p1363' }, signature);
}

function importEd25519(publicKey: Uint8Array): KeyObject {
  const key = Buffer.from(concat(ed25519Prefix, publicKey));
  return createPublicKey({ key, format: 'der', type: 'spki' });
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

({ sha256, sha256Hex, ed25519Verifier, es256Verifier }) satisfies Crypto;
