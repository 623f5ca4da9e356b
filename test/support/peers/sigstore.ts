import { createPublicKey } from 'node:crypto';
import { VerificationError } from '@sigstore/verify/dist/error.js';
import { LogCheckpoint, verifyCheckpoint } from '@sigstore/verify/dist/tlog/checkpoint.js';
import { verifyMerkleInclusion } from '@sigstore/verify/dist/tlog/merkle.js';
import { fromHex } from '#core/bytes.ts';
import type { VerifierKey } from '#core/tlog/note.ts';
import type { Signer } from '#core/signer.ts';

/**
 * Sigstore's verifier of checkpoints and inclusion. The package exports neither by its name, so both
 * are taken from the files that hold them; the version is pinned exactly.
 */
export interface SigstorePeer {
  /** What the checkpoint in a note says, or nothing where the log did not sign it. */
  readonly open: (note: string) => LogCheckpoint | undefined;
  readonly included: (claim: SigstoreClaim) => boolean;
}

export interface SigstoreClaim {
  /** The entry's bytes; their leaf hash is sigstore's own to compute. */
  readonly entry: Uint8Array;
  readonly index: number;
  readonly size: number;
  readonly path: readonly Uint8Array[];
  readonly root: Uint8Array;
}

type Entry = Parameters<typeof verifyMerkleInclusion>[0];

export function sigstorePeer({ name, keyId }: VerifierKey, log: Signer): SigstorePeer {
  const authority = {
    baseURL: name,
    logID: Buffer.from(fromHex(keyId)),
    publicKey: createPublicKey({ key: { ...log.jwk }, format: 'jwk' }),
    validFor: { start: new Date(0), end: new Date(8.64e15) },
  };
  const entryOf = ({ entry, index, size, path, root }: SigstoreClaim, envelope: string): Entry => ({
    logIndex: String(index),
    logId: { keyId: authority.logID },
    kindVersion: { kind: '', version: '' },
    integratedTime: '0',
    inclusionPromise: undefined,
    inclusionProof: {
      logIndex: String(index),
      rootHash: Buffer.from(root),
      treeSize: String(size),
      hashes: path.map((hash) => Buffer.from(hash)),
      checkpoint: { envelope },
    },
    canonicalizedBody: Buffer.from(entry),
  });
  const nothing = new Uint8Array(0);
  const noClaim = { entry: nothing, index: 0, size: 1, path: [], root: nothing };
  return {
    open: (note) => accepted(() => verifyCheckpoint(entryOf(noClaim, note), [authority])),
    included(claim) {
      const root = Buffer.from(claim.root);
      const checkpoint = new LogCheckpoint(name, BigInt(claim.size), root, []);
      const verdict = accepted(() => {
        verifyMerkleInclusion(entryOf(claim, ''), checkpoint);
        return true;
      });
      return verdict ?? false;
    },
  };
}

function accepted<T>(verify: () => T): T | undefined {
  try {
    return verify();
  } catch (error) {
    if (!(error instanceof VerificationError)) throw error;
    return undefined;
  }
}
