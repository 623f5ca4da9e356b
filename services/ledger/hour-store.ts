import type { Quality } from '#core/certificate/specs/hours.ts';
import type { Sql } from '#platform/postgres.ts';
import { hashAt, hashes, integers, joined, texts } from './columns.ts';
import type { HourFacts } from './draft.ts';

/** Sealed hours, their meter records and the bundles that they issued, as rows. */

export interface HourRow {
  readonly plantId: number;
  readonly version: number;
  readonly entryIndex: number;
  readonly time: number;
  readonly certifiedWh: number;
  readonly facts: HourFacts;
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
    consumption_wh, co2_g, quality, messages, complete, batch_root, meters_root, operating_s, valid_s)
  select plant_id, start, version, entry_index, time, generation_wh, certified_wh,
    consumption_wh, co2_g, quality, messages, complete,
    ${hashAt('$13')}, ${hashAt('$14')}, operating_s, valid_s
  from unnest($1::int[], $2::bigint[], $3::int[], $4::bigint[], $5::bigint[], $6::bigint[],
      $7::bigint[], $8::bigint[], $9::bigint[], $10::text[], $11::bigint[], $12::boolean[],
      $15::bigint[], $16::bigint[])
    with ordinality as r (plant_id, start, version, entry_index, time, generation_wh, certified_wh,
      consumption_wh, co2_g, quality, messages, complete, operating_s, valid_s, n)`;
const insertRecordsSql = `
  insert into hour_record (entry_index, records, salt, opening)
  select entry_index, substr($2::bytea, start, length), salt, opening::jsonb
  from unnest($1::bigint[], $3::int[], $4::int[], $5::bytea[], $6::text[])
    as r (entry_index, start, length, salt, opening)`;
/** By the key of a series, since that is what the index has. */
const deleteBundlesSql = `
  delete from bundle b using unnest($1::text[], $2::bigint[], $3::bigint[]) as r (series, low, high)
  where series_key(b.series) = series_key(r.series) and b.series = r.series
    and b.range && int8range(r.low, r.high, '[]')`;
const insertBundlesSql = `
  insert into bundle (series, range, issued_index, hour_start, owner, state, last_index)
  select series, int8range(low, high, '[]'), issued_index, hour_start, owner, state, last_index
  from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[],
    $7::text[], $8::bigint[])
    as r (series, low, high, issued_index, hour_start, owner, state, last_index)`;

export async function insertHours(sql: Sql, rows: readonly HourRow[]): Promise<void> {
  if (rows.length === 0) return;
  await sql.run(insertHoursSql, [
    integers(rows.map(({ plantId }) => plantId)),
    integers(rows.map(({ facts }) => facts.start)),
    integers(rows.map(({ version }) => version)),
    integers(rows.map(({ entryIndex }) => entryIndex)),
    integers(rows.map(({ time }) => time)),
    integers(rows.map(({ facts }) => facts.generationWh)),
    integers(rows.map(({ certifiedWh }) => certifiedWh)),
    integers(rows.map(({ facts }) => facts.consumptionWh)),
    integers(rows.map(({ facts }) => facts.co2G)),
    texts(rows.map(({ facts }) => facts.quality)),
    integers(rows.map(({ facts }) => facts.messages)),
    `{${rows.map(({ facts }) => facts.complete).join()}}`,
    hashes(rows.map(({ facts }) => facts.batchRoot)),
    hashes(rows.map(({ facts }) => facts.metersRoot)),
    integers(rows.map(({ facts }) => facts.operatingS)),
    integers(rows.map(({ facts }) => facts.validS)),
  ]);
}

export async function insertRecords(sql: Sql, rows: readonly RecordRow[]): Promise<void> {
  if (rows.length === 0) return;
  const records = joined(rows.map((row) => row.records));
  await sql.run(insertRecordsSql, [
    integers(rows.map(({ entryIndex }) => entryIndex)),
    records.bytes,
    records.starts,
    records.lengths,
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
      texts(cleared.map(({ series }) => series)),
      integers(cleared.map(({ from }) => from)),
      integers(cleared.map(({ to }) => to)),
    ]);
  }
  if (rows.length === 0) return;
  await sql.run(insertBundlesSql, [
    texts(rows.map(({ series }) => series)),
    integers(rows.map(({ from }) => from)),
    integers(rows.map(({ to }) => to)),
    integers(rows.map(({ issuedIndex }) => issuedIndex)),
    integers(rows.map(({ hourStart }) => hourStart)),
    texts(rows.map(({ owner }) => owner)),
    texts(rows.map(({ state }) => state)),
    integers(rows.map(({ lastIndex }) => lastIndex)),
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
  readonly operatingS: number | undefined;
  readonly validS: number | undefined;
  readonly quality: Quality;
  readonly complete: boolean;
  readonly batchRoot: Uint8Array;
  readonly metersRoot: Uint8Array;
}

const latestHoursSql = `
  select h.plant_id, h.start, h.version, h.entry_index, h.time, h.generation_wh, h.consumption_wh,
    h.co2_g, h.operating_s, h.valid_s, h.quality, h.complete, h.batch_root, h.meters_root
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
    operating_s: number | null;
    valid_s: number | null;
    quality: Quality;
    complete: boolean;
    batch_root: Uint8Array;
    meters_root: Uint8Array;
  }>(latestHoursSql, [
    integers(hours.map(({ plantId }) => plantId)),
    integers(hours.map(({ start }) => start)),
  ]);
  return rows.map((row) => ({
    plantId: row.plant_id,
    start: row.start,
    version: row.version,
    entryIndex: row.entry_index,
    time: row.time,
    generationWh: row.generation_wh,
    consumptionWh: row.consumption_wh ?? undefined,
    co2G: row.co2_g ?? undefined,
    operatingS: row.operating_s ?? undefined,
    validS: row.valid_s ?? undefined,
    quality: row.quality,
    complete: row.complete,
    batchRoot: row.batch_root,
    metersRoot: row.meters_root,
  }));
}
