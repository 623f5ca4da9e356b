import fc from 'fast-check';
import { concat, uint32BE, utf8 } from '#core/bytes.ts';
import { canonicalBytes } from '#core/jcs.ts';

/** Bytes that no honest program sends: strangers', and those that are nearly right. */
export interface InputOptions {
  /** Inputs that are accepted as they are, to start from. */
  readonly seeds: readonly Uint8Array[];
  /** Of a format with JSON inside: takes it out, and makes a whole input of it again. */
  readonly json?: Wrapping;
}

export interface Wrapping {
  readonly open: (input: Uint8Array) => unknown;
  readonly seal: (value: unknown) => Uint8Array;
}

type Change = (bytes: Uint8Array) => Uint8Array;
type JsonChange = (value: unknown) => unknown;

const place = fc.nat(1_000_000);

const numbers = [
  ...['0', '-1', '-0', '00', '01', '1.0', '1e0', '1e400', '0x1', '+1', ' 1', '\u0661', 'NaN'],
  ...['9007199254740991', '9007199254740992', '18446744073709551616', '9'.repeat(400)],
];

const junk: readonly Uint8Array[] = [
  ...[
    '',
    '\0',
    '\n',
    '\n\n',
    '\r\n',
    ' ',
    '\t',
    '=',
    '+',
    '/',
    '.',
    '..',
    '"',
    '\\',
    '{',
    '[',
    ',',
  ],
  ...[
    '\ufeff',
    '\u00a0',
    '\u2028',
    '\u2014 ',
    'e\u0301',
    '\u212b',
    '\u{1f4a5}',
    '\u202e',
    '__proto__',
  ],
].map(utf8);
const badUtf8: readonly Uint8Array[] = [
  [0x80],
  [0xc0, 0x80],
  [0xed, 0xa0, 0x80],
  [0xf4, 0x90, 0x80, 0x80],
  [0xff],
].map((bytes) => Uint8Array.from(bytes));
const lengths = [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff].map(uint32BE);

const change: fc.Arbitrary<Change> = fc.oneof(
  place.map((at) => flipped(at)),
  place.map((at) => (bytes: Uint8Array) => bytes.slice(0, at % (bytes.length + 1))),
  spliced(fc.constant(new Uint8Array(0)), true),
  spliced(fc.constantFrom(...junk, ...badUtf8), false),
  spliced(fc.constantFrom(...lengths), true),
  spliced(fc.uint8Array({ minLength: 1, maxLength: 40 }), false),
  fc.tuple(place, place, place).map(([at, length, to]) => duplicated(at, { length, to })),
  {
    arbitrary: fc
      .tuple(place, fc.constantFrom(...numbers))
      .map(([at, text]) => renumbered(at, text)),
    weight: 3,
  },
);

function flipped(at: number): Change {
  return (bytes) => {
    if (bytes.length === 0) return bytes;
    const byte = Math.floor(at / 8) % bytes.length;
    return bytes.with(byte, (bytes[byte] ?? 0) ^ (1 << (at % 8)));
  };
}

/** Puts bytes somewhere, in place of as many (or, for none, of some) that were there, or between. */
function spliced(by: fc.Arbitrary<Uint8Array>, isInPlace: boolean): fc.Arbitrary<Change> {
  return fc.tuple(place, fc.integer({ min: 1, max: 80 }), by).map(([at, some, put]) => (bytes) => {
    const from = at % (bytes.length + 1);
    const removed = isInPlace ? put.length || some : 0;
    return concat(bytes.subarray(0, from), put, bytes.subarray(from + removed));
  });
}

function duplicated(at: number, { length, to }: { length: number; to: number }): Change {
  return (bytes) => {
    const from = at % (bytes.length + 1);
    const part = bytes.subarray(from, from + 1 + (length % 200));
    const where = to % (bytes.length + 1);
    return concat(bytes.subarray(0, where), part, bytes.subarray(where));
  };
}

/** Another number in the place of one of those that stand in the text. */
function renumbered(at: number, text: string): Change {
  return (bytes) => {
    const latin = Buffer.from(bytes).toString('latin1');
    const found = [...latin.matchAll(/\d+/g)];
    const chosen = found[at % Math.max(found.length, 1)];
    if (chosen === undefined) return bytes;
    const end = chosen.index + chosen[0].length;
    return concat(bytes.subarray(0, chosen.index), utf8(text), bytes.subarray(end));
  };
}

const deep = JSON.parse('['.repeat(40) + ']'.repeat(40)) as unknown;
const values: readonly unknown[] = [
  ...[null, true, false, '', 'x', '\ud800', 'e\u0301', '\0', 'a'.repeat(70_000), '__proto__'],
  ...[0, -1, 1, 1.5, 2 ** 53 - 1, 2 ** 53, -(2 ** 53), 1e21, 1e308, 253_402_300_800],
  ...[[], {}, [[]], [null], { a: 1 }, deep, Array.from({ length: 2000 }, () => 0)],
];

const jsonChange: fc.Arbitrary<JsonChange> = fc
  .record({
    at: place,
    how: fc.constantFrom('replace', 'delete', 'repeat', 'add' as const),
    value: fc.constantFrom(...values),
  })
  .map((plan) => (value) => changed(structuredClone(value), plan));

function changed(
  root: unknown,
  { at, how, value }: { at: number; how: 'replace' | 'delete' | 'repeat' | 'add'; value: unknown },
): unknown {
  const members = membersOf(root);
  const chosen = members[at % Math.max(members.length, 1)];
  if (chosen === undefined) return value;
  const { parent, key } = chosen;
  const held = Reflect.get(parent, key) as unknown;
  if (how === 'delete') {
    if (Array.isArray(parent)) parent.splice(Number(key), 1);
    else Reflect.deleteProperty(parent, key);
  } else if (how === 'replace') set(parent, { key, value });
  else if (Array.isArray(parent)) parent.push(how === 'repeat' ? held : value);
  else set(parent, { key: how === 'repeat' ? `${key}2` : '__proto__', value: held });
  return root;
}

/** Also a member named `__proto__` as JSON.parse makes it: one of the object's own. */
function set(parent: object, { key, value }: { key: string; value: unknown }): void {
  const how = { value, configurable: true, enumerable: true, writable: true };
  Object.defineProperty(parent, key, how);
}

function membersOf(value: unknown): { parent: object; key: string }[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, member]) => [
    { parent: value, key },
    ...membersOf(member),
  ]);
}

/** JCS where there is such a form, so that what is wrong is the value and not its spelling. */
export function jsonBytes(value: unknown): Uint8Array {
  try {
    return canonicalBytes(value);
  } catch {
    return utf8(JSON.stringify(value)); // A lone surrogate or the like: escaped.
  }
}

/** A failing input is shown as its bytes, so that it can be tried again alone. */
export function inputs({ seeds, json }: InputOptions): fc.Arbitrary<Uint8Array> {
  const seed = fc.constantFrom(...seeds);
  const mangled = fc
    .tuple(seed, fc.oneof(fc.tuple(change), fc.array(change, { minLength: 2, maxLength: 4 })))
    .map(([bytes, changes]) => changes.reduce((before, apply) => apply(before), bytes));
  const grafted = fc
    .tuple(seed, seed, place, place)
    .map(([one, two, at, to]) =>
      concat(one.subarray(0, at % (one.length + 1)), two.subarray(to % (two.length + 1))),
    );
  const noise = fc.uint8Array({ maxLength: 400 });
  const kinds = [
    { arbitrary: mangled, weight: 6 },
    { arbitrary: grafted, weight: 1 },
    { arbitrary: noise, weight: 1 },
  ];
  if (json === undefined) return fc.oneof(...kinds);
  const opened = seeds.map(json.open);
  const rewritten = fc
    .tuple(fc.constantFrom(...opened), fc.array(jsonChange, { minLength: 1, maxLength: 3 }))
    .map(([value, changes]) => changes.reduce((before, apply) => apply(before), value))
    .map(json.seal);
  return fc.oneof(...kinds, { arbitrary: rewritten, weight: 8 });
}
