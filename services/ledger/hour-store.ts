import type { Quality } from '#core/certificate/kinds.ts';
import type { Sql } from '#platform/postgres.ts';

/** Sealed hours, their meter records and the bundles that they issued, as rows. */

export interface HourRow {
  readonly plantId: number;
  readonly start: number;
  readonly version: number;
  readonly entryIndex: number;
  readonly time: number;
  readonly generationWh: number;
  readonly certifiedWh: number;
  readonly consumptionWh: number | undefined;
  readonly co2G: number | undefined;
  readonly quality: Quality;
  readonly messages: number;
  readonly complete: boolean;
  readonly batchRoot: Uint8Array;
  readonly metersRoot: Uint8Array;
}

export interface RecordRow {
  readonly entryIndex: number;
  readonly records: Uint8Array;
  readonly salt: Uint8Array | undefined;
  /** JSON of the members that a commitment hides. */
  readonly opening: string | undefined;
}

export interface BundleRow {
  readonly series: string;
  /** Both inclusive. */
  readonly from: number;
  readonly to: number;
  readonly issuedIndex: number;
  readonly hourStart: number;
  readonly owner: string;
  readonly state: string;
  readonly lastIndex: number;
}

const insertHoursSql = `
  insert into hour_value (plant_id, start, version, entry_index, time, generation_wh, certified_wh,
    consumption_wh, co2_g, quality, messages, complete, batch_root, meters_root)
  select * from unnest($1::int[], $2::bigint[], $3::int[], $4::bigint[], $5::bigint[], $6::bigint[],
    $7::bigint[], $8::bigint[], $9::bigint[], $10::text[], $11::bigint[], $12::boolean[],
    $13::bytea[], $14::bytea[])`;
const insertRecordsSql = `
  insert into hour_record (entry_index, records, salt, opening)
  select entry_index, records, salt, opening::jsonb
  from unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::text[])
    as r (entry_index, records, salt, opening)`;
const deleteBundlesSql = `
  delete from bundle b using unnest($1::text[], $2::bigint[], $3::bigint[]) as r (series, low, high)
  where b.series = r.series and b.range && int8range(r.low, r.high, '[]')`;
const insertBundlesSql = `
  insert into bundle (series, range, issued_index, hour_start, owner, state, last_index)
  select series, int8range(low, high, '[]'), issued_index, hour_start, owner, state, last_index
  from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[],
    $7::text[], $8::bigint[])
    as r (series, low, high, issued_index, hour_start, owner, state, last_index)`;

export async function insertHours(sql: Sql, rows: readonly HourRow[]): Promise<void> {
  if (rows.length === 0) return;
  await sql.run(insertHoursSql, [
    rows.map(({ plantId }) => plantId),
    rows.map(({ start }) => start),
    rows.map(({ version }) => version),
    rows.map(({ entryIndex }) => entryIndex),
    rows.map(({ time }) => time),
    rows.map(({ generationWh }) => generationWh),
    rows.map(({ certifiedWh }) => certifiedWh),
    rows.map(({ consumptionWh }) => consumptionWh),
    rows.map(({ co2G }) => co2G),
    rows.map(({ quality }) => quality),
    rows.map(({ messages }) => messages),
    rows.map(({ complete }) => complete),
    rows.map(({ batchRoot }) => batchRoot),
    rows.map(({ metersRoot }) => metersRoot),
  ]);
}

export async function insertRecords(sql: Sql, rows: readonly RecordRow[]): Promise<void> {
  if (rows.length === 0) return;
  await sql.run(insertRecordsSql, [
    rows.map(({ entryIndex }) => entryIndex),
    rows.map(({ records }) => records),
    rows.map(({ salt }) => salt),
    rows.map(({ opening }) => opening),
  ]);
}

/** Puts `rows` in the place of whatever covered any of `cleared`. */
export async function replaceBundles(
  sql: Sql,
  cleared: readonly Pick<BundleRow, 'series' | 'from' | 'to'>[],
  rows: readonly BundleRow[],
): Promise<void> {
  if (cleared.length > 0) {
    await sql.run(deleteBundlesSql, [
      cleared.map(({ series }) => series),
      cleared.map(({ from }) => from),
      cleared.map(({ to }) => to),
    ]);
  }
  if (rows.length === 0) return;
  await sql.run(insertBundlesSql, [
    rows.map(({ series }) => series),
    rows.map(({ from }) => from),
    rows.map(({ to }) => to),
    rows.map(({ issuedIndex }) => issuedIndex),
    rows.map(({ hourStart }) => hourStart),
    rows.map(({ owner }) => owner),
    rows.map(({ state }) => state),
    rows.map(({ lastIndex }) => lastIndex),
  ]);
}

export interface LatestHour {
  readonly plantId: number;
  readonly start: number;
  readonly version: number;
  readonly entryIndex: number;
  readonly time: number;
  readonly generationWh: number;
  readonly consumptionWh: number | undefined;
  readonly co2G: number | undefined;
  readonly quality: Quality;
  readonly complete: boolean;
  readonly batchRoot: Uint8Array;
  readonly metersRoot: Uint8Array;
}

const latestHoursSql = `
  select h.plant_id, h.start, h.version, h.entry_index, h.time, h.generation_wh, h.consumption_wh,
    h.co2_g, h.quality, h.complete, h.batch_root, h.meters_root
  from unnest($1::int[], $2::bigint[]) as w (plant_id, start)
  cross join lateral (
    select * from hour_value v where v.plant_id = w.plant_id and v.start = w.start
    order by v.version desc limit 1) h`;

/** The latest version of each of these hours that is sealed. */
export async function readLatestHours(
  sql: Sql,
  hours: readonly { readonly plantId: number; readonly start: number }[],
): Promise<LatestHour[]> {
  if (hours.length === 0) return [];
  const rows = await sql.rows<{
    plant_id: number;
    start: number;
    version: number;
    entry_index: number;
    time: number;
    generation_wh: number;
    consumption_wh: number | null;
    co2_g: number | null;
    quality: Quality;
    complete: boolean;
    batch_root: Uint8Array;
    meters_root: Uint8Array;
  }>(latestHoursSql, [hours.map(({ plantId }) => plantId), hours.map(({ start }) => start)]);
  return rows.map((row) => ({
    plantId: row.plant_id,
    start: row.start,
    version: row.version,
    entryIndex: row.entry_index,
    time: row.time,
    generationWh: row.generation_wh,
    consumptionWh: row.consumption_wh ?? undefined,
    co2G: row.co2_g ?? undefined,
    quality: row.quality,
    complete: row.complete,
    batchRoot: row.batch_root,
    metersRoot: row.meters_root,
  }));
}
