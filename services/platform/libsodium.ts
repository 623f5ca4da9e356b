import { hasSmallOrder, isAcceptableEd25519Signature, type Verify } from '#core/crypto.ts';
import { verifyJws } from '#core/jws.ts';
import type { PublicKey } from '#core/keys.ts';

/**
 * Ed25519 by libsodium, which takes half the time of OpenSSL.
 *
 * The verdicts are those of the core on every input. Both compute R' = SB - kA without the cofactor
 * and compare it with R by bytes; both want S < L and a canonical A. They differ in one thing alone:
 * libsodium refuses every R of small order, which a key may well sign for (with the nonce 0). Such
 * signatures OpenSSL decides.
 */
const libsodium = await import('sodium-native').then(
  (module) => module,
  () => undefined, // Not built for this system: everything is as without it, at half the speed.
);

export const hasLibsodium: boolean = libsodium !== undefined;

/** Who may decide on an Ed25519 signature by an acceptable key; nobody needs to where it has no form. */
export function judgeOf(signature: Uint8Array): 'libsodium' | 'openssl' | 'nobody' {
  if (!isAcceptableEd25519Signature(signature)) return 'nobody';
  return hasSmallOrder(signature.subarray(0, 32)) ? 'openssl' : 'libsodium';
}

/** On the spot, by a key that the register has taken. Of other algorithms, and where libsodium is not there, `key.verify`. */
export function fastVerify({
  alg,
  raw,
  verify,
}: Pick<PublicKey, 'alg' | 'raw' | 'verify'>): Verify {
  if (libsodium === undefined || alg !== 'Ed25519') return verify;
  const { crypto_sign_verify_detached: byLibsodium } = libsodium;
  return (message, signature) => {
    const judge = judgeOf(signature);
    if (judge === 'libsodium') return byLibsodium(signature, message, raw);
    return judge === 'openssl' && verify(message, signature);
  };
}

/** As `verifyJws`, by `fastVerify`. */
export const fastVerifyJws: typeof verifyJws = (jws, key) => {
  verifyJws(jws, { ...key, verify: fastVerify(key) });
};
