import { createPublicKey, verify, type KeyObject } from 'node:crypto';
import { isAcceptableEd25519Signature, isAcceptableEs256Signature } from '#core/crypto.ts';
import { isAcceptableEcdsaSignature, isEcdsaAlg, spkiOf, type EcdsaAlg } from '#core/ecdsa.ts';
import type { PublicKey } from '#core/keys.ts';

/** True only for a good signature; never rejects for what the bytes are. */
export type VerifyAsync = (message: Uint8Array, signature: Uint8Array) => Promise<boolean>;

/**
 * Verification in the thread pool of libuv, off the event loop. The verdicts are those of
 * `key.verify` on every input: the same library under the same preconditions (D3).
 *
 * The caller bounds how many are under way; the pool's queue itself has no limit.
 */
export function verifierOf(key: PublicKey): VerifyAsync {
  if (isEcdsaAlg(key.alg)) return ecdsaVerifierOf(key.alg, key);
  const object = publicKeyObject(key);
  if (object === undefined) return () => Promise.resolve(false);
  if (key.alg === 'Ed25519') {
    return (message, signature) =>
      isAcceptableEd25519Signature(signature)
        ? verifyInPool(null, object, { message, signature })
        : Promise.resolve(false);
  }
  const p1363 = { key: object, dsaEncoding: 'ieee-p1363' } as const;
  return (message, signature) =>
    isAcceptableEs256Signature(signature)
      ? verifyInPool('sha256', p1363, { message, signature })
      : Promise.resolve(false);
}

/** Undefined for a P-256 point that is not on the curve: no signature by it is good. */
function publicKeyObject({ jwk }: PublicKey): KeyObject | undefined {
  try {
    return createPublicKey({ key: { ...jwk }, format: 'jwk' });
  } catch {
    return undefined; // As crypto.node.ts: OpenSSL refuses the point, so no signature is good.
  }
}

/** Of a key of other people's meters. What this OpenSSL does not know, the core itself verifies. */
function ecdsaVerifierOf(alg: EcdsaAlg, { raw, verify: verifyHere }: PublicKey): VerifyAsync {
  let key: KeyObject;
  try {
    key = createPublicKey({ key: Buffer.from(spkiOf(alg, raw)), format: 'der', type: 'spki' });
  } catch {
    return (message, signature) => Promise.resolve(verifyHere(message, signature));
  }
  const p1363 = { key, dsaEncoding: 'ieee-p1363' } as const;
  return (message, signature) =>
    isAcceptableEcdsaSignature(alg, signature)
      ? verifyInPool('sha256', p1363, { message, signature })
      : Promise.resolve(false);
}

interface Signed {
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
}

function verifyInPool(
  algorithm: string | null,
  key: Parameters<typeof verify>[2],
  { message, signature }: Signed,
): Promise<boolean> {
  return new Promise((resolve, reject) => {
    verify(algorithm, message, key, signature, (error, good) => {
      if (error === null) resolve(good);
      else reject(error);
    });
  });
}
