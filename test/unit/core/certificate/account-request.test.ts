import { describe, expect, test } from 'vitest';
import { decodeUtf8, utf8 } from '#core/bytes.ts';
import {
  accountRequestLimitBytes,
  encodeAccountRequest,
  identityHash,
  parseAccountRequest,
} from '#core/certificate/account-request.ts';
import { signAction } from '#core/certificate/entry.ts';
import { refusalCode } from '#core/errors.ts';
import { canonicalBytes } from '#core/jcs.ts';
import { examples } from '#support/formats-examples.ts';
import { formatsPage } from '#support/formats-page.ts';
import { testSigner } from '#support/register.ts';

const text = (examples(formatsPage).get('account-request') ?? '').slice(0, -1);
const good = utf8(text);
const request = parseAccountRequest(good);
const { action, identity, salt } = request;

const made = (members: object): Uint8Array => canonicalBytes({ ...request, ...members });
const acted = (members: object): Uint8Array => made({ action: { ...action, ...members } });
const other = testSigner('somebody else');

describe('a request for an account', () => {
  test('is read as it was made', () => {
    expect(decodeUtf8(encodeAccountRequest(request))).toBe(text);
    expect(action.spec).toMatchObject({ identity: identityHash({ identity, salt }) });
    // Whoever holds the salt cannot show another identity, nor another salt the same.
    expect(identityHash({ identity: `${identity} `, salt })).not.toBe(
      identityHash({ identity, salt }),
    );
  });

  const bad: [string, string, Uint8Array][] = [
    ['another identity', 'identity', made({ identity: 'Forge AG' })],
    ['another salt', 'identity', made({ salt: '0'.repeat(32) })],
    ['a salt that is none', 'form', made({ salt: '00' })],
    ['no signature', 'auth', acted({ auth: [] })],
    ['the signature of another key', 'auth', acted({ auth: [signAction(other, action)] })],
    ['another role', 'signature', acted({ spec: { ...action.spec, role: 'trader' } })],
    ['another log', 'signature', acted({ origin: 'log.example/other' })],
    ['another key', 'auth', acted({ spec: { ...action.spec, jwk: other.jwk } })],
    ['an action of another kind', 'form', acted({ kind: 'cancel' })],
    [
      'the action of an account that is there',
      'kind',
      acted({
        kind: 'account-key',
        spec: {
          account: 'mill',
          cause: 'change',
          jwk: other.jwk,
          nonce: 'n',
          notAfter: 1_767_866_400,
        },
      }),
    ],
    ['a second spelling', 'jcs', utf8(` ${text}`)],
    ['too many bytes', 'size', new Uint8Array(accountRequestLimitBytes + 1)],
  ];
  test.each(bad)('is refused with %s', (_what, code, bytes) => {
    expect(codeOf(bytes)).toBe(code);
  });

  test('is refused with any byte changed', () => {
    for (let at = 0; at < good.length; at++) {
      const changed = Uint8Array.from(good);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(codeOf(changed), `byte ${at}`).not.toBe('accepted');
    }
  });
});

function codeOf(bytes: Uint8Array): string {
  try {
    parseAccountRequest(bytes);
    return 'accepted';
  } catch (error) {
    return refusalCode(error);
  }
}
