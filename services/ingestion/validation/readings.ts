import { hourSeconds } from '#core/energy/hours.ts';
import type { Reading } from '#core/energy/message.ts';
import type { Sql } from '#platform/postgres.ts';
import { numbers } from '../columns.ts';
import { readingFlags, registerColumns } from '../plan.ts';

/** Readings as validation and charts look at them: rows, of which the messages are the evidence. */

const columns = 'export_wh, import_wh, co2_g, operating_s, valid_s, other, flags';
const atColumn = 'extract(epoch from time)::bigint as t';
const { unsynced, tamper, fault, late } = readingFlags;
const trusted = `flags & ${unsynced | tamper | fault | late} = 0`;

interface Row {
  readonly n: number;
  readonly t: number;
  readonly export_wh: number | null;
  readonly import_wh: number | null;
  readonly co2_g: number | null;
  readonly operating_s: number | null;
  readonly valid_s: number | null;
  readonly other: Readonly<Record<string, number>> | null;
  readonly flags: number;
}

function readingOf(row: Row): Reading {
  const { t, flags, other } = row;
  const values = [row.export_wh, row.import_wh, row.co2_g, row.operating_s, row.valid_s];
  const named = values.flatMap((value, i) => {
    const name = registerColumns[i];
    return value === null || name === undefined ? [] : [[name, value] as const];
  });
  return {
    t,
    registers: { ...other, ...Object.fromEntries(named) },
    ...((flags & unsynced) !== 0 && { clock: 'unsynced' as const }),
    ...statusOf(flags),
  };
}

function statusOf(flags: number): Pick<Reading, 'status'> {
  if ((flags & tamper) !== 0) return { status: 'tamper' };
  if ((flags & fault) !== 0) return { status: 'fault' };
  return (flags & readingFlags.powerFail) === 0 ? {} : { status: 'power-fail' };
}

/** One instant of one meter: a second reading there is no row. Late ones count only by a decision. */
const withinSql = `
  select w.n, r.*
    from unnest($1::integer[], $2::integer[], $3::bigint[]) as w (n, meter_id, start)
         cross join lateral (
           select ${atColumn}, ${columns} from reading
            where meter_id = w.meter_id and flags & ${late} = 0
              and time between to_timestamp(w.start) and to_timestamp(w.start + ${hourSeconds})
            order by time limit ${hourSeconds + 1}) r
   order by w.n, r.t`;

export interface MeterTime {
  readonly meterId: number;
  readonly t: number;
}

/** Of each meter the readings of the hour that begins at `t`, both ends included, by place in `hours`. */
export async function readHours(sql: Sql, hours: readonly MeterTime[]): Promise<Reading[][]> {
  const out: Reading[][] = hours.map(() => []);
  if (hours.length === 0) return out;
  for (const row of await sql.rows<Row>(withinSql, asked(hours))) out[row.n]?.push(readingOf(row));
  return out;
}

const nearestSql = (order: 'asc' | 'desc', comparison: '<=' | '>='): string => `
  select w.n, r.*
    from unnest($1::integer[], $2::integer[], $3::bigint[]) as w (n, meter_id, t)
         cross join lateral (
           select ${atColumn}, ${columns} from reading
            where meter_id = w.meter_id and time ${comparison} to_timestamp(w.t) and ${trusted}
            order by time ${order} limit 1) r`;
const beforeSql = nearestSql('desc', '<=');
const afterSql = nearestSql('asc', '>=');

/** The nearest trustworthy reading at or before, or at or after, each of these, by place in `times`. */
export async function readNearest(
  sql: Sql,
  times: readonly MeterTime[],
  side: 'before' | 'after',
): Promise<(Reading | undefined)[]> {
  const out: (Reading | undefined)[] = times.map(() => undefined);
  if (times.length === 0) return out;
  const rows = await sql.rows<Row>(side === 'before' ? beforeSql : afterSql, asked(times));
  for (const row of rows) out[row.n] = readingOf(row);
  return out;
}

const quarantinedSql = `
  select w.n, count(*)::integer as messages
    from unnest($1::integer[], $2::integer[], $3::bigint[]) as w (n, meter_id, start)
         join meter_key k on k.meter_id = w.meter_id
         join message m on m.key_id = k.key_id and m.code in ('future', 'order')
          and m.t_last between w.start and w.start + ${2 * hourSeconds}
          and m.t_first <= w.start + ${hourSeconds}
   group by w.n`;

/** Messages of each hour that a wrong clock has quarantined, by place in `hours`. */
export async function countQuarantined(sql: Sql, hours: readonly MeterTime[]): Promise<number[]> {
  const out = hours.map(() => 0);
  if (hours.length === 0) return out;
  const rows = await sql.rows<{ n: number; messages: number }>(quarantinedSql, asked(hours));
  for (const { n, messages } of rows) out[n] = messages;
  return out;
}

function asked(of: readonly MeterTime[]): readonly string[] {
  return [
    numbers(of.keys()),
    numbers(of.map(({ meterId }) => meterId)),
    numbers(of.map(({ t }) => t)),
  ];
}
