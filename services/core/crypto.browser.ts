import { ed25519 } from '@noble/curves/ed25519.js';
import { p256 } from '@noble/curves/nist.js';
import { sha256 as nobleSha256, sha512 } from '@noble/hashes/sha2.js';
import { concat, equalBytes, toHex } from './bytes.ts';
import {
  isAcceptableEd25519Key,
  isAcceptableEd25519Signature,
  isAcceptableEs256Signature,
  type Crypto,
  type Verify,
} from './crypto.ts';
import { keptEquationOf } from './ed25519.browser.ts';

const never: Verify = () => false;
const order = ed25519.Point.Fn.ORDER;

export function sha256(data: Uint8Array): Uint8Array {
  return nobleSha256(data);
}

export function sha256Hex(data: Uint8Array): string {
  return toHex(nobleSha256(data));
}

function littleEndian(bytes: Uint8Array): bigint {
  return BigInt(`0x${toHex(Uint8Array.from(bytes).reverse())}`);
}

/**
 * RFC 8032, 5.1.7, without the cofactor and with R compared by its bytes, as OpenSSL does it.
 * noble's own `verify` multiplies by the cofactor, and would accept what the server refuses.
 */
export function ed25519Verifier(publicKey: Uint8Array): Verify {
  if (!isAcceptableEd25519Key(publicKey)) return never;
  return (message, signature) => {
    if (!isAcceptableEd25519Signature(signature)) return false;
    const equation = keptEquationOf(publicKey);
    if (equation === undefined) return false; // Not on the curve: no signature is good.
    const r = signature.subarray(0, 32);
    const s = littleEndian(signature.subarray(32));
    const k = littleEndian(sha512(concat(r, publicKey, message))) % order;
    return equalBytes(equation(s, k).toBytes(), r);
  };
}

export function es256Verifier(publicKey: Uint8Array): Verify {
  if (publicKey.length !== 65 || !p256.utils.isValidPublicKey(publicKey)) return never;
  return (message, signature) => {
    if (!isAcceptableEs256Signature(signature)) return false;
    try {
      return p256.verify(signature, message, publicKey, {
        lowS: true,
        prehash: true,
      });
    } catch {
      return false; // noble throws where r or s is out of range.
    }
  };
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
