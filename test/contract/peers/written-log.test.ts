import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RFC9162 } from '@transmute/rfc9162';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeUtf8, toHex, utf8 } from '#core/bytes.ts';
import { parseCheckpoint, type Checkpoint } from '#core/tlog/checkpoint.ts';
import { parseNote, parseVkey } from '#core/tlog/note.ts';
import { proveConsistency, proveInclusion, type HashReader } from '#core/tlog/proof.ts';
import { parseBundle, tileHashReader, tilePath, tilesOfGrowth } from '#core/tlog/tile.ts';
import { leafHash } from '#core/tlog/tree.ts';
import { insertMessages } from '#support/insert-messages.ts';
import * as people from '#support/log-people.ts';
import { describeWith, program } from '#support/needs.ts';
import { at, bitFlipped } from '#support/peers/claims.ts';
import { buildGoPeer, goPeer, type GoPeer } from '#support/peers/go.ts';
import { openOpenssl } from '#support/peers/openssl.ts';
import { sigstorePeer } from '#support/peers/sigstore.ts';
import { quickEngine, startTestPostgres } from '#support/postgres.ts';
import {
  createTestLedger,
  removeTestFolders,
  scratchFolder,
  testStartS as t0,
} from '#support/test-ledger.ts';

removeTestFolders();

const hourS = 3600;
/** A full tile, and so a second level, and a partial one. */
const wantedSize = 270;
const limitMs = 300_000;

/** A log that the real ledger wrote, its folder as a stranger sees it. */
interface WrittenLog {
  readonly folder: string;
  /** The signed notes that were published on the way, the last of them in the folder. */
  readonly notes: readonly Uint8Array[];
  readonly entries: readonly Uint8Array[];
  readonly read: HashReader;
}

async function writeLog(): Promise<WrittenLog> {
  const database = await startTestPostgres(quickEngine);
  const { enter, stepAt, folder } = createTestLedger(database.pool);
  const notes: Uint8Array[] = [];
  const publishAt = async (timeS: number): Promise<void> => {
    await stepAt(timeS);
    notes.push(Uint8Array.from(readFileSync(join(folder, 'checkpoint'))));
  };
  await enter(people.genesis());
  await publishAt(t0 + 1);
  await enter(...people.simplePlant('p1'));
  const value = (t: number) => ({ registers: { exportWh: (t - t0) / 2 }, t });
  const jws = Array.from({ length: 24 }, (_, i) => {
    const readings = [value(t0 + i * hourS), value(t0 + (i + 1) * hourS)];
    return people.message({ plant: 'p1', meter: 'p1-m', seq: i + 1, readings });
  });
  await insertMessages(
    database.pool,
    jws.map((one) => ({ jws: one })),
  );
  await publishAt(t0 + 24 * hourS + 10);
  for (let size = sizeOf(at(notes, notes.length - 1)); size < wantedSize; size += 40) {
    await enter(...Array.from({ length: 40 }, (_, i) => people.account(`a${size + i}`)));
    await publishAt(t0 + 24 * hourS + 10 + size);
  }
  await database.stop();
  return { folder, notes, ...readBack(folder, sizeOf(at(notes, notes.length - 1))) };
}

const sizeOf = (note: Uint8Array): number => checkpointOf(note).size;

function checkpointOf(note: Uint8Array): Checkpoint {
  return parseCheckpoint(parseNote(note).text);
}

function readBack(folder: string, size: number): Pick<WrittenLog, 'entries' | 'read'> {
  const bundles = [...tilesOfGrowth({ from: 0, to: size })].filter(
    ({ level }) => level === 'entries',
  );
  const entries = bundles.flatMap((tile) =>
    parseBundle(Uint8Array.from(readFileSync(join(folder, tilePath(tile)))), tile.width),
  );
  const read = tileHashReader(
    async (path) => Uint8Array.from(await readFile(join(folder, path))),
    size,
  );
  return { entries, read };
}

let log: WrittenLog;
let last: Checkpoint;
beforeAll(async () => {
  log = await writeLog();
  last = checkpointOf(at(log.notes, log.notes.length - 1));
}, limitMs);

describe('a log that the ledger wrote', () => {
  it('has what the peers are to find in it', () => {
    expect(log.entries).toHaveLength(last.size);
    expect(last.size).toBeGreaterThanOrEqual(wantedSize);
    expect(new Set(log.notes.map(sizeOf)).size).toBe(log.notes.length);
    const kinds = log.entries.map(
      (bytes) => (JSON.parse(decodeUtf8(bytes)) as { kind: string }).kind,
    );
    // The hour in which the plant was entered is none of its life.
    expect(kinds.filter((kind) => kind === 'hour')).toHaveLength(23);
  });

  it('is verified by @sigstore/verify: its checkpoints, and every entry in it', async () => {
    const sigstore = sigstorePeer(parseVkey(people.logVkey), people.logSigner);
    for (const note of log.notes) {
      const { size, root } = checkpointOf(note);
      const found = sigstore.open(decodeUtf8(note));
      expect(found?.logSize).toBe(BigInt(size));
      expect(found?.logHash.equals(root)).toBe(true);
    }
    const { size, root } = last;
    for (const [index, entry] of log.entries.entries()) {
      const path = await proveInclusion({ index, size }, log.read);
      const claim = { entry, index, size, path, root };
      expect(sigstore.included(claim)).toBe(true);
      expect(sigstore.included({ ...claim, entry: bitFlipped(entry, index) })).toBe(false);
    }
  });

  it('is verified by @transmute/rfc9162: its root, and that it only grew', async () => {
    expect(await RFC9162.verifyTree(last.root, [...log.entries])).toBe(true);
    for (const note of log.notes.slice(0, -1)) {
      const { size, root } = checkpointOf(note);
      expect(await RFC9162.verifyTree(root, log.entries.slice(0, size))).toBe(true);
      const path = await proveConsistency({ from: size, to: last.size }, log.read);
      // The package wants the older root also where a verifier has it already.
      const isPowerOfTwo = Number.isInteger(Math.log2(size));
      const proof = {
        log_id: '',
        tree_size_1: size,
        tree_size_2: last.size,
        consistency_path: isPowerOfTwo ? [root, ...path] : path,
      };
      expect(await RFC9162.verifyConsistencyProof(root, last.root, proof)).toBe(true);
      const other = bitFlipped(root, size);
      expect(await RFC9162.verifyConsistencyProof(other, last.root, proof)).toBe(false);
    }
  });
});

describeWith([program('openssl', 'openssl')], 'a log that the ledger wrote, by openssl', () => {
  it('bears the signature of the log under every checkpoint', async () => {
    const openssl = openOpenssl('openssl');
    try {
      const { publicKey } = parseVkey(people.logVkey);
      for (const bytes of log.notes) {
        const { text, signatures } = parseNote(bytes);
        const signed = { publicKey, message: utf8(text), signature: at(signatures, 0).signature };
        expect(await openssl.verify(signed)).toBe(true);
        const signature = bitFlipped(signed.signature, sizeOf(bytes));
        expect(await openssl.verify({ ...signed, signature })).toBe(false);
      }
    } finally {
      openssl.close();
    }
  });
});

describeWith([goPeer], "a log that the ledger wrote, by Go's sumdb", () => {
  let go: GoPeer;
  let buildFolder = '';
  beforeAll(() => {
    const built = buildGoPeer(goPeer);
    buildFolder = built.folder;
    go = built.peer;
  }, limitMs);
  afterAll(() => {
    if (buildFolder !== '') rmSync(buildFolder, { recursive: true, force: true });
  });

  it('leads from its signed root through its tiles to every entry', () => {
    expect(go.walk(log.folder, people.logVkey).map(toHex)).toEqual(log.entries.map(toHex));
  });

  it('only grew from checkpoint to checkpoint', async () => {
    const texts = go.open(log.notes.map(decodeUtf8), people.logVkey);
    expect(texts).toEqual(log.notes.map((note) => parseNote(note).text));
    const claims = await Promise.all(
      log.notes.map(async (note) => {
        const { size: fromSize, root: fromRoot } = checkpointOf(note);
        const path = await proveConsistency({ from: fromSize, to: last.size }, log.read);
        return { fromSize, fromRoot, toSize: last.size, toRoot: last.root, path };
      }),
    );
    expect(go.check(claims)).toEqual(claims.map(() => true));
    const leaf = { leafHash: leafHash(at(log.entries, 3)), index: 3, size: last.size };
    const path = await proveInclusion({ index: 3, size: last.size }, log.read);
    expect(go.check([{ ...leaf, root: last.root, path }])).toEqual([true]);
  });

  it.each(['checkpoint', 'tile/0/000', 'tile/1/000.p/1', 'tile/entries/000'])(
    'is refused with a bit turned in %s',
    (path) => {
      const folder = join(scratchFolder(), 'log');
      cpSync(log.folder, folder, { recursive: true });
      const bytes = Uint8Array.from(readFileSync(join(folder, path)));
      // Away from the checkpoint's first line, so that it stays a note.
      writeFileSync(join(folder, path), bytes.with(30, at([...bytes], 30) ^ 1));
      expect(() => go.walk(folder, people.logVkey)).toThrow('the Go peer');
    },
  );
});
