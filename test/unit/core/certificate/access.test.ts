import { describe, expect, it } from 'vitest';
import { decodeUtf8, toBase64Url, utf8 } from '#core/bytes.ts';
import {
  accessFreshS,
  accessLimitBytes,
  accessToken,
  auditorKeys,
  verifyAccess,
} from '#core/certificate/access.ts';
import { refusalCode } from '#core/errors.ts';
import { canonicalBytes, canonicalText } from '#core/jcs.ts';
import { compactJws, detachedJws, parseCompactJws, type JwsType } from '#core/jws.ts';
import { parsePublicJwk, type PublicKey } from '#core/keys.ts';
import { cosignatureSigner, formatCheckpoint } from '#core/tlog/checkpoint.ts';
import { cosignatureVerifier } from '#core/tlog/checkpoint.ts';
import { parseNote, parseVkey } from '#core/tlog/note.ts';
import { exampleOnPage as example } from '#support/formats-page.ts';
import { testKey, testOrigin } from '#support/log-builder.ts';

const auditor = testKey('witness two audit');
const readers = [testKey('other auditor'), auditor].map(({ jwk }) => parsePublicJwk(jwk));
const nowS = 1_767_261_600;
const fine = { aud: testOrigin, iat: nowS };

function found(
  token: Uint8Array | string,
  expected: object = {},
  known: readonly PublicKey[] = readers,
): string {
  const bytes = typeof token === 'string' ? utf8(token) : token;
  try {
    verifyAccess(bytes, known, { origin: testOrigin, nowS, ...expected });
    return 'fine';
  } catch (error) {
    return refusalCode(error);
  }
}

const signed = (payload: object, signer = auditor, typ: JwsType = 'hourseal-access'): string =>
  compactJws(signer, typ, canonicalBytes(payload));

describe('the access token of FORMATS.md', () => {
  it('is what the code makes and accepts', () => {
    const token = example('access-jws');
    expect(accessToken(auditor, { origin: testOrigin, nowS })).toBe(token);
    const { header, payload } = parseCompactJws(utf8(token), 'hourseal-access');
    expect(canonicalText(header)).toBe(example('access-header'));
    expect(decodeUtf8(payload)).toBe(example('access-payload'));
    expect(found(token)).toBe('fine');
  });

  it('is under the key of the auditing witness on the page', () => {
    const witnesses = example('vkeys')
      .split('\n')
      .slice(1)
      .map((vkey, i) => ({ name: `w${i}`, key: parseVkey(vkey), url: undefined }));
    const keys = auditorKeys({ witnesses });
    expect(witnesses).toHaveLength(2);
    expect(keys.map(({ kid }) => kid)).toEqual([auditor.kid]);
    expect(found(example('access-jws'), {}, keys)).toBe('fine');
  });
});

describe('an access token', () => {
  it('is fresh for five minutes, before and after, by the clock of the server', () => {
    expect(accessFreshS).toBe(300);
    for (const off of [-300, 300]) expect(found(signed(fine), { nowS: nowS + off })).toBe('fine');
    for (const off of [-301, 301]) expect(found(signed(fine), { nowS: nowS + off })).toBe('stale');
  });

  it('is for one log, whose origin it names byte for byte', () => {
    expect(found(signed(fine), { origin: 'log.example/other' })).toBe('audience');
    for (const aud of [`${testOrigin}/`, testOrigin.toUpperCase(), testOrigin.slice(0, -1)]) {
      expect(found(signed({ ...fine, aud }))).toBe('audience');
    }
  });

  it('is by one of the keys that may read, and by no other', () => {
    expect(found(signed(fine, testKey('other auditor')))).toBe('fine');
    expect(found(signed(fine, testKey('stranger')))).toBe('key');
    expect(found(signed(fine), {}, [])).toBe('key');
    expect(found(signed(fine, { ...testKey('stranger'), kid: auditor.kid }))).toBe('signature');
    expect(found(signed(fine, { ...auditor, alg: 'ES256' }))).toBe('alg');
  });

  it.each([
    ['form', {}],
    ['form', { aud: testOrigin }],
    ['form', { iat: nowS }],
    ['form', { ...fine, exp: nowS }],
    ['form', { ...fine, iat: String(nowS) }],
    ['form', { ...fine, iat: -1 }],
    ['form', { ...fine, iat: 253_402_300_800 }],
    ['form', { ...fine, aud: '' }],
    ['form', { ...fine, aud: 'a b' }],
    ['form', [testOrigin, nowS]],
  ])('is refused with %s where it says %j', (code, payload) => {
    expect(found(signed(payload))).toBe(code);
  });

  it('is refused in every other spelling, also where that is signed', () => {
    const sign = (text: string): string => compactJws(auditor, 'hourseal-access', utf8(text));
    expect(found(sign(`{"iat":${nowS},"aud":"${testOrigin}"}`))).toBe('jcs');
    expect(found(sign(`{"aud":"${testOrigin}","aud":"${testOrigin}","iat":${nowS}}`))).toBe('jcs');
    expect(found(sign(`{"aud":"${testOrigin}","iat":${nowS}.0}`))).toBe('jcs');
    expect(found(sign('{'))).toBe('json');
    const token = signed(fine);
    expect(found(`${token}.`)).toBe('form');
    expect(found(token.split('.').slice(0, 2).join('.'))).toBe('form');
    expect(found(`${token}=`)).toBe('base64url');
    expect(found(`${token}A`)).not.toBe('fine');
    expect(found('')).toBe('form');
    expect(found(new Uint8Array([0xff, 0xfe]))).toBe('utf8');
    expect(found(detachedJws(auditor, 'hourseal-access', canonicalBytes(fine)))).not.toBe('fine');
  });

  it('has a header of its own type, by which nothing else that a key signs passes for it', () => {
    const types: JwsType[] = [
      'hourseal-auth',
      'hourseal-connect',
      'hourseal-message',
      'hourseal-receipt',
    ];
    for (const typ of types) expect(found(signed(fine, auditor, typ))).toBe('form');
    const header = { alg: 'Ed25519', kid: auditor.kid, typ: 'hourseal-access', x: 1 };
    const [, payload = '', tail = ''] = signed(fine).split('.');
    expect(found(`${toBase64Url(canonicalBytes(header))}.${payload}.${tail}`)).toBe('form');
  });

  it('is refused above its limit before anything is looked into', () => {
    expect(found(new Uint8Array(accessLimitBytes + 1))).toBe('size');
    expect(found(new Uint8Array(accessLimitBytes).fill(0x61))).toBe('form');
  });

  it('is refused with any one character of it changed', () => {
    const token = signed(fine);
    for (let i = 0; i < token.length; i++) {
      const other = token[i] === 'A' ? 'B' : 'A';
      expect(found(`${token.slice(0, i)}${other}${token.slice(i + 1)}`), `at ${i}`).not.toBe(
        'fine',
      );
    }
  });
});

describe('a cosignature by the same key', () => {
  const root = new Uint8Array(32);
  const text = formatCheckpoint({ origin: testOrigin, size: 7, root });
  const [, , vkey = ''] = example('vkeys').split('\n');
  const verifier = cosignatureVerifier(parseVkey(vkey));

  it('signs bytes that begin otherwise than those of any token', () => {
    const signature = cosignatureSigner('witness.example/two/audit', auditor, nowS).sign(
      utf8(text),
    );
    const cosigned = utf8(`cosignature/v1\ntime ${nowS}\n${text}`);
    expect(readers[1]?.verify(cosigned, signature.subarray(8))).toBe(true);
    // A token is base64url and dots: no newline, which is the fifteenth byte of what is cosigned.
    expect(cosigned[14]).toBe(0x0a);
    expect(signed(fine)).toMatch(/^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/);
    const [head = '', payload = ''] = signed(fine).split('.');
    expect(found(`${head}.${payload}.${toBase64Url(signature.subarray(8))}`)).toBe('signature');
  });

  it('is not made by a token, whatever time is put before it', () => {
    const { signature } = parseCompactJws(utf8(signed(fine)), 'hourseal-access');
    const time = new Uint8Array(8);
    new DataView(time.buffer).setBigUint64(0, BigInt(nowS));
    const forged = new Uint8Array([...time, ...signature]);
    expect(verifier.verify(utf8(text), forged)).toBe(false);
    // Its own signature line on the page it does verify.
    const note = parseNote(utf8(`${example('checkpoint-7')}\n`));
    const own = note.signatures.find(({ name }) => name === verifier.name);
    expect(verifier.verify(utf8(note.text), own?.signature ?? forged)).toBe(true);
  });
});
