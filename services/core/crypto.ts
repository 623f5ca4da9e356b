import { fromHex } from './bytes.ts';

/**
 * What the core needs of cryptography, implemented twice: `crypto.node.ts` on the server and
 * `crypto.browser.ts` (@noble) where the code runs in a page. `#crypto` in package.json chooses.
 * Both give the same verdict on every input; test/unit/core/crypto.test.ts holds them to it.
 */
export interface Crypto {
  readonly sha256: (data: Uint8Array) => Uint8Array;
  /** `toHex(sha256(data))`. */
  readonly sha256Hex: (data: Uint8Array) => string;
  /** `publicKey` is 32 bytes, a signature 64 (R || S). RFC 8032 without cofactor, strict as D3 says. */
  readonly ed25519Verifier: (publicKey: Uint8Array) => Verify;
  /** `publicKey` is 65 bytes (0x04 || x || y), a signature 64 (r || s, big-endian, low s). */
  readonly es256Verifier: (publicKey: Uint8Array) => Verify;
}

/** True only for a good signature; never throws, whatever the bytes are. */
export type Verify = (message: Uint8Array, signature: Uint8Array) => boolean;

/** 2^255 - 19 and the order of the prime subgroup (RFC 8032, 5.1), little-endian. */
const fieldPrime = fromHex('edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f');
const groupOrder = fromHex('edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010');

/** The y-coordinates of the points whose order divides 8; the sign of x does not matter. */
const smallOrderY = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
].map((y) => fromHex(y));

/** Half the order of P-256, rounded down (FIPS 186-4, D.1.2.3), big-endian. */
const p256HalfOrder = fromHex('7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8');

function belowLittleEndian(bytes: Uint8Array, limit: Uint8Array, topMask: number): boolean {
  for (let i = 31; i >= 0; i--) {
    const byte = (bytes[i] ?? 0) & (i === 31 ? topMask : 0xff);
    const bound = limit[i] ?? 0;
    if (byte !== bound) return byte < bound;
  }
  return false;
}

/** Whether 32 bytes are a canonical encoding of a point whose order divides 8. */
export function hasSmallOrder(point: Uint8Array): boolean {
  return smallOrderY.some((y) =>
    y.every((byte, i) => byte === ((point[i] ?? 0) & (i === 31 ? 0x7f : 0xff))),
  );
}

/** A canonical encoding (y < p) of a point that is not of small order; it need not be on the curve. */
export function isAcceptableEd25519Key(publicKey: Uint8Array): boolean {
  if (publicKey.length !== 32 || !belowLittleEndian(publicKey, fieldPrime, 0x7f)) return false;
  return !hasSmallOrder(publicKey);
}

/**
 * 64 bytes with S < L, so that no second signature can be made from a first. That R is canonical
 * follows from the comparison by bytes that both implementations make.
 */
export function isAcceptableEd25519Signature(signature: Uint8Array): boolean {
  return signature.length === 64 && belowLittleEndian(signature.subarray(32), groupOrder, 0xff);
}

/** 64 bytes with s <= n/2: of the two signatures that ECDSA allows, one is refused (D3). */
export function isAcceptableEs256Signature(signature: Uint8Array): boolean {
  if (signature.length !== 64) return false;
  for (let i = 0; i < 32; i++) {
    const byte = signature[32 + i] ?? 0;
    const bound = p256HalfOrder[i] ?? 0;
    if (byte !== bound) return byte < bound;
  }
  return true;
}
