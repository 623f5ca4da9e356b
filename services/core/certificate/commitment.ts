import { sha256 } from '#crypto';
import { concat } from '../bytes.ts';
import { batchPath } from '../energy/batch.ts';
import { encodeFramed, parseFramed, recordsLimit } from '../energy/evidence-file.ts';
import { Refused } from '../errors.ts';
import { canonicalBytes, parseCanonical } from '../jcs.ts';
import { hourOpeningShape, type HourOpening } from './specs/hours.ts';

/**
 * Commitments of consumption sites (D3.3): the public entry of such an hour says everything but what
 * was consumed, and the opening, shown to whoever may see it, fits no other figures.
 */

/** A site's secret is this long. */
export const siteSecretBytes = 32;
const blockBytes = 64;

/** HMAC-SHA-256 (RFC 2104). A key longer than 64 bytes is hashed first. */
export function hmacSha256(key: Uint8Array, message: Uint8Array): Uint8Array {
  const block = new Uint8Array(blockBytes);
  block.set(key.length > blockBytes ? sha256(key) : key);
  const inner = sha256(
    concat(
      block.map((byte) => byte ^ 0x36),
      message,
    ),
  );
  return sha256(
    concat(
      block.map((byte) => byte ^ 0x5c),
      inner,
    ),
  );
}

export interface CommittedPlace {
  readonly origin: string;
  readonly plant: string;
  readonly start: number;
  /** 1 for the `hour`, 2 for its first correction, and so on. */
  readonly version: number;
}

/** salt = HMAC-SHA-256(site secret, JCS of {origin, plant, start, version}). 32 bytes. */
export function commitmentSalt(secret: Uint8Array, place: CommittedPlace): Uint8Array {
  if (secret.length !== siteSecretBytes) throw new RangeError('secret: not 32 bytes');
  const { origin, plant, start, version } = place;
  return hmacSha256(secret, canonicalBytes({ origin, plant, start, version }));
}

/** commitment = SHA-256(salt || JCS of the opening). 32 bytes. */
export function commitmentOf(salt: Uint8Array, opening: HourOpening): Uint8Array {
  return sha256(concat(salt, canonicalBytes(opening)));
}

/** What a committed hour hides, as its owner, the regulator and auditing witnesses may see it. */
export interface Opening {
  readonly opening: HourOpening;
  /** 32 bytes. */
  readonly salt: Uint8Array;
  /** The meter records in the order of their tree. */
  readonly records: readonly Uint8Array[];
}

/** Where an opening is served, under authentication, and the batch file of a committed hour. */
export function openingPath(commitmentHex: string): string {
  return `private/opening/${commitmentHex}`;
}
export function privateBatchPath(root: string): string {
  return `private/${batchPath(root)}`;
}

/** Framed as a batch file: the salt, the JCS form of what is hidden, then the meter records. */
export function encodeOpening({ opening, salt, records }: Opening): Uint8Array {
  return encodeFramed([salt, canonicalBytes(opening), ...records]);
}

/** Strict inverse of `encodeOpening`. Throws Refused. */
export function parseOpening(bytes: Uint8Array): Opening {
  const [salt, hidden, ...records] = parseFramed(bytes, recordsLimit + 2);
  if (salt?.length !== 32 || hidden === undefined) {
    throw new Refused('form', 'not the opening of a commitment');
  }
  return { opening: hourOpeningShape.parse(parseCanonical(hidden)), salt, records };
}
