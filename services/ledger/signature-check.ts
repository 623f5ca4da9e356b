import { sha256 } from '#crypto';
import { concat, toHex } from '#core/bytes.ts';
import { Refused } from '#core/errors.ts';
import { verifyJws, type Jws } from '#core/jws.ts';
import type { PublicKey } from '#core/keys.ts';
import type { LogState } from '#core/certificate/state.ts';
import { verifierOf, type VerifyAsync } from '#platform/verify.ts';

/**
 * Verifies the meters' signatures ahead of time in the thread pool, while the event loop judges what
 * came before. The verdicts are those of `verifyJws`; what was not verified ahead, it verifies itself.
 */
export interface SignatureCheck {
  /** Starts on those whose key is known by now, and waits for them. */
  readonly ahead: (messages: readonly Jws[]) => Promise<void>;
  /** As `verifyJws`. */
  readonly verify: (jws: Jws, key: PublicKey) => void;
}

/** A message at the turn of an hour stands in two batches, so signatures lately found good are kept. */
const rememberedLimit = 50_000;

export function createSignatureCheck(
  state: LogState,
  signatures: 'verify' | 'trust',
): SignatureCheck {
  const verifiers = new Map<string, VerifyAsync>();
  const verdicts = new WeakMap<Jws, boolean>();
  /** The last ones found good. */
  const good = new Set<string>();

  const verifierFor = (kid: string): VerifyAsync | undefined => {
    const known = verifiers.get(kid);
    if (known !== undefined) return known;
    const key = state.keys.get(kid)?.key;
    if (key === undefined) return undefined;
    const made = verifierOf(key);
    verifiers.set(kid, made);
    return made;
  };

  return {
    async ahead(messages) {
      if (signatures === 'trust') return;
      await Promise.all(
        messages.map(async (jws) => {
          const { kid, alg } = jws.header;
          const key = state.keys.get(kid)?.key;
          const verify = verifierFor(kid);
          if (key === undefined || verify === undefined) return;
          if ((alg === 'EdDSA' ? 'Ed25519' : alg) !== key.alg) return;
          const identity = identityOf(jws);
          if (good.has(identity)) {
            verdicts.set(jws, true);
            return;
          }
          const isGood = await verify(jws.signingInput, jws.signature);
          verdicts.set(jws, isGood);
          if (isGood) remember(good, identity);
        }),
      );
    },
    verify(jws, key) {
      if (signatures === 'trust') return;
      const verdict = verdicts.get(jws);
      if (verdict === undefined) verifyJws(jws, key);
      else if (!verdict) throw new Refused('signature', 'the signature does not fit');
    },
  };
}

/** Content and signature: a signature alone would let another content pass under it. */
function identityOf({ signingInput, signature }: Jws): string {
  return toHex(concat(sha256(signingInput), signature));
}

function remember(good: Set<string>, identity: string): void {
  good.add(identity);
  for (const oldest of good) {
    if (good.size <= rememberedLimit) break;
    good.delete(oldest);
  }
}
