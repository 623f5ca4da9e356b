import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { fromBase64Url, fromHex, toBase64Url, toHex, utf8 } from '#core/bytes.ts';
import { sha256 } from '#core/crypto.node.ts';
import { Refused } from '#core/errors.ts';
import { jwkOfRaw, parsePublicJwk, thumbprintOf, type Alg } from '#core/keys.ts';
import { pemFromSeed, signerFromPem, signerFromSeed } from '#core/signer.node.ts';

interface KeyVector {
  readonly name: string;
  readonly alg: Alg;
  readonly secret: string;
  readonly jwk: unknown;
  readonly kid: string;
}
const { keys } = JSON.parse(readFileSync('test/vectors/keys.json', 'utf8')) as {
  keys: KeyVector[];
};

const codeOf = (value: unknown): string => {
  try {
    parsePublicJwk(value);
    return 'accepted';
  } catch (error) {
    if (error instanceof Refused) return error.code;
    throw error;
  }
};

describe('public keys', () => {
  it('RFC 8037 appendix A.3: the thumbprint of an Ed25519 key', () => {
    const x = '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo';
    const { kid, raw, alg } = parsePublicJwk({ kty: 'OKP', crv: 'Ed25519', x });
    expect(kid).toBe('kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k');
    expect(alg).toBe('Ed25519');
    expect(toHex(raw)).toBe('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a');
  });

  it('RFC 7638 section 3.1: hashes the required members in order, without white space', () => {
    // The RSA example's input is fixed by the RFC; ours are built the same way.
    const jwk = { kty: 'OKP', x: 'A'.repeat(43), crv: 'Ed25519' } as const;
    const input = `{"crv":"Ed25519","kty":"OKP","x":"${'A'.repeat(43)}"}`;
    expect(thumbprintOf(jwk)).toBe(toBase64Url(sha256(utf8(input))));
  });

  it.each(keys)('vector "$name"', ({ name, alg, secret, jwk, kid }) => {
    expect(toHex(sha256(utf8(`hourseal test key ${name}`)))).toBe(secret);
    const key = parsePublicJwk(jwk);
    const signer = signerFromSeed(fromHex(secret), alg);
    expect(key).toMatchObject({ alg, kid });
    expect(signer).toMatchObject({ alg, kid, jwk });
    expect(jwkOfRaw(alg, key.raw)).toEqual(jwk);
    const message = utf8('anything');
    expect(key.verify(message, signer.sign(message))).toBe(true);
    expect(key.verify(utf8('anything else'), signer.sign(message))).toBe(false);
  });

  const { x } = jwkOfRaw('Ed25519', signerKey());
  function signerKey(): Uint8Array {
    return fromBase64Url(signerFromSeed(new Uint8Array(32).fill(1)).jwk.x);
  }

  it.each([
    ['a private key', { crv: 'Ed25519', kty: 'OKP', x, d: x }],
    ['a member more', { crv: 'Ed25519', kty: 'OKP', x, kid: 'a' }],
    ['another curve', { crv: 'X25519', kty: 'OKP', x }],
    ['a type that does not fit', { crv: 'Ed25519', kty: 'EC', x }],
    ['a coordinate with trailing bits', { crv: 'Ed25519', kty: 'OKP', x: `${x.slice(0, 42)}B` }],
    ['a coordinate with padding', { crv: 'Ed25519', kty: 'OKP', x: `${x}=` }],
    ['a short coordinate', { crv: 'Ed25519', kty: 'OKP', x: x.slice(1) }],
    ['P-256 without y', { crv: 'P-256', kty: 'EC', x }],
    ['P-256 with trailing bits in y', { crv: 'P-256', kty: 'EC', x, y: `${x.slice(0, 42)}B` }],
    ['no object', x],
    ['null', null],
  ])('refuses %s', (_name, value) => {
    expect(codeOf(value)).toBe('form');
  });

  it.each([
    '0000000000000000000000000000000000000000000000000000000000000000',
    '0100000000000000000000000000000000000000000000000000000000000000',
    '0100000000000000000000000000000000000000000000000000000000000080',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa',
  ])('refuses the Ed25519 key %s, for which signatures could be made up', (hex) => {
    expect(codeOf({ crv: 'Ed25519', kty: 'OKP', x: toBase64Url(fromHex(hex)) })).toBe('key');
  });
});

describe('signers', () => {
  it.each(['Ed25519', 'ES256'] as const)('%s: PEM and seed give the same signer', (alg) => {
    const seed = new Uint8Array(32).fill(3);
    const fromPem = signerFromPem(pemFromSeed(seed, alg));
    const { kid, jwk } = signerFromSeed(seed, alg);
    expect(fromPem).toMatchObject({ alg, kid, jwk });
    const message = utf8('m');
    expect(parsePublicJwk(jwk).verify(message, fromPem.sign(message))).toBe(true);
  });

  it('always gives low s, whatever OpenSSL chose', () => {
    const signer = signerFromSeed(new Uint8Array(32).fill(3), 'ES256');
    const { verify } = parsePublicJwk(signer.jwk);
    for (let i = 0; i < 40; i++) {
      const message = utf8(`message ${i}`);
      expect(verify(message, signer.sign(message))).toBe(true);
    }
  });

  it('refuses a seed of another length', () => {
    expect(() => signerFromSeed(new Uint8Array(31))).toThrow(RangeError);
  });

  it.each([
    ['nothing', ''],
    ['text', 'not a key'],
    [
      'a public key',
      generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    ],
    ['X25519', privatePem(generateKeyPairSync('x25519').privateKey)],
    ['Ed448', privatePem(generateKeyPairSync('ed448').privateKey)],
    ['P-384', privatePem(generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey)],
    ['secp256k1', privatePem(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey)],
    [
      'a Brainpool curve',
      privatePem(generateKeyPairSync('ec', { namedCurve: 'brainpoolP256r1' }).privateKey),
    ],
    ['RSA', privatePem(generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey)],
  ])('refuses %s as a private key', (_name, pem) => {
    expect(() => signerFromPem(pem)).toThrow(expect.objectContaining({ code: 'key' }));
  });

  it('refuses an encrypted private key', () => {
    const pem = generateKeyPairSync('ed25519').privateKey.export({
      type: 'pkcs8',
      format: 'pem',
      cipher: 'aes-256-cbc',
      passphrase: 'secret',
    });
    expect(() => signerFromPem(pem.toString())).toThrow(Refused);
  });
});

function privatePem(
  key: ReturnType<typeof generateKeyPairSync>['privateKey'] | { export: unknown },
): string {
  return (key as import('node:crypto').KeyObject)
    .export({ type: 'pkcs8', format: 'pem' })
    .toString();
}
