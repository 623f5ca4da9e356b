import type { Reading } from '#core/energy/message.ts';
import type { Pool } from '#platform/postgres.ts';

/** What a bucket must say, in plain loops: the test of SQL that three engines run each in its way. */
const columns = {
  exportWh: 'export_wh',
  importWh: 'import_wh',
  co2G: 'co2_g',
  operatingS: 'operating_s',
  validS: 'valid_s',
} as const;

export const tiers = { reading_15m: 900, reading_1h: 3600, reading_1d: 86_400 } as const;
export type Tier = keyof typeof tiers;

export type Bucket = Readonly<Record<string, number | string | null>>;

/** Readings by meter in the order in which they arrived; of two at one instant the first counts. */
export function bucketsOf(
  arrived: ReadonlyMap<string, readonly Reading[]>,
  tier: Tier,
): readonly Bucket[] {
  const lengthS = tiers[tier];
  const buckets: Bucket[] = [];
  for (const [meter, readings] of [...arrived].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const byTime = new Map<number, Reading>();
    for (const reading of readings) if (!byTime.has(reading.t)) byTime.set(reading.t, reading);
    const byBucket = new Map<number, Reading[]>();
    for (const reading of [...byTime.values()].sort((a, b) => a.t - b.t)) {
      const start = reading.t - (reading.t % lengthS);
      byBucket.set(start, [...(byBucket.get(start) ?? []), reading]);
    }
    for (const [bucket, within] of byBucket) buckets.push({ meter, bucket, ...bucketOf(within) });
  }
  return buckets;
}

function bucketOf(within: readonly Reading[]): Bucket {
  const bucket: Record<string, number | null> = { readings: within.length };
  for (const [name, column] of Object.entries(columns)) {
    const values = within.flatMap(({ registers }) => registers[name] ?? []);
    bucket[`${column}_first`] = values[0] ?? null;
    bucket[`${column}_last`] = values.at(-1) ?? null;
    bucket[`${column}_min`] = values.length === 0 ? null : Math.min(...values);
    bucket[`${column}_max`] = values.length === 0 ? null : Math.max(...values);
  }
  return bucket;
}

/** The same as the database has it. */
export async function storedBuckets(pool: Pool, tier: Tier): Promise<readonly Bucket[]> {
  const rows = await pool.rows<{ meter: string; bucket_s: number; bucket: Date }>(
    `select meter, extract(epoch from bucket)::bigint as bucket_s, r.*
       from ${tier} r join meter using (meter_id) order by meter collate "C", r.bucket`,
  );
  return rows.map((row) => {
    const bucket: Record<string, number | string | null> = { meter: row.meter };
    for (const [name, value] of Object.entries(row)) {
      if (['meter_id', 'bucket_s'].includes(name)) continue;
      bucket[name] = value instanceof Date ? row.bucket_s : value;
    }
    return bucket;
  });
}
