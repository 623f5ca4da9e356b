import { sha256 } from '#crypto';
import { concat, toHex, utf8 } from '#core/bytes.ts';
import type { SignatureCheck } from '#core/certificate/audit/audit-evidence.ts';
import { Refused } from '#core/errors.ts';
import type { Jws, verifyJws } from '#core/jws.ts';
import type { PublicKey } from '#core/keys.ts';
import { fastVerifyJws } from '#platform/libsodium.ts';
import { verifierOf, type VerifyAsync } from '#platform/verify.ts';

/**
 * Signatures lately found good: a message at the turn of an hour stands in two batches, and one that was
 * read as it arrived (D3.2) is met again when its hour is sealed.
 */
const rememberedSignatures = 200_000;
/** Keys in the form that the thread pool takes; beyond it the oldest are made again. */
const rememberedKeys = 20_000;
/** Verifications under way for one batch file; the pool's queue itself has no limit. */
const concurrentChecks = 64;

/**
 * Verifies the meters' signatures ahead of time in the thread pool, while the event loop judges what
 * came before. The verdicts are those of `verifyJws`; what was not verified ahead, it verifies itself.
 */
export function createSignatureCheck(): SignatureCheck & {
  /** Signatures that were computed so far, those on the spot too. */
  readonly verified: () => number;
} {
  const verifiers = new Map<string, VerifyAsync>();
  const verdicts = new WeakMap<Jws, boolean>();
  /** The last ones found good. */
  const good = new Set<string>();
  /** Under way: neighbouring hours share messages, and their files are read at the same time. */
  const underWay = new Map<string, Promise<boolean>>();
  let verified = 0;

  const verifierFor = (key: PublicKey): VerifyAsync => {
    const known = verifiers.get(key.kid);
    if (known !== undefined) return known;
    const made = verifierOf(key);
    verifiers.set(key.kid, made);
    dropOldest(verifiers, rememberedKeys);
    return made;
  };

  const check = async (jws: Jws, key: PublicKey | undefined): Promise<void> => {
    const { kid, alg } = jws.header;
    if (key?.kid !== kid || (alg === 'EdDSA' ? 'Ed25519' : alg) !== key.alg) return;
    const identity = identityOf(jws);
    const isGood = good.has(identity) || (await verifyOnce(identity, jws, key));
    verdicts.set(jws, isGood);
    if (!isGood) return;
    good.add(identity);
    dropOldest(good, rememberedSignatures);
  };

  /** The verdict is the same for all who wait for it: the key is the one that the header names. */
  const verifyOnce = async (identity: string, jws: Jws, key: PublicKey): Promise<boolean> => {
    const begun = underWay.get(identity);
    if (begun !== undefined) return begun;
    verified += 1;
    const verdict = verifierFor(key)(jws.signingInput, jws.signature);
    underWay.set(identity, verdict);
    try {
      return await verdict;
    } finally {
      underWay.delete(identity);
    }
  };

  return {
    async ahead(messages, keyOf) {
      let next = 0;
      const worker = async (): Promise<void> => {
        for (let jws = messages[next++]; jws !== undefined; jws = messages[next++]) {
          await check(jws, keyOf(jws.header.kid));
        }
      };
      await Promise.all(Array.from({ length: concurrentChecks }, worker));
    },
    verify(jws, key) {
      const verdict = verdicts.get(jws);
      if (verdict === undefined || key.kid !== jws.header.kid) {
        verified += 1;
        fastVerifyJws(jws, key);
      } else if (!verdict) throw new Refused('signature', 'the signature does not fit');
    },
    verified: () => verified,
  };
}

/** As `verify`, on the spot, each signature once; remembers those that are good. */
export function createSignatureMemory(verify: typeof verifyJws = fastVerifyJws): typeof verifyJws {
  /** Objects that come again, as most do (leaf-memory.ts). */
  const verified = new WeakSet<Jws>();
  const good = new Set<string>();
  return (jws, key) => {
    // What was good is so under the key that its header names, and under no other.
    const isOwn = jws.header.kid === key.kid;
    if (isOwn && verified.has(jws)) return;
    const identity = identityOf(jws);
    if (!isOwn || !good.has(identity)) verify(jws, key);
    verified.add(jws);
    good.add(identity);
    dropOldest(good, rememberedSignatures);
  };
}

/**
 * Key, content and signature, of which every algorithm's is of one length: a signature alone would let
 * another content pass under it. What an OCMF record signs names neither its key nor its algorithm.
 */
function identityOf({ header: { kid, alg }, signingInput, signature }: Jws): string {
  return toHex(sha256(concat(utf8(`${kid} ${alg}\n`), signingInput, signature)));
}

function dropOldest(
  remembered: Pick<Map<string, unknown>, 'size' | 'keys'> & { delete: (key: string) => boolean },
  limit: number,
): void {
  for (const oldest of remembered.keys()) {
    if (remembered.size <= limit) break;
    remembered.delete(oldest);
  }
}
