import { createPrivateKey, createPublicKey, sign, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { concat, fromHex, toHex, utf8 } from '#core/bytes.ts';
import { curves, parseSpki, type EcdsaAlg } from '#core/ecdsa.ts';
import { ecdsaJwkOf, parseEcdsaJwk, type PublicKey } from '#core/keys.ts';

/** Records of other people's meters, and a meter of ours that speaks OCMF. */

export interface PublishedRecord {
  readonly name: string;
  readonly alg: EcdsaAlg;
  /** What must happen to it: `accepted`, or the code of its refusal. */
  readonly outcome: string;
  readonly publicKey: string;
  readonly record: string;
}

/** test/vectors/ocmf.json says where they are from. */
export function publishedRecords(): readonly PublishedRecord[] {
  const file = new URL('../vectors/ocmf.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { records: PublishedRecord[] }).records;
}

export function publicKeyOfSpki(hex: string): PublicKey {
  const { alg, publicKey } = parseSpki(fromHex(hex));
  return parseEcdsaJwk(ecdsaJwkOf(alg, publicKey));
}

export interface OcmfMeter {
  readonly alg: EcdsaAlg;
  readonly key: PublicKey;
  /** ECDSA-Sig-Value in DER, as OpenSSL makes it. */
  readonly sign: (payload: Uint8Array) => Uint8Array;
  /** A whole record. `signature` adds members to its last section. */
  readonly record: (payload: string, signature?: Readonly<Record<string, string>>) => Uint8Array;
}

/** A meter with a key of its own curve, derived from a name, signing by OpenSSL. */
export function ocmfMeter(alg: EcdsaAlg, secret: bigint): OcmfMeter {
  const key = privateKeyOf(alg, secret);
  const der = createPublicKey(key).export({ format: 'der', type: 'spki' });
  const signed = (payload: Uint8Array): Uint8Array => Uint8Array.from(sign('sha256', payload, key));
  return {
    alg,
    key: publicKeyOfSpki(toHex(Uint8Array.from(der))),
    sign: signed,
    record(payload, signature = {}) {
      const members = { SA: alg, ...signature, SD: toHex(signed(utf8(payload))) };
      return utf8(`OCMF|${payload}|${JSON.stringify(members)}`);
    },
  };
}

/** ECPrivateKey (RFC 5915) with the curve's name; OpenSSL works the point out by itself. */
function privateKeyOf(alg: EcdsaAlg, secret: bigint): KeyObject {
  const { sizeBytes, oid } = curves[alg];
  const scalar = fromHex(secret.toString(16).padStart(2 * sizeBytes, '0'));
  const body = concat(
    fromHex('020101'),
    Uint8Array.of(0x04, sizeBytes),
    scalar,
    Uint8Array.of(0xa0, oid.length),
    oid,
  );
  const der = concat(Uint8Array.of(0x30, body.length), body);
  return createPrivateKey({ key: Buffer.from(der), format: 'der', type: 'sec1' });
}
