import { sha256 } from '#crypto';
import { Refused } from '../errors.ts';
import { canonicalBytes, parseCanonical } from '../jcs.ts';
import { compactJws, parseCompactJws, type Jws } from '../jws.ts';
import {
  array,
  id,
  instant,
  integer,
  lastInstant,
  object,
  oneOf,
  optional,
  origin,
  record,
} from '../shape.ts';
import type { Infer } from '../shape.ts';
import type { Signer } from '../signer.ts';
import { hourSeconds, hourStartOf } from './hours.ts';
import { readMessageText } from './message-text.ts';

/** A JWS is at most 65,000 bytes, so that an MQTT packet of 64 KiB holds it with its topic (D3.1). */
export const messageLimitBytes = 65_000;
export const readingsLimit = 1000;
const registersLimit = 16;

export const readingShape = object({
  clock: optional(oneOf('synced', 'unsynced')),
  registers: record(id, integer(0), { min: 1, max: registersLimit }),
  status: optional(oneOf('ok', 'power-fail', 'tamper', 'fault')),
  t: instant,
});

export const messageShape = object({
  log: origin,
  meter: id,
  plant: id,
  readings: array(readingShape, { min: 1, max: readingsLimit }),
  seq: integer(1),
  v: oneOf(1),
});

export type Reading = Infer<typeof readingShape>;
export type Message = Infer<typeof messageShape>;

/**
 * What a message says, whatever format it came in. `log` is empty where the format names none, which no
 * log's origin is: what is meant for this log, `requireRegistered` says.
 */
export type MessageContent = Omit<Message, 'v'>;

export interface ParsedMessage {
  readonly message: MessageContent;
  readonly jws: Jws;
  /** SHA-256 of the signing input: what tells a duplicate from a fork, and what the chain runs over. */
  readonly hash: Uint8Array;
  /** Of a record in the Open Charge Metering Format: what it says itself (ocmf.ts). */
  readonly ocmf?: OcmfSource;
}

/** What an OCMF record is told by: its page, and the device that the page belongs to. */
export interface OcmfSource {
  readonly context: 'F' | 'T';
  readonly page: number;
  readonly serial: string;
}

export interface ParsedJwsMessage extends ParsedMessage {
  readonly message: Message;
}

/**
 * Parses a meter message (D3.1) from bytes as received: form only, no key, no signature. Throws
 * Refused('size') beyond 65,000 bytes and Refused('form') for everything else that is wrong.
 */
export function parseMessage(bytes: Uint8Array): ParsedJwsMessage {
  if (bytes.length > messageLimitBytes) {
    throw new Refused('size', `${bytes.length} bytes, at most ${messageLimitBytes} are accepted`);
  }
  try {
    const jws = parseCompactJws(bytes, 'hourseal-message');
    const message = readMessageText(jws.payload, textLimits) ?? parsePayload(jws.payload);
    requireOrderWithinOneHour(message.readings);
    return { message, jws, hash: sha256(jws.signingInput) };
  } catch (cause) {
    if (!(cause instanceof Refused)) throw cause;
    throw new Refused('form', cause.message, { cause });
  }
}

const textLimits = { readings: readingsLimit, registers: registersLimit, lastInstant };

/** Of all payloads, whatever is in them: the rule itself. Throws Refused. */
export function parsePayload(payload: Uint8Array): Message {
  return messageShape.parse(parseCanonical(payload));
}

/** Strictly increasing in `t`, and all within one closed hour [start, start + 3600]. */
export function requireOrderWithinOneHour(readings: readonly Reading[]): void {
  let previous = -1;
  let end = Number.POSITIVE_INFINITY;
  for (const { t } of readings) {
    if (previous < 0) end = hourStartOf(t) + hourSeconds;
    if (t <= previous) throw new Refused('form', 'readings: not strictly increasing in t');
    if (t > end) throw new Refused('form', 'readings: not within one closed hour');
    previous = t;
  }
}

/**
 * Builds and signs a message; `t` ascending within one closed hour, and few enough readings for
 * 65,000 bytes, are the caller's duty, checked: Refused('form' | 'size').
 */
export function buildMessage(signer: Signer, message: Message): string {
  messageShape.parse(message);
  requireOrderWithinOneHour(message.readings);
  const jws = compactJws(signer, 'hourseal-message', canonicalBytes(message));
  if (jws.length > messageLimitBytes) {
    throw new Refused('size', `${jws.length} bytes, at most ${messageLimitBytes} are accepted`);
  }
  return jws;
}

/** D4.2: a reading counts for energy only with a synced clock and an undisturbed register. */
export function isTrustworthy(reading: Pick<Reading, 'clock' | 'status'>): boolean {
  const { clock = 'synced', status = 'ok' } = reading;
  return clock === 'synced' && (status === 'ok' || status === 'power-fail');
}

/** Topics of a meter (D3.1). */
export function messagesTopic(plant: string, meter: string): string {
  return `hourseal/v1/${plant}/${meter}/messages`;
}

export function receiptsTopic(plant: string, meter: string): string {
  return `hourseal/v1/${plant}/${meter}/receipts`;
}

/** The plant and meter that a messages topic names, or undefined when it is not one. */
export function parseMessagesTopic(topic: string): { plant: string; meter: string } | undefined {
  const [space, version, plant, meter, kind, ...rest] = topic.split('/');
  if (space !== 'hourseal' || version !== 'v1' || kind !== 'messages' || rest.length > 0) {
    return undefined;
  }
  try {
    return { plant: id.parse(plant), meter: id.parse(meter) };
  } catch {
    return undefined;
  }
}
