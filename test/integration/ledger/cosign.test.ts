import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { utf8 } from '#core/bytes.ts';
import { verifyCheckpoint } from '#core/tlog/checkpoint.ts';
import type { Reading } from '#core/energy/message.ts';
import { ed25519Type, formatVkey, parseVkey } from '#core/tlog/note.ts';
import type { FleetPlant } from '#devices/fleet.ts';
import { createDemoFigures } from '#standalone/demo-figures.ts';
import { openLogFolder } from '#ledger/log-folder.ts';
import { auditLog } from '#support/audit-log.ts';
import {
  away,
  createCosigningRig,
  eager,
  genesisWith,
  patient,
  policyText,
  publishedBy,
} from '#support/cosigning.ts';
import { insertMessages } from '#support/insert-messages.ts';
import * as people from '#support/log-people.ts';
import { onEachEngine } from '#support/postgres.ts';
import { testLog, testSigner } from '#support/register.ts';
import {
  createTestLedger,
  removeTestFolders,
  scratchFolder,
  testStartS,
} from '#support/test-ledger.ts';
import { parsePublicJwk } from '#core/keys.ts';

removeTestFolders();

const hour = 3600;
const { witnesses, database, clear } = createCosigningRig();
let accounts = 0;
const account = () => people.account(`a${(accounts += 1)}`);

const shownPlant: FleetPlant = {
  id: 'p1',
  name: 'p1',
  type: 'production',
  technology: 'solar',
  source: 'solar',
  capacityW: 1_000_000,
  zone: 'DE-LU',
  longitudeE7: 0,
  latitudeE7: 0,
  meters: [],
};

onEachEngine('a checkpoint', (start) => {
  afterEach(clear);

  test('is published with the cosignatures of all, checked by the files alone', async () => {
    const [one, two, three] = await witnesses('one', 'two', 'three');
    const { pool } = await start();
    const rig = createTestLedger(pool, { limits: eager });
    await rig.enter(genesisWith(policyText(2, one, two, three)), account());
    expect(await rig.ledger.step()).toMatchObject({ treeSize: 2, publishedSize: 2 });
    await rig.enter(account());
    expect(await rig.ledger.step()).toMatchObject({ treeSize: 3, publishedSize: 3 });
    const published = await publishedBy(openLogFolder(rig.folder), [one, two, three]);
    expect(published).toMatchObject({ size: 3, by: ['one', 'three', 'two'] });
    expect(await auditLog(rig.folder)).toMatchObject({ size: 3, findings: [] });
    expect(await pool.rows('select * from pending_checkpoint')).toEqual([]);
    expect(await pool.rows('select * from cosignature')).toEqual([]);
    expect([one, two, three].map(({ asked }) => asked())).toEqual([2, 2, 2]);
  });
});

describe('while witnesses are away', () => {
  afterEach(clear);

  test('hours are sealed and signed, and the newest size is published when they are back', async () => {
    const [one, two] = await witnesses('one', 'two');
    const pool = await database();
    const rig = createTestLedger(pool, { limits: eager });
    await rig.enter(genesisWith(policyText(2, one, two)), ...people.simplePlant('p1'));
    expect(await rig.ledger.step()).toMatchObject({ treeSize: 5, publishedSize: 5 });
    two.lie = away;
    for (let i = 0; i < 3; i++) {
      const at = (t: number, exportWh: number): Reading => ({ registers: { exportWh }, t });
      const readings = [
        at(testStartS + i * hour, i * 1000),
        at(testStartS + (i + 1) * hour, (i + 1) * 1000),
      ];
      const jws = people.message({ plant: 'p1', meter: 'p1-m', seq: i + 1, readings });
      await insertMessages(pool, [{ jws }]);
      const step = await rig.stepAt(testStartS + (i + 1) * hour + 10);
      expect(step).toMatchObject({ treeSize: 6 + i, publishedSize: 5 });
      expect(step.sealed).toHaveLength(1);
    }
    expect(await publishedBy(openLogFolder(rig.folder), [one, two])).toMatchObject({ size: 5 });
    const figures = createDemoFigures(pool, [shownPlant]);
    const show = () => figures.read({ nowS: 0, proofFiles: 0 });
    expect(await show()).toMatchObject({ sealedHours: 3, certifiedWh: 0 });
    two.lie = undefined;
    const asked = one.asked();
    expect(await rig.ledger.step()).toMatchObject({ treeSize: 8, publishedSize: 8, sealed: [] });
    expect(await show()).toMatchObject({ sealedHours: 3, certifiedWh: 3000 });
    // It had cosigned this size already, and that had been kept.
    expect(one.asked()).toBe(asked);
    expect(await publishedBy(openLogFolder(rig.folder), [one, two])).toMatchObject({
      size: 8,
      by: ['one', 'two'],
    });
    expect(await auditLog(rig.folder)).toMatchObject({ findings: [], hours: 3 });
    const partial = (size: number) => openLogFolder(rig.folder).read(`tile/entries/000.p/${size}`);
    expect(await partial(5)).toBeDefined();
    expect([await partial(6), await partial(7)]).toEqual([undefined, undefined]);
    expect(await partial(8)).toBeDefined();
  });

  test('those that failed are left alone for a while', async () => {
    const [one, two] = await witnesses('one', 'two');
    const rig = createTestLedger(await database(), { limits: patient });
    await rig.enter(genesisWith(policyText(2, one, two)));
    await rig.ledger.step();
    two.lie = away;
    for (let i = 0; i < 3; i++) {
      await rig.enter(account());
      expect(await rig.ledger.step()).toMatchObject({ publishedSize: 1, treeSize: 2 + i });
    }
    expect(two.asked()).toBe(2);
    expect(one.asked()).toBe(4);
  });

  test('a restart neither loses nor repeats the cosignatures there are', async () => {
    const [one, two] = await witnesses('one', 'two');
    const pool = await database();
    const folder = scratchFolder();
    const first = createTestLedger(pool, { folder, limits: eager });
    await first.enter(genesisWith(policyText(2, one, two)));
    await first.ledger.step();
    two.lie = away;
    await first.enter(account());
    expect(await first.ledger.step()).toMatchObject({ treeSize: 2, publishedSize: 1 });
    const asked = one.asked();
    one.lie = away;
    two.lie = undefined;
    const second = createTestLedger(pool, { folder, limits: eager });
    // One says nothing at all any more: what it has seen, the other knows as well.
    const context = { signWithoutWitnesses: true };
    const third = createTestLedger(pool, { folder, limits: eager, context });
    expect(await second.ledger.step()).toMatchObject({ treeSize: 2, publishedSize: 1 });
    expect(await third.ledger.step()).toMatchObject({ treeSize: 2, publishedSize: 2 });
    expect(one.asked()).toBe(asked);
    expect(await publishedBy(openLogFolder(third.folder), [one, two])).toMatchObject({
      by: ['one', 'two'],
    });
  });

  test('partial tiles of superseded sizes do not pile up', async () => {
    const [one] = await witnesses('one');
    const limits = { ...eager, keptPendingSizes: 2 };
    const pool = await database();
    const rig = createTestLedger(pool, { limits });
    await rig.enter(genesisWith(policyText(1, one)));
    await rig.ledger.step();
    one.lie = away;
    for (let i = 0; i < 5; i++) {
      await rig.enter(account());
      await rig.ledger.step();
    }
    const there = async (): Promise<number[]> => {
      const sizes = [1, 2, 3, 4, 5, 6];
      const found = await Promise.all(
        sizes.map((size) => openLogFolder(rig.folder).read(`tile/entries/000.p/${size}`)),
      );
      return sizes.filter((_, i) => found[i] !== undefined);
    };
    expect(await there()).toEqual([1, 5, 6]);
    one.lie = undefined;
    expect(await rig.ledger.step()).toMatchObject({ publishedSize: 6 });
    expect(await there()).toEqual([1, 6]);
    await rig.enter(...Array.from({ length: 255 }, account));
    expect(await rig.ledger.step()).toMatchObject({ publishedSize: 261 });
    expect(await there()).toEqual([]);
    expect(await auditLog(rig.folder)).toMatchObject({ size: 261, findings: [] });
  });
});

test('a witness that comes back with an old store is brought up from there', async () => {
  try {
    const [one, two] = await witnesses('one', 'two');
    const rig = createTestLedger(await database(), { limits: eager });
    await rig.enter(genesisWith(policyText(2, one, two)), account());
    await rig.ledger.step();
    await two.stop();
    const old = join(scratchFolder(), 'old');
    await cp(two.folder, old, { recursive: true });
    await two.start();
    await rig.enter(account(), account());
    expect(await rig.ledger.step()).toMatchObject({ publishedSize: 4 });
    await two.stop();
    await two.start(old);
    await rig.enter(account());
    expect(await rig.ledger.step()).toMatchObject({ publishedSize: 5 });
    expect(await publishedBy(openLogFolder(rig.folder), [one, two])).toMatchObject({
      by: ['one', 'two'],
    });
  } finally {
    await clear();
  }
});

describe('entries of the log', () => {
  afterEach(clear);

  test('change the policy: both quorums are needed for the checkpoint that covers the change', async () => {
    const [old, fresh] = await witnesses('old', 'fresh');
    const rig = createTestLedger(await database(), { limits: eager });
    await rig.enter(genesisWith(policyText(1, old)));
    await rig.ledger.step();
    await rig.enter(people.signed('policy', { policy: policyText(1, fresh) }));
    old.lie = away;
    expect(await rig.ledger.step()).toMatchObject({ treeSize: 2, publishedSize: 1 });
    await rig.enter(account());
    expect(await rig.ledger.step()).toMatchObject({ treeSize: 3, publishedSize: 1 });
    old.lie = undefined;
    fresh.lie = away;
    await rig.enter(account());
    expect(await rig.ledger.step()).toMatchObject({ treeSize: 4, publishedSize: 1 });
    fresh.lie = undefined;
    expect(await rig.ledger.step()).toMatchObject({ treeSize: 4, publishedSize: 4 });
    old.lie = away;
    await rig.enter(account());
    expect(await rig.ledger.step()).toMatchObject({ treeSize: 5, publishedSize: 5 });
    expect(await publishedBy(openLogFolder(rig.folder), [old, fresh])).toMatchObject({
      by: ['fresh'],
    });
  });

  test('change the log key: both sign while both count, and without one nobody signs', async () => {
    const next = testSigner('next log');
    const publicKey = parsePublicJwk(next.jwk).raw;
    const logKey = formatVkey({ name: testLog, type: ed25519Type, publicKey });
    const pool = await database();
    const folder = scratchFolder();
    const open = (signer: typeof next | (typeof next)[]) =>
      createTestLedger(pool, { folder, context: { signer } });
    const first = open(people.logSigner);
    await first.enter(genesisWith(undefined), account());
    await first.ledger.step();
    const previousUntil = testStartS + hour;
    await first.enter(people.signed('log-key', { logKey, previousUntil }));
    await expect(first.ledger.step()).rejects.toMatchObject({ code: 'log-key' });
    await expect(open(next).ledger.step()).rejects.toMatchObject({ code: 'log-key' });
    const both = open([people.logSigner, next]);
    expect(await both.ledger.step()).toMatchObject({ treeSize: 3, publishedSize: 3 });
    const note = async () => (await openLogFolder(both.folder).read('checkpoint')) ?? utf8('');
    const keys = [people.logVkey, logKey].map(parseVkey);
    for (const log of keys) {
      expect(verifyCheckpoint(await note(), { log, cosigners: [] }).size).toBe(3);
    }
    await both.clock.advance((previousUntil + 1) * 1000);
    await both.enter(account());
    const later = open(next);
    await later.clock.advance((previousUntil + 2) * 1000);
    expect(await later.ledger.step()).toMatchObject({ treeSize: 4, publishedSize: 4 });
    const [old, current] = keys;
    if (old === undefined || current === undefined) throw new Error('two keys');
    expect(verifyCheckpoint(await note(), { log: current, cosigners: [] }).size).toBe(4);
    const bytes = await note();
    expect(() => verifyCheckpoint(bytes, { log: old, cosigners: [] })).toThrow('did not sign');
  });
});

test('a note that cannot hold all cosignatures holds a quorum of them', async () => {
  try {
    const rig = createTestLedger(await database(), { limits: eager });
    const names = Array.from({ length: 101 }, (_, i) => `w${i}`);
    const many = await witnesses(...names);
    await rig.enter(genesisWith(policyText(60, ...many)));
    expect(await rig.ledger.step()).toMatchObject({ treeSize: 1, publishedSize: 1 });
    const published = await publishedBy(openLogFolder(rig.folder), many);
    expect(published?.by).toHaveLength(99);
  } finally {
    await clear();
  }
});
