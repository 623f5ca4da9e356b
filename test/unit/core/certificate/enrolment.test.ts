import { describe, expect, test } from 'vitest';
import { decodeUtf8, utf8 } from '#core/bytes.ts';
import { signAction } from '#core/certificate/entry.ts';
import {
  createEnrolment,
  enrolmentLimitBytes,
  parseEnrolment,
} from '#core/certificate/enrolment.ts';
import { refusalCode } from '#core/errors.ts';
import { canonicalBytes } from '#core/jcs.ts';
import { testSigner } from '#support/register.ts';

const origin = 'log.example/enrolment';
const meter = testSigner('asks');
const spec = {
  jwk: meter.jwk,
  meter: 'M-1',
  nonce: 'n1',
  notAfter: 2_000_000_000,
  notBefore: 1_900_000_000,
  plant: 'p1',
};
const good = createEnrolment(meter, { origin, spec });

/** Made of the same members, signed by anybody over anything. */
const made = (members: object): Uint8Array =>
  canonicalBytes({ ...(JSON.parse(decodeUtf8(good)) as object), ...members });
const auth = (signer = meter, of: object = {}): string =>
  signAction(signer, { kind: 'key', origin, spec, ...of });

describe('a request to be enrolled', () => {
  test('is read as it was made', () => {
    const { key, auth: signature, ...rest } = parseEnrolment(good);
    expect(rest).toEqual({ origin, spec });
    expect(key.kid).toBe(meter.kid);
    expect(signature).toBe(auth());
  });

  const bad: [string, string, Uint8Array][] = [
    ['another log', 'signature', made({ origin: 'log.example/other' })],
    ['another meter', 'signature', made({ spec: { ...spec, meter: 'M-2' } })],
    ['a longer life', 'signature', made({ spec: { ...spec, notAfter: spec.notAfter + 1 } })],
    ['another key', 'auth', made({ spec: { ...spec, jwk: testSigner('other').jwk } })],
    ['the signature of somebody else', 'auth', made({ auth: auth(testSigner('other')) })],
    ['a signature under another kind', 'signature', made({ auth: auth(meter, { kind: 'meter' }) })],
    ['a member too many', 'form', made({ more: 1 })],
    ['a second spelling', 'jcs', utf8(` ${decodeUtf8(good)}`)],
    ['no JSON', 'json', utf8('noise')],
    ['too many bytes', 'size', new Uint8Array(enrolmentLimitBytes + 1)],
    ['a cut end', 'json', good.subarray(0, -1)],
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
    parseEnrolment(bytes);
    return 'accepted';
  } catch (error) {
    return refusalCode(error);
  }
}
