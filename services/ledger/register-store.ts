import type { SpecOf } from '#core/certificate/kinds.ts';
import { untilOf, type HeldKey } from '#core/certificate/state/state.ts';
import type { Sql } from '#platform/postgres.ts';

/**
 * The register: what the log says of plants, meters and keys, for broker and ingestion. Written in
 * the transaction that sequences the entry, so that both follow the index (D3.4).
 */

const insertSettingSql = `
  insert into log_setting (origin, ingestion_keys, rules) values ($1, $2, $3)`;
const updateIngestionKeysSql = `update log_setting set ingestion_keys = $1`;
const updateRulesSql = `update log_setting set rules = $1`;
const insertPlantSql = `insert into plant (plant, spec, ends_at) values ($1, $2, $3)`;
const updatePlantSql = `update plant set spec = $2, ends_at = $3 where plant = $1`;
const insertMeterSql = `
  insert into meter (meter, plant_id, spec)
  select $1, plant_id, $3 from plant where plant = $2`;
const updateMeterSql = `update meter set spec = $2, ends_at = $3 where meter = $1`;
const touchKeysSql = `
  update meter_key set version = $2 where meter_id = (select meter_id from meter where meter = $1)`;
const insertKeySql = `
  insert into meter_key (kid, meter_id, jwk, not_before, version, ocmf)
  select $1, meter_id, $3, $4, $5, $6 from meter where meter = $2`;
const endKeySql = `
  update meter_key set last_seq = $2, last_t = $3, version = $4 where kid = $1`;
const freezeKeySql = `update meter_key set frozen = $2, version = $3 where kid = $1`;
const plantIdsSql = `select plant, plant_id from plant where plant = any($1::text[])`;

export async function insertGenesis(sql: Sql, spec: SpecOf<'genesis'>): Promise<void> {
  const keys = [{ jwk: spec.ingestionKey }];
  await sql.run(insertSettingSql, [spec.origin, JSON.stringify(keys), JSON.stringify(spec.rules)]);
}

/** All that the log has named, oldest first. */
export async function updateIngestionKeys(sql: Sql, held: readonly HeldKey[]): Promise<void> {
  const keys = held.map(({ key }, at) => ({ jwk: key.jwk, until: untilOf(held, at) }));
  await sql.run(updateIngestionKeysSql, [JSON.stringify(keys)]);
}

export async function updateRules(sql: Sql, rules: object): Promise<void> {
  await sql.run(updateRulesSql, [JSON.stringify(rules)]);
}

export async function insertPlant(sql: Sql, spec: SpecOf<'plant'>): Promise<void> {
  await sql.run(insertPlantSql, [spec.plant, JSON.stringify(spec), spec.endsAt]);
}

/** `spec` is the plant's whole spec as now in force. */
export async function updatePlant(sql: Sql, spec: SpecOf<'plant'>): Promise<void> {
  await sql.run(updatePlantSql, [spec.plant, JSON.stringify(spec), spec.endsAt]);
}

export async function insertMeter(sql: Sql, spec: SpecOf<'meter'>): Promise<void> {
  await sql.run(insertMeterSql, [spec.meter, spec.plant, JSON.stringify(spec)]);
}

/** `spec` is the meter's as now in force. Whoever follows its keys sees an end by their version. */
export async function updateMeter(
  sql: Sql,
  { spec, endsAt }: { spec: SpecOf<'meter'>; endsAt: number | undefined },
  index: number,
): Promise<void> {
  await sql.run(updateMeterSql, [spec.meter, JSON.stringify(spec), endsAt]);
  await sql.run(touchKeysSql, [spec.meter, index]);
}

/** `index` of the entry is the row's version: it grows with every change of any key. */
export async function insertKey(
  sql: Sql,
  { kid, spec }: { kid: string; spec: SpecOf<'key'> },
  index: number,
): Promise<void> {
  const { meter, jwk, notBefore } = spec;
  const ocmf = 'ocmf' in spec ? JSON.stringify(spec.ocmf) : null;
  await sql.run(insertKeySql, [kid, meter, JSON.stringify(jwk), notBefore, index, ocmf]);
}

export async function endKey(sql: Sql, spec: SpecOf<'key-end'>, index: number): Promise<void> {
  await sql.run(endKeySql, [spec.kid, spec.lastSeq, spec.lastT, index]);
}

export async function freezeKey(
  sql: Sql,
  { kid, frozen }: { kid: string; frozen: boolean },
  index: number,
): Promise<void> {
  await sql.run(freezeKeySql, [kid, frozen, index]);
}

export async function readPlantIds(
  sql: Sql,
  plants: readonly string[],
): Promise<Map<string, number>> {
  const rows = await sql.rows<{ plant: string; plant_id: number }>(plantIdsSql, [plants]);
  return new Map(rows.map(({ plant, plant_id }) => [plant, plant_id]));
}

const meterOfKeySql = `
  select m.meter from meter_key k join meter m using (meter_id) where k.kid = $1`;

/** Undefined for a key that is in no log. */
export async function readMeterOfKey(sql: Sql, kid: string): Promise<string | undefined> {
  const [row] = await sql.rows<{ meter: string }>(meterOfKeySql, [kid]);
  return row?.meter;
}
