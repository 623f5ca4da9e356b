import { describe, expect, it } from 'vitest';
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { sha256 } from '#crypto';
import { decodeUtf8, fromHex, toHex, utf8 } from '#core/bytes.ts';
import { curves, ecdsaAlgs, parseSpki } from '#core/ecdsa.ts';
import { parseMessageLeaf } from '#core/energy/batch.ts';
import { placeOcmf } from '#core/energy/ocmf.ts';
import { requireRegistered } from '#core/energy/signed.ts';
import { canonicalText } from '#core/jcs.ts';
import { verifyJws } from '#core/jws.ts';
import { ecdsaJwkOf, parseEcdsaJwk } from '#core/keys.ts';
import { readFileSync } from 'node:fs';
import { examples } from '#support/formats-examples.ts';
import { formatsPage } from '#support/formats-page.ts';

const page = examples(formatsPage);

function example(name: string): string {
  const text = page.get(name);
  if (text === undefined) throw new Error(`no example ${name}`);
  return text.slice(0, -1);
}

const alg = 'ECDSA-secp256k1-SHA256';
const key = parseEcdsaJwk(JSON.parse(example('ocmf-jwk')));
const place = {
  kid: key.kid,
  plant: 'mill',
  meter: 'CHARGER-1',
  ocmf: { after: 4710, context: 'F', serial: '1XYZ0012345678' },
} as const;

describe('the section on records in OCMF', () => {
  it('shows one key in both forms, that of its test key', () => {
    const secret = sha256(utf8('hourseal test key charger'));
    const spki = parseSpki(fromHex(example('ocmf-spki')));
    expect(toHex(spki.publicKey)).toBe(toHex(secp256k1.getPublicKey(secret, false)));
    expect(canonicalText(ecdsaJwkOf(spki.alg, spki.publicKey))).toBe(example('ocmf-jwk'));
  });

  it('shows a record and its leaf, which its key signed, and its hash', () => {
    const leaf = utf8(example('ocmf-leaf'));
    const { receivedAt, bytes, parsed } = parseMessageLeaf(leaf);
    const record = utf8(example('ocmf-record'));
    expect(decodeUtf8(placeOcmf(record, place))).toBe(decodeUtf8(bytes));
    requireRegistered(parsed, place, 'log.example/hourseal/2026');
    verifyJws(parsed.jws, key);
    expect(parsed.jws.header.alg).toBe(alg);
    expect(toHex(parsed.hash)).toBe(example('ocmf-hash'));
    expect(parsed.message.seq).toBe(2);
    expect(parsed.message.readings).toEqual([
      { registers: { importWh: 2_935_600 }, t: 1_767_261_600 },
      { registers: { importWh: 2_941_100 }, t: 1_767_262_500 },
    ]);
    expect(receivedAt).toBe(1_767_262_500 + 5);
  });

  it('lists the algorithms that the code knows', () => {
    const rows = readFileSync(formatsPage, 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('| `ECDSA-'))
      .map((line) => line.split('|').map((cell) => cell.trim().replaceAll('`', '')));
    expect(rows.map(([, name, crv, size]) => [name, crv, size])).toEqual(
      ecdsaAlgs.map((name) => [name, curves[name].crv, String(curves[name].sizeBytes)]),
    );
  });
});
