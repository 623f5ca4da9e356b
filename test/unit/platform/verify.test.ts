import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromHex, utf8 } from '#core/bytes.ts';
import { ecdsaAlgs, parseEcdsaSignature } from '#core/ecdsa.ts';
import { ecdsaJwkOf, jwkOfRaw, parseEcdsaJwk, parsePublicJwk } from '#core/keys.ts';
import type { Alg, PublicKey } from '#core/keys.ts';
import { signerFromSeed } from '#core/signer.node.ts';
import { verifierOf } from '#platform/verify.ts';
import { ocmfMeter } from '#support/ocmf.ts';

const seed = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .filter((bytes) => (bytes[0] ?? 0) > 0 && (bytes[0] ?? 0) < 255);
const alg = fc.constantFrom<Alg>('Ed25519', 'ES256');

async function bothSay(
  key: PublicKey,
  message: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  const verdict = await verifierOf(key)(message, signature);
  expect(verdict).toBe(key.verify(message, signature));
  return verdict;
}

describe('verification in the thread pool', () => {
  it('accepts what was signed, and gives the verdict of the core for any change of it', async () => {
    await fc.assert(
      fc.asyncProperty(seed, alg, fc.nat(63), fc.nat(7), async (...[bytes, name, at, bit]) => {
        const signer = signerFromSeed(bytes, name);
        const key = parsePublicJwk(signer.jwk);
        const message = utf8('a reading');
        const signature = signer.sign(message);
        expect(await bothSay(key, message, signature)).toBe(true);
        const changed = Uint8Array.from(signature);
        changed[at] = (changed[at] ?? 0) ^ (1 << bit);
        expect(await bothSay(key, message, changed)).toBe(false);
        expect(await bothSay(key, utf8('another'), signature)).toBe(false);
      }),
      { numRuns: 60 },
    );
  });

  it("does so for the keys of other people's meters, whatever their curve", async () => {
    for (const name of ecdsaAlgs) {
      const { key, sign } = ocmfMeter(name, 4711n);
      const message = utf8('a record');
      const signature = parseEcdsaSignature(name, sign(message));
      expect(await bothSay(key, message, signature)).toBe(true);
      expect(await bothSay(key, utf8('another'), signature)).toBe(false);
      expect(await bothSay(key, message, signature.subarray(1))).toBe(false);
      expect(await bothSay(key, message, new Uint8Array(signature.length))).toBe(false);
      const offCurve = key.raw.slice();
      offCurve[1] = (offCurve[1] ?? 0) ^ 1;
      const none = parseEcdsaJwk(ecdsaJwkOf(name, offCurve));
      expect(await bothSay(none, message, signature)).toBe(false);
    }
  });

  it('gives the verdict of the core for any bytes at all', async () => {
    const signature = fc.uint8Array({ maxLength: 80 });
    await fc.assert(
      fc.asyncProperty(seed, alg, signature, async (bytes, name, given) => {
        const key = parsePublicJwk(signerFromSeed(bytes, name).jwk);
        expect(await bothSay(key, utf8('a reading'), given)).toBe(false);
      }),
      { numRuns: 100 },
    );
  });

  it('accepts nothing by a key that is not on its curve', async () => {
    const offCurve = Uint8Array.of(4, ...new Uint8Array(63), 1);
    const p256 = parsePublicJwk(jwkOfRaw('ES256', offCurve));
    expect(await bothSay(p256, utf8('x'), new Uint8Array(64))).toBe(false);
    // y = 2 has no x on Curve25519 in Edwards form.
    const edwards = fromHex(`02${'00'.repeat(31)}`);
    const ed25519 = parsePublicJwk(jwkOfRaw('Ed25519', edwards));
    expect(await bothSay(ed25519, utf8('x'), new Uint8Array(64))).toBe(false);
  });
});
