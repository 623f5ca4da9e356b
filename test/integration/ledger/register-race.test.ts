import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { SignedDraft } from '#core/certificate/entry.ts';
import type { Reading } from '#core/energy/message.ts';
import { openLogFolder, type LogFolder } from '#ledger/log-folder.ts';
import { auditLog } from '#support/audit-log.ts';
import { insertMessages } from '#support/insert-messages.ts';
import * as people from '#support/log-people.ts';
import { onEachEngine } from '#support/postgres.ts';
import {
  createTestLedger,
  removeTestFolders,
  scratchFolder,
  testStartS,
} from '#support/test-ledger.ts';

removeTestFolders();

const hour = 3600;
const t0 = testStartS;
const at = (t: number, exportWh: number): Reading => ({ registers: { exportWh }, t });
const owner = [people.accountSigner('p1')];
const reason = { evidence: [], reason: 'a test' };

/** A folder that lets something happen once, between deciding an hour and entering it. */
function interrupted(folder: LogFolder, happen: () => Promise<void>): LogFolder {
  let done = false;
  return {
    ...folder,
    async writeNew(files) {
      if (!done) {
        done = true;
        await happen();
      }
      return folder.writeNew(files);
    },
  };
}

/** What somebody enters meanwhile, and what the hour, decided anew, is then worth. */
const changes: readonly (readonly [string, SignedDraft, number])[] = [
  [
    'an exchange',
    people.signed(
      'exchange',
      {
        closing: { exportWh: 400 },
        meter: 'p1-m',
        opening: { exportWh: 900 },
        serial: 'new',
        t: t0 + 1800,
      },
      owner,
    ),
    500,
  ],
  [
    'the end of its key',
    people.signed(
      'key-end',
      { kid: people.meterSigner('p1-m').kid, lastSeq: 1, lastT: t0 + 900 },
      owner,
    ),
    200,
  ],
  [
    'a message set aside',
    people.signed('decision', {
      ...reason,
      effect: 'set-aside',
      from: 2,
      kid: people.meterSigner('p1-m').kid,
      to: 2,
    }),
    200,
  ],
  [
    'rules that allow less',
    people.signed('rules', { ...people.rulesOfTest, eligibleSources: [], version: 2 }),
    1000,
  ],
];

onEachEngine('the register changes while an hour is decided', (start) => {
  test.each(changes)('%s, entered by another process', async (_name, change, generation) => {
    const { pool } = await start();
    const root = scratchFolder();
    const other = createTestLedger(pool, { folder: root });
    const folder = interrupted(openLogFolder(join(root, 'log')), () => other.enter(change));
    const { enter, stepAt } = createTestLedger(pool, { folder: root, context: { folder } });
    await enter(people.genesis(), ...people.simplePlant('p1'));
    await insertMessages(
      pool,
      [
        [at(t0, 0), at(t0 + 900, 200)],
        [at(t0 + 2700, 950), at(t0 + hour, 1000)],
      ].map((readings, i) => ({
        jws: people.message({ plant: 'p1', meter: 'p1-m', seq: i + 1, readings }),
      })),
    );
    await other.clock.advance((t0 + hour + 10) * 1000);
    expect((await stepAt(t0 + hour + 10)).sealed).toEqual([]);
    // What had not been sealed is not forgotten.
    await stepAt(t0 + hour + 11);
    await stepAt(t0 + 25 * hour + 10);
    const [row] = await pool.rows<{ generation_wh: number }>(
      `select generation_wh from hour_value where start = $1 order by version`,
      [t0],
    );
    expect(row).toEqual({ generation_wh: generation });
    expect((await auditLog(join(root, 'log'))).findings).toEqual([]);
  });
});
