import type { Alg, PublicJwk } from './keys.ts';

/** Somebody who can sign. How the private key is kept (file, module, page) is the caller's affair. */
export interface Signer {
  readonly alg: Alg;
  readonly kid: string;
  readonly jwk: PublicJwk;
  /** 64 bytes: R || S (Ed25519, deterministic) or r || s with low s (ES256). */
  readonly sign: (message: Uint8Array) => Uint8Array;
}
