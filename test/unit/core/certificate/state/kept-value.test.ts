import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toHex, utf8 } from '#core/bytes.ts';
import { decodeKept, encodeKept } from '#core/certificate/state/kept-value.ts';
import { detachedJws, parseDetachedJws, verifyJws } from '#core/jws.ts';
import { parsePublicJwk } from '#core/keys.ts';
import { testKey } from '#support/log-builder.ts';

const again = (value: unknown): unknown => decodeKept(encodeKept(value));

/** Names of our formats: none begins with the sign of a tag. */
const name = fc.string().filter((text) => !text.startsWith('$'));
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    ...[fc.string({ unit: 'binary' }), fc.maxSafeInteger(), fc.boolean(), fc.constant(null)],
    fc.uint8Array().map((bytes) => new Uint8Array(bytes)),
    fc.array(tie('value')),
    fc.dictionary(name, tie('value'), { noNullPrototype: true }),
    fc.array(fc.tuple(tie('value'), tie('value'))).map((list) => new Map(list)),
    fc.array(tie('value')).map((list) => new Set(list)),
  ),
}));

describe('what is kept', () => {
  it('comes back as it was', () => {
    fc.assert(
      fc.property(value, (given) => {
        expect(again(given)).toStrictEqual(given);
      }),
    );
  });

  it('keeps the order of maps and sets, and keys that are numbers', () => {
    const map = new Map<unknown, unknown>([
      [9, 'nine'],
      ['9', 'text'],
      [1, new Set(['b', 'a'])],
    ]);
    const back = again(map) as Map<unknown, unknown>;
    expect([...back.keys()]).toEqual([9, '9', 1]);
    expect([...(back.get(1) as Set<string>)]).toEqual(['b', 'a']);
  });

  it('holds names that mean something to the language, as names', () => {
    const given: unknown = JSON.parse('{"__proto__":{"polluted":1},"constructor":2,"toJSON":3}');
    const back = again(given) as object;
    expect(Object.entries(back)).toEqual(Object.entries(given as object));
    expect('polluted' in back).toBe(false);
  });

  it('leaves out what is undefined', () => {
    expect(again({ a: undefined, b: 1 })).toStrictEqual({ b: 1 });
    expect((again({}) as { a?: unknown }).a).toBeUndefined();
  });

  it.each(['Ed25519', 'ES256'] as const)('a key of %s verifies as before', (alg) => {
    const signer = testKey('kept', alg);
    const key = parsePublicJwk(signer.jwk);
    const { key: back } = again({ key }) as { key: typeof key };
    expect([back.kid, back.alg, toHex(back.raw)]).toEqual([key.kid, key.alg, toHex(key.raw)]);
    expect(back.jwk).toEqual(key.jwk);
    const jwsOf = (payload: Uint8Array) => detachedJws(signer, 'hourseal-auth', payload);
    const [one, other] = [utf8('one'), utf8('other')];
    verifyJws(parseDetachedJws(jwsOf(one), 'hourseal-auth', one), back);
    expect(() => {
      verifyJws(parseDetachedJws(jwsOf(one), 'hourseal-auth', other), back);
    }).toThrow();
  });

  it.each(['', '{', 'null garbage', '{"$key":{"kty":"OKP"}}', '{"$bytes":"0"}', '{"$map":5}'])(
    'of other bytes, such as %j, is none',
    (text) => {
      expect(() => decodeKept(utf8(text))).toThrow();
    },
  );
});
