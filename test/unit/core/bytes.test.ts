import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  compareAscii,
  concat,
  decodeUtf8,
  equalBytes,
  fromBase64,
  fromBase64Url,
  fromHex,
  toBase64,
  toBase64Url,
  toHex,
  uint32BE,
  uint64BE,
  utf8,
} from '#core/bytes.ts';
import { Refused } from '#core/errors.ts';

/** Any code point but a surrogate; `fc.string` takes seconds to set up all of them. */
const codePoint = fc.nat(0x10ffff - 0x800).map((n) => (n < 0xd800 ? n : n + 0x800));
const anyBytes = fc.uint8Array({ maxLength: 80 });

describe('hex', () => {
  it('writes lowercase and reads back what it wrote', () => {
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        expect(toHex(bytes)).toBe(Buffer.from(bytes).toString('hex'));
        expect(fromHex(toHex(bytes), bytes.length)).toEqual(bytes);
      }),
    );
  });

  it.each(['0', 'AB', 'aB', '0g', ' 00', '00\n', '0x00', '\uff10\uff10'])('refuses %j', (text) => {
    expect(() => fromHex(text)).toThrow(Refused);
  });

  it('refuses another length than the one asked for', () => {
    expect(() => fromHex('00ff', 1)).toThrow(/not 1 bytes/);
    expect(() => fromHex('', 32)).toThrow(Refused);
  });
});

const codecs = [
  { name: 'base64', to: toBase64, from: fromBase64, node: 'base64', padded: true },
  { name: 'base64url', to: toBase64Url, from: fromBase64Url, node: 'base64url', padded: false },
] as const;

describe.each(codecs)('$name', ({ to, from, node, padded }) => {
  it('is what Node writes, and reads it back', () => {
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        expect(to(bytes)).toBe(Buffer.from(bytes).toString(node));
        expect(from(to(bytes))).toEqual(bytes);
      }),
    );
  });

  it('gives bytes to at most one text: a text that is read is the one that is written', () => {
    const alphabet = Array.from('ABQYgwxz019+/-_= \n\u00e9');
    const texts = fc.string({ unit: fc.constantFrom(...alphabet), maxLength: 8 });
    fc.assert(
      fc.property(texts, (text) => {
        let bytes: Uint8Array;
        try {
          bytes = from(text);
        } catch (error) {
          expect(error).toBeInstanceOf(Refused);
          return;
        }
        expect(to(bytes)).toBe(text);
      }),
      { numRuns: 1000 },
    );
  });

  it('refuses every variant of the bits left over', () => {
    const characters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
    const last = `${characters}${padded ? '+/' : '-_'}`;
    const ofOne = Array.from(last).filter((c) => reads(from, `A${c}${padded ? '==' : ''}`));
    const ofTwo = Array.from(last).filter((c) => reads(from, `AA${c}${padded ? '=' : ''}`));
    expect(ofOne.join('')).toBe('AQgw');
    expect(ofTwo.join('')).toBe('AEIMQUYcgkosw048');
  });

  it('refuses a single character over', () => {
    expect(() => from(padded ? 'A===' : 'A')).toThrow(Refused);
    expect(() => from(padded ? 'AAAAA===' : 'AAAAA')).toThrow(Refused);
  });
});

function reads(from: (text: string) => Uint8Array, text: string): boolean {
  try {
    from(text);
    return true;
  } catch {
    return false;
  }
}

describe('padding', () => {
  it.each(['====', '=', '==', 'A=A=', 'AA=A', 'AAA', 'AA', 'AA=', 'AAAA====', 'AAAA=', 'AA==AA=='])(
    'base64 refuses %j',
    (text) => {
      expect(() => fromBase64(text)).toThrow(Refused);
    },
  );

  it.each(['AA==', 'AAA=', '=', 'AAAA='])('base64url refuses %j', (text) => {
    expect(() => fromBase64Url(text)).toThrow(Refused);
  });

  it('keeps the alphabets apart', () => {
    expect(() => fromBase64('-_-_')).toThrow(Refused);
    expect(() => fromBase64Url('+/+/')).toThrow(Refused);
  });
});

describe('UTF-8', () => {
  it.each([
    ['an overlong slash', 'c0af'],
    ['an overlong NUL', 'c080'],
    ['a surrogate', 'eda080'],
    ['beyond U+10FFFF', 'f4908080'],
    ['a lone continuation', '80'],
    ['a cut-off sequence', 'e282'],
    ['0xff', 'ff'],
  ])('refuses %s', (_name, hex) => {
    expect(() => decodeUtf8(fromHex(hex))).toThrow(expect.objectContaining({ code: 'utf8' }));
  });

  it('keeps a byte order mark, wherever it stands', () => {
    expect(decodeUtf8(fromHex('efbbbf41'))).toBe('\ufeffA');
    expect(utf8('\ufeffA')).toEqual(fromHex('efbbbf41'));
  });

  it('reads back every well-formed text', () => {
    fc.assert(
      fc.property(fc.array(codePoint), (points) => {
        const text = String.fromCodePoint(...points);
        return decodeUtf8(utf8(text)) === text;
      }),
    );
  });
});

describe('integers', () => {
  it('are big-endian', () => {
    expect(toHex(uint32BE(0x01020304))).toBe('01020304');
    expect(toHex(uint32BE(0xffffffff))).toBe('ffffffff');
    expect(toHex(uint64BE(0))).toBe('0000000000000000');
    expect(toHex(uint64BE(2 ** 32))).toBe('0000000100000000');
    expect(toHex(uint64BE(Number.MAX_SAFE_INTEGER))).toBe('001fffffffffffff');
  });

  it('agree with DataView on random values', () => {
    const expected = new DataView(new ArrayBuffer(8));
    fc.assert(
      fc.property(fc.maxSafeNat(), (value) => {
        expected.setBigUint64(0, BigInt(value));
        expect(uint64BE(value)).toEqual(new Uint8Array(expected.buffer));
      }),
    );
  });

  it.each([-1, 0.5, 2 ** 32, Number.NaN, Number.POSITIVE_INFINITY])('uint32 throws on %d', (n) => {
    expect(() => uint32BE(n)).toThrow(RangeError);
  });

  it.each([-1, 0.5, 2 ** 53, Number.NaN])('uint64 throws on %d', (n) => {
    expect(() => uint64BE(n)).toThrow(RangeError);
  });
});

describe('joining and comparing', () => {
  it('joins in order', () => {
    expect(concat()).toEqual(new Uint8Array(0));
    expect(concat(fromHex('01'), fromHex(''), fromHex('0203'))).toEqual(fromHex('010203'));
  });

  it('tells bytes of another length or content apart', () => {
    expect(equalBytes(fromHex('0102'), fromHex('0102'))).toBe(true);
    expect(equalBytes(fromHex('0102'), fromHex('010200'))).toBe(false);
    expect(equalBytes(fromHex('0102'), fromHex('0103'))).toBe(false);
  });

  it('sorts ids by ASCII: capitals before small letters, a hyphen before digits', () => {
    const ids = ['a', 'B', 'b', 'A-1', 'A1', 'A', 'A.1', 'A_1'];
    expect(ids.toSorted(compareAscii)).toEqual(['A', 'A-1', 'A.1', 'A1', 'A_1', 'B', 'a', 'b']);
    expect(compareAscii('x', 'x')).toBe(0);
  });
});
