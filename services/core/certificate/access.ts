import { Refused } from '../errors.ts';
import { canonicalBytes, parseCanonical } from '../jcs.ts';
import { compactJws, parseCompactJws, verifyJws } from '../jws.ts';
import { publicKeyOfRaw, type PublicKey } from '../keys.ts';
import { instant, object, origin } from '../shape.ts';
import type { Signer } from '../signer.ts';
import { isAuditing, type Policy } from '../tlog/policy.ts';

/**
 * How an auditing witness reads what is not public, the batch files and openings of committed sites
 * (D3.2, D3.3): by a short-lived JWS under the key that it cosigns with, so that there is no second
 * secret to keep. What it signs begins differently from a cosignature, so neither passes for the other.
 */
export const accessShape = object({ aud: origin, iat: instant });

/** How far `iat` may be from the server's clock. */
export const accessFreshS = 300;
export const accessLimitBytes = 2_048;

/** What stands behind `Authorization: Bearer`; `origin` is that of the log. */
export function accessToken(signer: Signer, access: { origin: string; nowS: number }): string {
  const payload = accessShape.parse({ aud: access.origin, iat: access.nowS });
  return compactJws(signer, 'hourseal-access', canonicalBytes(payload));
}

/** The keys of those who may read it: the auditing witnesses of a policy. */
export function auditorKeys({ witnesses }: Pick<Policy, 'witnesses'>): readonly PublicKey[] {
  return witnesses.filter(isAuditing).map(({ key }) => publicKeyOfRaw('Ed25519', key.publicKey));
}

/** Throws Refused('size' | 'form' | 'audience' | 'stale' | 'key' | 'alg' | 'signature'). */
export function verifyAccess(
  token: Uint8Array,
  readers: readonly PublicKey[],
  expected: { readonly origin: string; readonly nowS: number },
): void {
  if (token.length > accessLimitBytes) throw new Refused('size', 'a token above 2,048 bytes');
  const jws = parseCompactJws(token, 'hourseal-access');
  const { aud, iat } = accessShape.parse(parseCanonical(jws.payload));
  if (aud !== expected.origin) throw new Refused('audience', `meant for ${aud}`);
  if (Math.abs(expected.nowS - iat) > accessFreshS) {
    throw new Refused('stale', `iat is more than ${accessFreshS} s from the clock here`);
  }
  const reader = readers.find(({ kid }) => kid === jws.header.kid);
  if (reader === undefined) throw new Refused('key', 'the key is not that of an auditing witness');
  verifyJws(jws, reader);
}
