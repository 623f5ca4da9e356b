import reference from 'canonicalize';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromHex, utf8 } from '#core/bytes.ts';
import { Refused } from '#core/errors.ts';
import { canonicalBytes, canonicalText, hasCanonicalBytes, parseCanonical } from '#core/jcs.ts';

const codeOf = (text: string | Uint8Array): string => {
  try {
    parseCanonical(typeof text === 'string' ? utf8(text) : text);
    return 'accepted';
  } catch (error) {
    if (error instanceof Refused) return error.code;
    throw error;
  }
};

/** Member names that objects list in another order than they were added, or than JCS sorts them. */
const awkwardName = fc.oneof(
  fc.constantFrom('10', '9', '1', '-1', '01', '__proto__', 'constructor', 'toJSON', '', 'a', 'B'),
  fc.string({ unit: 'grapheme', maxLength: 3 }),
);
const { tree: anyJson } = fc.letrec((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4 },
    fc.oneof(fc.double(), fc.integer(), fc.boolean(), fc.constant(null), awkwardName),
    fc.array(tie('tree'), { maxLength: 4 }),
    fc
      .array(fc.tuple(awkwardName, tie('tree')), { maxLength: 5 })
      .map((members) => Object.fromEntries(members)),
  ),
}));

describe('RFC 8785', () => {
  it('3.2.2: the example of primitive types', () => {
    const given = String.raw`{
      "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
      "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
      "literals": [null, true, false]
    }`;
    const expected = String.raw`{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`;
    expect(canonicalText(JSON.parse(given))).toBe(expected);
    expect(codeOf(given)).toBe('jcs');
    expect(codeOf(expected)).toBe('accepted');
  });

  it('3.2.3: sorts by UTF-16 code units, not by code points', () => {
    const names = ['\u20ac', '\r', '\ufb33', '1', '\ud83d\ude00', '\u0080', '\u00f6'];
    const text = canonicalText(Object.fromEntries(names.map((name) => [name, 0])));
    expect(Object.keys(JSON.parse(text) as object)).not.toEqual(names);
    expect(text).toBe(
      '{"\\r":0,"1":0,"\u0080":0,"\u00f6":0,"\u20ac":0,"\ud83d\ude00":0,"\ufb33":0}',
    );
  });

  it.each([
    ['0000000000000000', '0'],
    ['8000000000000000', '0'],
    ['0000000000000001', '5e-324'],
    ['8000000000000001', '-5e-324'],
    ['7fefffffffffffff', '1.7976931348623157e+308'],
    ['ffefffffffffffff', '-1.7976931348623157e+308'],
    ['4340000000000000', '9007199254740992'],
    ['c340000000000000', '-9007199254740992'],
    ['4430000000000000', '295147905179352830000'],
    ['44b52d02c7e14af5', '9.999999999999997e+22'],
    ['44b52d02c7e14af6', '1e+23'],
    ['44b52d02c7e14af7', '1.0000000000000001e+23'],
    ['444b1ae4d6e2ef4e', '999999999999999700000'],
    ['444b1ae4d6e2ef4f', '999999999999999900000'],
    ['444b1ae4d6e2ef50', '1e+21'],
    ['3eb0c6f7a0b5ed8c', '9.999999999999997e-7'],
    ['3eb0c6f7a0b5ed8d', '0.000001'],
    ['41b3de4355555553', '333333333.3333332'],
    ['41b3de4355555554', '333333333.33333325'],
    ['41b3de4355555555', '333333333.3333333'],
    ['41b3de4355555556', '333333333.3333334'],
    ['41b3de4355555557', '333333333.33333343'],
    ['becbf647612f3696', '-0.0000033333333333333333'],
    ['43143ff3c1cb0959', '1424953923781206.2'],
  ])('appendix B: %s is %s', (bits, expected) => {
    const value = new DataView(fromHex(bits).buffer).getFloat64(0);
    expect(canonicalText(value)).toBe(expected);
  });

  it.each([
    ['7fffffffffffffff', 'NaN'],
    ['7ff0000000000000', 'Infinity'],
    ['fff0000000000000', '-Infinity'],
  ])('appendix B: %s, %s, is an error', (bits) => {
    const value = new DataView(fromHex(bits).buffer).getFloat64(0);
    expect(() => canonicalText([value])).toThrow(TypeError);
  });

  it.each([['\ud800'], ['a\udfff'], ['\udc00\ud800']])('3.2.2.2: %j is an error', (text) => {
    expect(() => canonicalText(text)).toThrow(TypeError);
    expect(() => canonicalText({ [text]: 1 })).toThrow(TypeError);
  });
});

describe('parsing JSON in its own JCS form', () => {
  it.each([
    '{"a":1,"a":1}',
    '{"a":1,"a":2}',
    '{"__proto__":1,"__proto__":1}',
    '{"b":1,"a":1}',
    '{ "a":1}',
    '{"a":1} ',
    '\n{}',
    '[1, 2]',
    '2e0',
    '1.0',
    '-0',
    '01e1'.slice(1),
    '1E3',
    '0.10',
    '9007199254740993',
    '1e400',
    '-1e400',
    '"\\u0041"',
    '"\\/"',
    '"\\u000A"',
    '"\\u001F"',
    String.raw`"\ud83d\ude00"`,
    String.raw`"\ud800"`,
    String.raw`{"\udead":1}`,
    String.raw`["\ud800"]`,
  ])('refuses %s', (text) => {
    expect(codeOf(text)).toBe('jcs');
  });

  it.each([
    '',
    ' ',
    '{',
    '{"a":01}',
    "{'a':1}",
    '[1,]',
    'NaN',
    'undefined',
    '\ufeff{}',
    '1 2',
    '+1',
  ])('refuses %j, which is not JSON', (text) => {
    expect(codeOf(text)).toBe('json');
  });

  it('refuses bytes that are not UTF-8', () => {
    expect(codeOf(fromHex('22ff22'))).toBe('utf8');
    expect(codeOf(fromHex('22eda08022'))).toBe('utf8');
  });

  it('keeps __proto__ an ordinary member', () => {
    const value = parseCanonical(utf8('{"__proto__":{"polluted":1},"a":1}'));
    expect(Object.keys(value as object)).toEqual(['__proto__', 'a']);
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect(hasCanonicalBytes(value, utf8('{"__proto__":{"polluted":1},"a":1}'))).toBe(true);
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });

  it('draws the line at 32 levels, whatever the stack', () => {
    const nested = (levels: number): string => `${'['.repeat(levels)}${']'.repeat(levels)}`;
    expect(codeOf(nested(32))).toBe('accepted');
    expect(codeOf(nested(33))).toBe('jcs');
    expect(codeOf(nested(200_000))).toBe('jcs');
    expect(codeOf(`${'{"a":'.repeat(33)}1${'}'.repeat(33)}`)).toBe('jcs');
    expect(codeOf('['.repeat(200_000))).toBe('json');
  });

  it('writes what the reference writes, and accepts a text exactly if the reference writes it', () => {
    fc.assert(
      fc.property(anyJson, fc.boolean(), (value, isSpaced) => {
        const text = isSpaced ? JSON.stringify(value, undefined, 1) : JSON.stringify(value);
        const parsed: unknown = JSON.parse(text);
        const expected = reference(parsed);
        expect(canonicalText(parsed)).toBe(expected);
        expect(codeOf(text)).toBe(text === expected ? 'accepted' : 'jcs');
        expect(codeOf(expected ?? '')).toBe('accepted');
      }),
      { numRuns: 2_000 },
    );
  });

  it('leaves out a member without a value, as the reference does', () => {
    expect(canonicalText({ a: 1, b: undefined, c: [{ d: undefined }] })).toBe('{"a":1,"c":[{}]}');
  });

  it('reads back whatever it writes, and writes whatever it reads', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
        const bytes = canonicalBytes(value);
        const read = parseCanonical(bytes);
        expect(canonicalBytes(read)).toEqual(bytes);
        expect(hasCanonicalBytes(value, bytes)).toBe(true);
      }),
    );
  });

  it('refuses what a value has no JSON form for', () => {
    expect(() => canonicalText(undefined)).toThrow(TypeError);
  });
});
