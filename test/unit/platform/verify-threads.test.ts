import { ed25519 } from '@noble/curves/ed25519.js';
import { sha512 } from '@noble/hashes/sha2.js';
import { afterAll, describe, expect, it } from 'vitest';
import { concat, fromHex, utf8 } from '#core/bytes.ts';
import { jwkOfRaw, parsePublicJwk, publicKeyOfRaw } from '#core/keys.ts';
import { fastVerify, hasLibsodium, judgeOf } from '#platform/libsodium.ts';
import { createVerifyThreads } from '#platform/verify-threads.ts';
import { testSigner } from '#support/register.ts';

const threads = createVerifyThreads({ count: 2 });
const without = createVerifyThreads({ libsodium: false });
afterAll(() => Promise.all([threads.close(), without.close()]));

/** By a key that signs with the nonce 0: R is the neutral element, which has order 1. */
function signedWithoutNonce(text: Uint8Array): { key: Uint8Array; signature: Uint8Array } {
  const { Fn, BASE, ZERO } = ed25519.Point;
  const secret = 4711n;
  const key = BASE.multiply(secret).toBytes();
  const r = ZERO.toBytes();
  const digest = Fn.create(numberOf(sha512(concat(r, key, text))));
  return { key, signature: concat(r, Fn.toBytes(Fn.mul(digest, secret))) };
}

function numberOf(littleEndian: Uint8Array): bigint {
  return littleEndian.reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n);
}

describe('verification by threads', () => {
  it('has libsodium wherever these tests run', () => {
    expect(hasLibsodium).toBe(true);
  });

  it.each([
    ['libsodium', threads],
    ['without libsodium', without],
  ])('gives each signature its own verdict, many at once: %s', async (_name, by) => {
    const asked = Array.from({ length: 500 }, (_, i) => {
      const signer = testSigner(`key ${i % 7}`, i % 5 === 0 ? 'ES256' : 'Ed25519');
      const message = utf8('x'.repeat(i));
      const signature = signer.sign(message);
      if (i % 3 === 0) signature[i % 64] = (signature[i % 64] ?? 0) ^ 1;
      const verdict = by.verifierOf(parsePublicJwk(signer.jwk))(message, signature);
      return verdict.then((good) => [i, good] as const);
    });
    for (const [i, good] of await Promise.all(asked)) expect(good, `${i}`).toBe(i % 3 !== 0);
  });

  it('takes a small-order R that its key has signed for, which libsodium would not', async () => {
    const message = utf8('a reading');
    const { key, signature } = signedWithoutNonce(message);
    expect(judgeOf(signature)).toBe('openssl');
    const verify = threads.verifierOf(publicKeyOfRaw('Ed25519', key));
    expect(await verify(message, signature)).toBe(true);
    expect(await verify(utf8('another'), signature)).toBe(false);
    const here = fastVerify(publicKeyOfRaw('Ed25519', key));
    expect([here(message, signature), here(utf8('another'), signature)]).toEqual([true, false]);
  });

  it('refuses signatures of a wrong length without asking anybody', async () => {
    const signer = testSigner('lengths');
    const verify = threads.verifierOf(parsePublicJwk(signer.jwk));
    const signature = signer.sign(utf8('a reading'));
    for (const length of [0, 32, 63]) {
      expect(judgeOf(signature.subarray(0, length))).toBe('nobody');
      expect(await verify(utf8('a reading'), signature.subarray(0, length))).toBe(false);
    }
    expect(await verify(utf8('a reading'), concat(signature, Uint8Array.of(0)))).toBe(false);
  });

  it('accepts nothing by a key that is not on the curve', async () => {
    const off = parsePublicJwk(jwkOfRaw('Ed25519', fromHex(`02${'00'.repeat(31)}`)));
    expect(await threads.verifierOf(off)(utf8('x'), testSigner('x').sign(utf8('x')))).toBe(false);
  });

  it('answers nothing after its end, neither what waits nor what comes', async () => {
    const ended = createVerifyThreads({ count: 1 });
    const signer = testSigner('end');
    const verify = ended.verifierOf(parsePublicJwk(signer.jwk));
    const message = utf8('a reading');
    const signature = signer.sign(message);
    expect(await verify(message, signature)).toBe(true);
    const waiting = Array.from({ length: 200 }, () => verify(message, signature));
    const outcomes = Promise.allSettled(waiting);
    await ended.close();
    for (const outcome of await outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'stopped' });
      else expect(outcome.value).toBe(true);
    }
    await expect(verify(message, signature)).rejects.toMatchObject({ code: 'stopped' });
  });
});
