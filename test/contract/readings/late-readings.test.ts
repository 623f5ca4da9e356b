import { beforeAll, describe, expect, it } from 'vitest';
import { ensurePolicies } from '#ingestion/keeping.ts';
import { Failed } from '#core/errors.ts';
import type { Pool } from '#platform/postgres.ts';
import { breakAt, type Moment } from '#support/breaking.ts';
import { onTimescale } from '#support/postgres.ts';
import { insertLogSetting } from '#support/register.ts';
import { refreshEverything, runPolicy } from '#support/rollups.ts';
import { newDevice, startRig } from '../../integration/ingestion/rig.ts';
import {
  chunkAt,
  count,
  dayS,
  endLease,
  expectRolledUp,
  fill,
  lateReadings,
  settle,
  todayS,
} from './chunks.ts';

const limits = { readingsKeptDays: 100, readingsCompressedAfterDays: 7 };

onTimescale('late readings', (start) => {
  let pool: Pool;
  let meterId: number;
  let today: number;

  /** Sixty days of an hourly reading, compressed but for the newest. */
  beforeAll(async () => {
    ({ pool } = await start());
    await insertLogSetting(pool);
    await newDevice(pool, 'M-hourly');
    ({ meter_id: meterId } = await pool.row<{ meter_id: number }>('select meter_id from meter'));
    today = await todayS(pool);
    await fill(pool, 'reading', { meterId, fromS: today - 60 * dayS, toS: today, stepS: 3600 });
    await refreshEverything(pool);
    await ensurePolicies(pool, limits);
    await runPolicy(pool, 'policy_compression');
  });

  it('lie beside ingestion’s transaction, which decompresses nothing', async () => {
    const t = today - 30 * dayS;
    expect(await chunkAt(pool, t)).toMatchObject({ compressed: true, partial: false });
    const quiet = { ...limits, rollupEveryMs: 3_600_000 };
    const rig = await startRig(pool, quiet);
    const device = await newDevice(pool, 'M-offline');
    const readings = [60, 120, 180].map((s) => ({ t: t + s, registers: { exportWh: s, gas: 1 } }));
    await rig.send(device.message(1, t, { readings }), { ...device, receivedAt: today });
    const fresh = [{ t: today - 60, registers: { exportWh: 1 } }];
    await rig.send(device.message(2, t, { readings: fresh }), { ...device, receivedAt: today });
    const of = "join meter using (meter_id) where meter = 'M-offline'";
    expect(await count(pool, `reading_late ${of}`)).toBe(3);
    expect(await count(pool, `reading ${of}`)).toBe(1);
    expect(await chunkAt(pool, t)).toMatchObject({ compressed: true, partial: false });
    await rig.ingestion.stop();
    await settle(lateReadings(pool));
    expect(await count(pool, 'reading_late')).toBe(0);
    expect(
      await pool.rows(`select export_wh, other, flags from reading ${of} order by time`),
    ).toEqual([
      ...[60, 120, 180].map((s) => ({ export_wh: s, other: { gas: 1 }, flags: 0 })),
      { export_wh: 1, other: null, flags: 0 },
    ]);
    expect(await chunkAt(pool, t)).toMatchObject({ compressed: true, partial: true });
    await expectRolledUp(pool, { fromS: t, toS: t + dayS });
    // The policy compresses them too when it comes round.
    await runPolicy(pool, 'policy_compression');
    expect(await chunkAt(pool, t)).toMatchObject({ compressed: true, partial: false });
    await expectRolledUp(pool, { fromS: t, toS: t + dayS });
  });

  it('are moved some at a time, a day at a time, the oldest first', async () => {
    const fromS = today - 40 * dayS;
    await fill(pool, 'reading_late', {
      meterId,
      fromS: fromS + 60,
      toS: fromS + 2 * dayS,
      stepS: 600,
    });
    const late = lateReadings(pool, { lateRows: 100 });
    const left: number[] = [];
    do left.push(await count(pool, 'reading_late'));
    while (left.at(-1) !== 0 && (await late.turn()));
    expect(left).toEqual([288, 188, 144, 44, 0]);
    await settle(late);
    await expectRolledUp(pool, { fromS, toS: fromS + 2 * dayS });
  });

  it('do not replace what is there', async () => {
    const t = today - 35 * dayS;
    await pool.run(
      'insert into reading_late (meter_id, time, export_wh) values ($1, to_timestamp($2), -5)',
      [meterId, t],
    );
    await settle(lateReadings(pool));
    const { export_wh } = await pool.row<{ export_wh: number }>(
      'select export_wh from reading where meter_id = $1 and time = to_timestamp($2)',
      [meterId, t],
    );
    expect(export_wh).toBe(t % 100_000);
  });

  it('are moved by one process, and by another when that one dies', async () => {
    const fromS = today - 33 * dayS;
    await fill(pool, 'reading_late', { meterId, fromS: fromS + 60, toS: fromS + dayS, stepS: 600 });
    const [one, two] = [lateReadings(pool, { lateRows: 10 }), lateReadings(pool, { lateRows: 10 })];
    expect(await one.turn()).toBe(true);
    expect(await two.turn()).toBe(false);
    expect(await count(pool, 'reading_late')).toBe(134);
    await endLease(pool);
    expect(await two.turn()).toBe(true);
    expect(await one.turn()).toBe(false);
    expect(await count(pool, 'reading_late')).toBe(124);
    await two.release();
    await settle(one);
    await expectRolledUp(pool, { fromS, toS: fromS + dayS });
  });

  describe.each<Moment>(['before', 'after'])('of a process that dies %s an operation', (moment) => {
    it('are all there once, and rolled up, when another goes on', async () => {
      const fromS = today - (moment === 'before' ? 28 : 27) * dayS;
      const died: string[] = [];
      for (let operation = 0, isBroken = true; isBroken; operation++) {
        const minute = operation + 1;
        const before = await count(pool, 'reading');
        await fill(pool, 'reading_late', {
          meterId,
          fromS: fromS + minute * 60,
          toS: fromS + 2 * 3600,
          stepS: 3600,
        });
        const breaking = breakAt(operation, moment);
        await settle(lateReadings(breaking.pool(pool), { lateRows: 1 })).catch((error: unknown) => {
          if (!(error instanceof Failed)) throw error;
        });
        isBroken = breaking.isBroken();
        if (isBroken) died.push(breaking.where());
        await endLease(pool);
        await settle(lateReadings(pool));
        expect(await count(pool, 'reading')).toBe(before + 2);
        expect(await count(pool, 'reading_late')).toBe(0);
        expect(await count(pool, 'reading_touched')).toBe(0);
        await expectRolledUp(pool, { fromS, toS: fromS + dayS });
      }
      for (const name of [
        'update reading_keeping',
        'with taken',
        'commit',
        'call refresh',
        'delete from reading_touched',
      ]) {
        expect(died.filter((where) => where.startsWith(`${moment} ${name}`))).not.toEqual([]);
      }
    });
  });
});
