import { expect, test } from 'vitest';
import type { Reading } from '#core/energy/message.ts';
import type { Pool } from '#platform/postgres.ts';
import { insertMessages } from '#support/insert-messages.ts';
import * as people from '#support/log-people.ts';
import { onEachEngine } from '#support/postgres.ts';
import { createTestLedger, removeTestFolders, testStartS as t0 } from '#support/test-ledger.ts';

removeTestFolders();

const hourS = 3600;
const resetT = t0 + hourS + 1800;

const at = (t: number, exportWh: number): Reading => ({ registers: { exportWh }, t });

/** 1,000 Wh an hour for four hours; in the middle of the second the register falls to nothing. */
const messages: readonly (readonly Reading[])[] = [
  [at(t0, 50_000), at(t0 + hourS, 51_000)],
  [at(t0 + hourS, 51_000), at(resetT, 0), at(t0 + 2 * hourS, 500)],
  [at(t0 + 2 * hourS, 500), at(t0 + 3 * hourS, 1500)],
  [at(t0 + 3 * hourS, 1500), at(t0 + 4 * hourS, 2500)],
];

const signed = messages.map((readings, i) => ({
  jws: people.message({ plant: 'p1', meter: 'p1-m', seq: i + 1, readings }),
}));

const latest = (pool: Pool): Promise<{ generation_wh: number; quality: string }[]> =>
  pool.rows(
    `select distinct on (start) generation_wh, quality from hour_value
     order by start, version desc`,
  );

const measured = { generation_wh: 1000, quality: 'measured' };
const disputed = { generation_wh: 0, quality: 'disputed' };

function decision(spec: object) {
  return people.signed('decision', { evidence: [], reason: 'a test', ...spec });
}

onEachEngine('a register that falls', (start) => {
  test('disputes every hour from there on, also those sealed with it, until its decision', async () => {
    const { pool } = await start();
    const { enter, stepAt } = createTestLedger(pool);
    await enter(people.genesis(), ...people.simplePlant('p1'));
    await insertMessages(pool, signed);
    await stepAt(t0 + 4 * hourS + 10);
    expect(await latest(pool)).toEqual([measured, disputed, disputed, disputed]);

    // A decision about something else of that key is none about the fall.
    const kid = people.meterSigner('p1-m').kid;
    await enter(decision({ effect: 'accept-late', kid, from: 900, to: 900 }));
    await stepAt(t0 + 4 * hourS + 20);
    expect(await latest(pool)).toEqual([measured, disputed, disputed, disputed]);

    await enter(decision({ effect: 'break', meter: 'p1-m', t: resetT }));
    await stepAt(t0 + 4 * hourS + 30);
    expect(await latest(pool)).toEqual([
      measured,
      { generation_wh: 500, quality: 'partial' },
      measured,
      measured,
    ]);
  });
});
