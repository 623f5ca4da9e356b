import { readFileSync } from 'node:fs';
import { sha256 } from '#crypto';
import { describe, expect, it } from 'vitest';
import { decodeUtf8, utf8 } from '#core/bytes.ts';
import {
  buildMessage,
  isTrustworthy,
  messagesTopic,
  parseMessage,
  parseMessagesTopic,
  receiptsTopic,
  type Message,
} from '#core/energy/message.ts';
import { Refused } from '#core/errors.ts';
import { canonicalBytes } from '#core/jcs.ts';
import { compactJws, verifyJws } from '#core/jws.ts';
import { parsePublicJwk, type PublicKey } from '#core/keys.ts';
import { signerFromSeed } from '#core/signer.node.ts';

interface Case {
  readonly name: string;
  readonly jws: string;
  readonly expect: 'accepted' | 'duplicate' | 'fork' | 'late' | 'quarantined';
  readonly why?: string;
}
interface Vectors {
  readonly context: { readonly registered: readonly { readonly kid: string }[] };
  readonly cases: readonly Case[];
}
const read = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'));
const { cases, context } = read('test/vectors/messages.json') as Vectors;
const { keys } = read('test/vectors/keys.json') as { keys: readonly { jwk: unknown }[] };
const registered = new Map<string, PublicKey>();
for (const { jwk } of keys) {
  const key = parsePublicJwk(jwk);
  if (context.registered.some(({ kid }) => kid === key.kid)) registered.set(key.kid, key);
}

/** What form and signature alone can tell; the rest is ingestion's, which knows the context. */
function outcome(jws: string): string {
  try {
    const parsed = parseMessage(utf8(jws));
    const key = registered.get(parsed.jws.header.kid);
    if (key === undefined) return 'key';
    verifyJws(parsed.jws, key);
    return 'good';
  } catch (error) {
    if (error instanceof Refused) return error.code;
    throw error;
  }
}

const codeOfReason: Readonly<Record<string, string>> = {
  form: 'form',
  'not its own JCS form': 'form',
  size: 'size',
  signature: 'signature',
  key: 'key',
  'algorithm of the registered key': 'alg',
};
/** Good by form and signature; that they are refused, late or doubled, their context says. */
const ofContext = new Set(['log', 'plant', 'meter', 'topic', 'future']);

describe('the vectors', () => {
  it('are all there', () => {
    expect(cases).toHaveLength(63);
  });

  it.each(cases)('$name: $expect', ({ jws, expect: expected, why = '' }) => {
    const good = expected !== 'quarantined' || ofContext.has(why);
    expect(outcome(jws)).toBe(good ? 'good' : codeOfReason[why]);
  });
});

const signer = signerFromSeed(new Uint8Array(32).fill(5));
const start = 1_767_261_600;
const message: Message = {
  v: 1,
  log: 'log.example/hourseal/2026',
  plant: 'solar',
  meter: 'SOLAR-1',
  seq: 7,
  readings: [
    { t: start, registers: { exportWh: 10 } },
    { t: start + 3600, registers: { exportWh: 12, importWh: 3 }, clock: 'unsynced', status: 'ok' },
  ],
};
const codeOf = (bytes: Uint8Array): string => {
  try {
    parseMessage(bytes);
    return 'accepted';
  } catch (error) {
    if (error instanceof Refused) return error.code;
    throw error;
  }
};
const signed = (value: unknown): Uint8Array =>
  utf8(compactJws(signer, 'hourseal-message', canonicalBytes(value)));

describe('building and parsing', () => {
  it('gives back what was built, and the hash of the signing input', () => {
    const text = buildMessage(signer, message);
    const parsed = parseMessage(utf8(text));
    expect(parsed.message).toEqual(message);
    expect(parsed.hash).toEqual(sha256(utf8(text.slice(0, text.lastIndexOf('.')))));
    verifyJws(parsed.jws, parsePublicJwk(signer.jwk));
    expect(decodeUtf8(parsed.jws.payload)).toContain('"readings":[{"registers":{"exportWh":10}');
  });

  it.each([
    ['readings one second over the hour', [start + 1, start + 3601]],
    ['readings from before the hour', [start - 1, start + 1]],
    ['a reading twice', [start, start]],
    ['a falling time', [start + 2, start + 1]],
    ['a negative time', [-1]],
    ['a time beyond the year 9999', [253_402_300_800]],
  ])('refuses %s', (_name, times) => {
    const readings = times.map((t) => ({ t, registers: { exportWh: 1 } }));
    expect(codeOf(signed({ ...message, readings }))).toBe('form');
    expect(() => buildMessage(signer, { ...message, readings })).toThrow(Refused);
  });

  it('takes a reading at the turn of the hour with those before it, or with those after it', () => {
    for (const times of [[start - 5, start], [start, start + 5], [start], [start, start + 3600]]) {
      const readings = times.map((t) => ({ t, registers: { exportWh: 1 } }));
      expect(codeOf(signed({ ...message, readings }))).toBe('accepted');
    }
  });

  it.each(['__proto__', 'a b', '', 'a/b', '\u00e9'])('refuses the register name %j', (name) => {
    const registers = JSON.parse(`{${JSON.stringify(name)}:1}`) as Record<string, number>;
    expect(codeOf(signed({ ...message, readings: [{ t: start, registers }] }))).toBe('form');
  });

  it.each([
    ['v', '1'],
    ['log', 'with space'],
    ['plant', 'solar/1'],
    ['seq', 1.5],
    ['readings', {}],
    ['extra', 1],
  ])('refuses %s: %j', (name, value) => {
    expect(codeOf(signed({ ...message, [name]: value }))).toBe('form');
  });

  it('refuses deep nesting as bad form, whatever the stack', () => {
    const deep = utf8('['.repeat(20_000) + ']'.repeat(20_000));
    expect(codeOf(utf8(compactJws(signer, 'hourseal-message', deep)))).toBe('form');
  });

  it('takes 65,000 bytes and refuses 65,001, also when building', () => {
    const registers = Object.fromEntries(
      Array.from({ length: 16 }, (_, i) => [`register-${i}`, Number.MAX_SAFE_INTEGER]),
    );
    const readings = Array.from({ length: 200 }, (_, i) => ({ t: start + i, registers }));
    expect(() => buildMessage(signer, { ...message, readings })).toThrow(
      expect.objectContaining({ code: 'size' }),
    );
    expect(codeOf(signed({ ...message, readings }))).toBe('size');
    expect(codeOf(utf8('.'.repeat(65_001)))).toBe('size');
    expect(codeOf(utf8('.'.repeat(65_000)))).toBe('form');
  });
});

describe('what a reading is worth', () => {
  it.each([
    [{}, true],
    [{ clock: 'synced', status: 'ok' }, true],
    [{ status: 'power-fail' }, true],
    [{ status: 'tamper' }, false],
    [{ status: 'fault' }, false],
    [{ clock: 'unsynced' }, false],
    [{ clock: 'unsynced', status: 'power-fail' }, false],
  ] as const)('%j: %j', (reading, expected) => {
    expect(isTrustworthy(reading)).toBe(expected);
  });
});

describe('topics', () => {
  it('are read as they are written', () => {
    expect(messagesTopic('solar', 'S-1')).toBe('hourseal/v1/solar/S-1/messages');
    expect(receiptsTopic('solar', 'S-1')).toBe('hourseal/v1/solar/S-1/receipts');
    expect(parseMessagesTopic('hourseal/v1/solar/S-1/messages')).toEqual({
      plant: 'solar',
      meter: 'S-1',
    });
  });

  it.each([
    '',
    'hourseal/v1/solar/S-1/receipts',
    'hourseal/v1/solar/S-1/messages/',
    '/hourseal/v1/solar/S-1/messages',
    'hourseal/v2/solar/S-1/messages',
    'hourseal/v1/solar/messages',
    'hourseal/v1//S-1/messages',
    'hourseal/v1/+/S-1/messages',
    'hourseal/v1/solar/#',
    'hourseal/v1/solar/S-1/Messages',
    `hourseal/v1/solar/${'x'.repeat(65)}/messages`,
  ])('are not %j', (topic) => {
    expect(parseMessagesTopic(topic)).toBeUndefined();
  });
});
