import { describe, expect, it } from 'vitest';
import { sha256 } from '#crypto';
import { concat, decodeUtf8, toHex, utf8 } from '#core/bytes.ts';
import { signerFromSeed } from '#core/signer.node.ts';
import {
  cosignatureSigner,
  formatCheckpoint,
  signCheckpoint,
  verifyCheckpoint,
} from '#core/tlog/checkpoint.ts';
import {
  cosignatureType,
  ed25519Type,
  formatVkey,
  noteSigner,
  parseVkey,
  verifierKeyOf,
} from '#core/tlog/note.ts';
import { proveConsistency, proveInclusion } from '#core/tlog/proof.ts';
import { encodeBundle, parseBundle, tilePath, tilesOfGrowth } from '#core/tlog/tile.ts';
import { emptyEdge, growEdge, leafHash, treeRoot } from '#core/tlog/tree.ts';
import { examples } from '#support/formats-examples.ts';
import { formatsPage } from '#support/formats-page.ts';
import { storedReader } from './reference.ts';

const onPage = examples(formatsPage);

function example(name: string): string {
  const text = onPage.get(name);
  if (text === undefined) throw new Error(`${formatsPage} has no example ${name}`);
  return text;
}

function lines(items: readonly (Uint8Array | string)[]): string {
  return items.map((item) => `${typeof item === 'string' ? item : toHex(item)}\n`).join('');
}

const entries = Array.from({ length: 7 }, (_, i) => utf8(`entry ${i}`));
const leaves = entries.map(leafHash);
const { edge, completed } = growEdge(emptyEdge, leaves);
const { read } = storedReader(completed);
const testSigner = (name: string): ReturnType<typeof signerFromSeed> =>
  signerFromSeed(sha256(utf8(`hourseal test key ${name}`)));
const [log, one, two] = ['log', 'witness one', 'witness two audit'].map(testSigner);
if (!log || !one || !two) throw new Error('three signers');
const names = {
  origin: 'log.example/hourseal/2026',
  one: 'witness.example/one',
  two: 'witness.example/two/audit',
};
const checkpoint = { origin: names.origin, size: 7, root: treeRoot(leaves) };

describe('the worked examples of the transparency log', () => {
  it('are right about roots and the right edge', () => {
    const sizes = Array.from({ length: 8 }, (_, size) => size);
    expect(lines(sizes.map((size) => treeRoot(leaves.slice(0, size))))).toBe(example('roots-7'));
    expect(lines(edge.hashes)).toBe(example('edge-7'));
  });

  it('are right about proofs', async () => {
    const inclusion = await proveInclusion({ index: 2, size: 7 }, read);
    const consistency = await proveConsistency({ from: 3, to: 7 }, read);
    expect(lines(inclusion)).toBe(example('inclusion-2-of-7'));
    expect(lines(consistency)).toBe(example('consistency-3-to-7'));
  });

  it('are right about tiles and bundles', () => {
    const bundle = encodeBundle(entries.slice(0, 2));
    expect(lines([bundle])).toBe(example('bundle-2'));
    expect(parseBundle(bundle, 2)).toEqual(entries.slice(0, 2));
    const partial = [...tilesOfGrowth({ from: 0, to: 70_000 })].filter(({ width }) => width < 256);
    expect(lines(partial.map(tilePath))).toBe(example('partial-tiles-70000'));
  });

  it('are right about verifier keys', () => {
    const keys = [
      verifierKeyOf(names.origin, ed25519Type, log),
      verifierKeyOf(names.one, cosignatureType, one),
      verifierKeyOf(names.two, cosignatureType, two),
    ];
    expect(lines(keys.map(formatVkey))).toBe(example('vkeys'));
  });

  it('are right about the checkpoint and its cosignatures', () => {
    const [oneTime, twoTime] = [1_767_261_610, 1_767_261_611];
    const signed = signCheckpoint(checkpoint, [
      noteSigner(names.origin, log),
      cosignatureSigner(names.one, one, oneTime),
      cosignatureSigner(names.two, two, twoTime),
    ]);
    expect(decodeUtf8(signed)).toBe(example('checkpoint-7'));
    const cosigned = example('cosigned-7');
    expect(cosigned).toBe(`cosignature/v1\ntime ${oneTime}\n${formatCheckpoint(checkpoint)}`);
    const [logKey, ...cosigners] = example('vkeys').trimEnd().split('\n').map(parseVkey);
    if (logKey === undefined) throw new Error('no key of the log');
    const bytes = utf8(example('checkpoint-7'));
    expect(verifyCheckpoint(bytes, { log: logKey, cosigners }).cosignatures).toHaveLength(2);
    const signature = cosignatureSigner(names.one, one, oneTime).sign(
      utf8(formatCheckpoint(checkpoint)),
    );
    expect(signature).toEqual(concat(signature.subarray(0, 8), one.sign(utf8(cosigned))));
  });
});
