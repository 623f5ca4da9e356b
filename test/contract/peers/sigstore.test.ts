import { beforeAll, describe, expect, it } from 'vitest';
import { decodeUtf8 } from '#core/bytes.ts';
import { formatNote, parseNote } from '#core/tlog/note.ts';
import type { InclusionClaim } from '#core/tlog/proof.ts';
import * as peers from '#support/peers/claims.ts';
import { at, maxSize } from '#support/peers/claims.ts';
import { sigstorePeer } from '#support/peers/sigstore.ts';

/** Sigstore's verifier makes no checkpoints or proofs: there is no other direction. */
const log = peers.createPeerLog();
const sigstore = sigstorePeer(peers.logKey, peers.peerLog);

describe('@sigstore/verify', () => {
  it('reads our cosigned checkpoint of every size, and none with a bit turned', () => {
    for (let size = 1; size <= maxSize; size++) {
      const bytes = peers.checkpointAt(log, size);
      const found = sigstore.open(decodeUtf8(bytes));
      expect(found).toMatchObject({ origin: peers.peerOrigin, logSize: BigInt(size), rest: [] });
      expect(found?.logHash.equals(at(log.roots, size))).toBe(true);
      const note = parseNote(bytes);
      const signatures = note.signatures.map((one) => ({
        ...one,
        signature: peers.bitFlipped(one.signature, size),
      }));
      expect(sigstore.open(decodeUtf8(formatNote({ ...note, signatures })))).toBeUndefined();
      const text = peers.damagedText(note.text, size);
      expect(sigstore.open(decodeUtf8(formatNote({ ...note, text })))).toBeUndefined();
    }
  });

  describe('inclusion at every index of every size', () => {
    let claims: readonly InclusionClaim[] = [];
    beforeAll(async () => {
      claims = await peers.inclusionClaims(log);
    });

    it('is accepted as we prove it', () => {
      expect(claims).toHaveLength((maxSize * (maxSize + 1)) / 2);
      const refused = claims.filter(
        (claim) => !sigstore.included({ ...claim, entry: at(log.entries, claim.index) }),
      );
      expect(refused.map(peers.nameOf)).toEqual([]);
    });

    it('is refused with a bit turned in the path, the root or the entry', () => {
      const accepted = claims.filter((claim, turn) => {
        const damaged = peers.damagedInclusion(claim, turn);
        const entry = at(log.entries, claim.index);
        const isLeaf = damaged.leafHash !== claim.leafHash;
        const given = isLeaf ? peers.bitFlipped(entry, turn) : entry;
        return sigstore.included({ ...damaged, entry: given });
      });
      expect(accepted.map(peers.nameOf)).toEqual([]);
    });
  });
});
