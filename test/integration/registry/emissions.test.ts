import { expect, test } from 'vitest';
import { decodeUtf8 } from '#core/bytes.ts';
import { calendarOf } from '#core/energy/calendar.ts';
import { csvBytes } from '#core/energy/reports/csv.ts';
import { tableOfReport } from '#core/energy/reports/document.ts';
import { emissionFigures } from '#core/energy/reports/emissions.ts';
import { readEmissions, reportLimitS } from '#registry/emissions.ts';
import { insertMessages } from '#support/insert-messages.ts';
import * as people from '#support/log-people.ts';
import { onEachEngine } from '#support/postgres.ts';
import { createTestLedger, removeTestFolders, testStartS as t0 } from '#support/test-ledger.ts';

removeTestFolders();

const hourS = 3600;
const dayS = 24 * hourS;
const days = 2;

const emissions = [
  {
    energy: 'generation',
    factor: { scope: 'solar', set: 'lifecycle', zone: '*' },
    method: 'calculated',
    plant: 'p1',
  },
];
const row = { gas: 'CO2e', mg: 45_000, per: 'kWh', scope: 'solar', source: 'a book', year: 2021 };
const factors = {
  rows: [{ ...row, zone: '*' }],
  set: 'lifecycle',
  validity: { from: 0 },
  version: '2021',
};

onEachEngine('emissions of a plant', (start) => {
  test('are read from its records, as far as a checkpoint covers them', async () => {
    const { pool } = await start();
    const { enter, stepAt } = createTestLedger(pool);
    await enter(people.genesis({ emissions }), ...people.simplePlant('p1'));
    await expect(readEmissions(pool, 'p1', { from: t0, to: t0 + dayS })).rejects.toMatchObject({
      code: 'checkpoint',
    });
    await enter(people.signed('factors', factors));
    const messages = Array.from({ length: 24 * days }, (_, i) => {
      const readings = [i, i + 1].map((n) => ({
        registers: { exportWh: n * 1000 },
        t: t0 + n * hourS,
      }));
      return { jws: people.message({ plant: 'p1', meter: 'p1-m', seq: i + 1, readings }) };
    });
    await insertMessages(pool, messages);
    await stepAt(t0 + days * dayS + 10);

    const calendar = calendarOf('Asia/Shanghai');
    const period = { from: t0 + 16 * hourS, to: t0 + 40 * hourS };
    const read = await readEmissions(pool, 'p1', period);
    expect(read.factors).toEqual([{ set: 'lifecycle', version: '2021' }]);
    const figures = emissionFigures('p1', read.hours, calendar);
    expect(figures).toMatchObject({
      days: [{ period: '2026-01-02', totalG: 24 * 45 }],
      months: [{ period: '2026-01', totalG: 24 * 45 }],
      substitutedHours: 0,
      totalG: 24 * 45,
    });
    const lines = decodeUtf8(csvBytes(tableOfReport.emissions(figures))).split('\r\n');
    expect(lines).toHaveLength(26);
    expect(lines[1]).toMatch(/^1767283200,45,calculated,factor,measured,,,\d+$/);

    const all = { from: t0, to: t0 + days * dayS };
    const { log, hours } = await readEmissions(pool, 'p1', all);
    expect(hours).toHaveLength(24 * days);
    // What is in the table and under no checkpoint yet is not told.
    await pool.run(
      `insert into log_entry select ${log.size}, leaf_hash, data, kind, time from log_entry
       where index = 0`,
    );
    await pool.run(
      `insert into emission_day (plant_id, day, version, entry_index, time, total_g, substituted,
         is_open, hours)
       select plant_id, day, 2, ${log.size}, time, 0, 0, false, '[]' from emission_day
       where day = ${t0}`,
    );
    expect(await readEmissions(pool, 'p1', all)).toEqual({ factors: read.factors, hours, log });
  });

  test('are of a period of at most a year, and of a plant that is there', async () => {
    const { pool } = await start();
    const { enter, stepAt } = createTestLedger(pool);
    await enter(people.genesis(), ...people.simplePlant('p1'));
    await stepAt(t0 + 10);
    const of = (plant: string, lengthS: number) =>
      readEmissions(pool, plant, { from: t0, to: t0 + lengthS });
    await expect(of('p1', 0)).rejects.toMatchObject({ code: 'period' });
    await expect(of('p1', reportLimitS + 1)).rejects.toMatchObject({ code: 'period' });
    await expect(of('p2', dayS)).rejects.toMatchObject({ code: 'plant' });
    expect((await of('p1', reportLimitS)).hours).toEqual([]);
  });
});
