import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sha256 } from '#crypto';
import { decodeUtf8, fromBase64, toBase64, utf8 } from '#core/bytes.ts';
import { formatVkey } from '#core/tlog/note.ts';
import { formatTlogProof, parseTlogProof } from '#core/tlog/tlog-proof.ts';
import { leafHash } from '#core/tlog/tree.ts';
import { skeyOf } from '#support/c2sp/litewitness.ts';
import { askHelper, buildC2sp, buildLimitMs, c2spModules } from '#support/c2sp/programs.ts';
import type { C2spPrograms } from '#support/c2sp/programs.ts';
import { proofBy, proofLog, proofWitnesses, theyAccept, weAccept } from '#support/c2sp/proofs.ts';
import type { ProofCase } from '#support/c2sp/proofs.ts';
import { describeWith } from '#support/needs.ts';
import * as peers from '#support/peers/claims.ts';
import { at, bitFlipped } from '#support/peers/claims.ts';

const logVkey = formatVkey(peers.logKey);
const [one, two] = [at(proofWitnesses, 0), at(proofWitnesses, 1)];
const policy = [
  `log ${logVkey}`,
  `witness one ${one.vkey}`,
  `witness two ${two.vkey}`,
  'group both all one two',
  'quorum both',
  '',
].join('\n');
/** A second level of the tree's path, twice over, and none at size 1. */
const sizes = Array.from({ length: 70 }, (_, i) => i + 1);
/** The seed of `testSigner`. */
const seedOf = (name: string): Uint8Array => sha256(utf8(`hourseal test key ${name}`));

describeWith([c2spModules], "torchwood's tlog-proof", () => {
  let programs: C2spPrograms;
  beforeAll(() => {
    programs = buildC2sp(c2spModules);
  }, buildLimitMs);
  afterAll(() => {
    rmSync(programs.folder, { recursive: true, force: true });
  });

  it('accepts ours at every size, and none of another leaf or with a cosignature too few', async () => {
    const good: ProofCase[] = [];
    const bad: ProofCase[] = [];
    for (const size of sizes) {
      const proof = await proofBy([one, two], size);
      good.push({ policy, ...proof });
      bad.push({ policy, ...proof, leaf: bitFlipped(proof.leaf, size) });
      bad.push({ policy, ...(await proofBy([size % 2 === 0 ? one : two], size)) });
    }
    expect(await theyAccept(programs, good)).toEqual(good.map(() => true));
    expect(await theyAccept(programs, bad)).toEqual(bad.map(() => false));
    expect([...good, ...bad].map(weAccept)).toEqual([
      ...good.map(() => true),
      ...bad.map(() => false),
    ]);
  });

  it('is accepted by ours as torchwood makes it, and ours would make the same bytes of it', async () => {
    const made = (await askHelper(programs, 'prove', {
      origin: peers.peerOrigin,
      skey: skeyOf(logVkey, seedOf('peer log')),
      entries: sizes.map((size) => toBase64(at(proofLog.entries, size - 1))),
      witnesses: Object.fromEntries(
        [one, two].map(({ name, keyName }) => [keyName, toBase64(seedOf(name))]),
      ),
      extra: toBase64(utf8('for the application')),
    })) as {
      readonly vkeys: Readonly<Record<string, string>>;
      readonly proofs: readonly { readonly plain: string; readonly withExtra: string }[];
    };
    expect(made.vkeys).toEqual({ [one.keyName]: one.vkey, [two.keyName]: two.vkey });
    expect(made.proofs).toHaveLength(sizes.length);
    for (const [i, { plain, withExtra }] of made.proofs.entries()) {
      const leaf = leafHash(at(proofLog.entries, Math.floor((i + 1) / 2)));
      for (const proof of [fromBase64(plain), fromBase64(withExtra)]) {
        expect(weAccept({ policy, leaf, proof })).toBe(true);
        expect(weAccept({ policy, leaf: bitFlipped(leaf, i), proof })).toBe(false);
        expect(formatTlogProof(parseTlogProof(proof))).toEqual(proof);
      }
      expect(parseTlogProof(fromBase64(withExtra)).extra).toEqual(utf8('for the application'));
    }
  });

  describe('of a proof that was damaged', () => {
    it('says what ours says, or takes a second spelling of the same for it', async () => {
      const { leaf, proof } = await proofBy([one, two], 37);
      const damaged: ProofCase[] = [];
      for (let place = 0; place < proof.length; place++) {
        for (const bit of [0, 1, 5]) {
          const flipped = proof.with(place, (proof[place] ?? 0) ^ (1 << bit));
          damaged.push({ policy, leaf, proof: flipped });
        }
      }
      const theirs = await theyAccept(programs, damaged);
      const differing = damaged.filter((one, i) => weAccept(one) !== theirs[i]);
      const meaning = looselyRead(proof);
      for (const other of differing) {
        expect(weAccept(other)).toBe(false);
        expect(looselyRead(other.proof)).toBe(meaning);
      }
      // The trailing bits of base64, and newlines within it that Go's decoder leaves out.
      expect(differing.length).toBeGreaterThan(0);
      // What nobody vouches for may change.
      expect(theirs.filter((accepted) => accepted).length).toBeGreaterThan(differing.length);
    });

    /** "an ASCII decimal with no leading zeroes", "If no extra data is present, this line is omitted". */
    it.each([
      ['a zero before the index', 'index 18', 'index 018'],
      ['a sign before the index', 'index 18', 'index +18'],
      ['no extra data in its line', /extra .*\n/, 'extra \n'],
    ])('takes %s, which ours refuses', async (_what, from, to) => {
      const { leaf, proof } = await proofBy([one, two], 37);
      const text = decodeUtf8(proof);
      const changed = { policy, leaf, proof: utf8(text.replace(from, to)) };
      expect(changed.proof).not.toEqual(proof);
      expect(await theyAccept(programs, [changed])).toEqual([true]);
      expect(weAccept(changed)).toBe(false);
    });
  });
});

/** The proof with each line's base64 as a lenient decoder reads it; its extra data left out. */
function looselyRead(proof: Uint8Array): string {
  const lines = new TextDecoder().decode(proof).replaceAll('\r', '').split('\n');
  return lines
    .filter((line) => !line.startsWith('extra '))
    .map((line) => line.replace(/[^ ]+$/, (word) => Buffer.from(word, 'base64').toString('hex')))
    .join('\n');
}
