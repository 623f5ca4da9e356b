import { expect, test } from 'vitest';
import { encodeEntry } from '#core/certificate/entry.ts';
import type { EmissionRule } from '#core/certificate/specs/emissions.ts';
import type { EmissionHour } from '#core/energy/emissions/day.ts';
import { violatedConstraint } from '#platform/postgres-errors.ts';
import type { Pool } from '#platform/postgres.ts';
import { auditLog } from '#support/audit-log.ts';
import { insertMessages } from '#support/insert-messages.ts';
import * as people from '#support/log-people.ts';
import { onEachEngine } from '#support/postgres.ts';
import { createTestLedger, removeTestFolders, testStartS } from '#support/test-ledger.ts';

removeTestFolders();

const hourS = 3600;
const dayS = 24 * hourS;
const t0 = testStartS;

const seconds = { direction: 'none', unit: 's' };
const registers = {
  exportWh: { direction: 'export', unit: 'Wh' },
  co2G: { direction: 'none', unit: 'g' },
  operatingS: seconds,
  validS: seconds,
};

const emissions: readonly EmissionRule[] = [
  { maxGramsPerHour: 9000, method: 'measured', plant: 'coal', regime: '40-cfr-75' },
  {
    energy: 'generation',
    factor: { scope: 'coal', set: 'lifecycle', zone: '*' },
    method: 'calculated',
    plant: 'other',
  },
];

const factorSet = {
  rows: [
    {
      gas: 'CO2e',
      mg: 820_000,
      per: 'kWh',
      scope: 'coal',
      source: 'IPCC 2014 medians',
      year: 2021,
      zone: '*',
    },
  ],
  set: 'lifecycle',
  validity: { from: 0 },
  version: '2021',
};

/** What the registers grow by in each hour: 1000 g of 3600 valid seconds, unless it is said otherwise. */
type Grown = Partial<Record<'co2G' | 'operatingS' | 'validS', number>>;

/** One message an hour, with both of its boundaries. */
function hourly(plant: string, hours: readonly Grown[]): string[] {
  const sums = { co2G: 0, exportWh: 0, operatingS: 0, validS: 0 };
  return hours.map(({ co2G = 1000, operatingS = hourS, validS = hourS }, i) => {
    const before = { ...sums };
    sums.co2G += co2G;
    sums.exportWh += 1000;
    sums.operatingS += operatingS;
    sums.validS += validS;
    const readings = [
      { registers: before, t: t0 + i * hourS },
      { registers: { ...sums }, t: t0 + (i + 1) * hourS },
    ];
    return people.message({ plant, meter: `${plant}-m`, seq: i + 1, readings });
  });
}

interface DayRow {
  day: number;
  version: number;
  total_g: number;
  substituted: number;
  is_open: boolean;
  hours: EmissionHour[];
}

const daysOf = (pool: Pool, plant: string): Promise<DayRow[]> =>
  pool.rows<DayRow>(
    `select day, version, total_g, substituted, is_open, hours from emission_day
     join plant using (plant_id) where plant = $1 order by day, version`,
    [plant],
  );

const dueOf = async (pool: Pool): Promise<number[]> =>
  (await pool.rows<{ day: number }>(`select day from emission_due order by day`)).map(
    ({ day }) => day,
  );

function plantOf(name: string) {
  const meterName = `${name}-m`;
  return [
    people.account(name),
    people.plant(name, name, { source: 'coal', technology: 'steam' }),
    people.meter(meterName, { at: name, owner: name, registers }),
    people.key(meterName, { at: name, owner: name }),
  ];
}

const times = (count: number, grown: Grown = {}): Grown[] =>
  Array.from({ length: count }, () => grown);

onEachEngine('emission records', (start) => {
  test('are written when a day is sealed, and again when an hour of it changes', async () => {
    const { pool } = await start();
    const { enter, stepAt, folder } = createTestLedger(pool);
    await enter(people.genesis({ emissions }), ...plantOf('coal'));
    // The last hour of the day is missing, and so is the first of the next; then there are 3000 g.
    const gap = { validS: 0 };
    const hours = [...times(23), gap, gap, { co2G: 3000 }, ...times(22)];
    const messages = hourly('coal', hours).map((jws) => ({ jws }));
    await insertMessages(pool, messages.slice(0, 23));
    await stepAt(t0 + 23 * hourS + 10);
    expect(await daysOf(pool, 'coal')).toEqual([]);
    await insertMessages(pool, messages.slice(23, 24));
    await stepAt(t0 + dayS + 10);
    expect(await daysOf(pool, 'coal')).toMatchObject([
      { day: t0, version: 1, total_g: 24_000, substituted: 1, is_open: true },
    ]);
    expect(await dueOf(pool)).toEqual([]);
    await insertMessages(pool, messages.slice(24, 26));
    await stepAt(t0 + 26 * hourS + 10);
    // Both missing hours are the average of 1000 and 3000 g.
    const [, corrected] = await daysOf(pool, 'coal');
    expect(corrected).toMatchObject({ version: 2, total_g: 25_000, is_open: false });
    expect(corrected?.hours.at(-1)).toMatchObject({ grams: 2000, tier: '31-b-1' });
    await insertMessages(pool, messages.slice(26));
    await stepAt(t0 + 2 * dayS + 10);
    const all = await daysOf(pool, 'coal');
    expect(all.map(({ day, version, total_g }) => [day, version, total_g])).toEqual([
      [t0, 1, 24_000],
      [t0, 2, 25_000],
      [t0 + dayS, 1, 27_000],
    ]);
    const report = await auditLog(folder);
    expect(report.findings).toEqual([]);
  });

  test('follow a correction of an hour into the substitutes that were taken of it', async () => {
    const { pool } = await start();
    const { enter, stepAt, folder } = createTestLedger(pool);
    await enter(people.genesis({ emissions }), ...plantOf('coal'));
    // The messages of two hours before a gap are lost: nobody knows what of it was in which.
    const hours = [...times(22), { co2G: 5000 }, { validS: 0 }, ...times(24)];
    const messages = hourly('coal', hours).map((jws) => ({ jws }));
    await insertMessages(pool, [...messages.slice(0, 21), ...messages.slice(23)]);
    await stepAt(t0 + 45 * hourS);
    expect(await daysOf(pool, 'coal')).toEqual([]);
    await stepAt(t0 + 2 * dayS + 10);
    expect(await daysOf(pool, 'coal')).toMatchObject([
      { day: t0, total_g: 24_000, substituted: 3, is_open: false },
      { day: t0 + dayS, total_g: 24_000, substituted: 0 },
    ]);
    await insertMessages(pool, messages.slice(21, 23));
    await stepAt(t0 + 2 * dayS + 20);
    // The hour after the two is the average of 5000 and 1000 g now.
    const [, corrected] = await daysOf(pool, 'coal');
    expect(corrected).toMatchObject({ day: t0, version: 2, total_g: 30_000, substituted: 1 });
    expect(corrected?.hours.map(({ grams }) => grams).slice(20)).toEqual([1000, 1000, 5000, 3000]);
    expect((await auditLog(folder)).findings).toEqual([]);
  });

  test('of other days change where their substitutes were taken of a corrected hour', async () => {
    const { pool } = await start();
    const { enter, stepAt } = createTestLedger(pool);
    const eu = { maxGramsPerHour: 9000, method: 'measured', plant: 'coal', regime: 'eu-2018-2066' };
    await enter(people.genesis({ emissions: [eu] }), ...plantOf('coal'));
    const hours = [...times(21), { co2G: 500 }, { co2G: 1500 }, ...times(24), { validS: 0 }];
    const messages = hourly('coal', [...hours, ...times(24)]).map((jws) => ({ jws }));
    await insertMessages(pool, [...messages.slice(0, 21), ...messages.slice(23)]);
    await stepAt(t0 + 3 * dayS + 10);
    const before = (await daysOf(pool, 'coal')).filter(({ day }) => day === t0 + dayS);
    expect(before).toMatchObject([{ version: 1, total_g: 24_000, substituted: 1 }]);
    await insertMessages(pool, messages.slice(21, 23));
    await stepAt(t0 + 3 * dayS + 20);
    const after = (await daysOf(pool, 'coal')).filter(({ day }) => day === t0 + dayS);
    // 47 hours, two of them 500 g off: a variance of 500000 / 46 and so twice a deviation of 104.3.
    expect(after).toMatchObject([{ version: 1 }, { version: 2, total_g: 24_209 }]);
  });

  test('that are calculated wait for their factor', async () => {
    const { pool } = await start();
    const { enter, stepAt } = createTestLedger(pool);
    await enter(people.genesis({ emissions }), ...plantOf('other'));
    const messages = hourly('other', times(24)).map((jws) => ({ jws }));
    await insertMessages(pool, messages);
    await stepAt(t0 + dayS + 10);
    expect(await daysOf(pool, 'other')).toEqual([]);
    expect(await dueOf(pool)).toEqual([t0]);
    await enter(people.signed('factors', factorSet));
    await stepAt(t0 + dayS + 20);
    // 1 kWh at 820 g in each hour.
    expect(await daysOf(pool, 'other')).toMatchObject([{ total_g: 24 * 820, substituted: 0 }]);
    expect(await pool.rows(`select set_id, version, valid_from from factor_set`)).toEqual([
      { set_id: 'lifecycle', version: '2021', valid_from: 0 },
    ]);
  });

  test('with a wrong gram are found out by an auditor, and said to be void', async () => {
    const { pool } = await start();
    const { ledger, enter, stepAt, folder } = createTestLedger(pool);
    await enter(people.genesis({ emissions }), ...plantOf('coal'));
    await insertMessages(
      pool,
      hourly('coal', times(24)).map((jws) => ({ jws })),
    );
    await stepAt(t0 + 24 * hourS - 1);
    const { total_g, hours } = await (async () => {
      await stepAt(t0 + dayS + 10);
      const [day] = await daysOf(pool, 'coal');
      if (day === undefined) throw new Error('no record');
      return day;
    })();
    const amends = await pool.row<{ index: number; hash: string }>(
      `select index, encode(leaf_hash, 'hex') as hash from log_entry where kind = 'emission'`,
    );
    const spec = {
      amends: { index: amends.index, leafHash: amends.hash },
      day: t0,
      hours: hours.map((hour, i) => (i === 0 ? { ...hour, grams: hour.grams - 1 } : hour)),
      plant: 'coal',
      totalG: total_g - 1,
    };
    const time = t0 + dayS + 10;
    await ledger.appendUnchecked([
      encodeEntry({ auth: [], kind: 'emission-correction', spec, time }),
    ]);
    const before = await daysOf(pool, 'coal');
    await stepAt(t0 + dayS + 20);
    expect(await daysOf(pool, 'coal')).toEqual(before);
    const report = await auditLog(folder);
    expect(report).toMatchObject({ findings: [], voided: 1 });
  });
});

onEachEngine('the tables of emissions', (start) => {
  test('refuse to be changed, and what no log says', async () => {
    const { pool } = await start();
    const { enter, stepAt } = createTestLedger(pool);
    await enter(people.genesis({ emissions }), ...plantOf('coal'));
    await enter(people.signed('factors', factorSet));
    await insertMessages(
      pool,
      hourly('coal', times(24)).map((jws) => ({ jws })),
    );
    await stepAt(t0 + dayS + 10);
    const again = (change: string): string =>
      `insert into emission_day (plant_id, day, version, entry_index, time, total_g, substituted,
         is_open, hours) select plant_id, ${change}, is_open, hours from emission_day`;
    const set = (change: string): string =>
      `insert into factor_set (set_id, version, entry_index, valid_from, valid_to, rows)
       select ${change} from factor_set`;
    const cases: readonly (readonly [string, string])[] = [
      [`update emission_day set total_g = 0`, 'emission_day_append_only'],
      [`delete from emission_day`, 'emission_day_append_only'],
      [`truncate emission_day`, 'emission_day_append_only'],
      [again('day, 1, 0, time, 1, 0'), 'emission_day_pkey'],
      [again('day, 2, entry_index, time, 1, 0'), 'emission_day_entry_index_key'],
      [again('day + 1, 2, 0, time, 1, 0'), 'emission_day_day_check'],
      [again('day, 0, 0, time, 1, 0'), 'emission_day_version_check'],
      [again('day, 2, 0, time, -1, 0'), 'emission_day_total_g_check'],
      [again('day, 2, 0, time, 1, 25'), 'emission_day_substituted_check'],
      [again('day, 2, 999, time, 1, 0'), 'emission_day_entry_index_fkey'],
      [`update factor_set set rows = '[]'`, 'factor_set_append_only'],
      [`delete from factor_set`, 'factor_set_append_only'],
      [`truncate factor_set`, 'factor_set_append_only'],
      [set('set_id, version, 0, 0, null, rows'), 'factor_set_pkey'],
      [set(`set_id, '2', entry_index, 0, null, rows`), 'factor_set_entry_index_key'],
      [set(`set_id, '2', 0, -1, null, rows`), 'factor_set_valid_from_check'],
      [set(`set_id, '2', 0, 5, 5, rows`), 'factor_set_check'],
      [set(`set_id, '2', 0, 0, null, '{}'`), 'factor_set_rows_check'],
      [
        `insert into hour_value select plant_id, start, 9, 999, time, generation_wh, certified_wh,
           consumption_wh, co2_g, quality, messages, complete, batch_root, meters_root, 5, null
         from hour_value limit 1`,
        'hour_value_seconds',
      ],
    ];
    for (const [sql, constraint] of cases) {
      const refused: unknown = await pool.run(sql).then(
        () => undefined,
        (error: unknown) => error,
      );
      expect([sql, violatedConstraint(refused)]).toEqual([sql, constraint]);
    }
    await pool.run(again('day, 2, 0, time, 1, 0'));
  });
});
