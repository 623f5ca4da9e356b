import { Refused } from '../errors.ts';
import { canonicalBytes, parseCanonical } from '../jcs.ts';
import { verifyJws } from '../jws.ts';
import { parsePublicJwk, type PublicKey } from '../keys.ts';
import { object, origin, type Infer } from '../shape.ts';
import type { Signer } from '../signer.ts';
import { authText, parseAuth, signAction } from './entry.ts';
import { ownKeySpec } from './specs/register.ts';

/**
 * What a meter asks for that wants to be enrolled (FORMATS.md): the `spec` of a `key` entry (D3.3),
 * signed by the new key itself, one JCS object. With the signatures of the plant's account and of
 * the issuing body it is entered as it stands; until then it means nothing.
 */
export const enrolmentShape = object({ auth: authText, origin, spec: ownKeySpec });
export type Enrolment = Infer<typeof enrolmentShape> & { readonly key: PublicKey };

export const enrolmentLimitBytes = 4_096;

export function createEnrolment(
  signer: Signer,
  { origin: log, spec }: { readonly origin: string; readonly spec: Infer<typeof ownKeySpec> },
): Uint8Array {
  const auth = signAction(signer, { kind: 'key', origin: log, spec });
  return canonicalBytes(enrolmentShape.parse({ auth, origin: log, spec }));
}

/**
 * Throws Refused: 'size', 'json', 'jcs', 'form', 'key' for a form that is none, 'auth' where another
 * key than the one asked for has signed, 'signature' where its signature does not fit.
 */
export function parseEnrolment(bytes: Uint8Array): Enrolment {
  if (bytes.length > enrolmentLimitBytes) {
    throw new Refused('size', `above ${enrolmentLimitBytes} bytes`);
  }
  const parsed = enrolmentShape.parse(parseCanonical(bytes));
  const key = parsePublicJwk(parsed.spec.jwk);
  const [jws] = parseAuth({ kind: 'key', spec: parsed.spec, auth: [parsed.auth] }, parsed.origin);
  if (jws?.header.kid !== key.kid) throw new Refused('auth', 'not signed by the key itself');
  verifyJws(jws, key);
  return { ...parsed, key };
}
