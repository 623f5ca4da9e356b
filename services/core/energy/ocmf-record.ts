import { decodeUtf8, equalBytes, fromBase64, fromHex, utf8 } from '../bytes.ts';
import { isEcdsaAlg, parseEcdsaSignature, type EcdsaAlg } from '../ecdsa.ts';
import { Refused } from '../errors.ts';
import type { OcmfSource, Reading } from './message.ts';
import { parseOcmfJson, type OcmfJson, type OcmfMembers } from './ocmf-json.ts';
import { readingsOf } from './ocmf-readings.ts';

/**
 * A record in the Open Charge Metering Format (S.A.F.E., version 1.4.1): `OCMF|payload|signature`,
 * two JSON objects of which the first is signed, byte for byte as it stands.
 */
export interface OcmfRecord extends OcmfSource {
  readonly alg: EcdsaAlg;
  /** The bytes between the two pipes. */
  readonly payload: Uint8Array;
  /** r || s. */
  readonly signature: Uint8Array;
  readonly readings: readonly Reading[];
}

/** So that a leaf that holds one, with what the log says of it, is no longer than any other. */
export const ocmfLimitBytes = 64_000;

const pipe = 0x7c;
const pagePattern = /^([FT])(0|[1-9][0-9]{0,14})$/;
const versionPattern = /^1\.[0-9]{1,3}$/;
const serialPattern = /^[!-~]{1,64}$/;
const defaultAlg = 'ECDSA-secp256r1-SHA256';
/** Other spellings that meters use. */
const aliases: Readonly<Record<string, EcdsaAlg>> = {
  'ECDSA-brainpoolP256r1-SHA256': 'ECDSA-brainpool256r1-SHA256',
  'ECDSA-brainpoolP384r1-SHA256': 'ECDSA-brainpool384r1-SHA256',
};

const head = utf8('OCMF|');

export function isOcmf(bytes: Uint8Array): boolean {
  return equalBytes(bytes.subarray(0, head.length), head);
}

/**
 * Parses a record by its form: no key, no signature, no hour. Throws Refused('size'), Refused('alg')
 * for an algorithm that OCMF does not list, and Refused('form') for everything else that is wrong.
 */
export function parseOcmfRecord(bytes: Uint8Array): OcmfRecord {
  if (bytes.length > ocmfLimitBytes) {
    throw new Refused('size', `${bytes.length} bytes, at most ${ocmfLimitBytes} are accepted`);
  }
  try {
    const { payload, signature } = sectionsOf(bytes);
    return {
      ...parsePayload(membersOf(payload)),
      payload,
      ...parseSignature(membersOf(signature)),
    };
  } catch (cause) {
    if (!(cause instanceof Refused) || cause.code === 'alg') throw cause;
    throw new Refused('form', cause.message, { cause });
  }
}

function sectionsOf(bytes: Uint8Array): { payload: Uint8Array; signature: Uint8Array } {
  const first = bytes.indexOf(pipe);
  const second = bytes.indexOf(pipe, first + 1);
  if (!isOcmf(bytes) || second < 0 || bytes.includes(pipe, second + 1)) {
    throw new Refused('form', 'not OCMF, a payload and a signature parted by two pipes');
  }
  return { payload: bytes.subarray(first + 1, second), signature: bytes.subarray(second + 1) };
}

function membersOf(section: Uint8Array): OcmfMembers {
  const text = decodeUtf8(section);
  // White space around a section would be signed by one reader's account and not by another's.
  if (!text.startsWith('{') || !text.endsWith('}')) throw new Refused('form', 'not an object');
  const value = parseOcmfJson(text);
  if (!isMembers(value)) throw new Refused('form', 'not an object');
  return value;
}

function isMembers(value: OcmfJson): value is OcmfMembers {
  return value instanceof Map;
}

function textOf(members: OcmfMembers, name: string): string | undefined {
  const value = members.get(name);
  if (value === undefined || typeof value === 'string') return value;
  throw new Refused('form', `${name}: not a text`);
}

function parsePayload(members: OcmfMembers): OcmfSource & Pick<OcmfRecord, 'readings'> {
  const version = textOf(members, 'FV');
  if (version !== undefined && !versionPattern.test(version)) {
    throw new Refused('form', `FV: ${version} is not a version 1`);
  }
  const [, context, page] = pagePattern.exec(textOf(members, 'PG') ?? '') ?? [];
  if (context === undefined) throw new Refused('form', 'PG: not T or F and a number');
  // The signing component may be the meter or a gateway; of a gateway's own meter there may be no word.
  const [meter, gateway] = [textOf(members, 'MS'), textOf(members, 'GS')];
  const serial = meter === undefined || meter === '' ? (gateway ?? '') : meter;
  if (!serialPattern.test(serial)) throw new Refused('form', 'MS, GS: no serial number');
  const list = members.get('RD');
  if (!Array.isArray(list)) throw new Refused('form', 'RD: not a list of readings');
  return {
    context: context === 'F' ? 'F' : 'T',
    page: Number(page),
    serial,
    readings: readingsOf((list as readonly OcmfJson[]).map(asReading)),
  };
}

function asReading(value: OcmfJson): OcmfMembers {
  if (!isMembers(value)) throw new Refused('form', 'RD: not readings');
  return value;
}

function parseSignature(members: OcmfMembers): Pick<OcmfRecord, 'alg' | 'signature'> {
  const alg = algOf(textOf(members, 'SA') ?? defaultAlg);
  const type = textOf(members, 'SM') ?? 'application/x-der';
  if (type !== 'application/x-der') throw new Refused('form', `SM: ${type} is not known`);
  const data = textOf(members, 'SD') ?? '';
  const encoding = textOf(members, 'SE') ?? 'hex';
  if (encoding !== 'hex' && encoding !== 'base64') {
    throw new Refused('form', `SE: ${encoding} is not known`);
  }
  const der = encoding === 'hex' ? fromHex(data.toLowerCase()) : fromBase64(data);
  return { alg, signature: parseEcdsaSignature(alg, der) };
}

function algOf(name: string): EcdsaAlg {
  const alg = Object.hasOwn(aliases, name) ? (aliases[name] ?? name) : name;
  if (!isEcdsaAlg(alg)) throw new Refused('alg', `SA: ${name} is not one of OCMF's algorithms`);
  return alg;
}
