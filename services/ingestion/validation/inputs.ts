import { registerShape } from '#core/certificate/specs/register.ts';
import { parseRecords } from '#core/energy/evidence-file.ts';
import { hourSeconds } from '#core/energy/hours.ts';
import { parseMeterRecord, roleShape, type MeterRecord } from '#core/energy/meter-record.ts';
import { isTrustworthy, type Reading } from '#core/energy/message.ts';
import type { HourContext, MeterQuestion } from '#core/energy/validation/question.ts';
import type { Thresholds } from '#core/energy/validation/thresholds.ts';
import { id, record } from '#core/shape.ts';
import type { Sql } from '#platform/postgres.ts';
import { numbers } from '../columns.ts';
import type { DueHour } from './due.ts';
import { countQuarantined, readHours, readNearest } from './readings.ts';

/** A meter of a sealed hour, and what validation asks of it. */
export interface MeterInput {
  readonly meterId: number;
  readonly start: number;
  readonly record: MeterRecord;
  readonly question: MeterQuestion;
}

export interface HourInput {
  readonly entryIndex: number;
  readonly meters: readonly MeterInput[];
  readonly context: HourContext;
}

const daySeconds = 24 * hourSeconds;

const plantsSql = `
  select plant_id, (spec -> 'capacityW')::bigint as "capacityW",
         (spec -> 'latitude')::bigint as latitude, (spec -> 'longitude')::bigint as longitude,
         spec ->> 'source' as source
    from plant where plant_id = any($1::integer[])`;
const metersSql = `
  select meter_id, meter, spec ->> 'role' as role, spec -> 'registers' as registers,
         spec ->> 'point' as point
    from meter where plant_id = any($1::integer[])`;
/** As the latest version of each hour has them. */
const recordsSql = `
  select w.plant_id, w.start, h.entry_index, r.records
    from unnest($1::integer[], $2::bigint[]) as w (plant_id, start)
         cross join lateral (
           select entry_index from hour_value v
            where v.plant_id = w.plant_id and v.start = w.start order by version desc limit 1) h
         join hour_record r on r.entry_index = h.entry_index`;

interface PlantRow {
  readonly plant_id: number;
  readonly capacityW: number;
  /** 1e-7 degrees. */
  readonly latitude: number;
  readonly longitude: number;
  readonly source: string;
}

interface MeterRow {
  readonly meter_id: number;
  readonly meter: string;
  readonly role: unknown;
  readonly registers: unknown;
  readonly point: string | null;
}

interface Register {
  readonly plants: ReadonlyMap<number, PlantRow>;
  readonly meters: ReadonlyMap<string, Pick<MeterQuestion, 'spec'> & { readonly meterId: number }>;
}

const registersShape = record(id, registerShape, { min: 1, max: 16 });

async function readRegister(sql: Sql, plantIds: readonly number[]): Promise<Register> {
  const ids = numbers(plantIds);
  const plants = await sql.rows<PlantRow>(plantsSql, [ids]);
  const meters = await sql.rows<MeterRow>(metersSql, [ids]);
  return {
    plants: new Map(plants.map((plant) => [plant.plant_id, plant])),
    meters: new Map(meters.map((row) => [row.meter, meterOf(row)])),
  };
}

function meterOf({ meter_id, meter, role, registers, point }: MeterRow) {
  const spec = {
    meter,
    role: roleShape.parse(role, 'role'),
    registers: registersShape.parse(registers, 'registers'),
    ...(point !== null && { point }),
  };
  return { meterId: meter_id, spec };
}

interface SealedRecords {
  readonly entryIndex: number;
  readonly records: readonly MeterRecord[];
}

async function readRecords(
  sql: Sql,
  hours: readonly DueHour[],
): Promise<(of: DueHour) => SealedRecords | undefined> {
  const rows = await sql.rows<{
    plant_id: number;
    start: number;
    entry_index: number;
    records: Uint8Array;
  }>(recordsSql, [
    numbers(hours.map(({ plantId }) => plantId)),
    numbers(hours.map(({ start }) => start)),
  ]);
  const found = new Map(
    rows.map(({ plant_id, start, entry_index, records }) => [
      `${plant_id} ${start}`,
      { entryIndex: entry_index, records: parseRecords(records).map(parseMeterRecord) },
    ]),
  );
  return ({ plantId, start }) => found.get(`${plantId} ${start}`);
}

/** Whether the hour ends a UTC day, which is then added up. */
const endsDay = (start: number): boolean => (start + hourSeconds) % daySeconds === 0;

function dayOf({ plantId, start }: DueHour): DueHour[] {
  const first = start + hourSeconds - daySeconds;
  return Array.from({ length: 24 }, (_, i) => ({ plantId, start: first + i * hourSeconds }));
}

/** Reads all that validation asks of these hours, in a few statements whatever their number. */
export async function readInputs(
  sql: Sql,
  due: readonly DueHour[],
  thresholds: Thresholds,
): Promise<HourInput[]> {
  const register = await readRegister(sql, [...new Set(due.map(({ plantId }) => plantId))]);
  const days = due.filter(({ start }) => endsDay(start)).flatMap(dayOf);
  const recordsOf = await readRecords(sql, uniqueHours([...due, ...days]));
  const hours = due.flatMap((hour) => {
    const sealed = recordsOf(hour);
    const plant = register.plants.get(hour.plantId);
    if (sealed === undefined || plant === undefined) return [];
    const meters = sealed.records.flatMap((record) => {
      const meter = register.meters.get(record.meter);
      return meter === undefined ? [] : [{ ...meter, record, start: hour.start }];
    });
    return [{ hour, sealed, plant, meters }];
  });
  const seen = await readSeen(
    sql,
    hours.flatMap(({ meters }) => meters),
    thresholds,
  );
  let n = 0;
  return hours.map(({ hour, sealed, plant, meters }) => ({
    entryIndex: sealed.entryIndex,
    context: contextOf(plant, hour.start, thresholds),
    meters: meters.map(({ meterId, spec, record, start }) => {
      const { turns, ...own } = seen(n++);
      const day = endsDay(start) ? dayOfMeter(dayOf(hour).map(recordsOf), record.meter) : undefined;
      const isWhole = day !== undefined && turns !== undefined;
      const question = { spec, record, ...own, ...(isWhole && { day: { ...turns, hours: day } }) };
      return { meterId, start, record, question };
    }),
  }));
}

function uniqueHours(hours: readonly DueHour[]): DueHour[] {
  return [...new Map(hours.map((hour) => [`${hour.plantId} ${hour.start}`, hour])).values()];
}

function contextOf(
  { capacityW, latitude, longitude, source }: PlantRow,
  start: number,
  thresholds: Thresholds,
): HourContext {
  const place = { latitude: latitude / 1e7, longitude: longitude / 1e7 };
  return { start, capacityW, isSolar: source === 'solar', place, thresholds };
}

/** A meter's records of a whole day; undefined while one of them is missing. */
function dayOfMeter(
  hours: readonly (SealedRecords | undefined)[],
  meter: string,
): readonly MeterRecord[] | undefined {
  const own = hours.flatMap((sealed) => sealed?.records.filter((one) => one.meter === meter) ?? []);
  return own.length === hours.length ? own : undefined;
}

type Seen = Pick<MeterQuestion, 'readings' | 'quarantined' | 'before'> & {
  /** Readings at exactly both turns of the day that ends with the hour. */
  readonly turns: { readonly first: Reading; readonly last: Reading } | undefined;
};

async function readSeen(
  sql: Sql,
  hours: readonly { readonly meterId: number; readonly start: number }[],
  { stuckS, zeroS }: Thresholds,
): Promise<(n: number) => Seen> {
  const at = (offsetS: number) =>
    hours.map(({ meterId, start }) => ({ meterId, t: Math.max(0, start + offsetS) }));
  const readings = await readHours(sql, at(0));
  const quarantined = await countQuarantined(sql, at(0));
  const stuck = await readNearest(sql, at(hourSeconds - stuckS), 'before');
  const zero = await readNearest(sql, at(hourSeconds - zeroS), 'before');
  const dayStarts = await readNearest(sql, at(hourSeconds - daySeconds), 'before');
  return (n) => {
    const end = (hours[n]?.start ?? 0) + hourSeconds;
    const first = dayStarts[n];
    const last = readings[n]?.findLast(isTrustworthy);
    const isExact = first?.t === end - daySeconds && last?.t === end;
    return {
      readings: readings[n] ?? [],
      quarantined: quarantined[n] ?? 0,
      before: { stuck: stuck[n], zero: zero[n] },
      turns: isExact ? { first, last } : undefined,
    };
  };
}
