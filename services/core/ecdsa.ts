import { concat, equalBytes, fromHex } from './bytes.ts';
import type { Verify } from './crypto.ts';
import { Refused } from './errors.ts';

/**
 * ECDSA with SHA-256 over the curves that OCMF lists (OCMF 1.4, table 22), for other people's meters.
 * Like `Crypto` it is there twice, `ecdsa.node.ts` on the server and `ecdsa.browser.ts` (@noble) in a
 * page; `#ecdsa` in package.json chooses. Both give the same verdict on every input, and
 * test/unit/core/ecdsa.test.ts holds them to it.
 */
export interface Ecdsa {
  /** `publicKey` is 0x04 || x || y; a signature is r || s, each as long as the order of the curve. */
  readonly ecdsaVerifier: (alg: EcdsaAlg, publicKey: Uint8Array) => Verify;
}

interface Curve {
  /** In a JWK: as registered (RFC 7518, RFC 8812), else as SEC 2 and RFC 5639 call it. */
  readonly crv: string;
  /** As OpenSSL calls it. */
  readonly openssl: string;
  /** Of a coordinate, and of r and s: of all these curves field and order are equally long. */
  readonly sizeBytes: number;
  /** Number of points (SEC 2, RFC 5639): a prime, so that there are no points of small order. */
  readonly order: bigint;
  /** DER of the curve's object identifier. */
  readonly oid: Uint8Array;
}

/** Names of the algorithms as in OCMF's `SA`. */
export const curves = {
  'ECDSA-secp192k1-SHA256': {
    crv: 'secp192k1',
    openssl: 'secp192k1',
    sizeBytes: 24,
    order: 0xfffffffffffffffffffffffe26f2fc170f69466a74defd8dn,
    oid: fromHex('06052b8104001f'),
  },
  'ECDSA-secp256k1-SHA256': {
    crv: 'secp256k1',
    openssl: 'secp256k1',
    sizeBytes: 32,
    order: 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n,
    oid: fromHex('06052b8104000a'),
  },
  'ECDSA-secp192r1-SHA256': {
    crv: 'secp192r1',
    openssl: 'prime192v1',
    sizeBytes: 24,
    order: 0xffffffffffffffffffffffff99def836146bc9b1b4d22831n,
    oid: fromHex('06082a8648ce3d030101'),
  },
  'ECDSA-secp256r1-SHA256': {
    crv: 'P-256',
    openssl: 'prime256v1',
    sizeBytes: 32,
    order: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
    oid: fromHex('06082a8648ce3d030107'),
  },
  'ECDSA-brainpool256r1-SHA256': {
    crv: 'brainpoolP256r1',
    openssl: 'brainpoolP256r1',
    sizeBytes: 32,
    order: 0xa9fb57dba1eea9bc3e660a909d838d718c397aa3b561a6f7901e0e82974856a7n,
    oid: fromHex('06092b2403030208010107'),
  },
  'ECDSA-secp384r1-SHA256': {
    crv: 'P-384',
    openssl: 'secp384r1',
    sizeBytes: 48,
    order:
      0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
    oid: fromHex('06052b81040022'),
  },
  'ECDSA-brainpool384r1-SHA256': {
    crv: 'brainpoolP384r1',
    openssl: 'brainpoolP384r1',
    sizeBytes: 48,
    order:
      0x8cb91e82a3386d280f5d6f7e50e641df152f7109ed5456b31f166e6cac0425a7cf3ab6af6b7fc3103b883202e9046565n,
    oid: fromHex('06092b240303020801010b'),
  },
} as const satisfies Readonly<Record<string, Curve>>;

export type EcdsaAlg = keyof typeof curves;
export const ecdsaAlgs = Object.keys(curves) as readonly EcdsaAlg[];

export function isEcdsaAlg(name: string): name is EcdsaAlg {
  return Object.hasOwn(curves, name);
}

/** Big-endian. */
export function integerOf(bytes: Uint8Array): bigint {
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return value;
}

/**
 * r || s of the right length, both from 1 to n-1. The higher of the two s that are good stays good:
 * meters in the field do not choose, and no message is told from another by its signature.
 */
export function isAcceptableEcdsaSignature(alg: EcdsaAlg, signature: Uint8Array): boolean {
  const { sizeBytes, order } = curves[alg];
  if (signature.length !== 2 * sizeBytes) return false;
  const [r, s] = [signature.subarray(0, sizeBytes), signature.subarray(sizeBytes)].map(integerOf);
  return r !== undefined && s !== undefined && r > 0n && r < order && s > 0n && s < order;
}

const derSequence = 0x30;
const derInteger = 0x02;

/**
 * r || s from ECDSA-Sig-Value (RFC 3279, 2.2.3): DER, but for its integers. Some meters write them all as
 * long as the order of the curve, with no zero byte before a high bit and zero bytes that DER forbids.
 * Neither r nor s is ever negative, so they are read as the numbers that were meant, from 1 byte to
 * one more than the order has. Throws Refused('form').
 */
export function parseEcdsaSignature(alg: EcdsaAlg, der: Uint8Array): Uint8Array {
  // A sequence of two integers of these curves is shorter than 128 bytes: lengths take one byte.
  const [tag, length] = der;
  if (tag !== derSequence || length === undefined || length > 127 || length !== der.length - 2) {
    throw new Refused('form', 'signature: not a DER sequence');
  }
  const r = readInteger(der, 2, curves[alg].sizeBytes);
  const s = readInteger(der, r.next, curves[alg].sizeBytes);
  if (s.next !== der.length) throw new Refused('form', 'signature: bytes after s');
  return concat(r.value, s.value);
}

function readInteger(
  der: Uint8Array,
  at: number,
  sizeBytes: number,
): { value: Uint8Array; next: number } {
  const length = der[at + 1] ?? 0;
  const next = at + 2 + length;
  if (der[at] !== derInteger || length === 0 || next > der.length) {
    throw new Refused('form', 'signature: not a DER integer');
  }
  const digits = der.subarray(at + 2, next);
  const leading = digits.length - sizeBytes;
  if (leading > 1 || (leading === 1 && digits[0] !== 0)) {
    throw new Refused('form', 'signature: an integer too long');
  }
  const significant = digits.subarray(Math.max(0, leading));
  const value = new Uint8Array(sizeBytes);
  value.set(significant, sizeBytes - significant.length);
  return { value, next };
}

const ecPublicKeyOid = fromHex('06072a8648ce3d0201');

/** SubjectPublicKeyInfo (RFC 5480) up to the point: all its lengths are below 128. */
function spkiPrefix({ oid, sizeBytes }: Curve): Uint8Array {
  const pointBytes = 1 + 2 * sizeBytes;
  const algorithm = concat(
    Uint8Array.of(derSequence, ecPublicKeyOid.length + oid.length),
    ecPublicKeyOid,
    oid,
  );
  const bits = Uint8Array.of(0x03, pointBytes + 1, 0);
  return concat(
    Uint8Array.of(derSequence, algorithm.length + bits.length + pointBytes),
    algorithm,
    bits,
  );
}

/** The public key as SubjectPublicKeyInfo, the form in which OCMF's world hands keys round. */
export function spkiOf(alg: EcdsaAlg, publicKey: Uint8Array): Uint8Array {
  return concat(spkiPrefix(curves[alg]), publicKey);
}

/**
 * The algorithm and point of a SubjectPublicKeyInfo in DER. Throws Refused('key') for another curve
 * than those above, for parameters that are not named, and for a compressed point.
 */
export function parseSpki(der: Uint8Array): { alg: EcdsaAlg; publicKey: Uint8Array } {
  for (const alg of ecdsaAlgs) {
    const prefix = spkiPrefix(curves[alg]);
    const publicKey = der.subarray(prefix.length);
    if (!equalBytes(der.subarray(0, prefix.length), prefix)) continue;
    if (publicKey.length !== 1 + 2 * curves[alg].sizeBytes || publicKey[0] !== 4) break;
    return { alg, publicKey };
  }
  throw new Refused('key', 'not the SubjectPublicKeyInfo of an uncompressed point of these curves');
}
