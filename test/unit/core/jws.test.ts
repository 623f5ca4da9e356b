import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeUtf8, fromBase64Url, toBase64Url, utf8 } from '#core/bytes.ts';
import { verifyEd25519, verifyEs256 } from '#core/crypto.node.ts';
import { Refused } from '#core/errors.ts';
import { canonicalText, parseCanonical } from '#core/jcs.ts';
import {
  compactJws,
  detachedJws,
  headerShapes,
  parseCompactJws,
  parseDetachedJws,
  signingInput,
  verifyJws,
  type JwsType,
} from '#core/jws.ts';
import { parsePublicJwk } from '#core/keys.ts';
import { signerFromSeed } from '#core/signer.node.ts';

const ed25519 = signerFromSeed(new Uint8Array(32).fill(1));
const es256 = signerFromSeed(new Uint8Array(32).fill(2), 'ES256');
const typ: JwsType = 'hourseal-message';
const payload = utf8('{"v":1}');

const codeOf = (work: () => unknown): string => {
  try {
    work();
    return 'accepted';
  } catch (error) {
    if (error instanceof Refused) return error.code;
    throw error;
  }
};
const compactCode = (text: string): string => codeOf(() => parseCompactJws(utf8(text), typ));

describe('the standards’ examples', () => {
  it('RFC 8037 appendix A.4: bytes under the signature, and the signature', () => {
    const jws =
      'eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg';
    const [head = '', body = '', tail = ''] = jws.split('.');
    expect(toBase64Url(utf8(canonicalText({ alg: 'EdDSA' })))).toBe(head);
    expect(toBase64Url(utf8('Example of Ed25519 signing'))).toBe(body);
    const signer = signerFromSeed(fromBase64Url('nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A'));
    const input = utf8(`${head}.${body}`);
    expect(toBase64Url(signer.sign(input))).toBe(tail);
    expect(verifyEd25519(fromBase64Url(signer.jwk.x), input, fromBase64Url(tail))).toBe(true);
    // We demand kid and typ besides.
    expect(compactCode(jws)).toBe('form');
  });

  it('RFC 7515 appendix A.3: its ES256 signature has a high s, which we refuse', () => {
    const input = utf8(
      'eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ',
    );
    const key = parsePublicJwk({
      kty: 'EC',
      crv: 'P-256',
      x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
      y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
    });
    const high = fromBase64Url(
      'DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q',
    );
    const n = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
    const s = BigInt(`0x${Buffer.from(high.subarray(32)).toString('hex')}`);
    const low = Uint8Array.from(high);
    low.set(Buffer.from((n - s).toString(16).padStart(64, '0'), 'hex'), 32);
    expect(verifyEs256(key.raw, input, high)).toBe(false);
    expect(verifyEs256(key.raw, input, low)).toBe(true);
  });
});

describe('compact form', () => {
  it.each([ed25519, es256])('$alg: what is signed is read and verified again', (signer) => {
    const text = compactJws(signer, typ, payload);
    const jws = parseCompactJws(utf8(text), typ);
    expect(jws.header).toEqual({ alg: signer.alg, kid: signer.kid, typ });
    expect(jws.payload).toEqual(payload);
    expect(decodeUtf8(jws.signingInput)).toBe(text.slice(0, text.lastIndexOf('.')));
    verifyJws(jws, parsePublicJwk(signer.jwk));
  });

  it('signs over the very bytes that were received, wherever they lie', () => {
    const text = compactJws(ed25519, typ, payload);
    const within = utf8(`xx${text}yy`).subarray(2, 2 + text.length);
    verifyJws(parseCompactJws(within, typ), parsePublicJwk(ed25519.jwk));
  });

  const [head = '', body = '', tail = ''] = compactJws(ed25519, typ, payload).split('.');
  const header = (value: unknown): string => toBase64Url(utf8(canonicalText(value)));
  const { kid } = ed25519;

  it.each([
    ['nothing', '', 'form'],
    ['two parts', `${head}.${body}`, 'form'],
    ['four parts', `${head}.${body}.${tail}.`, 'form'],
    ['only dots', '..', 'json'],
    ['a line end', `${head}.${body}.${tail}\n`, 'base64url'],
    ['padding', `${head}.${body}=.${tail}`, 'base64url'],
    ['a letter that is not ASCII', `${head}.${body}\u00e9.${tail}`, 'base64url'],
    ['a short signature', `${head}.${body}.${tail.slice(0, 84)}`, 'form'],
    ['no signature', `${head}.${body}.`, 'form'],
    ['trailing bits in the signature', `${head}.${body}.${tail.slice(0, 85)}B`, 'base64url'],
    ['alg none', `${header({ alg: 'none', kid, typ })}.${body}.`, 'form'],
    ['alg HS256', `${header({ alg: 'HS256', kid, typ })}.${body}.${tail}`, 'form'],
    ['alg in other letters', `${header({ alg: 'ed25519', kid, typ })}.${body}.${tail}`, 'form'],
    [
      'another type',
      `${header({ alg: 'Ed25519', kid, typ: 'hourseal-auth' })}.${body}.${tail}`,
      'form',
    ],
    ['no kid', `${header({ alg: 'Ed25519', typ })}.${body}.${tail}`, 'form'],
    ['crit', `${header({ alg: 'Ed25519', crit: ['b64'], kid, typ })}.${body}.${tail}`, 'form'],
    [
      'a jwk in the header',
      `${header({ alg: 'Ed25519', jwk: ed25519.jwk, kid, typ })}.${body}.${tail}`,
      'form',
    ],
    [
      'a header with white space',
      `${toBase64Url(utf8(JSON.stringify({ alg: 'Ed25519', kid, typ }, null, 1)))}.${body}.${tail}`,
      'jcs',
    ],
    [
      'header members out of order',
      `${toBase64Url(utf8(JSON.stringify({ typ, kid, alg: 'Ed25519' })))}.${body}.${tail}`,
      'jcs',
    ],
    ['an array as header', `${header([])}.${body}.${tail}`, 'form'],
  ])('refuses %s', (_name, text, code) => {
    expect(compactCode(text)).toBe(code);
  });

  it('takes exactly the headers that their JSON form and shape allow, and says the same of others', () => {
    const outcome = (work: () => unknown): unknown => {
      try {
        return work();
      } catch (error) {
        if (error instanceof Refused) return `${error.code}: ${error.message}`;
        throw error;
      }
    };
    const alg = fc.constantFrom('Ed25519', 'EdDSA', 'ES256', 'none', 'ed25519', 'ES256\n');
    const kids = fc.constantFrom(
      kid,
      `${kid.slice(0, 42)}B`,
      kid.slice(1),
      `${kid}A`,
      '',
      '\u00e9',
    );
    const types = fc.constantFrom(typ, 'hourseal-auth', 'hourseal-', 'JWT');
    const spelling = fc.constantFrom(
      (text: string) => text,
      (text: string) => `${text}\n`,
      (text: string) => text.replace(',', ', '),
      (text: string) => text.replace('"typ"', '"t\\u0079p"'),
      (text: string) => text.replace('}', ',"x":1}'),
      (text: string) => text.replace('{', '{"alg":"Ed25519",'),
      (text: string) => text.slice(0, -1),
    );
    fc.assert(
      fc.property(fc.record({ alg, kid: kids, typ: types }), spelling, (given, spell) => {
        const bytes = utf8(spell(canonicalText(given)));
        const text = utf8(`${toBase64Url(bytes)}.${body}.${tail}`);
        expect(outcome(() => parseCompactJws(text, typ).header)).toEqual(
          outcome(() => headerShapes[typ].parse(parseCanonical(bytes), 'header')),
        );
      }),
      { numRuns: 1_000 },
    );
  });

  it('refuses bytes that are not UTF-8', () => {
    expect(codeOf(() => parseCompactJws(Uint8Array.of(0xff, 0x2e, 0x2e), typ))).toBe('utf8');
  });
});

describe('the header never chooses', () => {
  const key = parsePublicJwk(ed25519.jwk);

  it('refuses the algorithm of another key, though the kid fits', () => {
    const input = signingInput({ alg: 'ES256', kid: ed25519.kid, typ }, payload);
    const text = `${decodeUtf8(input)}.${toBase64Url(ed25519.sign(input))}`;
    expect(codeOf(() => verifyJws(parseCompactJws(utf8(text), typ), key))).toBe('alg');
  });

  it('takes EdDSA for Ed25519, and tells the two apart in what is signed', () => {
    const input = signingInput({ alg: 'EdDSA', kid: ed25519.kid, typ }, payload);
    const good = `${decodeUtf8(input)}.${toBase64Url(ed25519.sign(input))}`;
    verifyJws(parseCompactJws(utf8(good), typ), key);
    const renamed = compactJws(ed25519, typ, payload).split('.').slice(2);
    const swapped = `${decodeUtf8(input)}.${renamed.join('')}`;
    expect(codeOf(() => verifyJws(parseCompactJws(utf8(swapped), typ), key))).toBe('signature');
  });

  it('refuses EdDSA for an ES256 key', () => {
    const input = signingInput({ alg: 'EdDSA', kid: es256.kid, typ }, payload);
    const text = `${decodeUtf8(input)}.${toBase64Url(es256.sign(input))}`;
    const parsed = parseCompactJws(utf8(text), typ);
    expect(codeOf(() => verifyJws(parsed, parsePublicJwk(es256.jwk)))).toBe('alg');
  });

  it('refuses another key, and a flipped bit anywhere in what is signed', () => {
    const parsed = parseCompactJws(utf8(compactJws(ed25519, typ, payload)), typ);
    expect(codeOf(() => verifyJws(parsed, parsePublicJwk(es256.jwk)))).toBe('key');
    for (let i = 0; i < parsed.signingInput.length; i++) {
      const flipped = Uint8Array.from(parsed.signingInput);
      flipped[i] = (flipped[i] ?? 0) ^ 1;
      expect(codeOf(() => verifyJws({ ...parsed, signingInput: flipped }, key))).toBe('signature');
    }
  });
});

describe('detached form, RFC 7515 appendix F', () => {
  const auth: JwsType = 'hourseal-auth';
  const text = detachedJws(ed25519, auth, payload);
  const parse = (given: string, over = payload): string =>
    codeOf(() => verifyJws(parseDetachedJws(given, auth, over), parsePublicJwk(ed25519.jwk)));

  it('is the compact form without its middle', () => {
    const [head = '', body = '', tail = ''] = compactJws(ed25519, auth, payload).split('.');
    expect(text).toBe(`${head}..${tail}`);
    expect(parse(text)).toBe('accepted');
    expect(parse(`${head}.${body}.${tail}`)).toBe('form');
  });

  it.each(['Ed25519', 'EdDSA', 'ES256'] as const)('signs the same bytes as written, %s', (alg) => {
    const header = { alg, kid: ed25519.kid, typ: auth };
    const [head = ''] = decodeUtf8(signingInput(header, payload)).split('.');
    const parsed = parseDetachedJws(`${head}..${toBase64Url(new Uint8Array(64))}`, auth, payload);
    expect(parsed.signingInput).toEqual(signingInput(parsed.header, payload));
  });

  it('refuses another payload, another type, and parts too few or too many', () => {
    expect(parse(text, utf8('{"v":2}'))).toBe('signature');
    expect(parse(detachedJws(ed25519, typ, payload))).toBe('form');
    expect(parse(text.replace('..', '.'))).toBe('form');
    expect(parse(`${text}.`)).toBe('form');
    expect(parse(text.replace('..', '...'))).toBe('form');
  });
});
