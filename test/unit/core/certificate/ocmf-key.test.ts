import { describe, expect, it } from 'vitest';
import { parseEntry } from '#core/certificate/entry.ts';
import { specOf } from '#core/certificate/kinds.ts';
import { ecdsaAlgs } from '#core/ecdsa.ts';
import { refusalCode } from '#core/errors.ts';
import { parseEcdsaJwk, parseMeterJwk, parsePublicJwk, type EcdsaJwk } from '#core/keys.ts';
import { createLog, testKey, type LogBuilder } from '#support/log-builder.ts';
import { ocmfMeter } from '#support/ocmf.ts';

const alg = 'ECDSA-secp192r1-SHA256';
const ocmf = { after: 41, context: 'F', serial: '1EBZ0300034628' } as const;

function jwkOf(secret: bigint, of: Parameters<typeof ocmfMeter>[0] = alg): EcdsaJwk {
  const { jwk } = ocmfMeter(of, secret).key;
  if (!('alg' in jwk)) throw new Error('not a key that signs OCMF');
  return jwk;
}

/** A depot with a charger's meter, which consumes, and that of its solar roof. */
function depot(): LogBuilder {
  const log = createLog();
  log.genesis();
  log.account('depot');
  log.plant('depot', { type: 'consumption' });
  const registers = { importWh: { direction: 'import', unit: 'Wh' } } as const;
  const consuming = { plant: 'depot', role: 'consumption', registers } as const;
  log.meter('CP-1', { ...consuming, serial: ocmf.serial });
  log.meter('CP-2', { ...consuming, serial: 'other' });
  log.meter('CP-3', { ...consuming, role: 'check', serial: 'third' });
  log.meter('ROOF', { plant: 'depot', serial: 'roof' });
  return log;
}

describe('the key of a meter that signs OCMF', () => {
  it('is entered by those who vouch for it, since it can sign no entry', () => {
    const log = depot();
    const { violation } = log.key('CP-1', { jwk: jwkOf(1n), ocmf });
    expect(violation).toBeUndefined();
    const { kid } = ocmfMeter(alg, 1n).key;
    const key = log.state.keys.get(kid);
    expect(key?.spec).toMatchObject({ meter: 'CP-1', plant: 'depot', ocmf });
    expect(key?.key.alg).toBe(alg);
    expect(log.state.meters.get('CP-1')?.kids).toEqual([kid]);
    const { auth } = parseEntry(log.entries.at(-1) ?? new Uint8Array(0));
    expect(auth).toHaveLength(2);
  });

  it('needs both of them, and nobody else', () => {
    const [issuer, owner, other] = [
      testKey('issuing body'),
      testKey('depot account'),
      testKey('somebody'),
    ];
    for (const signedBy of [[issuer], [owner], [issuer, owner, other]]) {
      const { violation } = depot().key('CP-1', { jwk: jwkOf(1n), ocmf }, { signedBy });
      expect(violation?.code).toBe('auth');
    }
  });

  it('may be on every curve that OCMF lists', () => {
    for (const one of ecdsaAlgs) {
      expect(depot().key('CP-1', { jwk: jwkOf(1n, one), ocmf }).violation).toBeUndefined();
    }
  });

  it('is for meters on which nothing is issued', () => {
    const log = depot();
    const roof = log.key('ROOF', { jwk: jwkOf(1n), ocmf: { ...ocmf, serial: 'roof' } });
    expect(roof.violation?.code).toBe('role');
    const check = log.key('CP-3', { jwk: jwkOf(1n), ocmf: { ...ocmf, serial: 'third' } });
    expect(check.violation).toBeUndefined();
  });

  it("is that of the meter's device, the one before an exchange no longer", () => {
    const log = depot();
    expect(log.key('CP-2', { jwk: jwkOf(1n), ocmf }).violation?.code).toBe('serial');
    const values = { importWh: 1 };
    log.enter('exchange', {
      closing: values,
      meter: 'CP-1',
      opening: values,
      serial: 'NEW-1',
      t: log.time,
      ...log.once(),
    });
    expect(log.key('CP-1', { jwk: jwkOf(1n), ocmf }).violation?.code).toBe('serial');
    const own = log.key('CP-1', { jwk: jwkOf(1n), ocmf: { ...ocmf, serial: 'NEW-1' } });
    expect(own.violation).toBeUndefined();
  });

  it('is used once in a log, in whatever format', () => {
    const log = depot();
    const secp256r1 = jwkOf(7n, 'ECDSA-secp256r1-SHA256');
    const { alg: _alg, ...es256 } = secp256r1;
    expect(log.key('CP-1', { jwk: secp256r1, ocmf }).violation).toBeUndefined();
    expect(log.key('CP-1', { jwk: secp256r1, ocmf }).violation?.code).toBe('key-used');
    expect(parseMeterJwk(es256).kid).toBe(parseMeterJwk(secp256r1).kid);
  });

  it('has the form of its kind, and one of our keys has ours', () => {
    const good = { jwk: jwkOf(1n), meter: 'CP-1', notBefore: 1, plant: 'depot', ocmf };
    const signed = { nonce: 'n', notAfter: 1 };
    const codeOf = (change: object): string => {
      try {
        specOf.key.parse({ ...good, ...signed, ...change });
      } catch (error) {
        return refusalCode(error);
      }
      return 'accepted';
    };
    expect(codeOf({})).toBe('accepted');
    const { ocmf: _ocmf, ...without } = good;
    expect(() => specOf.key.parse({ ...without, ...signed })).toThrow();
    for (const change of [
      { jwk: testKey('a').jwk },
      { ocmf: { ...ocmf, after: -1 } },
      { ocmf: { ...ocmf, context: 'X' } },
      { ocmf: { ...ocmf, serial: 'a b' } },
      { ocmf: { ...ocmf, more: 1 } },
    ]) {
      expect(codeOf(change)).toBe('form');
    }
    const ours = { jwk: testKey('a').jwk, ocmf: undefined };
    expect(codeOf(ours)).toBe('form');
  });
});

describe('a JWK with an algorithm of OCMF', () => {
  const jwk = jwkOf(1n);
  const k1 = jwkOf(1n, 'ECDSA-secp256k1-SHA256');
  const codeOf = (value: unknown): string => {
    try {
      parseMeterJwk(value);
    } catch (error) {
      return refusalCode(error);
    }
    return 'accepted';
  };

  it('is told from ours by having one, and has a thumbprint without it', () => {
    expect(parseMeterJwk(jwk).kid).toBe(parseEcdsaJwk(jwk).kid);
    expect(parseMeterJwk(testKey('a').jwk).alg).toBe('Ed25519');
    expect(() => parsePublicJwk(jwk)).toThrow();
  });

  it.each<readonly [string, object]>([
    ['another curve than its algorithm', { crv: 'secp192k1' }],
    ['another algorithm than its curve', { alg: 'ECDSA-secp384r1-SHA256' }],
    ['an algorithm of ours', { alg: 'ES256' }],
    ['a coordinate too long', { x: `${jwk.x}AAAA` }],
    ['a coordinate too short', { y: jwk.y.slice(4) }],
    ['a coordinate that is no base64url', { x: `${jwk.x.slice(1)}+` }],
    ['a coordinate with bits left over', { ...k1, x: `${k1.x.slice(0, -1)}B` }],
    ['a private key', { d: jwk.x }],
    ['another type', { kty: 'OKP' }],
  ])('is refused with %s', (_what, change) => {
    expect(codeOf({ ...jwk, ...change })).toBe('form');
  });

  it.each([undefined, null, 'alg', 7, [], {}])('is not %j', (value) => {
    expect(codeOf(value)).toBe('form');
  });
});
