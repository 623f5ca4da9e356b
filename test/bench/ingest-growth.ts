import type { Sql } from '#platform/postgres.ts';
import type { BenchContext, Scale } from './figure.ts';
import { startIngestRig, type IngestRig } from './ingest-rig.ts';

interface Sizes {
  readonly meters: readonly number[];
  /** Readings stored beforehand, and a message for each fifteen of them. */
  readonly stored: readonly number[];
  readonly messages: number;
}

const sizes: Readonly<Record<Scale, Sizes>> = {
  s: { meters: [10, 100, 1_000], stored: [0, 300_000], messages: 5_000 },
  m: { meters: [10, 100, 1_000, 10_000], stored: [0, 10_000_000], messages: 20_000 },
  l: { meters: [10, 100, 1_000, 10_000], stored: [0, 100_000_000], messages: 100_000 },
};
/** Messages under way over all connections, so that batches are of one size whoever sends. */
const inFlight = 1_000;

/**
 * What a message of one reading costs ingestion and database in CPU, as the fleet and the tables grow
 * (D7, last row): `limit` is the cost at the smallest size, so `ratio` is the growth.
 */
export async function bench({ scale, report }: BenchContext): Promise<void> {
  const { meters, stored, messages } = sizes[scale];
  const rig = await startIngestRig({ keys: Math.max(...meters) });
  const { engine, pool } = rig;
  const unit = 'us/message';
  try {
    await costOf(rig, { keys: 1_000, messages });
    let least: number | undefined;
    for (const keys of meters) {
      const value = await costOf(rig, { keys, messages });
      least ??= value;
      report({ case: `CPU with ${keys} meters`, value, unit, limit: least, engine });
    }
    least = undefined;
    let rows = 0;
    for (const size of stored) {
      await fill(pool, { from: rows, to: size });
      rows = size;
      const value = await costOf(rig, { keys: 1_000, messages });
      least ??= value;
      report({ case: `CPU with ${size} readings stored`, value, unit, limit: least, engine });
    }
  } finally {
    await rig.stop();
  }
}

async function costOf(
  rig: IngestRig,
  { keys, messages }: { readonly keys: number; readonly messages: number },
): Promise<number> {
  const { cpuUs } = await rig.load({
    keys,
    messagesPerKey: Math.ceil(messages / keys),
    readingsPerMessage: 1,
    window: Math.ceil(inFlight / keys),
    ratePerS: 0,
  });
  return (cpuUs.ingestion ?? 0) + (cpuUs.database ?? 0);
}

const pageRows = 1_000_000;
/** Of meters that nobody registered; each has a reading every minute. */
const firstMeter = 1_000_000;
const fillReadingsSql = `
  insert into reading (meter_id, time, export_wh, import_wh)
  select ${firstMeter} + n % 1000, to_timestamp(1700000000 + n / 1000 * 60), n, 3
    from generate_series($1::bigint, $2::bigint) n`;
const fillMessagesSql = `
  insert into message (key_id, seq, received_at, t_first, t_last, hash, jws)
  select ${firstMeter} + n % 1000, n / 1000 + 1, 1700000000, 1700000000 + n, 1700000000 + n,
         sha256(n::text::bytea), repeat('x', 400)::bytea
    from generate_series($1::bigint, $2::bigint) n where n % 15 = 0`;

async function fill(
  sql: Sql,
  { from, to }: { readonly from: number; readonly to: number },
): Promise<void> {
  for (let at = from; at < to; at += pageRows) {
    const values = [at, Math.min(to, at + pageRows) - 1];
    for (const statement of [fillReadingsSql, fillMessagesSql]) await sql.run(statement, values);
  }
}
