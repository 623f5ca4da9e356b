import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { utf8 } from '#core/bytes.ts';
import { Refused } from '#core/errors.ts';
import { canonicalText, parseCanonical } from '#core/jcs.ts';
import * as shapes from '#core/shape.ts';
import { array, boolean, either, id, integer, object, oneOf, optional } from '#core/shape.ts';
import { pattern, record, text, type Shape } from '#core/shape.ts';
import { specOf } from '#core/certificate/kinds.ts';
import { messageShape } from '#core/energy/message.ts';
import { meterRecordShape } from '#core/energy/meter-record.ts';

/** What `parseCanonical` and the shape say of a text: the long way, by which the short one is judged. */
function readAtLength(shape: Shape<unknown>, json: string): { value: unknown } | undefined {
  try {
    return { value: shape.parse(parseCanonical(utf8(json))) };
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return undefined;
  }
}

function regexOf({ grammar }: Shape<unknown>): RegExp {
  if (grammar === undefined) throw new Error('a shape without a grammar');
  return new RegExp(`^${grammar.source}$`);
}

const pair = object({ b: optional(integer(0)), a: integer(1), c: optional(id) });
const own: Readonly<Record<string, Shape<unknown>>> = {
  'integer from 0': integer(0),
  'integer from 1': integer(1, 12_345),
  'integer around 0': integer(-90, 90),
  instant: shapes.instant,
  id,
  hashHex: shapes.hashHex,
  thumbprint: shapes.thumbprint,
  text: text(9),
  lines: shapes.lines(9),
  boolean,
  'one of texts': oneOf('ok', 'power-fail', 'a/b'),
  'one of numbers': oneOf(1, 10, 100),
  array: array(id, { min: 0, max: 3 }),
  'array of some': array(pair, { min: 2, max: 4 }),
  'array of one': array(integer(0), { min: 1, max: 1 }),
  'array of at most one choice': array(either(pair, boolean), { min: 0, max: 1 }),
  record: record(id, integer(0), { min: 1, max: 16 }),
  object: pair,
  'object with the optional first': object({ a: optional(integer(0)), b: oneOf(1) }),
  'object of objects': object({ z: array(pair, { min: 0, max: 2 }), a1B: optional(pair) }),
  either: either(pair, object({ c: boolean })),
};
const specs = Object.entries(specOf).map(([kind, shape]) => [`spec of ${kind}`, shape] as const);
const all: Readonly<Record<string, Shape<unknown>>> = {
  ...own,
  ...Object.fromEntries<Shape<unknown>>(specs),
  message: messageShape,
  'meter record': meterRecordShape,
};
const spoken = Object.keys(all).filter((name) => all[name]?.grammar !== undefined);

describe('a grammar', () => {
  it.each(spoken)('%s: matches only what parsing at length accepts', (name) => {
    const shape = all[name] ?? boolean;
    fc.assert(
      fc.property(fc.stringMatching(regexOf(shape), { maxLength: 4_000 }), (json) => {
        expect(readAtLength(shape, json)).toEqual({ value: JSON.parse(json) as unknown });
      }),
      { numRuns: name in own ? 300 : 40 },
    );
  });

  it('matches the texts of usual values', () => {
    const usual: readonly (readonly [keyof typeof own, unknown])[] = [
      ['integer from 0', 0],
      ['integer from 0', 999_999_999_999_999],
      ['integer from 1', 1],
      ['integer from 1', 9_999],
      ['integer around 0', 9],
      ['instant', 1_767_225_600],
      ['id', 'Meter-1.a_b'],
      ['text', 'with [it]'],
      ['boolean', false],
      ['one of texts', 'power-fail'],
      ['one of numbers', 100],
      ['array', []],
      ['array', ['a', 'b', 'c']],
      ['array of some', [{ a: 1 }, { a: 2, b: 0, c: 'x' }]],
      ['array of one', [0]],
      ['array of at most one choice', [true]],
      ['record', { exportWh: 0 }],
      ['object', { a: 1 }],
      ['object with the optional first', { b: 1 }],
      ['object with the optional first', { a: 0, b: 1 }],
      ['object of objects', { a1B: { a: 1 }, z: [] }],
      ['either', { c: true }],
    ];
    for (const [name, value] of usual) {
      expect(regexOf(own[name] ?? boolean).test(canonicalText(value)), name).toBe(true);
    }
  });

  it.each([
    ['members out of order', pair, '{"b":0,"a":1}'],
    ['a member twice', pair, '{"a":1,"a":1}'],
    ['no comma', pair, '{"a":1"b":0}'],
    ['a comma too many', pair, '{"a":1,}'],
    ['an unknown member', pair, '{"a":1,"d":0}'],
    ['a required member missing', pair, '{"b":0}'],
    ['white space', pair, '{"a": 1}'],
    ['a line at the end', pair, '{"a":1}\n'],
    ['something before', pair, ' {"a":1}'],
    ['a leading zero', integer(0), '01'],
    ['an integer that is not safe', integer(0), '9007199254740993'],
    ['the same where the shape allows it', integer(0, 2 ** 60), '9007199254740993'],
    ['an integer above the largest', integer(0, 253), '254'],
    ['an instant above the last', shapes.instant, '253402300800'],
    ['an integer below the least', integer(1), '0'],
    ['an exponent', integer(0), '1e2'],
    ['a fraction', integer(0), '1.0'],
    ['minus zero', integer(0), '-0'],
    ['a quote inside', id, '"a"b"'],
    ['an escape', id, '"\\u0061"'],
    ['an escape in a text', text(9), '"a\\nb"'],
    ['a control character', text(9), '"a\nb"'],
    ['too many items', array(boolean, { min: 1, max: 2 }), '[true,true,true]'],
    ['too few items', array(boolean, { min: 2, max: 3 }), '[true]'],
    ['no item', array(boolean, { min: 1, max: 2 }), '[]'],
    ['two members of a record', record(id, integer(0), { min: 1, max: 2 }), '{"a":1,"b":1}'],
    ['no member of a record', record(id, integer(0), { min: 0, max: 2 }), '{}'],
  ])('does not match %s', (_what, shape, json) => {
    expect(regexOf(shape as Shape<unknown>).test(json)).toBe(false);
  });

  it.each([
    ['a quote', '[!-~]{1,9}'],
    ['a backslash in a range', '[A-z]{1,9}'],
    ['a range up to a letter', '[.-z]'],
    ['any character', 'a.b'],
    ['all but some characters', '[^a]'],
    ['an escape', '\\w'],
    ['an escape in a class', '[\\w]'],
    ['a choice', 'a|b'],
    ['a group', '(?:a)'],
    ['an anchor', 'a$'],
    ['a blank', 'a b'],
    ['a range through a hyphen', '[a-c-z]'],
  ])('says nothing of a pattern that may match %s', (_what, source) => {
    expect(pattern(source).grammar).toBeUndefined();
  });

  it.each([
    ['integers from 2', integer(2)],
    ['integers up to 9', integer(0, 9)],
    ['negative integers', integer(-9, -1)],
    ['a text to be escaped', oneOf('a"b')],
    ['a number with a fraction', oneOf(0.5)],
    ['records of two at least', record(id, boolean, { min: 2, max: 3 })],
    ['objects of optional members', object({ a: optional(boolean) })],
    ['a name that sorts by its number', object({ 10: boolean })],
    ['objects around one of those', object({ a: integer(2) })],
    ['arrays around one of those', array(integer(2), { min: 1, max: 2 })],
  ])('says nothing of %s', (_what, shape) => {
    expect((shape as Shape<unknown>).grammar).toBeUndefined();
  });

  it('leaves an optional member out that it can say nothing of', () => {
    const regex = regexOf(object({ a: optional(integer(2)), b: boolean }));
    expect(regex.test('{"b":true}')).toBe(true);
    expect(regex.test('{"a":2,"b":true}')).toBe(false);
  });

  it('repeats nothing that may match one text in two ways, or time would grow without bound', () => {
    const choice = either(pair, pair);
    const nested = object({ of: choice });
    const deep = object({ list: array(nested, { min: 0, max: 1 }) });
    const items: readonly Shape<unknown>[] = [choice, nested, deep];
    for (const item of items) {
      expect(array(item, { min: 1, max: 50 }).grammar).toBeUndefined();
      expect(array(item, { min: 0, max: 50 }).grammar?.source).toBe('\\[\\]');
    }
  });
});
