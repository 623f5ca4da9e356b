import { mkdtempSync, rmSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { Failed, Fatal } from '#core/errors.ts';
import { openLogFolder } from '#ledger/log-folder.ts';
import { createLedger, type Ledger } from '#ledger/service.ts';
import { manualClock } from '#platform/clock.ts';
import { createLogger } from '#platform/logger.ts';
import type { Pool } from '#platform/postgres.ts';
import { breakAt } from '#support/breaking.ts';
import * as people from '#support/log-people.ts';
import { onEachEngine } from '#support/postgres.ts';
import {
  away,
  createCosigningRig,
  eager,
  genesisWith,
  policyText,
  type GatedWitness,
} from '#support/cosigning.ts';
import { insertMessages } from '#support/insert-messages.ts';
import { createTestLedger, scratchFolder, testStartS } from '#support/test-ledger.ts';
import { testLog, testSigner } from '#support/register.ts';
import { signCheckpoint } from '#core/tlog/checkpoint.ts';
import { noteSigner } from '#core/tlog/note.ts';

const root = mkdtempSync(join(tmpdir(), 'hourseal-rolled-back-'));
afterAll(() => {
  rmSync(root, { recursive: true, force: true });
});

const logger = createLogger({ name: 'test', level: 'silent' });
const clock = manualClock(Date.UTC(2026, 0, 1));

function ledgerOn(pool: Pool, name: string, signer = people.logSigner): Ledger {
  const secretsFolder = join(root, 'secrets');
  return createLedger({ pool, clock, signer, folder: join(root, name), secretsFolder, logger });
}

onEachEngine('a ledger whose database and files are not of one log', (start, engine) => {
  test('refuses to sign below or beside what it has published, and leaves the files alone', async () => {
    const folder = `${engine}-log`;
    const whole = await start();
    const first = ledgerOn(whole.pool, folder);
    await first.submit([genesisWith(undefined), people.account('a')]);
    expect((await first.step()).treeSize).toBe(2);
    const checkpoint = join(root, folder, 'checkpoint');
    const published = await readFile(checkpoint, 'utf8');

    const other = await start();
    const rolledBack = ledgerOn(other.pool, folder);
    await rolledBack.submit([genesisWith(undefined)]);
    await expect(rolledBack.step()).rejects.toMatchObject({ code: 'rolled-back' });
    await expect(rolledBack.step()).rejects.toBeInstanceOf(Fatal);
    await ledgerOn(other.pool, `${engine}-elsewhere`).submit([people.account('b')]);
    await ledgerOn(other.pool, `${engine}-elsewhere`).step();
    await expect(ledgerOn(other.pool, folder).step()).rejects.toMatchObject({
      code: 'rolled-back',
    });
    expect(await readFile(checkpoint, 'utf8')).toBe(published);
    expect((await ledgerOn(whole.pool, folder).step()).treeSize).toBe(2);
  });

  test('signs nothing with a key that genesis does not name, and ignores what is not signed', async () => {
    const folder = `${engine}-keys`;
    const { pool } = await start();
    const ledger = ledgerOn(pool, folder);
    await ledger.submit([genesisWith(undefined)]);
    const wrong = ledgerOn(pool, folder, people.issuerSigner);
    await expect(wrong.step()).rejects.toMatchObject({ code: 'log-key' });
    await ledger.step();
    await writeFile(join(root, folder, 'checkpoint'), 'log.example\n999\nAAAA\n');
    const again = ledgerOn(pool, folder);
    await again.submit([people.account('a')]);
    expect((await again.step()).treeSize).toBe(2);
  });
});

const { witnesses, database, clear } = createCosigningRig();

/** Shows a note of a checkpoint that nobody has, signed by `signer`, whoever asks what it has seen. */
function shows(witness: GatedWitness, size: number, signer = people.logSigner): void {
  const root = new Uint8Array(32).fill(7);
  const note = signCheckpoint({ origin: testLog, size, root }, [noteSigner(testLog, signer)]);
  witness.lie = ({ path, response, forward }) =>
    path.startsWith('/monitor/') ? void response.end(note) : forward();
}

/** Answers that it has a checkpoint of `size`, and shows one that our own key signed. */
function isAheadBy(witness: GatedWitness, size: number): void {
  const root = new Uint8Array(32).fill(9);
  const note = signCheckpoint({ origin: testLog, size, root }, [
    noteSigner(testLog, people.logSigner),
  ]);
  witness.lie = ({ path, response }) => {
    if (path.startsWith('/monitor/')) response.end(note);
    else response.writeHead(409, { 'content-type': 'text/x.tlog.size' }).end(`${size}\n`);
  };
}

/** What the meter of `simplePlant('p1')` says of the first hour. */
function firstHour(): string {
  const reading = (t: number, exportWh: number) => ({ registers: { exportWh }, t });
  const readings = [reading(testStartS, 0), reading(testStartS + 3600, 1000)];
  return people.message({ plant: 'p1', meter: 'p1-m', seq: 1, readings });
}

describe('a ledger whose witnesses', () => {
  afterEach(clear);

  test('know more than its database signs nothing more, whether or not it lost its files', async () => {
    const [one, two] = await witnesses('one', 'two');
    const genesis = genesisWith(policyText(2, one, two));
    const whole = createTestLedger(await database(), { limits: eager });
    await whole.enter(genesis, people.account('r1'), people.account('r2'));
    expect(await whole.ledger.step()).toMatchObject({ publishedSize: 3 });

    const pool = await database();
    const context = { signWithoutWitnesses: true };
    const restored = createTestLedger(pool, { limits: eager, context });
    await restored.enter(genesis, people.account('r3'));
    await expect(restored.ledger.step()).rejects.toMatchObject({ code: 'rolled-back' });
    await expect(restored.ledger.step()).rejects.toBeInstanceOf(Fatal);
    expect(await pool.rows('select tree_size from checkpoint')).toEqual([{ tree_size: 0 }]);
    expect(await whole.ledger.step()).toMatchObject({ publishedSize: 3 });
  });

  test.each([
    ['another tree of its size', 3],
    ['another tree of a size that it had', 2],
    ['a size that it never had', 4],
  ])('have seen %s under its own key signs nothing more', async (_name, size) => {
    const [one, two] = await witnesses('one', 'two');
    const pool = await database();
    const folder = scratchFolder();
    const first = createTestLedger(pool, { folder, limits: eager });
    await first.enter(genesisWith(policyText(1, one, two)), people.account('s1'));
    await first.enter(people.account('s2'));
    expect(await first.ledger.step()).toMatchObject({ publishedSize: 3 });
    shows(two, size);
    const second = createTestLedger(pool, { folder, limits: eager });
    await second.enter(people.account('s3'));
    await expect(second.ledger.step()).rejects.toMatchObject({ code: 'rolled-back' });
    expect(await pool.rows('select tree_size from checkpoint')).toEqual([{ tree_size: 3 }]);
  });

  test('claim what our key never signed goes on', async () => {
    const [one, two, liar] = await witnesses('one', 'two', 'liar');
    const pool = await database();
    const folder = scratchFolder();
    const first = createTestLedger(pool, { folder, limits: eager });
    await first.enter(genesisWith(policyText(2, one, two, liar)));
    await first.ledger.step();
    shows(liar, 1_000_000, testSigner('somebody'));
    let size = 1;
    const goesOn = async (): Promise<void> => {
      const ledger = createTestLedger(pool, { folder, limits: eager });
      await ledger.enter(people.account(`t${(size += 1)}`));
      expect(await ledger.ledger.step()).toMatchObject({ treeSize: size, publishedSize: size });
    };
    await goesOn();
    liar.lie = ({ response }) => void response.end('999999\n');
    await goesOn();
    liar.lie = ({ response }) => {
      response.writeHead(409, { 'content-type': 'text/x.tlog.size' }).end('999999\n');
    };
    await goesOn();
    // One that is alone in answering, and with nothing that our key signed, is as good as silent.
    one.lie = away;
    shows(liar, 5, testSigner('somebody'));
    await goesOn();
  });

  test('say only afterwards that they are ahead, and prove it, stops then', async () => {
    const [one, two] = await witnesses('one', 'two');
    const rig = createTestLedger(await database(), { limits: eager });
    await rig.enter(genesisWith(policyText(1, one, two)));
    await rig.ledger.step();
    isAheadBy(two, 50);
    await rig.enter(people.account('u1'));
    await expect(rig.ledger.step()).rejects.toMatchObject({ code: 'rolled-back' });
  });

  test.each([
    ['prove meanwhile that they are ahead, stops', { kind: Fatal, code: 'rolled-back' }],
    ['are content, tries again', { kind: Failed, code: 'log-folder' }],
  ])('could not seal and, where they %s', async (_name, { kind, code }) => {
    const [one, two] = await witnesses('one', 'two');
    const root = scratchFolder();
    const full = breakAt('write new batch/#', 'before', { lives: true, code: 'ENOSPC' });
    const context = { folder: full.folder(openLogFolder(join(root, 'log'))) };
    const pool = await database();
    const rig = createTestLedger(pool, { folder: root, limits: eager, context });
    await rig.enter(genesisWith(policyText(1, one, two)), ...people.simplePlant('p1'));
    await rig.ledger.step();
    if (kind === Fatal) isAheadBy(two, 50);
    await insertMessages(pool, [{ jws: firstHour() }]);
    await rig.enter(people.account('u2'));
    const failure: unknown = await rig.stepAt(testStartS + 3610).catch((error: unknown) => error);
    expect(full.where()).toBe('before write new batch/#');
    expect(failure).toBeInstanceOf(kind);
    expect(failure).toMatchObject({ code });
  });

  test('are silent seals and signs nothing, until a quorum has answered or the operator says so', async () => {
    const [one, two] = await witnesses('one', 'two');
    const pool = await database();
    const folder = scratchFolder();
    const rig = createTestLedger(pool, { folder, limits: eager });
    one.lie = away;
    await rig.enter(genesisWith(policyText(2, one, two)), ...people.simplePlant('p1'));
    expect(await rig.ledger.step()).toMatchObject({ treeSize: 0, publishedSize: 0 });
    await insertMessages(pool, [{ jws: firstHour() }]);
    const step = await rig.stepAt(testStartS + 3610);
    expect(step).toMatchObject({ treeSize: 0, publishedSize: 0 });
    expect(step.sealed).toHaveLength(1);

    const context = { signWithoutWitnesses: true };
    const forced = createTestLedger(pool, { folder, limits: eager, context });
    expect(await forced.ledger.step()).toMatchObject({ treeSize: 6, publishedSize: 0 });
    one.lie = undefined;
    expect(await rig.ledger.step()).toMatchObject({ treeSize: 6, publishedSize: 6 });
  });
});
