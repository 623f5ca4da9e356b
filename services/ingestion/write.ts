import { Failed } from '#core/errors.ts';
import type { Reading } from '#core/energy/message.ts';
import type { Sql } from '#platform/postgres.ts';
import { violatedConstraint } from '#platform/postgres-errors.ts';
import { numbers, slices, sparseNumbers } from './columns.ts';
import type { Horizons } from './keeping.ts';
import {
  flagsOf,
  otherRegisters,
  registerColumns,
  type BatchPlan,
  type Kept,
  type Progress,
  type StoredMessage,
} from './plan.ts';
import { isUsable } from './decide.ts';

const advanceSql = `
  update key_progress p
     set version = p.version + 1,
         through_seq = u.through_seq,
         chain = substring($4::bytea from (u.n * 32 - 31)::integer for 32),
         max_seq = u.max_seq,
         max_t = u.max_t,
         duplicates = p.duplicates + u.duplicates
    from unnest($1::integer[], $2::bigint[], $3::bigint[], $5::bigint[], $6::bigint[],
                $7::integer[])
         with ordinality as u (key_id, version, through_seq, max_seq, max_t, duplicates, n)
   where p.key_id = u.key_id and p.version = u.version`;

/**
 * Moves the heads, each from the version it was planned from, or throws Failed('raced') when another
 * process was faster with one of them. Comes first in the transaction: the rows stay locked, so that
 * what follows cannot meet a message of the same key.
 */
export async function advanceHeads(sql: Sql, progress: readonly Progress[]): Promise<void> {
  if (progress.length === 0) return;
  const moved = await sql.run(advanceSql, [
    numbers(progress.map(({ key }) => key.keyId)),
    numbers(progress.map(({ fromVersion }) => fromVersion)),
    numbers(progress.map(({ head }) => head.throughSeq)),
    slices(progress.map(({ head }) => head.chain)).bytes,
    numbers(progress.map(({ head }) => head.maxSeq)),
    numbers(progress.map(({ head }) => head.maxT)),
    numbers(progress.map(({ duplicates }) => duplicates)),
  ]);
  if (moved !== progress.length) {
    throw new Failed('raced', `${progress.length - moved} keys were moved by another process`);
  }
}

const insertMessagesSql = `
  insert into message (key_id, seq, received_at, t_first, t_last, code, hash, jws)
  select u.key_id, u.seq, u.received_at, u.t_first, u.t_last, u.code,
         substring($7::bytea from (u.n * 32 - 31)::integer for 32),
         substring($8::bytea from u.position for u.length)
    from unnest($1::integer[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[],
                $9::integer[], $10::integer[])
         with ordinality as u (key_id, seq, received_at, t_first, t_last, code, position, length, n)`;

export async function insertMessages(sql: Sql, stored: readonly StoredMessage[]): Promise<void> {
  if (stored.length === 0) return;
  const jws = slices(stored.map(({ kept }) => kept.arrival.bytes));
  await sql.run(insertMessagesSql, [
    numbers(stored.map(({ kept }) => kept.key.keyId)),
    numbers(stored.map(({ kept }) => kept.parsed.message.seq)),
    numbers(stored.map(({ kept }) => kept.arrival.receivedAt)),
    numbers(stored.map(({ first }) => first)),
    numbers(stored.map(({ last }) => last)),
    `{${stored.map(({ code }) => code ?? 'null').join(',')}}`,
    slices(stored.map(({ kept }) => kept.parsed.hash)).bytes,
    jws.bytes,
    jws.positions,
    jws.lengths,
  ]);
}

const insertReadingsSql = (table: 'reading' | 'reading_late'): string => `
  insert into ${table} (meter_id, time, export_wh, import_wh, co2_g, operating_s, valid_s, other,
                       flags)
  select u.meter_id, to_timestamp(u.t), u.export_wh, u.import_wh, u.co2_g, u.operating_s, u.valid_s,
         u.other, u.flags
    from unnest($1::integer[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
                $7::bigint[], $8::jsonb[], $9::smallint[])
         as u (meter_id, t, export_wh, import_wh, co2_g, operating_s, valid_s, other, flags)`;
const insertUnstoredSql = (table: 'reading' | 'reading_late'): string =>
  `${insertReadingsSql(table)} on conflict do nothing`;

/** Rows of one statement: what the server then holds of it stays at a few megabytes. */
const readingsPageRows = 10_000;

/** As PostgreSQL calls the primary key, and TimescaleDB that of a chunk. */
const readingKey = 'reading_pkey';

/**
 * Rows of readings, by their time: into `reading`, or to those that wait, or nowhere.
 *
 * A second reading of one meter and instant proves nothing new here; the messages keep both. To look
 * for it doubles what a row costs, so that those which are new under their key are written without,
 * unless `careful`. Failed('doubled') where another key of the meter had one of them.
 */
export async function insertReadings(
  sql: Sql,
  stored: readonly StoredMessage[],
  { careful, keptFromS, lateBeforeS }: Horizons & { readonly careful: boolean },
): Promise<void> {
  const pages = {
    fresh: emptyPage(insertReadingsSql('reading')),
    doubtful: emptyPage(insertUnstoredSql('reading')),
    late: emptyPage(insertUnstoredSql('reading_late')),
  };
  const names = ['fresh', 'doubtful', 'late'] as const;
  for (const { kept, code, storedTo } of stored) {
    if (!isUsable(code)) continue;
    for (const reading of kept.parsed.message.readings) {
      if (reading.t < keptFromS) continue;
      const timely = !careful && reading.t > storedTo ? 'fresh' : 'doubtful';
      addReading(pages[reading.t < lateBeforeS ? 'late' : timely], kept, { reading, code });
    }
    for (const of of names) {
      if (pages[of].meterIds.length < readingsPageRows) continue;
      await insertPage(sql, pages[of]);
      pages[of] = emptyPage(pages[of].statement);
    }
  }
  for (const of of names) await insertPage(sql, pages[of]);
}

interface ReadingPage {
  readonly statement: string;
  readonly meterIds: number[];
  readonly times: number[];
  readonly registers: (number | null)[][];
  readonly others: (string | null)[];
  anyOther: boolean;
  readonly flags: number[];
}

function emptyPage(statement: string): ReadingPage {
  return {
    statement,
    meterIds: [],
    times: [],
    registers: registerColumns.map(() => []),
    others: [],
    anyOther: false,
    flags: [],
  };
}

function addReading(
  page: ReadingPage,
  { key }: Kept,
  { reading, code }: { readonly reading: Reading; readonly code: StoredMessage['code'] },
): void {
  page.meterIds.push(key.meterId);
  page.times.push(reading.t);
  for (const [i, name] of registerColumns.entries()) {
    page.registers[i]?.push(reading.registers[name] ?? null);
  }
  const other = otherRegisters(reading);
  page.anyOther ||= other !== null;
  page.others.push(other === null ? null : JSON.stringify(other));
  page.flags.push(flagsOf(reading, code));
}

async function insertPage(sql: Sql, page: ReadingPage): Promise<void> {
  if (page.meterIds.length === 0) return;
  try {
    await sql.run(page.statement, [
      numbers(page.meterIds),
      numbers(page.times),
      ...page.registers.map(sparseNumbers),
      page.anyOther ? page.others : '{}',
      numbers(page.flags),
    ]);
  } catch (cause) {
    if (violatedConstraint(cause)?.endsWith(readingKey) !== true) throw cause;
    throw new Failed('doubled', 'a reading was stored under another key', { cause });
  }
}

const insertForksSql = `
  insert into fork (key_id, seq, hash, received_at, jws)
  select u.key_id, u.seq, substring($4::bytea from (u.n * 32 - 31)::integer for 32), u.received_at,
         substring($5::bytea from u.position for u.length)
    from unnest($1::integer[], $2::bigint[], $3::bigint[], $6::integer[], $7::integer[])
         with ordinality as u (key_id, seq, received_at, position, length, n)
  on conflict do nothing`;

export async function insertForks(sql: Sql, forks: readonly Kept[]): Promise<void> {
  if (forks.length === 0) return;
  const jws = slices(forks.map(({ arrival }) => arrival.bytes));
  await sql.run(insertForksSql, [
    numbers(forks.map(({ key }) => key.keyId)),
    numbers(forks.map(({ parsed }) => parsed.message.seq)),
    numbers(forks.map(({ arrival }) => arrival.receivedAt)),
    slices(forks.map(({ parsed }) => parsed.hash)).bytes,
    jws.bytes,
    jws.positions,
    jws.lengths,
  ]);
}

const touchPlantsSql = `
  insert into plant_dirty (plant_id, start)
  select * from unnest($1::integer[], $2::bigint[])
  on conflict (plant_id, start) do update set touched = plant_dirty.touched + 1`;

/** Sorted, so that two processes that touch the same hours wait in line instead of crosswise. */
export async function touchPlants(sql: Sql, dirty: BatchPlan['dirty']): Promise<void> {
  const plants = [...dirty].sort(([a], [b]) => a - b);
  const pairs = plants.flatMap(([plantId, starts]) =>
    [...starts].sort((a, b) => a - b).map((start) => ({ plantId, start })),
  );
  if (pairs.length === 0) return;
  await sql.run(touchPlantsSql, [
    numbers(pairs.map(({ plantId }) => plantId)),
    numbers(pairs.map(({ start }) => start)),
  ]);
}
