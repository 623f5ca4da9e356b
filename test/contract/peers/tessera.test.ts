import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { sha256 } from '#crypto';
import { concat, fromBase64, toBase64, uint32BE, utf8 } from '#core/bytes.ts';
import { verifyCheckpoint } from '#core/tlog/checkpoint.ts';
import { cosignatureType, ed25519Type, formatVkey, verifierKeyOf } from '#core/tlog/note.ts';
import {
  proveConsistency,
  proveInclusion,
  verifyConsistency,
  verifyInclusion,
} from '#core/tlog/proof.ts';
import { parseBundle, tileHashReader, tilePath, tilesOfGrowth } from '#core/tlog/tile.ts';
import { leafHash } from '#core/tlog/tree.ts';
import { skeyOf } from '#support/c2sp/litewitness.ts';
import { askHelper, buildC2sp, buildLimitMs, c2spModules } from '#support/c2sp/programs.ts';
import type { C2spPrograms } from '#support/c2sp/programs.ts';
import { describeWith } from '#support/needs.ts';
import { at } from '#support/peers/claims.ts';
import { testSigner } from '#support/register.ts';
import { createRig, witnessName, witnessSigner } from '../../integration/witness/rig.ts';

const origin = 'tessera.example/log';
const logKey = verifierKeyOf(origin, ed25519Type, testSigner('tessera'));
const skey = skeyOf(formatVkey(logKey), sha256(utf8('hourseal test key tessera')));
const cosigner = verifierKeyOf(witnessName, cosignatureType, witnessSigner);
/** Over a full tile in the third. */
const batches = [1, 4, 260, 7].map((count, i) => entriesOf(`batch ${i}`, count));

describeWith([c2spModules], "Tessera's log", () => {
  const rig = createRig();
  let programs: C2spPrograms;
  let scratch = '';
  beforeAll(() => {
    programs = buildC2sp(c2spModules);
    scratch = mkdtempSync(join(tmpdir(), 'hourseal-tessera-'));
  }, buildLimitMs);
  afterAll(async () => {
    await rig.clear();
    for (const made of [programs.folder, scratch]) rmSync(made, { recursive: true, force: true });
  });

  /** The checkpoints that it published, one for each batch. */
  const grow = async (
    folder: string,
    { url }: { readonly url: () => string },
    entries: { readonly batches: readonly (readonly Uint8Array[])[]; readonly withinS?: number },
  ): Promise<Uint8Array[]> => {
    const policy = `witness ours ${formatVkey(cosigner)} ${url()}\nquorum ours\n`;
    const { batches: added, withinS = 120 } = entries;
    const batches = added.map((batch) => batch.map(toBase64));
    const question = { folder, skey, policy, batches, withinS };
    return ((await askHelper(programs, 'tessera', question)) as string[]).map(fromBase64);
  };

  it('is published with the cosignature of our witness, and read and proven by our tile reader', async () => {
    const witness = await rig.start({ logs: [{ key: logKey }] });
    const folder = join(scratch, 'log');
    const notes = await grow(folder, witness, { batches });
    // A new process of Tessera's guesses that the witness has seen nothing, and is told what it has.
    notes.push(...(await grow(folder, witness, { batches: [[utf8('afterwards')]] })));
    const entries = [...batches.flat(), utf8('afterwards')];
    const checkpoints = notes.map((note) =>
      verifyCheckpoint(note, { log: logKey, cosigners: [cosigner] }),
    );
    expect(checkpoints.map(({ size }) => size)).toEqual([1, 5, 265, 272, 273]);
    for (const { cosignatures } of checkpoints) expect(cosignatures).toHaveLength(1);

    const { size, root } = at(checkpoints, checkpoints.length - 1);
    const file = async (path: string) => Uint8Array.from(await readFile(join(folder, path)));
    const read = tileHashReader(file, size);
    for (const { size: fromSize, root: fromRoot } of checkpoints) {
      const path = await proveConsistency({ from: fromSize, to: size }, read);
      verifyConsistency({ fromSize, fromRoot, toSize: size, toRoot: root, path });
    }
    const found: Uint8Array[] = [];
    for (const tile of tilesOfGrowth({ from: 0, to: size })) {
      if (tile.level === 'entries')
        found.push(...parseBundle(await file(tilePath(tile)), tile.width));
    }
    expect(found).toEqual(entries);
    for (const [index, entry] of found.entries()) {
      const path = await proveInclusion({ index, size }, read);
      verifyInclusion({ leafHash: leafHash(entry), index, size, root, path });
    }
  });

  it('is not published when our witness refuses: a second history, a size behind its own, a log unknown to it', async () => {
    const witness = await rig.start({ logs: [{ key: logKey }] });
    const [one, two] = [join(scratch, 'one'), join(scratch, 'two')];
    await grow(one, witness, { batches: [entriesOf('both', 5)] });
    cpSync(one, two, { recursive: true });
    await grow(one, witness, { batches: [entriesOf('one', 3)] });
    const forked = grow(two, witness, { batches: [entriesOf('two', 7)], withinS: 10 });
    await expect(forked).rejects.toThrow('says that the consistency proof is bad: 422');
    const begun = grow(join(scratch, 'begun'), witness, { batches: [entriesOf('begun', 1)] });
    await expect(begun).rejects.toThrow('replied with x.tlog.size 8, larger than log size 0');
    const stranger = await rig.start();
    const unknown = grow(join(scratch, 'unknown'), stranger, {
      batches: [entriesOf('unknown', 1)],
    });
    await expect(unknown).rejects.toThrow('says checkpoint origin is unknown: 404');
  });
});

function entriesOf(of: string, count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, i) =>
    concat(utf8(`${of} `), uint32BE(i), new Uint8Array(i % 70)),
  );
}
