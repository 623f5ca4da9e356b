import { describe, expect, it } from 'vitest';
import { utf8 } from '#core/bytes.ts';
import { buildMessage, type Message, type Reading } from '#core/energy/message.ts';
import { parsePublicJwk } from '#core/keys.ts';
import { judgeSigned, openMessage, type KeyFacts, type LogFacts } from '#ingestion/decide.ts';
import { testLog, testSigner, topicOf } from '#support/register.ts';

const signer = testSigner('meter');
const log: LogFacts = { origin: testLog, futureS: 120, lateAfterS: 45 * 86_400 };
const at = 1_767_261_600;
const facts: KeyFacts = {
  keyId: 1,
  publicKey: parsePublicJwk(signer.jwk),
  meterId: 1,
  meter: 'M-1',
  plantId: 1,
  plant: 'p',
  topic: topicOf({ plant: 'p', meter: 'M-1' }),
  notBefore: at - 86_400,
  lastSeq: undefined,
  lastT: undefined,
};

function judge(
  change: Partial<Message>,
  options: { topic?: string; receivedAt?: number; key?: Partial<KeyFacts> } = {},
): string {
  const message: Message = {
    v: 1,
    log: testLog,
    plant: 'p',
    meter: 'M-1',
    seq: 1,
    readings: readingsAt(at),
    ...change,
  };
  const key = { ...facts, ...options.key };
  const opened = openMessage(utf8(buildMessage(signer, message)), () => key);
  const judgement = judgeSigned(opened, {
    topic: options.topic ?? key.topic,
    receivedAt: options.receivedAt ?? at,
    log,
  });
  return judgement.code ?? 'accepted';
}

function readingsAt(...times: number[]): Reading[] {
  return times.map((t) => ({ t, registers: { exportWh: 1 } }));
}

describe('a signed message, by itself', () => {
  it('is accepted when everything is right', () => {
    expect(judge({})).toBe('accepted');
  });

  it('takes no seq when it is meant for another log, whatever else is wrong', () => {
    expect(judge({ log: 'other.example/log', plant: 'q' }, { topic: 'x' })).toBe('log');
  });

  it('takes no seq when it comes on another topic, its plant and meter right or not', () => {
    expect(judge({}, { topic: topicOf({ plant: 'p', meter: 'M-2' }) })).toBe('topic');
    expect(judge({ meter: 'M-2' }, { topic: topicOf({ plant: 'p', meter: 'M-2' }) })).toBe('topic');
  });

  it('is kept as plant or meter when it names another than its key is registered for', () => {
    expect(judge({ plant: 'q' })).toBe('plant');
    expect(judge({ meter: 'M-2' })).toBe('meter');
  });

  it('lies in the span of its key up to the last second and the last seq', () => {
    const key = { notBefore: at, lastSeq: 7, lastT: at };
    expect(judge({ seq: 7 }, { key })).toBe('accepted');
    expect(judge({ seq: 8 }, { key })).toBe('span');
    expect(judge({ readings: readingsAt(at, at + 1) }, { key })).toBe('span');
    expect(judge({ readings: readingsAt(at - 1) }, { key })).toBe('span');
  });

  it('is future when any reading is more than 120 s after its arrival', () => {
    expect(judge({ readings: readingsAt(at, at + 120) })).toBe('accepted');
    expect(judge({ readings: readingsAt(at, at + 121) })).toBe('future');
  });

  it('is late when any reading is more than 45 days before its arrival', () => {
    const limit = at + log.lateAfterS;
    const readings = readingsAt(at, at + 10);
    expect(judge({ readings }, { receivedAt: limit })).toBe('accepted');
    expect(judge({ readings }, { receivedAt: limit + 1 })).toBe('late');
  });

  it('is refused before its signature is looked at when nobody knows the key, or not as that', () => {
    const bytes = utf8(buildMessage(signer, exampleMessage()));
    expect(() => openMessage(bytes, () => undefined)).toThrow(
      expect.objectContaining({ code: 'key' }),
    );
    const other = parsePublicJwk(testSigner('wind', 'ES256').jwk);
    expect(() => openMessage(bytes, () => ({ ...facts, publicKey: other }))).toThrow(
      expect.objectContaining({ code: 'alg' }),
    );
  });
});

function exampleMessage(): Message {
  return { v: 1, log: testLog, plant: 'p', meter: 'M-1', seq: 1, readings: readingsAt(at) };
}
