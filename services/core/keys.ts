import { ed25519Verifier, es256Verifier, sha256 } from '#crypto';
import { ecdsaVerifier } from '#ecdsa';
import { concat, fromBase64Url, toBase64Url } from './bytes.ts';
import type { Verify } from './crypto.ts';
import { isAcceptableEd25519Key } from './crypto.ts';
import { curves, isEcdsaAlg, type EcdsaAlg } from './ecdsa.ts';
import { refusalCode, Refused } from './errors.ts';
import { canonicalBytes } from './jcs.ts';
import { bytes32, either, object, oneOf, pattern, type Infer } from './shape.ts';

/** RFC 9864 name; `EdDSA` in a header is its older name and means the same key. */
export type Alg = 'Ed25519' | 'ES256';
/** What a registered key may sign with: other people's meters have algorithms of their own. */
export type KeyAlg = Alg | EcdsaAlg;

/** Public keys as JWK (RFC 7517, RFC 8037) with exactly the members that the thumbprint covers. */
export const publicJwk = either(
  object({ crv: oneOf('Ed25519'), kty: oneOf('OKP'), x: bytes32 }),
  object({
    crv: oneOf('P-256'),
    kty: oneOf('EC'),
    x: bytes32,
    y: bytes32,
  }),
);
export type PublicJwk = Infer<typeof publicJwk>;

/**
 * Public keys of meters that sign OCMF records: `alg` names curve and hash as OCMF does, and tells such
 * a key from one that signs JWS. `parseEcdsaJwk` holds the rest to what the curve asks for.
 */
export const ecdsaJwk = object({
  alg: pattern('ECDSA-[a-z0-9]{9,14}-SHA256'),
  crv: pattern('[A-Za-z0-9-]{5,15}'),
  kty: oneOf('EC'),
  x: pattern('[A-Za-z0-9_-]{32,64}'),
  y: pattern('[A-Za-z0-9_-]{32,64}'),
});
export type EcdsaJwk = Infer<typeof ecdsaJwk>;

export interface PublicKey {
  readonly alg: KeyAlg;
  readonly jwk: PublicJwk | EcdsaJwk;
  /** RFC 7638 SHA-256 thumbprint, base64url. */
  readonly kid: string;
  /** 32 bytes (Ed25519), or 0x04 || x || y: 65 bytes for P-256. */
  readonly raw: Uint8Array;
  readonly verify: Verify;
}

/** A key of those that this system signs with itself. */
export interface OwnKey extends PublicKey {
  readonly alg: Alg;
  readonly jwk: PublicJwk;
}

/** RFC 7638: the required members in lexicographic order, which is their JCS form. */
export function thumbprintOf(jwk: PublicJwk): string {
  return toBase64Url(sha256(canonicalBytes(jwk)));
}

/**
 * Parses a public JWK. Refused('form') when it is not one, Refused('key') when no signature by it
 * could ever be accepted (not canonical, of small order).
 */
export function parsePublicJwk(value: unknown): OwnKey {
  const jwk = publicJwk.parse(value, 'jwk');
  const kid = thumbprintOf(jwk);
  if (jwk.kty === 'OKP') {
    const raw = fromBase64Url(jwk.x);
    if (!isAcceptableEd25519Key(raw)) throw new Refused('key', 'not an acceptable Ed25519 key');
    return { alg: 'Ed25519', jwk, kid, raw, verify: ed25519Verifier(raw) };
  }
  const raw = concat(Uint8Array.of(4), fromBase64Url(jwk.x), fromBase64Url(jwk.y));
  return { alg: 'ES256', jwk, kid, raw, verify: es256Verifier(raw) };
}

/** The key of a meter, whatever format it signs: by `alg`, which our own JWK do not have. */
export function parseMeterJwk(value: unknown): PublicKey {
  const isOurs = typeof value !== 'object' || value === null || !Object.hasOwn(value, 'alg');
  return isOurs ? parsePublicJwk(value) : parseEcdsaJwk(value);
}

/** Of a key that signs OCMF. Refused('form') where algorithm, curve and coordinates do not agree. */
export function parseEcdsaJwk(value: unknown): PublicKey {
  const jwk = ecdsaJwk.parse(value, 'jwk');
  const { alg, crv, kty, x, y } = jwk;
  if (!isEcdsaAlg(alg) || crv !== curves[alg].crv) {
    throw new Refused('form', `jwk: ${crv} is not a curve for ${alg}`);
  }
  const coordinates = [x, y].map((text) => coordinateOf(text, curves[alg].sizeBytes));
  const raw = concat(Uint8Array.of(4), ...coordinates);
  // RFC 7638: of an EC key these four, and no others.
  const kid = toBase64Url(sha256(canonicalBytes({ crv, kty, x, y })));
  return { alg, jwk, kid, raw, verify: ecdsaVerifier(alg, raw) };
}

function coordinateOf(text: string, sizeBytes: number): Uint8Array {
  // As wide as the curve, and in the one spelling that these bytes have.
  const bytes = text.length === Math.ceil((sizeBytes * 4) / 3) ? decoded(text) : undefined;
  if (bytes === undefined) throw new Refused('form', `jwk: not a coordinate of ${sizeBytes} bytes`);
  return bytes;
}

function decoded(text: string): Uint8Array | undefined {
  try {
    return fromBase64Url(text);
  } catch (error) {
    refusalCode(error);
    return undefined;
  }
}

/** The JWK of an uncompressed point (0x04 || x || y), as SubjectPublicKeyInfo hands it over. */
export function ecdsaJwkOf(alg: EcdsaAlg, raw: Uint8Array): EcdsaJwk {
  const { crv, sizeBytes } = curves[alg];
  const x = toBase64Url(raw.subarray(1, 1 + sizeBytes));
  return { alg, crv, kty: 'EC', x, y: toBase64Url(raw.subarray(1 + sizeBytes)) };
}

/** A key of which only the raw bytes are stated, as in a vkey. Refused as `parsePublicJwk`. */
export function publicKeyOfRaw(alg: Alg, raw: Uint8Array): OwnKey {
  return parsePublicJwk(jwkOfRaw(alg, raw));
}

/** The JWK of a raw Ed25519 public key (32 bytes) or uncompressed P-256 point (65 bytes). */
export function jwkOfRaw(alg: Alg, raw: Uint8Array): PublicJwk {
  if (alg === 'Ed25519') return { crv: 'Ed25519', kty: 'OKP', x: toBase64Url(raw) };
  const x = toBase64Url(raw.subarray(1, 33));
  return { crv: 'P-256', kty: 'EC', x, y: toBase64Url(raw.subarray(33)) };
}
