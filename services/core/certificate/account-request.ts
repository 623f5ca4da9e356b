import { sha256Hex } from '#crypto';
import { concat, fromHex, utf8 } from '../bytes.ts';
import { Refused } from '../errors.ts';
import { canonicalBytes, parseCanonical } from '../jcs.ts';
import { verifyJws } from '../jws.ts';
import { parsePublicJwk } from '../keys.ts';
import { object, pattern, text, type Infer } from '../shape.ts';
import { parseAuth } from './entry.ts';
import { specAs } from './kinds.ts';
import { checkedAction, signedActionShape } from './signed-action.ts';

/**
 * What somebody hands to an operator who wants an account (FORMATS.md): the `account` action that the
 * new key has signed, and the legal identity behind the salted hash in it, which stays off the log.
 */
export const accountRequestShape = object({
  action: signedActionShape,
  identity: text(512),
  salt: pattern('[0-9a-f]{32}'),
});
export type AccountRequest = Infer<typeof accountRequestShape>;

export const accountRequestLimitBytes = 16_384;

/** The `identity` of an `account` entry: hex of SHA-256(salt || identity in UTF-8). */
export function identityHash({
  salt,
  identity,
}: Pick<AccountRequest, 'salt' | 'identity'>): string {
  return sha256Hex(concat(fromHex(salt, identitySaltBytes), utf8(identity)));
}

export const identitySaltBytes = 16;

/**
 * Throws Refused: 'size', 'utf8', 'json', 'jcs', 'form', 'kind', 'base64url', 'key', 'auth' where it is
 * not signed by the new key, 'signature', 'identity' where the hash is of something else.
 */
export function parseAccountRequest(bytes: Uint8Array): AccountRequest {
  if (bytes.length > accountRequestLimitBytes) {
    throw new Refused('size', `above ${accountRequestLimitBytes} bytes`);
  }
  const request = accountRequestShape.parse(parseCanonical(bytes));
  const action = checkedAction(request.action);
  if (action.kind !== 'account') throw new Refused('kind', `an action of kind ${action.kind}`);
  const spec = specAs('account', action.spec);
  const key = parsePublicJwk(spec.jwk);
  const own = parseAuth(action, action.origin).find(({ header }) => header.kid === key.kid);
  if (own === undefined) throw new Refused('auth', 'not signed by the new key itself');
  verifyJws(own, key);
  if (spec.identity !== identityHash(request)) {
    throw new Refused('identity', 'the hash in the action is not that of the identity');
  }
  return request;
}

export function encodeAccountRequest(request: AccountRequest): Uint8Array {
  const bytes = canonicalBytes(request);
  parseAccountRequest(bytes);
  return bytes;
}
