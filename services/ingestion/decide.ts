import { Refused } from '#core/errors.ts';
import { parseMessage, type ParsedMessage } from '#core/energy/message.ts';
import { placeOcmf, type OcmfBinding } from '#core/energy/ocmf.ts';
import { parseOcmfRecord } from '#core/energy/ocmf-record.ts';
import { parseSigned } from '#core/energy/signed.ts';
import type { PublicKey } from '#core/keys.ts';

/** What the register (the log's projection) says of a meter's key. */
export interface KeyFacts {
  readonly keyId: number;
  readonly publicKey: PublicKey;
  readonly meterId: number;
  readonly meter: string;
  readonly plantId: number;
  readonly plant: string;
  /** The only topic on which messages under this key are taken. */
  readonly topic: string;
  readonly notBefore: number;
  /** Set by `key-end`: a message is good up to these, whenever it arrives (D3.3). */
  readonly lastSeq: number | undefined;
  readonly lastT: number | undefined;
  /** Of a key that signs OCMF records, and nothing else. */
  readonly ocmf?: OcmfBinding | undefined;
}

/** What the log says of itself and its rules. */
export interface LogFacts {
  readonly origin: string;
  readonly lateAfterS: number;
  readonly futureS: number;
}

/** Nobody answers for such bytes: quarantined, bounded for each sender. */
export type UnsignedCode = 'size' | 'form' | 'key' | 'alg' | 'page' | 'signature';
/**
 * Signed, and yet it takes no seq: one for another log could otherwise be replayed here to fork a
 * key, and one captured and published on another topic could use up the key's next seq.
 */
export type AstrayCode = 'log' | 'topic';
/** Signed, takes its seq, is in the receipt chain; only `late` may ever be certified (D4.1). */
export type KeptCode = 'plant' | 'meter' | 'span' | 'future' | 'late' | 'order';

export interface Opened {
  readonly parsed: ParsedMessage;
  readonly key: KeyFacts;
}

/**
 * The form of a message and the key that must have signed it; the signature itself is the next step.
 * Throws Refused with an UnsignedCode.
 */
export function openMessage(
  bytes: Uint8Array,
  keyOf: (kid: string) => KeyFacts | undefined,
): Opened {
  const parsed = parseMessage(bytes);
  const { alg, kid } = parsed.jws.header;
  const key = keyOf(kid);
  if (key === undefined) throw new Refused('key', `no key ${kid} is registered`);
  // The header never chooses (D3.1): EdDSA is Ed25519's older name, anything else must be equal.
  if (key.publicKey.alg !== (alg === 'EdDSA' ? 'Ed25519' : alg)) {
    throw new Refused('alg', `the header says ${alg}, the key is ${key.publicKey.alg}`);
  }
  return { parsed, key };
}

/**
 * A record of a meter that speaks OCMF, which names its device and no key. `bytes` are those that are
 * kept: the record under the lines that say whose it is. Throws Refused with an UnsignedCode.
 */
export function openOcmf(
  record: Uint8Array,
  keyOf: (serial: string) => KeyFacts | undefined,
): Opened & { readonly bytes: Uint8Array } {
  const { alg, serial } = parseOcmfRecord(record);
  const key = keyOf(serial);
  if (key?.ocmf === undefined) {
    throw new Refused('key', `no key of the device ${serial} is registered`);
  }
  const { publicKey, plant, meter, ocmf } = key;
  if (publicKey.alg !== alg) {
    throw new Refused('alg', `the record says ${alg}, the key is ${publicKey.alg}`);
  }
  const bytes = placeOcmf(record, { kid: publicKey.kid, plant, meter, ocmf });
  return { parsed: parseSigned(bytes), key, bytes };
}

export type Judgement =
  | { readonly kind: 'astray'; readonly code: AstrayCode; readonly detail: string }
  | { readonly kind: 'kept'; readonly code: KeptCode | undefined };

/** What a correctly signed message is, before its neighbours under the same key are looked at. */
export function judgeSigned(
  { parsed, key }: Opened,
  circumstances: { readonly topic: string; readonly receivedAt: number; readonly log: LogFacts },
): Judgement {
  const { message } = parsed;
  const { topic, receivedAt, log } = circumstances;
  // An OCMF record names no log: that it is meant for this one, its key's entry alone says.
  if (parsed.ocmf === undefined && message.log !== log.origin) {
    return { kind: 'astray', code: 'log', detail: `meant for the log ${message.log}` };
  }
  if (topic !== key.topic) {
    return { kind: 'astray', code: 'topic', detail: `a key of ${key.topic}` };
  }
  return { kind: 'kept', code: keptCode({ parsed, key }, { receivedAt, log }) };
}

function keptCode(
  { parsed, key }: Opened,
  { receivedAt, log }: { readonly receivedAt: number; readonly log: LogFacts },
): KeptCode | undefined {
  const { message } = parsed;
  if (message.plant !== key.plant) return 'plant';
  if (message.meter !== key.meter) return 'meter';
  const { first, last } = timesOf(parsed);
  if (first < key.notBefore || message.seq > (key.lastSeq ?? message.seq)) return 'span';
  if (last > (key.lastT ?? last)) return 'span';
  if (last > receivedAt + log.futureS) return 'future';
  if (receivedAt - first > log.lateAfterS) return 'late';
  return undefined;
}

/** First and last instant of a message's readings, which ascend. */
export function timesOf({ message }: ParsedMessage): { first: number; last: number } {
  const { readings } = message;
  const first = readings[0];
  const last = readings[readings.length - 1];
  if (first === undefined || last === undefined) throw new RangeError('readings: none');
  return { first: first.t, last: last.t };
}

/** True for what may count for energy: accepted, or late (which then needs a decision). */
export function isUsable(code: KeptCode | undefined): boolean {
  return code === undefined || code === 'late';
}
