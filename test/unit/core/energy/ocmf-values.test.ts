import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseOcmfJson, type OcmfJson, type OcmfMembers } from '#core/energy/ocmf-json.ts';
import { parseOcmfTime, registerNameOf, wattHoursOf } from '#core/energy/ocmf-values.ts';
import { refusalCode } from '#core/errors.ts';

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    return refusalCode(error);
  }
  return 'accepted';
}

const digits = (length: number) => fc.stringMatching(new RegExp(`^(0|[1-9][0-9]{0,${length}})$`));
const fraction = fc.stringMatching(/^[0-9]{0,12}$/);

describe('watt-hours', () => {
  it.each([
    ['0', 'kWh', 0],
    ['0.0', 'kWh', 0],
    ['0.001', 'kWh', 1],
    ['0.0009999', 'kWh', 0],
    ['2935.600', 'kWh', 2_935_600],
    ['9007199254740.991', 'kWh', Number.MAX_SAFE_INTEGER],
    ['9007199254740.9919', 'kWh', Number.MAX_SAFE_INTEGER],
    ['7753', 'Wh', 7753],
    ['7753.9', 'Wh', 7753],
  ] as const)('of %s %s are %i', (text, unit, expected) => {
    expect(wattHoursOf(text, unit)).toBe(expected);
  });

  it.each(['', '.5', '5.', '05', '-0', '+1', '1e3', '1E3', ' 1', '1 ', '1_0', '0x1', 'NaN', '1,5'])(
    'are none of "%s"',
    (text) => {
      expect(codeOf(() => wattHoursOf(text, 'kWh'))).toBe('form');
    },
  );

  it('are none of what is too great or too long', () => {
    expect(codeOf(() => wattHoursOf('9007199254740.992', 'kWh'))).toBe('form');
    expect(codeOf(() => wattHoursOf('9007199254740992', 'Wh'))).toBe('form');
    expect(codeOf(() => wattHoursOf(`1.${'0'.repeat(31)}`, 'Wh'))).toBe('accepted');
    expect(codeOf(() => wattHoursOf(`1.${'0'.repeat(32)}`, 'Wh'))).toBe('form');
  });

  it('are the value rounded down, by exact arithmetic, and never more than it says', () => {
    fc.assert(
      fc.property(digits(11), fraction, fc.constantFrom('kWh', 'Wh'), (whole, rest, unit) => {
        const scale = 10n ** BigInt(rest.length);
        const exact = BigInt(whole + rest) * (unit === 'kWh' ? 1000n : 1n);
        const found = BigInt(wattHoursOf(rest === '' ? whole : `${whole}.${rest}`, unit));
        expect(found * scale <= exact).toBe(true);
        expect((found + 1n) * scale > exact).toBe(true);
      }),
    );
  });

  it('differ by less than one from what the meter counted in between', () => {
    const value = fc.tuple(digits(9), fc.stringMatching(/^[0-9]{6}$/));
    fc.assert(
      fc.property(value, value, ([a, b], [c, d]) => {
        const micro = [BigInt(a + b), BigInt(c + d)].sort((x, y) => (x < y ? -1 : 1));
        const [low, high] = micro.map((v) =>
          BigInt(wattHoursOf(`${v / 1_000_000n}.${`${v % 1_000_000n}`.padStart(6, '0')}`, 'kWh')),
        );
        const counted = (micro[1] ?? 0n) - (micro[0] ?? 0n);
        const stated = ((high ?? 0n) - (low ?? 0n)) * 1000n;
        expect(stated >= 0n && stated - counted < 1000n && counted - stated < 1000n).toBe(true);
      }),
    );
  });
});

describe('a time', () => {
  it.each([
    ['2018-07-24T13:22:04,000+0200 S', 1_532_431_324, true],
    ['2018-07-24T13:22:04,999+0200 I', 1_532_431_324, false],
    ['2018-07-24T05:52:04,000-0530 R', 1_532_431_324, false],
    ['1970-01-01T00:00:00,000+0000 U', 0, false],
    ['2024-02-29T00:00:00,000+0000 S', 1_709_164_800, true],
    ['9999-12-31T23:59:59,999+0000 S', 253_402_300_799, true],
  ])('%s', (text, t, isSynced) => {
    expect(parseOcmfTime(text)).toEqual({ t, isSynced });
  });

  it('just after the turn of an hour is not at the turn', () => {
    expect(parseOcmfTime('2026-01-01T10:00:00,000+0000 S').t).toBe(1_767_261_600);
    expect(parseOcmfTime('2026-01-01T10:00:00,001+0000 S').t).toBe(1_767_261_601);
    expect(parseOcmfTime('2026-01-01T10:00:01,500+0000 S').t).toBe(1_767_261_601);
    expect(parseOcmfTime('2026-01-01T15:30:00,001+0530 S').t).toBe(1_767_261_601);
  });

  it('never comes before an earlier one, nor on the other side of a turn', () => {
    const instants = fc.integer({ min: 0, max: 4_000_000_000_000 });
    const textOf = (ms: number) =>
      `${new Date(ms).toISOString().slice(0, 19)},${`${ms % 1000}`.padStart(3, '0')}+0000 S`;
    fc.assert(
      fc.property(instants, fc.integer({ min: 0, max: 7_200_000 }), (ms, later) => {
        const [a, b] = [ms, ms + later].map((one) => parseOcmfTime(textOf(one)).t);
        expect((a ?? 0) <= (b ?? 0)).toBe(true);
        const hour = Math.floor(ms / 3_600_000) * 3600;
        const isAtTurn = ms % 3_600_000 === 0;
        expect((a ?? 0) >= hour && (a ?? 0) < hour + 3600).toBe(true);
        expect((a ?? 0) === hour).toBe(isAtTurn);
      }),
    );
  });

  it.each([
    '',
    '2018-07-24T13:22:04,000+0200',
    '2018-07-24T13:22:04,000+0200 X',
    '2018-07-24T13:22:04.000+0200 S',
    '2018-07-24T13:22:04,000Z S',
    '2018-07-24T13:22:04+0200 S',
    '2018-07-24 13:22:04,000+0200 S',
    '2018-07-24T13:22:04,000+02:00 S',
    ' 2018-07-24T13:22:04,000+0200 S',
    '2018-02-30T13:22:04,000+0200 S',
    '2023-02-29T13:22:04,000+0200 S',
    '2018-13-24T13:22:04,000+0200 S',
    '2018-07-24T24:00:00,000+0200 S',
    '2018-07-24T13:60:04,000+0200 S',
    '2018-07-24T13:22:60,000+0200 S',
    '2018-07-24T13:22:04,000+1401 S',
    '2018-07-24T13:22:04,000+0260 S',
    '0018-07-24T13:22:04,000+0200 S',
    '1970-01-01T00:00:00,000+0100 S',
    '２018-07-24T13:22:04,000+0200 S',
  ])('is not "%s"', (text) => {
    expect(codeOf(() => parseOcmfTime(text))).toBe('form');
  });
});

describe('the name of a register', () => {
  it.each([
    ['1-0:1.8.0', 'importWh'],
    ['1-b:1.8.e', 'importWh'],
    ['01-00:01.08.00*FF', 'importWh'],
    ['01-0B:01.08.00*FF', 'importWh'],
    ['01-00:01.08.00.FF', 'importWh'],
    ['1-0:1.8.0*255', 'importWh'],
    ['1-0:2.8.0', 'exportWh'],
    ['1-0:2.8.0.FF', 'exportWh'],
    ['1-0:1.8.1', '1-0_1.8.1'],
    ['1-1:1.8.0', '1-1_1.8.0'],
    ['1-0:1.8.0*198', '1-0_1.8.0_198'],
    ['1-0:1.9.0', '1-0_1.9.0'],
    ['1-0:21.8.0', '1-0_21.8.0'],
    ['01-00:B1.08.00*FF', '01-00_B1.08.00_FF'],
  ])('of %s is %s', (obis, name) => {
    expect(registerNameOf(obis)).toBe(name);
  });

  it.each(['', ':1.8.0', '.1', '1'.repeat(65), 'importWh', 'exportWh'])(
    'is none of "%s"',
    (obis) => {
      expect(codeOf(() => registerNameOf(obis))).toBe('form');
    },
  );
});

function isItems(value: OcmfJson): value is readonly OcmfJson[] {
  return Array.isArray(value);
}

function isMembers(value: OcmfJson): value is OcmfMembers {
  return value instanceof Map;
}

/** As JSON.parse gives it, numbers as doubles: to compare with. */
function plain(value: OcmfJson): unknown {
  if (isMembers(value)) {
    return Object.fromEntries([...value].map(([name, member]) => [name, plain(member)]));
  }
  if (isItems(value)) return value.map(plain);
  return typeof value === 'object' && value !== null && 'digits' in value
    ? Number(value.digits)
    : value;
}

describe('JSON of others', () => {
  it('is read as JSON.parse reads it', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6, noUnicodeString: false }), fc.nat(4), (text, indent) => {
        const spaced = JSON.stringify(JSON.parse(text), undefined, indent);
        if (!spaced.isWellFormed() || /\\ud[89a-f]/i.test(spaced)) return;
        expect(JSON.stringify(plain(parseOcmfJson(spaced)))).toBe(
          JSON.stringify(JSON.parse(spaced)),
        );
      }),
    );
  });

  it('keeps the digits of numbers', () => {
    const value = parseOcmfJson('[2935.600, 1E5, -0, 0.10]');
    expect(value).toEqual([
      { digits: '2935.600' },
      { digits: '1E5' },
      { digits: '-0' },
      { digits: '0.10' },
    ]);
  });

  it('reads every escape', () => {
    expect(parseOcmfJson('"\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e4\\ud83d\\ude00"')).toBe(
      '"\\/\b\f\n\r\tä😀',
    );
  });

  it.each([
    '',
    ' ',
    '{',
    '[1,]',
    '{"a":1,}',
    '{a:1}',
    "{'a':1}",
    '{"a" 1}',
    '{"a":1 "b":2}',
    '{"a":1,"a":1}',
    '{"a":1,"\\u0061":1}',
    '{"__proto__":1,"__proto__":2}',
    '[1 2]',
    '01',
    '1.',
    '.1',
    '+1',
    '1e',
    '--1',
    'NaN',
    'Infinity',
    'nul',
    'truefalse',
    '1 1',
    '"',
    '"\u0001"',
    '"\\x"',
    '"\\u12"',
    '"\\ud800"',
    '"\\udc00\\ud800"',
    '\u00a01',
    '\ufeff1',
    '[[[[[[[[[[1]]]]]]]]]]',
    '// no comments\n1',
  ])('is not %j', (text) => {
    expect(codeOf(() => parseOcmfJson(text))).toBe('json');
  });

  it('ends at eight levels', () => {
    const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);
    expect(codeOf(() => parseOcmfJson(nested(9)))).toBe('accepted');
    expect(codeOf(() => parseOcmfJson(nested(10)))).toBe('json');
    expect(codeOf(() => parseOcmfJson(nested(30_000)))).toBe('json');
  });

  it('has members by any name', () => {
    const value = parseOcmfJson('{"__proto__":"a","constructor":"b"}');
    expect(value).toEqual(
      new Map([
        ['__proto__', 'a'],
        ['constructor', 'b'],
      ]),
    );
  });
});
