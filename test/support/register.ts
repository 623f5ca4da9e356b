import { canonicalText } from '#core/jcs.ts';
import { messagesTopic } from '#core/energy/message.ts';
import type { PublicJwk } from '#core/keys.ts';
import type { Signer } from '#core/signer.ts';
import { signerFromSeed } from '#core/signer.node.ts';
import { sha256 } from '#crypto';
import { utf8 } from '#core/bytes.ts';
import type { Sql } from '#platform/postgres.ts';

/**
 * Fills the register tables directly, for tests of what reads them; in the product only the ledger
 * writes them, as it sequences entries.
 */
export const testLog = 'log.example/hourseal/2026';
export const testRules = { deadlineS: 86_400, futureS: 120, lateAfterS: 45 * 86_400 };

export interface TestMeter {
  readonly plant: string;
  readonly meter: string;
  readonly jwk: PublicJwk;
  readonly notBefore?: number;
  readonly lastSeq?: number;
  readonly lastT?: number;
  readonly clock?: 'reliable' | 'unreliable';
}

/** The signer that a test derives from a name: the same one every time. */
export function testSigner(name: string, alg: 'Ed25519' | 'ES256' = 'Ed25519'): Signer {
  return signerFromSeed(sha256(utf8(`hourseal test key ${name}`)), alg);
}

export const ingestionSigner = testSigner('ingestion');

export function topicOf({ plant, meter }: Pick<TestMeter, 'plant' | 'meter'>): string {
  return messagesTopic(plant, meter);
}

const settingSql = `
  insert into log_setting (origin, ingestion_keys, rules) values ($1, $2, $3)
  on conflict (one) do update set origin = excluded.origin, rules = excluded.rules`;

export async function insertLogSetting(
  sql: Sql,
  options: { readonly log?: string; readonly rules?: Readonly<Record<string, number>> } = {},
): Promise<void> {
  const rules = { ...testRules, ...options.rules };
  await sql.run(settingSql, [
    options.log ?? testLog,
    canonicalText([{ jwk: ingestionSigner.jwk }]),
    canonicalText(rules),
  ]);
}

const plantSql = `
  insert into plant (plant, spec) values ($1, '{}') on conflict (plant) do nothing`;
const meterSql = `
  insert into meter (meter, plant_id, spec)
  select $1, plant_id, jsonb_build_object('clock', $3::text) from plant where plant = $2
  on conflict (meter) do nothing`;
const keySql = `
  insert into meter_key (kid, meter_id, jwk, not_before, last_seq, last_t, version)
  select $1, meter_id, $3, $4, $5, $6, (select coalesce(max(version), 0) + 1 from meter_key)
    from meter where meter = $2
  returning key_id`;

/** Inserts plant and meter where they are missing, and the key; returns the key's number. */
export async function insertMeter(sql: Sql, kid: string, meter: TestMeter): Promise<number> {
  await sql.run(plantSql, [meter.plant]);
  await sql.run(meterSql, [meter.meter, meter.plant, meter.clock ?? 'reliable']);
  const { key_id } = await sql.row<{ key_id: number }>(keySql, [
    kid,
    meter.meter,
    canonicalText(meter.jwk),
    meter.notBefore ?? 0,
    meter.lastSeq ?? null,
    meter.lastT ?? null,
  ]);
  return key_id;
}

/** Ends a key, as the ledger does when it sequences `key-end`. */
export async function endKey(
  sql: Sql,
  kid: string,
  { lastSeq, lastT }: { readonly lastSeq: number; readonly lastT: number },
): Promise<void> {
  await sql.run(
    `update meter_key set last_seq = $2, last_t = $3,
            version = (select max(version) + 1 from meter_key) where kid = $1`,
    [kid, lastSeq, lastT],
  );
}
