import { ed25519Verifier, es256Verifier, sha256 } from '#crypto';
import { concat, fromBase64Url, toBase64Url } from './bytes.ts';
import type { Verify } from './crypto.ts';
import { isAcceptableEd25519Key } from './crypto.ts';
import { Refused } from './errors.ts';
import { canonicalBytes } from './jcs.ts';
import { bytes32, either, object, oneOf, type Infer } from './shape.ts';

/** RFC 9864 name; `EdDSA` in a header is its older name and means the same key. */
export type Alg = 'Ed25519' | 'ES256';

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

export interface PublicKey {
  readonly alg: Alg;
  readonly jwk: PublicJwk;
  /** RFC 7638 SHA-256 thumbprint, base64url. */
  readonly kid: string;
  /** 32 bytes (Ed25519) or 65 bytes (P-256, uncompressed). */
  readonly raw: Uint8Array;
  readonly verify: Verify;
}

/** RFC 7638: the required members in lexicographic order, which is their JCS form. */
export function thumbprintOf(jwk: PublicJwk): string {
  return toBase64Url(sha256(canonicalBytes(jwk)));
}

/**
 * Parses a public JWK. Refused('form') when it is not one, Refused('key') when no signature by it
 * could ever be accepted (not canonical, of small order).
 */
export function parsePublicJwk(value: unknown): PublicKey {
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

/** The JWK of a raw Ed25519 public key (32 bytes) or uncompressed P-256 point (65 bytes). */
export function jwkOfRaw(alg: Alg, raw: Uint8Array): PublicJwk {
  if (alg === 'Ed25519') return { crv: 'Ed25519', kty: 'OKP', x: toBase64Url(raw) };
  const x = toBase64Url(raw.subarray(1, 33));
  return { crv: 'P-256', kty: 'EC', x, y: toBase64Url(raw.subarray(33)) };
}
