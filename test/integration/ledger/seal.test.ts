import { expect, test } from 'vitest';
import { encodeProof } from '#core/certificate/proof/proof.ts';
import { verifyProof } from '#core/certificate/proof/verify.ts';
import type { Reading } from '#core/energy/message.ts';
import type { Pool } from '#platform/postgres.ts';
import { insertMessages } from '#support/insert-messages.ts';
import * as people from '#support/log-people.ts';
import { onEachEngine } from '#support/postgres.ts';
import { createTestLedger, removeTestFolders, testStartS } from '#support/test-ledger.ts';

removeTestFolders();

const hour = 3600;
const t0 = testStartS;

const at = (t: number, exportWh: number): Reading => ({ registers: { exportWh }, t });

/** One message an hour with readings at both boundaries, `wh` in each hour. */
function hourly(plant: string, count: number, wh = 1000): string[] {
  return Array.from({ length: count }, (_, i) =>
    people.message({
      plant,
      meter: `${plant}-m`,
      seq: i + 1,
      readings: [at(t0 + i * hour, i * wh), at(t0 + (i + 1) * hour, (i + 1) * wh)],
    }),
  );
}

interface HourRow {
  start: number;
  version: number;
  generation_wh: number;
  certified_wh: number;
  quality: string;
  complete: boolean;
}

const hoursOf = (pool: Pool): Promise<HourRow[]> =>
  pool.rows<HourRow>(
    `select start, version, generation_wh, certified_wh, quality, complete from hour_value
     order by plant_id, start, version`,
  );

onEachEngine('sealing', (start) => {
  test('an hour whose messages are all there is sealed, issued, published and provable', async () => {
    const { pool } = await start();
    const { ledger, enter, stepAt } = createTestLedger(pool);
    await enter(people.genesis(), ...people.simplePlant('p1'));
    await insertMessages(
      pool,
      hourly('p1', 3).map((jws) => ({ jws })),
    );
    const step = await stepAt(t0 + 2 * hour + 10);
    expect(step.sealed.map(({ start: s }) => s)).toEqual([t0, t0 + hour]);
    expect(step.treeSize).toBe(7);
    expect(await hoursOf(pool)).toMatchObject([
      { start: t0, version: 1, generation_wh: 1000, certified_wh: 1000, quality: 'measured' },
      { start: t0 + hour, version: 1, generation_wh: 1000, complete: true },
    ]);
    const bundles = await pool.rows<{ from: number; to: number }>(
      `select lower(range) as "from", upper(range) - 1 as "to" from bundle order by 1`,
    );
    expect(bundles).toEqual([
      { from: 1, to: 1000 },
      { from: 1001, to: 2000 },
    ]);
    const proofs = await ledger.proofs();
    const proof = encodeProof(await proofs.collect({ series: 'energy/p1', from: 1001, to: 2000 }));
    const { steps, result } = verifyProof(proof);
    expect(steps.filter(({ result: r }) => r === 'fail')).toEqual([]);
    expect(result).toBe('undecided');
    expect((await stepAt(t0 + 2 * hour + 20)).sealed).toEqual([]);
  });

  test('an hour that lacks a message waits for it, and for the deadline at most', async () => {
    const { pool } = await start();
    const { enter, stepAt } = createTestLedger(pool);
    await enter(people.genesis(), ...people.simplePlant('p1'));
    const [first = '', second = '', third = ''] = hourly('p1', 3);
    await insertMessages(pool, [{ jws: first }, { jws: third }]);
    expect((await stepAt(t0 + 3 * hour + 10)).sealed).toMatchObject([
      { start: t0 },
      { start: t0 + 2 * hour },
    ]);
    expect((await stepAt(t0 + 26 * hour - 10)).sealed).toEqual([]);
    const late = await stepAt(t0 + 26 * hour + 10);
    expect(late.sealed).toMatchObject([{ start: t0 + hour, kind: 'hour' }]);
    await insertMessages(pool, [{ jws: second }]);
    const corrected = await stepAt(t0 + 26 * hour + 20);
    expect(corrected.sealed).toMatchObject([{ start: t0 + hour, kind: 'hour-correction' }]);
    expect((await hoursOf(pool)).filter((row) => row.start === t0 + hour)).toMatchObject([
      { version: 1, generation_wh: 1000, complete: false },
      { version: 2, generation_wh: 1000, complete: true },
    ]);
  });

  // Rows of readings draw charts, and retention deletes them.
  test('needs no row of a reading to seal, correct and prove', async () => {
    const { pool } = await start();
    for (const table of ['reading', 'reading_late', 'reading_15m', 'reading_1h', 'reading_1d']) {
      await pool.run(`drop table ${table}`);
    }
    const { ledger, enter, stepAt } = createTestLedger(pool);
    await enter(people.genesis(), ...people.simplePlant('p1'));
    const [first = '', second = '', third = ''] = hourly('p1', 3);
    await insertMessages(pool, [{ jws: first }, { jws: third }]);
    await stepAt(t0 + 26 * hour + 10);
    await insertMessages(pool, [{ jws: second }]);
    await stepAt(t0 + 26 * hour + 20);
    expect(await hoursOf(pool)).toMatchObject([
      { start: t0, version: 1, certified_wh: 1000 },
      { start: t0 + hour, version: 1, certified_wh: 1000 },
      { start: t0 + hour, version: 2, certified_wh: 1000 },
      { start: t0 + 2 * hour, version: 1, certified_wh: 1000 },
    ]);
    const proofs = await ledger.proofs();
    const proof = encodeProof(await proofs.collect({ series: 'energy/p1', from: 1, to: 1000 }));
    expect(verifyProof(proof).steps.filter(({ result }) => result === 'fail')).toEqual([]);
  });
});
