import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sha256 } from '#crypto';
import { concat, decodeUtf8, toBase64, utf8 } from '#core/bytes.ts';
import { parseCheckpoint, verifyCheckpoint } from '#core/tlog/checkpoint.ts';
import { ed25519Type, formatNote, formatVkey, parseNote } from '#core/tlog/note.ts';
import { parsePolicy } from '#core/tlog/policy.ts';
import { verifyConsistency, verifyInclusion } from '#core/tlog/proof.ts';
import type { ConsistencyClaim, InclusionClaim } from '#core/tlog/proof.ts';
import { formatTlogProof, verifyTlogProof } from '#core/tlog/tlog-proof.ts';
import { leafHash } from '#core/tlog/tree.ts';
import { describeWith } from '#support/needs.ts';
import * as peers from '#support/peers/claims.ts';
import { accepts, at, maxSize } from '#support/peers/claims.ts';
import { buildGoPeer, goPeer, type GoPeer, type GoProofs } from '#support/peers/go.ts';

/** The first build compiles Go's own library, too. */
const buildLimitMs = 300_000;
const log = peers.createPeerLog();
const sizes = Array.from({ length: maxSize }, (_, i) => i + 1);
const vkey = formatVkey(peers.logKey);
/** The key of the log in the form of Go's `note.NewSigner`; the seed is that of `testSigner`. */
const seed = sha256(utf8('hourseal test key peer log'));
const skeyBytes = toBase64(concat(Uint8Array.of(ed25519Type), seed));
const skey = `PRIVATE+KEY+${peers.peerOrigin}+${peers.logKey.keyId}+${skeyBytes}`;

/** Names of the claims of which somebody says something else than `expected`. */
function judgedOtherwise(
  claims: readonly peers.Claim[],
  expected: boolean,
  verdicts: readonly boolean[],
): string[] {
  expect(verdicts).toHaveLength(claims.length);
  return claims.filter((_, i) => verdicts[i] !== expected).map(peers.nameOf);
}

function weAccept(claim: peers.Claim): boolean {
  return accepts(() => {
    if ('index' in claim) verifyInclusion(claim);
    else verifyConsistency(claim);
  });
}

describeWith([goPeer], "Go's sumdb", () => {
  let go: GoPeer;
  let buildFolder = '';
  let made: readonly GoProofs[] = [];
  beforeAll(() => {
    const built = buildGoPeer(goPeer);
    buildFolder = built.folder;
    go = built.peer;
    made = go.prove(log.entries);
  }, buildLimitMs);
  afterAll(() => {
    if (buildFolder !== '') rmSync(buildFolder, { recursive: true, force: true });
  });

  describe('note', () => {
    it('opens our cosigned checkpoint of every size, and none with a bit turned', () => {
      const notes = sizes.map((size) => peers.checkpointAt(log, size));
      const texts = notes.map((bytes) => parseNote(bytes).text);
      expect(go.open(notes.map(decodeUtf8), vkey)).toEqual(texts);
      const damaged = notes.flatMap((bytes, i) => {
        const note = parseNote(bytes);
        const signatures = note.signatures.map((one) => ({
          ...one,
          signature: peers.bitFlipped(one.signature, i),
        }));
        return [
          formatNote({ ...note, signatures }),
          formatNote({ ...note, text: peers.damagedText(note.text, i) }),
        ];
      });
      expect(new Set(go.open(damaged.map(decodeUtf8), vkey))).toEqual(new Set([undefined]));
    });

    it('signs what we verify, at every size, and not with a bit turned', () => {
      const texts = sizes.map((size) => parseNote(peers.checkpointAt(log, size)).text);
      const notes = go.sign(texts, skey).map(utf8);
      for (const [i, bytes] of notes.entries()) {
        const keys = { log: peers.logKey, cosigners: [] };
        expect(verifyCheckpoint(bytes, keys)).toMatchObject(parseCheckpoint(at(texts, i)));
        const note = parseNote(bytes);
        const signatures = note.signatures.map((one) => ({
          ...one,
          signature: peers.bitFlipped(one.signature, i),
        }));
        const damaged = [
          formatNote({ ...note, signatures }),
          formatNote({ ...note, text: peers.damagedText(note.text, i) }),
        ];
        for (const one of damaged) {
          expect(accepts(() => verifyCheckpoint(one, keys))).toBe(false);
        }
      }
    });
  });

  describe('tlog', () => {
    let inclusion: readonly InclusionClaim[] = [];
    let consistency: readonly ConsistencyClaim[] = [];
    beforeAll(async () => {
      inclusion = await peers.inclusionClaims(log);
      consistency = await peers.consistencyClaims(log);
    });

    it('finds our root at every size', () => {
      expect(made.map(({ root }) => toBase64(root))).toEqual(log.roots.slice(1).map(toBase64));
    });

    it('accepts our inclusion at every index of every size, and none with a bit turned', () => {
      expect(judgedOtherwise(inclusion, true, go.check(inclusion))).toEqual([]);
      const damaged = inclusion.map(peers.damagedInclusion);
      expect(judgedOtherwise(damaged, false, go.check(damaged))).toEqual([]);
    });

    it('accepts our consistency between all pairs of sizes, and none with a bit turned', () => {
      expect(judgedOtherwise(consistency, true, go.check(consistency))).toEqual([]);
      const damaged = consistency.map(peers.damagedConsistency);
      expect(judgedOtherwise(damaged, false, go.check(damaged))).toEqual([]);
    });

    it('proves inclusion as we accept it, at every index of every size', () => {
      const claims = made.flatMap(({ root, inclusion: paths }) =>
        paths.map((path, index) => {
          const leaf = leafHash(at(log.entries, index));
          return { leafHash: leaf, index, size: paths.length, path, root };
        }),
      );
      expect(claims).toHaveLength(inclusion.length);
      expect(judgedOtherwise(claims, true, claims.map(weAccept))).toEqual([]);
      const damaged = claims.map(peers.damagedInclusion);
      expect(judgedOtherwise(damaged, false, damaged.map(weAccept))).toEqual([]);
    });

    it('proves consistency as we accept it, between all pairs of sizes', () => {
      const claims = made.flatMap(({ root: toRoot, consistency: paths }) =>
        paths.map((path, i) => {
          const fromRoot = at(made, i).root;
          return { fromSize: i + 1, fromRoot, toSize: paths.length, toRoot, path };
        }),
      );
      expect(claims).toHaveLength(consistency.length);
      expect(judgedOtherwise(claims, true, claims.map(weAccept))).toEqual([]);
      const damaged = claims.map(peers.damagedConsistency);
      expect(judgedOtherwise(damaged, false, damaged.map(weAccept))).toEqual([]);
    });

    it('and note make a proof of c2sp.org/tlog-proof as we accept it, at every size', () => {
      const policy = parsePolicy(`log ${vkey}\nquorum none\n`);
      const texts = made.map(({ root }, i) => `${peers.peerOrigin}\n${i + 1}\n${toBase64(root)}\n`);
      for (const [i, note] of go.sign(texts, skey).entries()) {
        const index = (i * 7) % (i + 1);
        const path = at(at(made, i).inclusion, index);
        const proof = formatTlogProof({ index, path, checkpoint: utf8(note) });
        const leaf = leafHash(at(log.entries, index));
        const verified = verifyTlogProof(proof, { leafHash: leaf, policy });
        expect(verified).toMatchObject({ index, checkpoint: { size: i + 1 } });
        const other = peers.bitFlipped(leaf, i);
        expect(accepts(() => verifyTlogProof(proof, { leafHash: other, policy }))).toBe(false);
      }
    });
  });
});
