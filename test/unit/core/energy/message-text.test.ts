import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeUtf8, fromBase64Url, readBase64Url, toBase64Url, utf8 } from '#core/bytes.ts';
import { parsePayload, readingsLimit, type Message } from '#core/energy/message.ts';
import { readMessageText } from '#core/energy/message-text.ts';
import { Refused } from '#core/errors.ts';
import { canonicalBytes, canonicalText } from '#core/jcs.ts';
import { compactJws, parseAnyCompactJws, parseCompactJws } from '#core/jws.ts';
import { testSigner } from '#support/register.ts';
import { asJson, signedJson } from '../fuzz-formats.ts';
import { inputs } from '../fuzz-input.ts';

/**
 * The quick readers beside the strict parsers: where a quick one answers, it gives what the strict one
 * gives; where it does not, the strict one decides. And what devices send, it answers.
 */
const runs = Number(process.env.HOURSEAL_FUZZ_RUNS ?? 300);
const limits = { readings: readingsLimit, registers: 16, lastInstant: 253_402_300_799 };
const quick = (payload: Uint8Array): unknown => readMessageText(payload, limits);

/** What came out, or the refusal as it would be told. */
function outcomeOf<T>(work: () => T): { value: T } | { code: string; message: string } {
  try {
    return { value: work() };
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return { code: error.code, message: error.message };
  }
}

function expectAgreement(payload: Uint8Array): boolean {
  const read = quick(payload);
  const strict = outcomeOf(() => parsePayload(payload));
  if (read !== undefined) expect(strict).toEqual({ value: read });
  return read !== undefined;
}

const oneOf = (characters: string): fc.Arbitrary<string> =>
  fc.constantFrom(...Array.from(characters));
const someOf = (characters: string, minLength: number, maxLength: number): fc.Arbitrary<string> =>
  fc.array(oneOf(characters), { minLength, maxLength }).map((all) => all.join(''));
const id = fc
  .tuple(oneOf('AZaz09'), someOf('AZaz09._-', 0, 63))
  .map(([first, rest]) => first + rest);
const origin = someOf("!#$%&'()*,-./09:;<=>?@AZ[]^_`az{|}~", 1, 255);
const registerName = fc.oneof(
  id,
  fc.constantFrom('exportWh', 'importWh', 'constructor', '10', '9'),
);
const value = fc.oneof(
  fc.nat(),
  fc.constantFrom(0, 9, 10, Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER - 1),
);
const reading = fc.record(
  {
    clock: fc.constantFrom('synced', 'unsynced'),
    registers: fc.dictionary(registerName, value, { minKeys: 1, maxKeys: 16 }),
    status: fc.constantFrom('ok', 'power-fail', 'tamper', 'fault'),
    t: fc.oneof(fc.nat(), fc.constantFrom(0, limits.lastInstant)),
  },
  { requiredKeys: ['registers', 't'] },
);
const anyMessage = fc.record({
  log: origin,
  meter: id,
  plant: id,
  readings: fc.array(reading, { minLength: 1, maxLength: 6 }),
  seq: fc.oneof(fc.integer({ min: 1 }), fc.constant(Number.MAX_SAFE_INTEGER)),
  v: fc.constant(1),
});

const plain: Message = {
  v: 1,
  log: 'log.example/hourseal/2026',
  plant: 'solar',
  meter: 'M-1',
  seq: 7,
  readings: [
    { t: 1_767_261_600, registers: { exportWh: 12, importWh: 3 } },
    { t: 1_767_261_660, registers: { exportWh: 13, importWh: 3 }, status: 'power-fail' },
    { t: 1_767_261_720, registers: { exportWh: 13 }, clock: 'unsynced' },
  ],
};
const text = canonicalText(plain);

describe('the quick reader of payloads', () => {
  it('answers every message that is well formed, as the strict parser does', () => {
    fc.assert(
      fc.property(anyMessage, (message) => {
        expect(expectAgreement(canonicalBytes(message))).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  it('says nothing else than the strict parser on strange bytes and on nearly right ones', () => {
    const seeds = [plain, { ...plain, readings: plain.readings.slice(0, 1) }].map(canonicalBytes);
    let answered = 0;
    fc.assert(
      fc.property(inputs({ seeds, json: asJson }), (payload) => {
        if (expectAgreement(payload)) answered++;
      }),
      { numRuns: runs },
    );
    expect(answered).toBeGreaterThan(0);
  });

  it('says nothing else on a text with any one byte changed, left out or doubled', () => {
    const bytes = utf8(text);
    for (let at = 0; at < bytes.length; at++) {
      for (const other of [0x20, 0x22, 0x2c, 0x30, 0x31, 0x39, 0x5c, 0x7b, 0x7d, 0x80, 0xc3]) {
        const changed = bytes.slice();
        changed[at] = other;
        expectAgreement(changed);
      }
      expectAgreement(Uint8Array.from([...bytes.slice(0, at), ...bytes.slice(at + 1)]));
      expectAgreement(Uint8Array.from([...bytes.slice(0, at), ...bytes.slice(at)]));
      expect(quick(bytes.slice(0, at))).toBeUndefined();
    }
  });

  it.each([
    ['a number with a leading zero', '"seq":7', '"seq":07'],
    ['a number with an exponent', '"seq":7', '"seq":7e0'],
    ['seq 0', '"seq":7', '"seq":0'],
    ['an integer that is not safe', '"exportWh":12', '"exportWh":9007199254740992'],
    ['an integer that rounds to a safe one', '"exportWh":12', '"exportWh":9007199254740993'],
    ['an integer far too long', '"exportWh":12', `"exportWh":${'9'.repeat(40)}`],
    ['a negative integer', '"exportWh":12', '"exportWh":-12'],
    ['an instant after the year 9999', '"t":1767261600', '"t":253402300800'],
    ['another version', '"v":1', '"v":2'],
    ['white space', '"v":1', '"v": 1'],
    ['something after the end', '"v":1}', '"v":1} '],
    ['an unknown member', '"v":1}', '"v":1,"x":1}'],
    ['members in another order', '"seq":7,"v":1', '"v":1,"seq":7'],
    ['registers in another order', '"exportWh":12,"importWh":3', '"importWh":3,"exportWh":12'],
    ['a register twice', '"exportWh":12', '"exportWh":12,"exportWh":12'],
    ['no register', '{"exportWh":12,"importWh":3}', '{}'],
    ['a register that is no id', '"exportWh":12', '"__proto__":12'],
    ['an escape', '"solar"', '"sol\\u0061r"'],
    ['an empty id', '"solar"', '""'],
    ['an id too long', '"solar"', `"${'s'.repeat(65)}"`],
    ['an origin with a plus', 'hourseal/2026', 'hourseal+2026'],
    ['an origin too long', 'hourseal/2026', 'h'.repeat(256)],
    ['an unknown status', '"power-fail"', '"asleep"'],
    ['an unknown clock', '"unsynced"', '"off"'],
    ['no reading', /"readings":\[.*\]/, '"readings":[]'],
    ['no array', /"readings":\[.*\]/, '"readings":{}'],
    [
      'too many registers',
      '"exportWh":12',
      `${Array.from({ length: 16 }, (_, i) => `"a${10 + i}":1`).join()},"exportWh":12`,
    ],
  ])('leaves to the strict parser, which refuses it: %s', (_name, from, to) => {
    const changed = text.replace(from, to);
    expect(changed).not.toBe(text);
    expect(quick(utf8(changed))).toBeUndefined();
    expect(outcomeOf(() => parsePayload(utf8(changed)))).toMatchObject({
      code: expect.stringMatching(/^(form|jcs|json)$/) as string,
    });
  });

  it('reads up to the limit of readings, and not one more', () => {
    const readings = (count: number): Uint8Array =>
      canonicalBytes({
        ...plain,
        readings: Array.from({ length: count }, (_, t) => ({ t, registers: { exportWh: t } })),
      });
    expect(expectAgreement(readings(readingsLimit))).toBe(true);
    expect(quick(readings(readingsLimit + 1))).toBeUndefined();
  });
});

describe('the quick reader of a compact JWS', () => {
  const signer = testSigner('quick');
  const messages = [plain, { ...plain, seq: 8 }, { ...plain, meter: 'M-10' }];
  const seeds = messages.map((of) =>
    utf8(compactJws(signer, 'hourseal-message', canonicalBytes(of))),
  );

  it('gives what the strict parser gives, or its very refusal', () => {
    const json = signedJson('hourseal-message', 'quick');
    let good = 0;
    fc.assert(
      fc.property(inputs({ seeds, json }), (bytes) => {
        const strict = outcomeOf(() => parseAnyCompactJws(bytes, 'hourseal-message'));
        expect(outcomeOf(() => parseCompactJws(bytes, 'hourseal-message'))).toEqual(strict);
        if ('value' in strict) good++;
      }),
      { numRuns: runs },
    );
    expect(good).toBeGreaterThan(0);
  });
});

describe('base64url by bytes', () => {
  const agree = (bytes: Uint8Array): void => {
    const strict = outcomeOf(() => fromBase64Url(decodeUtf8(bytes)));
    expect(readBase64Url(bytes)).toEqual('value' in strict ? strict.value : undefined);
  };

  it('reads what was written, of any length', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 70 }), (bytes) => {
        expect(readBase64Url(utf8(toBase64Url(bytes)))).toEqual(bytes);
      }),
    );
  });

  it('agrees with the reader of texts on every last character, and on every byte anywhere', () => {
    for (const head of ['', 'A', 'AB', 'ABC', 'ABCD', 'ABCDE', 'ABCDEF', 'ABCDEFG']) {
      for (let byte = 0; byte < 256; byte++) {
        agree(Uint8Array.from([...utf8(head), byte]));
        agree(Uint8Array.from([byte, ...utf8(head)]));
      }
    }
  });

  it('agrees with it on strange bytes', () => {
    const seeds = ['', 'AA', 'AAA', 'AAAA', 'AAAAAA'].map(utf8);
    fc.assert(fc.property(inputs({ seeds }), agree), { numRuns: runs });
  });
});
