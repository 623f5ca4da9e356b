import { expect, it } from 'vitest';
import type { Reading } from '#core/energy/message.ts';
import type { Pool } from '#platform/postgres.ts';
import { onEveryEngine } from '#support/postgres.ts';
import { insertLogSetting } from '#support/register.ts';
import { isTimescale, runPolicy, runRefreshPolicies } from '#support/rollups.ts';
import { startRig, until } from '../../integration/ingestion/rig.ts';
import { bucketsOf, storedBuckets, tiers, type Tier } from './oracle.ts';
import { makeStory, type Arrived } from './story.ts';

const dayS = 86_400;

/** Nothing waits any more: neither late readings, nor hours to be rolled up. */
async function isSettled(pool: Pool): Promise<boolean> {
  const { waits } = await pool.row<{ waits: boolean }>(
    `select exists (select 1 from reading_late) or exists (select 1 from reading_touched) as waits`,
  );
  return !waits;
}

function readingsOf(arrived: readonly Arrived[]): ReadonlyMap<string, Reading[]> {
  const byMeter = new Map<string, Reading[]>();
  for (const { meter, readings } of arrived) {
    byMeter.set(meter, [...(byMeter.get(meter) ?? []), ...readings]);
  }
  return byMeter;
}

onEveryEngine('roll-ups', (start, engine) => {
  it.each([1, 2, 3])(
    'are the same for readings in any order, late, twice and contradicted (%i)',
    async (seed) => {
      const { pool } = await start();
      await insertLogSetting(pool);
      const nowS = Math.floor(Date.now() / 1000);
      // Two thirds of the hours are older than what stays uncompressed.
      const fromS = nowS - (nowS % 3600) - 21 * dayS;
      const story = await makeStory(pool, { seed, fromS, stepS: 3 * dayS });
      const half = story.slice(0, Math.floor(story.length / 2));
      const limits = { readingsCompressedAfterDays: 7, readingsKeptDays: 730, lateEveryMs: 1 };
      const send = async (arrivals: readonly Arrived[]): Promise<void> => {
        const rig = await startRig(pool, { ...limits, lateRows: 50, lateTurnsPerRefresh: 3 });
        for (const { bytes, device, receivedAt } of arrivals) {
          await rig.send(bytes, { topic: device.topic, receivedAt });
        }
        await until(() => isSettled(pool));
        await rig.ingestion.stop();
        if (!isTimescale(engine)) return;
        await runRefreshPolicies(pool);
        await runPolicy(pool, 'policy_compression');
      };
      await send(half);
      const known = readingsOf(half);
      for (const tier of Object.keys(tiers) as Tier[]) {
        expect(await storedBuckets(pool, tier)).toEqual(bucketsOf(known, tier));
      }
      await send(story.slice(half.length));
      const all = readingsOf(story);
      for (const tier of Object.keys(tiers) as Tier[]) {
        expect(await storedBuckets(pool, tier)).toEqual(bucketsOf(all, tier));
      }
    },
  );

  it('and readings have the same columns', async () => {
    const { pool } = await start();
    const columns = await pool.rows<{ table: string; columns: string }>(
      `select table_name::text as table,
              string_agg(column_name || ' ' || data_type, ', ' order by ordinal_position) as columns
         from information_schema.columns
        where table_schema = current_schema() and table_name like 'reading%'
        group by 1 order by 1`,
    );
    const registers = ['export_wh', 'import_wh', 'co2_g', 'operating_s', 'valid_s'];
    const time = 'timestamp with time zone';
    const rollup = [
      `meter_id integer, bucket ${time}, readings bigint`,
      ...registers.flatMap((name) =>
        ['first', 'last', 'min', 'max'].map((what) => `${name}_${what} bigint`),
      ),
    ].join(', ');
    const reading = [
      `meter_id integer, time ${time}`,
      ...registers.map((name) => `${name} bigint`),
      'other jsonb, flags smallint',
    ].join(', ');
    expect(Object.fromEntries(columns.map(({ table, columns: of }) => [table, of]))).toEqual({
      reading,
      reading_late: reading,
      reading_15m: rollup,
      reading_1h: rollup,
      reading_1d: rollup,
      reading_keeping: `one boolean, kept_from bigint, holder text, until ${time}`,
      reading_touched: 'touched_id bigint, meter_ids ARRAY, starts ARRAY',
    });
  });
});
