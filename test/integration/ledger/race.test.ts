import { expect, test } from 'vitest';
import type { Reading } from '#core/energy/message.ts';
import { auditLog } from '#support/audit-log.ts';
import { insertMessages } from '#support/insert-messages.ts';
import * as people from '#support/log-people.ts';
import { onPostgres } from '#support/postgres.ts';
import {
  createTestLedger,
  removeTestFolders,
  scratchFolder,
  testStartS,
} from '#support/test-ledger.ts';
import { join } from 'node:path';

removeTestFolders();

const hour = 3600;
const t0 = testStartS;
const at = (t: number, exportWh: number): Reading => ({ registers: { exportWh }, t });

onPostgres('two ledgers at once', (start) => {
  test('seal every hour once, sign one log, and leave one set of files that audits', async () => {
    const { pool, anotherPool } = await start();
    const folder = scratchFolder();
    const one = createTestLedger(pool, { folder });
    const two = createTestLedger(anotherPool(), { folder });
    const plants = ['p1', 'p2', 'p3'];
    await one.enter(people.genesis(), ...plants.flatMap((name) => people.simplePlant(name)));
    const hours = 30;
    for (let i = 0; i < hours; i++) {
      const readings = [at(t0 + i * hour, i * 1000), at(t0 + (i + 1) * hour, (i + 1) * 1000)];
      await insertMessages(
        pool,
        plants.map((plant) => ({
          jws: people.message({ plant, meter: `${plant}-m`, seq: i + 1, readings }),
        })),
      );
      const now = t0 + (i + 1) * hour + 10;
      const steps = await Promise.all([
        one.stepAt(now),
        two.stepAt(now),
        one.enter(people.account(`one${i}`)),
        two.enter(people.account(`two${i}`)),
      ]);
      const sealed = [...steps[0].sealed, ...steps[1].sealed];
      expect(sealed.length).toBe(plants.length);
    }
    const { treeSize } = await one.ledger.step();
    // Two ledgers may both find that a state is due: one a second later says the same of more.
    const { states } = await pool.row<{ states: number }>(
      `select count(*)::int as states from log_entry where kind = 'state'`,
    );
    expect([1, 2]).toContain(states);
    expect(treeSize).toBe(1 + 4 * plants.length + hours * (plants.length + 2) + states);
    expect(await auditLog(join(folder, 'log'))).toMatchObject({
      findings: [],
      size: treeSize,
      hours: hours * plants.length,
    });
    const units = await pool.rows<{ series: string; units: number }>(
      `select series, sum(upper(range) - lower(range))::bigint as units from bundle
       group by series order by series`,
    );
    expect(units.map((row) => row.units)).toEqual(plants.map(() => hours * 1000));
  });
});
