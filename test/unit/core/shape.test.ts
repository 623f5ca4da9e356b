import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Refused } from '#core/errors.ts';
import {
  array,
  boolean,
  bytes32,
  either,
  hashHex,
  id,
  instant,
  integer,
  lines,
  object,
  oneOf,
  optional,
  origin,
  pattern,
  record,
  text,
  thumbprint,
  type Shape,
} from '#core/shape.ts';

const ajv = new Ajv2020({ strict: false });

function accepts(shape: Shape<unknown>, value: unknown): boolean {
  try {
    expect(shape.parse(value)).toBe(value);
    return true;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    expect(error.code).toBe('form');
    return false;
  }
}

/** What only `parse` can tell: NFC. Everything else, the schema must say as well. */
function isNfc(value: unknown): boolean {
  const json = JSON.stringify(value);
  return json === json.normalize('NFC');
}

const pair = object({ a: integer(1, 5), b: optional(text(3)) });
const shapes: Readonly<Record<string, Shape<unknown>>> = {
  integer: integer(-3, 7),
  pattern: pattern('[a-z]{1,3}|x[0-9]'),
  text: text(4),
  lines: lines(6),
  boolean,
  oneOf: oneOf<string | number>('a', 'b', 3),
  constant: oneOf(1),
  array: array(integer(0), { min: 1, max: 2 }),
  record: record(id, integer(0), { min: 1, max: 2 }),
  object: pair,
  either: either(pair, object({ c: boolean })),
  nested: array(object({ list: array(pair, { min: 0, max: 2 }) }), { min: 0, max: 2 }),
  id,
  hashHex,
  thumbprint,
  origin,
  instant,
};

describe('a shape and its JSON Schema', () => {
  const leaf = fc.oneof(
    fc.integer({ min: -5, max: 9 }),
    fc.constantFrom<unknown>(
      ...['', 'a', 'abc', 'abcd', 'x1', 'a\n', 'a\u0000', 'e\u0301', '\u00e9', '\ud800'],
      ...['\ud83d\ude00'.repeat(4), '\ud83d\ude00'.repeat(5), 'one\ntwo', '-a', 'A.b_c-d'],
      ...[0.5, -0, 2 ** 53, -(2 ** 53), 2 ** 53 - 1, null, true, false, Number.MIN_VALUE],
      ...['f'.repeat(64), 'F'.repeat(64), 'A'.repeat(43), `${'A'.repeat(42)}B`, 253402300800],
    ),
  );
  const name = fc.constantFrom('a', 'b', 'c', 'list', 'constructor', '__proto__', 'toString', 'é');
  const { value: anything } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      leaf,
      fc.array(tie('value'), { maxLength: 3 }),
      fc
        .array(fc.tuple(name, tie('value')), { maxLength: 3 })
        .map((members) => JSON.parse(JSON.stringify(Object.fromEntries(members))) as unknown),
    ),
  }));

  it.each(Object.keys(shapes))('%s: agree on what is accepted', (which) => {
    const shape = shapes[which];
    if (shape === undefined) throw new Error(which);
    const validate = ajv.compile(shape.schema);
    const verdicts = new Set<boolean>();
    fc.assert(
      fc.property(anything, (value) => {
        const accepted = accepts(shape, value);
        verdicts.add(accepted);
        expect(validate(value) && isNfc(value), JSON.stringify(value)).toBe(accepted);
      }),
      { numRuns: 600 },
    );
  });
});

describe('what is refused', () => {
  it.each([
    [integer(0), 0.5, 'not an integer'],
    [integer(0), '1', 'not an integer'],
    [integer(0), Number.NaN, 'not an integer'],
    [integer(0), 2 ** 53, 'not an integer'],
    [integer(0), -1, 'not within'],
    [integer(0, 3), 4, 'not within 0 to 3'],
    [text(3), '', '1 to 3'],
    [text(3), 'four', '1 to 3'],
    [text(9), 'tab\t', 'control'],
    [text(9), 'line\n', 'control'],
    [text(9), '\ud800', 'control'],
    [text(9), 'e\u0301', 'NFC'],
    [lines(9), 'a\r\n', 'control'],
    [lines(9), 'e\u0301\n', 'NFC'],
    [boolean, 1, 'true or false'],
    [boolean, null, 'true or false'],
    [oneOf('a', 'b'), 'c', 'not a or b'],
    [oneOf(1), '1', 'not 1'],
    [oneOf(1), true, 'not 1'],
    [array(boolean, { min: 1, max: 2 }), [], 'array of 1 to 2'],
    [array(boolean, { min: 1, max: 2 }), [true, true, true], 'array of 1 to 2'],
    [array(boolean, { min: 1, max: 2 }), { 0: true, length: 1 }, 'array'],
    [record(id, boolean, { min: 1, max: 1 }), {}, '1 to 1 members'],
    [record(id, boolean, { min: 1, max: 1 }), { a: true, b: true }, '1 to 1 members'],
    [record(id, boolean, { min: 1, max: 1 }), { 'a b': true }, 'not'],
    [record(id, boolean, { min: 1, max: 1 }), [true], 'not an object'],
    [record(id, boolean, { min: 1, max: 1 }), null, 'not an object'],
    [pair, null, 'not an object'],
    [pair, [], 'not an object'],
    [pair, {}, 'a: missing'],
    [pair, { a: 1, c: 1 }, 'unknown member c'],
    [pair, { a: 1, b: undefined }, 'b: '],
    [pair, Object.create({ a: 1 }), 'a: missing'],
    [either(integer(0), boolean), 'x', 'true or false'],
    [bytes32, `${'A'.repeat(42)}B`, 'not'],
    [id, `a${'b'.repeat(64)}`, 'not'],
    [id, '.a', 'not'],
    [id, 'a/b', 'not'],
    [id, 'a\n', 'not'],
    [origin, 'with space', 'not'],
    [origin, 'with+plus', 'not'],
    [origin, '', 'not'],
    [instant, -1, 'not within'],
    [instant, 253402300800, 'not within'],
  ] satisfies [Shape<unknown>, unknown, string][])('%#: %j', (shape, value, reason) => {
    expect(() => shape.parse(value)).toThrow(reason);
    expect(accepts(shape, value)).toBe(false);
  });

  it('treats names of the prototype as the data they are', () => {
    const hostile = JSON.parse('{"a":1,"__proto__":{"b":"x"}}') as unknown;
    expect(accepts(pair, hostile)).toBe(false);
    for (const name of ['constructor', 'toString', 'hasOwnProperty', 'valueOf']) {
      expect(accepts(pair, { a: 1, [name]: 1 })).toBe(false);
      expect(accepts(record(id, integer(0), { min: 1, max: 1 }), { [name]: 1 })).toBe(true);
    }
    expect(accepts(object({ constructor: integer(0) }), {})).toBe(false);
    const proto = JSON.parse('{"__proto__":1}') as unknown;
    expect(accepts(record(id, integer(0), { min: 1, max: 1 }), proto)).toBe(false);
  });

  it('says where', () => {
    const shape = object({
      list: array(object({ deep: record(id, pair, { min: 0, max: 1 }) }), { min: 0, max: 9 }),
    });
    const value = { list: [{ deep: {} }, { deep: { x: { a: 9 } } }] };
    expect(() => shape.parse(value, 'spec')).toThrow('spec.list[1].deep.x.a: not within 1 to 5');
  });

  it('counts characters of a text as JSON Schema does, not in UTF-16 units', () => {
    expect(accepts(text(2), '\ud83d\ude00\ud83d\ude00')).toBe(true);
    expect(accepts(text(1), '\ud83d\ude00\ud83d\ude00')).toBe(false);
  });
});
