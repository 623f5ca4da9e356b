import { describe, expect, it } from 'vitest';
import { utf8 } from '#core/bytes.ts';
import {
  buildConnect,
  checkConnect,
  parseConnect,
  type Connect,
  type ConnectExpectation,
} from '#core/energy/connect.ts';
import { canonicalBytes } from '#core/jcs.ts';
import { compactJws } from '#core/jws.ts';
import { testSigner } from '#support/register.ts';

const signer = testSigner('meter');
const now = 1_767_261_600;
const connect: Connect = { aud: 'broker', iat: now, sub: 'M-1' };
const expected: ConnectExpectation = {
  audience: 'broker',
  meter: 'M-1',
  nowS: now,
  reliableClock: true,
};

function codeOf(change: Partial<Connect>, expect: Partial<ConnectExpectation> = {}): string {
  try {
    checkConnect({ ...connect, ...change }, { ...expected, ...expect });
    return 'fine';
  } catch (error) {
    return (error as { code: string }).code;
  }
}

describe('a connect password', () => {
  it('is read back as it was built', () => {
    const parsed = parseConnect(utf8(buildConnect(signer, { ...connect, jti: 'abcdefgh' })));
    expect(parsed.connect).toEqual({ ...connect, jti: 'abcdefgh' });
    expect(parsed.jws.header).toEqual({ alg: 'Ed25519', kid: signer.kid, typ: 'hourseal-connect' });
  });

  it('is refused in every other form', () => {
    const refusal = (text: string): string => {
      try {
        parseConnect(utf8(text));
        return 'fine';
      } catch (error) {
        return (error as { code: string }).code;
      }
    };
    const signed = (payload: object): string =>
      compactJws(signer, 'hourseal-connect', canonicalBytes(payload));
    expect(refusal('')).toBe('form');
    expect(refusal(`${buildConnect(signer, connect)}.`)).toBe('form');
    expect(refusal(signed({ ...connect, exp: now }))).toBe('form');
    expect(refusal(signed({ aud: 'broker', iat: now }))).toBe('form');
    expect(refusal(signed({ ...connect, jti: 'short' }))).toBe('form');
    expect(refusal(signed({ ...connect, iat: String(now) }))).toBe('form');
    expect(refusal(compactJws(signer, 'hourseal-auth', canonicalBytes(connect)))).toBe('form');
    expect(refusal('a'.repeat(2049))).toBe('size');
  });

  it('is for one broker and one meter', () => {
    expect(codeOf({})).toBe('fine');
    expect(codeOf({ aud: 'other' })).toBe('audience');
    expect(codeOf({ sub: 'M-2' })).toBe('subject');
  });

  it('is fresh for five minutes, before and after', () => {
    expect(codeOf({ iat: now - 300 })).toBe('fine');
    expect(codeOf({ iat: now + 300 })).toBe('fine');
    expect(codeOf({ iat: now - 301 })).toBe('stale');
    expect(codeOf({ iat: now + 301 })).toBe('stale');
  });

  it('is fresh for a day where the clock is not reliable, and then needs a jti', () => {
    const unreliable = { reliableClock: false };
    expect(codeOf({ iat: now - 86_400, jti: 'abcdefgh' }, unreliable)).toBe('fine');
    expect(codeOf({ iat: now - 86_401, jti: 'abcdefgh' }, unreliable)).toBe('stale');
    expect(codeOf({ iat: now }, unreliable)).toBe('jti');
    expect(codeOf({ iat: now - 301, jti: 'abcdefgh' })).toBe('stale');
  });
});
