import { expect, test } from 'vitest';
import { hourSeconds } from '#core/energy/hours.ts';
import type { Reading } from '#core/energy/message.ts';
import { auditLog } from '#support/audit-log.ts';
import { insertMessages } from '#support/insert-messages.ts';
import * as people from '#support/log-people.ts';
import { onEachEngine } from '#support/postgres.ts';
import { createTestLedger, removeTestFolders, testStartS } from '#support/test-ledger.ts';

removeTestFolders();

const at = (t: number): Reading => ({ registers: { exportWh: t - testStartS }, t });
const message = (seq: number, ...times: readonly number[]): { jws: string } => ({
  jws: people.message({ plant: 'p1', meter: 'p1-m', seq, readings: times.map(at) }),
});

onEachEngine('hours sealed while ingestion is behind with its progress', (start) => {
  test('state how far the messages go, and audit', async () => {
    const { pool } = await start();
    const { enter, stepAt, folder } = createTestLedger(pool);
    await enter(people.genesis(), ...people.simplePlant('p1'));
    const [t1, t2] = [testStartS + hourSeconds, testStartS + 2 * hourSeconds];
    await insertMessages(pool, [
      message(1, testStartS, testStartS + 900),
      message(2, t1),
      message(3, t1 + 900),
      message(4, t2),
    ]);
    await pool.run(`update key_progress set through_seq = 1, chain = sha256(decode(repeat('00', 32), 'hex')
      || (select hash from message where seq = 1))`);
    const { sealed } = await stepAt(t2 + 10);
    expect(sealed.map(({ kind }) => kind)).toEqual(['hour', 'hour']);
    expect((await auditLog(folder)).findings).toEqual([]);
  });
});
