import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Signer } from '#core/signer.ts';
import type { Reading } from '#core/energy/message.ts';
import { openLogFolder } from '#ledger/log-folder.ts';
import { createLedger, type Ledger } from '#ledger/service.ts';
import { manualClock } from '#platform/clock.ts';
import { createLogger } from '#platform/logger.ts';
import type { Pool } from '#platform/postgres.ts';
import { auditLog } from '#support/audit-log.ts';
import { breakAt, type Breaking, type Moment } from '#support/breaking.ts';
import { insertMessages } from '#support/insert-messages.ts';
import * as people from '#support/log-people.ts';
import { onEachEngine } from '#support/postgres.ts';
import { removeTestFolders, scratchFolder, testStartS } from '#support/test-ledger.ts';

removeTestFolders();

const hour = 3600;
const t0 = testStartS;
const operationsLimit = 200;
/** Every operation on a real server; on PGlite, which is slower and does the same, every fourth. */
const strides = { postgres: 1, pglite: 4 } as const;

/** A log key that remembers what it signed: two roots of one size would be a split log. */
function watchedSigner(): { signer: Signer; signed: Map<string, string> } {
  const signed = new Map<string, string>();
  const signer: Signer = {
    ...people.logSigner,
    sign: (text) => {
      const [, size = '', root = ''] = new TextDecoder().decode(text).split('\n');
      const before = signed.get(size);
      if (before !== undefined && before !== root) throw new Error(`two roots for size ${size}`);
      signed.set(size, root);
      return people.logSigner.sign(text);
    },
  };
  return { signer, signed };
}

onEachEngine('a ledger that dies at any of its operations', (start, engine) => {
  test.each<Moment>(['before', 'after'])(
    'goes on where it was: dying %s it',
    async (moment) => {
      const { pool } = await start();
      const root = scratchFolder();
      const path = join(root, 'log');
      const clock = manualClock(t0 * 1000);
      const { signer, signed } = watchedSigner();
      const logger = createLogger({ name: 'test', level: 'silent' });
      const open = (breaking?: Breaking): Ledger => {
        const folder = openLogFolder(path);
        return createLedger({
          pool: breaking?.pool(pool) ?? pool,
          clock,
          signer,
          folder: breaking?.folder(folder) ?? folder,
          secretsFolder: join(root, 'secrets'),
          logger,
        });
      };
      const first = open();
      await first.submit([people.genesis(), ...people.simplePlant('p1')]);
      await first.step();

      let round = 0;
      for (let isBroken = true; isBroken; round++) {
        expect(round).toBeLessThan(operationsLimit);
        await insertMessages(pool, [{ jws: hourMessage(round) }]);
        await clock.advance((t0 + (round + 1) * hour + 10) * 1000);
        const breaking = breakAt(round * strides[engine], moment);
        const dying = open(breaking);
        const work = async (): Promise<void> => {
          await dying.submit([people.account(`a${round}`)]);
          await dying.step();
        };
        await work().catch((error: unknown) => {
          if (!breaking.isBroken()) throw error;
        });
        isBroken = breaking.isBroken();

        await open().step();
        const report = await auditLog(path);
        expect({ where: breaking.where(), findings: report.findings }).toEqual({
          where: breaking.where(),
          findings: [],
        });
        expect(report.hours).toBe(round + 1);
        await expectIssuedOnce(pool, (round + 1) * 1000);
      }
      expect(round * strides[engine]).toBeGreaterThan(30);
      expect(signed.size).toBeGreaterThan(30 / strides[engine]);
    },
    170_000,
  );
});

function hourMessage(i: number): string {
  const at = (t: number, exportWh: number): Reading => ({ registers: { exportWh }, t });
  const readings = [at(t0 + i * hour, i * 1000), at(t0 + (i + 1) * hour, (i + 1) * 1000)];
  return people.message({ plant: 'p1', meter: 'p1-m', seq: i + 1, readings });
}

async function expectIssuedOnce(pool: Pool, issuedWh: number): Promise<void> {
  const rows = await pool.rows<{ issued: number; last: number }>(
    `select sum(upper(range) - lower(range))::bigint as issued, max(upper(range)) - 1 as last
     from bundle`,
  );
  expect(rows).toEqual([{ issued: issuedWh, last: issuedWh }]);
}
