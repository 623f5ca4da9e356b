import { mkdtempSync, rmSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { Fatal } from '#core/errors.ts';
import { createLedger, type Ledger } from '#ledger/service.ts';
import { manualClock } from '#platform/clock.ts';
import { createLogger } from '#platform/logger.ts';
import type { Pool } from '#platform/postgres.ts';
import * as people from '#support/log-people.ts';
import { onEachEngine } from '#support/postgres.ts';

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
    await first.submit([people.genesis(), people.account('a')]);
    expect((await first.step()).treeSize).toBe(2);
    const checkpoint = join(root, folder, 'checkpoint');
    const published = await readFile(checkpoint, 'utf8');

    const other = await start();
    const rolledBack = ledgerOn(other.pool, folder);
    await rolledBack.submit([people.genesis()]);
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
    await ledger.submit([people.genesis()]);
    const wrong = ledgerOn(pool, folder, people.issuerSigner);
    await expect(wrong.step()).rejects.toMatchObject({ code: 'log-key' });
    await ledger.step();
    await writeFile(join(root, folder, 'checkpoint'), 'log.example\n999\nAAAA\n');
    const again = ledgerOn(pool, folder);
    await again.submit([people.account('a')]);
    expect((await again.step()).treeSize).toBe(2);
  });
});
