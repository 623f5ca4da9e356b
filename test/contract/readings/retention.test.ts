import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { defaultIngestionLimits } from '#ingestion/config.ts';
import { createKeeping } from '#ingestion/keeping.ts';
import { createRetention } from '#ingestion/retention.ts';
import { rollUp } from '#ingestion/rollup.ts';
import { manualClock } from '#platform/clock.ts';
import { inTransaction, type Pool } from '#platform/postgres.ts';
import { onEachEngine, onPostgres, onTimescale } from '#support/postgres.ts';
import { insertLogSetting } from '#support/register.ts';
import { refreshEverything, runPolicy, runRefreshPolicies } from '#support/rollups.ts';
import {
  at,
  newDevice,
  reading,
  startRig,
  until,
  type Rig,
} from '../../integration/ingestion/rig.ts';
import { count, dayS, fill, todayS } from './chunks.ts';

const keptDays = 100;
const rollupsSql = 'select * from reading_15m order by meter_id, bucket';

/** Two meters with a reading an hour over some days before `today`. */
async function twoMeters(pool: Pool, today: number, days: number): Promise<void> {
  await insertLogSetting(pool);
  for (const name of ['M-1', 'M-2']) await newDevice(pool, name);
  for (const { meter_id: meterId } of await pool.rows<{ meter_id: number }>(
    'select meter_id from meter',
  )) {
    await fill(pool, 'reading', { meterId, fromS: today - days * dayS, toS: today, stepS: 3600 });
  }
}

onTimescale('retention', (start) => {
  let pool: Pool;
  let today: number;
  let rig: Rig;

  beforeAll(async () => {
    ({ pool } = await start());
    today = await todayS(pool);
    await twoMeters(pool, today, 130);
    await refreshEverything(pool);
  });
  afterEach(async () => {
    await rig.ingestion.stop();
  });

  const ingest = async (readingsKeptDays: number): Promise<void> => {
    rig = await startRig(pool, { readingsKeptDays, readingsCompressedAfterDays: 7 });
  };
  const configs = async (): Promise<object> => {
    const jobs = await pool.rows<{ proc_name: string; config: Record<string, unknown> }>(
      `select proc_name, schedule_interval::text, config - 'hypertable_id' as config
         from timescaledb_information.jobs where hypertable_name = 'reading' order by proc_name`,
    );
    return jobs;
  };

  it('has the policies that are configured, and alters only what differs', async () => {
    await ingest(keptDays + 1);
    await rig.ingestion.stop();
    await pool.rows(
      `select alter_job(job_id, schedule_interval => interval '3 hours')
         from timescaledb_information.jobs where hypertable_name = 'reading'`,
    );
    await ingest(keptDays);
    const schedule_interval = '03:00:00';
    expect(await configs()).toEqual([
      { proc_name: 'policy_compression', schedule_interval, config: { compress_after: '7 days' } },
      { proc_name: 'policy_retention', schedule_interval, config: { drop_after: '100 days' } },
    ]);
    expect(
      await pool.rows(`select segmentby, orderby
        from timescaledb_information.hypertable_columnstore_settings
       where hypertable = 'reading'::regclass`),
    ).toEqual([{ segmentby: 'meter_id', orderby: '"time"' }]);
  });

  it('drops old chunks, and no roll-up of them, whatever comes late', async () => {
    await ingest(keptDays);
    const before = await pool.rows(rollupsSql);
    await runPolicy(pool, 'policy_compression');
    await runPolicy(pool, 'policy_retention');
    const { oldest } = await pool.row<{ oldest: number }>(
      'select extract(epoch from min(time))::bigint as oldest from reading',
    );
    expect(oldest).toBeGreaterThan(today - (keptDays + 8) * dayS);
    expect(oldest).toBeLessThanOrEqual(today - keptDays * dayS);

    // What arrives now for a time that is gone, by a process whose horizon is right …
    const device = await newDevice(pool, 'M-1', { plant: 'plant-M-1', key: 'another key' });
    const t = today - 120 * dayS + 60;
    await rig.send(device.message(1, t, { readings: [reading(t, 5)] }), device);
    // … and what was put off before the horizon passed it, with a mark of what was moved already.
    await pool.run(
      'insert into reading_late (meter_id, time, export_wh) select meter_id, to_timestamp($1), 7 from meter',
      [t],
    );
    await pool.run('insert into reading_touched (meter_ids, starts) values ($1, $2)', [
      [1],
      [today - 120 * dayS],
    ]);
    await until(async () => (await count(pool, 'reading_late')) === 0);
    await until(async () => (await count(pool, 'reading_touched')) === 0);
    await runRefreshPolicies(pool);
    expect(await count(pool, `reading where time < to_timestamp(${oldest})`)).toBe(0);
    expect(await pool.rows(rollupsSql)).toEqual(before);
    expect(await count(pool, `message where t_first = ${t}`)).toBe(1);

    // That it would have shown: a refresh there empties the buckets.
    await pool.run(
      `call refresh_continuous_aggregate('reading_15m', to_timestamp($1), to_timestamp($2))`,
      [today - 120 * dayS, today - 119 * dayS],
    );
    expect(await count(pool, 'reading_15m')).toBe(before.length - 48);
  });

  it('calls the policies as they were called before 2.18', async () => {
    await pool.rows(
      `select remove_retention_policy('reading'), remove_compression_policy('reading')`,
    );
    await pool.run('alter procedure add_columnstore_policy rename to not_yet_known');
    await ingest(keptDays);
    expect(await configs()).toMatchObject([
      { config: { compress_after: '7 days' } },
      { config: { drop_after: '100 days' } },
    ]);
  });
});

onEachEngine('retention by housekeeping', (start) => {
  const today = 20_000 * dayS;
  const limits = { ...defaultIngestionLimits, readingsKeptDays: 5 };
  const clock = manualClock((today + 7200) * 1000);

  it('deletes what is over in bounded batches, and leaves roll-ups alone', async () => {
    const { pool } = await start();
    await twoMeters(pool, today, 8);
    const hours = Array.from({ length: 8 * 24 }, (_, i) => today - (i + 1) * 3600);
    await pool.run('insert into reading_touched (meter_ids, starts) values ($1, $2)', [
      [...hours.map(() => 1), ...hours.map(() => 2)],
      [...hours, ...hours],
    ]);
    await rollUp(pool, 1);
    const before = await pool.rows(rollupsSql);
    expect(before).toHaveLength(2 * hours.length);

    const keeping = createKeeping({ pool, clock }, { keepRollups: true }, limits);
    await keeping.look();
    const { keptFromS, lateBeforeS } = keeping.horizons();
    expect(keptFromS).toBe(today - 4 * dayS);
    expect(lateBeforeS).toBe(Number.NEGATIVE_INFINITY);
    // Three days of two meters are over: 144 rows, by 50 at a time.
    const retention = createRetention(pool, {
      retentionRows: 50,
      retentionBatches: 1,
      retentionMeters: 1,
    });
    const rows = [await count(pool, 'reading')];
    while (await retention.drop(keptFromS)) rows.push(await count(pool, 'reading'));
    expect(rows.map((n) => n - 384)).toEqual([0, -50, -72, -122, -144]);
    const { oldest } = await pool.row<{ oldest: number }>(
      'select extract(epoch from min(time))::bigint as oldest from reading',
    );
    expect(oldest).toBe(today - 5 * dayS);
    expect(await pool.rows(rollupsSql)).toEqual(before);

    // A day that was rolled up last is not computed from what is left of it; the next one is.
    await pool.run('insert into reading_touched (meter_ids, starts) values ($1, $2)', [
      [1, 1],
      [keptFromS - 3600, keptFromS],
    ]);
    await pool.run(`delete from reading where extract(minute from time) = 0 and time < $1`, [
      new Date((keptFromS + 1) * 1000),
    ]);
    await fill(pool, 'reading', {
      meterId: 1,
      fromS: keptFromS - 3590,
      toS: keptFromS + 20,
      stepS: 3600,
    });
    expect(await rollUp(pool, 10)).toBe(1);
    const changed = await pool.rows<{ bucket: Date }>(rollupsSql);
    expect(changed.filter(({ bucket }) => bucket.getTime() < keptFromS * 1000)).toEqual(
      before.filter((row) => (row as { bucket: Date }).bucket.getTime() < keptFromS * 1000),
    );
    expect(changed).not.toEqual(before);
  });

  describe('of an ingestion that runs', () => {
    it('takes no row for what is over, only its message', async () => {
      const { pool } = await start();
      await insertLogSetting(pool);
      const rig = await startRig(pool, { readingsKeptDays: 5 });
      const device = await newDevice(pool, 'M-old');
      const keeping = createKeeping({ pool, clock: rig.clock }, { keepRollups: true }, limits);
      await keeping.look();
      const { keptFromS } = keeping.horizons();
      for (const [i, t] of [keptFromS - 1, keptFromS].entries()) {
        await rig.send(device.message(i + 1, t, { readings: [reading(t, i)] }), device);
      }
      expect(await pool.rows('select export_wh from reading')).toEqual([{ export_wh: 1 }]);
      expect(await count(pool, 'message')).toBe(2);
      await rig.ingestion.stop();
    });

    it('deletes by itself what was kept long enough, and never takes a horizon back', async () => {
      const { pool } = await start();
      await twoMeters(pool, at - (at % dayS), 8);
      const rig = await startRig(pool, { readingsKeptDays: 5 });
      await until(async () => (await count(pool, 'reading')) === 2 * 5 * 24);
      await rig.ingestion.stop();
      const horizonsOf = async (readingsKeptDays: number): Promise<number> => {
        const keeping = createKeeping(
          { pool, clock: rig.clock },
          { keepRollups: true },
          { ...limits, readingsKeptDays },
        );
        await keeping.look();
        return keeping.horizons().keptFromS;
      };
      const keptFromS = await horizonsOf(5);
      expect(await horizonsOf(1_000)).toBe(keptFromS);
      expect(await horizonsOf(3)).toBe(keptFromS + 2 * dayS);
    });
  });
});

onPostgres('a roll-up under way', (start) => {
  it('is waited for before readings that it needs are given up', async () => {
    const { pool, anotherPool } = await start();
    const today = 20_000 * dayS;
    await twoMeters(pool, today, 1);
    await pool.run('insert into reading_touched (meter_ids, starts) values ($1, $2)', [
      [1],
      [today - 3600],
    ]);
    const waiting = async (processes: number): Promise<void> => {
      const of = `pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`;
      await until(async () => (await count(pool, of)) === processes);
    };
    const clock = manualClock(today * 1000);
    const limits = { ...defaultIngestionLimits, readingsKeptDays: 1 };
    const keeping = createKeeping({ pool, clock }, { keepRollups: true }, limits);
    const work = await inTransaction(anotherPool(), async (sql) => {
      await sql.run('lock table reading_15m');
      const rolling = rollUp(pool, 1);
      await waiting(1);
      const looking = keeping.look();
      await waiting(2);
      return { rolling, looking };
    });
    await work.looking;
    expect(await work.rolling).toBe(1);
    expect(keeping.horizons().keptFromS).toBe(today);
    expect(await count(pool, 'reading_15m')).toBe(1);
  });
});
