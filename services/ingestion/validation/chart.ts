import { estimateHour, type Turn } from '#core/energy/estimate.ts';
import { hourSeconds } from '#core/energy/hours.ts';
import type { Reading } from '#core/energy/message.ts';
import { maxUnits, ownValue, unitsOf, type Value } from '#core/energy/register.ts';
import { energyRegisters, isCut } from '#core/energy/validation/question.ts';
import type { NamedRegister } from '#core/energy/validation/question.ts';
import type { Sql } from '#platform/postgres.ts';
import { numbers } from '../columns.ts';
import type { MeterInput } from './inputs.ts';
import { readNearest } from './readings.ts';

/** The hourly series of each meter, gaps filled and marked (D4.2): for charts, never for a certificate. */

/** Days before whose same hour stands in while no later register has come. */
const profileDays = 7;

/** A second statement for what is no longer known, so that an estimate never outlives its reason. */
const clearSql = `
  delete from chart_hour c using unnest($1::integer[], $2::bigint[]) as w (meter_id, start)
   where c.meter_id = w.meter_id and c.start = w.start`;
const insertSql = `
  insert into chart_hour (meter_id, register, start, value, method)
  select * from unnest($1::integer[], $2::text[], $3::bigint[], $4::bigint[], $5::text[])`;
const profileSql = `
  select w.n, array_agg(c.value) as "values"
    from unnest($1::integer[], $2::integer[], $3::text[], $4::bigint[])
           as w (n, meter_id, register, start)
         join chart_hour c on c.meter_id = w.meter_id and c.register = w.register
          and c.method = 'measured'
          and c.start in (select w.start - d * 86400 from generate_series(1, ${profileDays}) as d)
   group by w.n`;

interface Cell {
  readonly meterId: number;
  readonly register: string;
  readonly start: number;
  readonly value: number;
  readonly method: 'measured' | 'linear' | 'profile';
}

/** Writes the series anew for these hours of meters, oldest first. */
export async function writeChart(sql: Sql, meters: readonly MeterInput[]): Promise<void> {
  const measured = meters.flatMap(measuredCells);
  const known = new Set(
    measured.map(({ meterId, register, start }) => `${meterId} ${start} ${register}`),
  );
  await replace(sql, meters, measured);
  const gaps = meters.flatMap((input) =>
    energyRegisters(input.question.spec)
      .filter(({ name }) => !known.has(`${input.meterId} ${input.start} ${name}`))
      .map((register) => ({ input, register })),
  );
  if (gaps.length > 0) await insert(sql, await estimate(sql, gaps));
}

/** What the record measured, from one turn of the hour to the other. */
function measuredCells({ meterId, start, record, question: { spec } }: MeterInput): Cell[] {
  if (record.quality !== 'measured') return [];
  return energyRegisters(spec).flatMap(({ name }): Cell[] => {
    const value = ownValue(record.energy, name);
    return value === undefined
      ? []
      : [{ meterId, register: name, start, value, method: 'measured' }];
  });
}

interface Gap {
  readonly input: MeterInput;
  readonly register: NamedRegister;
}

async function estimate(sql: Sql, gaps: readonly Gap[]): Promise<Cell[]> {
  const turnsOf = await readTurns(sql, gaps);
  const profileOf = await readProfiles(sql, gaps);
  return gaps.flatMap(({ input, register }, n): Cell[] => {
    const { meterId, start, record } = input;
    const turns = turnsOf(n, register.name);
    // Across an exchange or a reset no line leads from one value to the other.
    const multiplier = unitsOf(1n, register);
    const profile = profileOf(n).map((units) => BigInt(units) / multiplier);
    const found = isCut(record) ? undefined : estimateHour(start, { turns, profile });
    const units = found === undefined ? undefined : unitsOf(found.steps, register);
    if (found === undefined || units === undefined || units > maxUnits) return [];
    return [
      { meterId, register: register.name, start, value: Number(units), method: found.method },
    ];
  });
}

async function readTurns(
  sql: Sql,
  gaps: readonly Gap[],
): Promise<(n: number, register: string) => [Turn, Turn]> {
  const at = (offsetS: number) =>
    gaps.map(({ input: { meterId, start } }) => ({ meterId, t: start + offsetS }));
  const read = async (offsetS: number) => ({
    before: await readNearest(sql, at(offsetS), 'before'),
    after: await readNearest(sql, at(offsetS), 'after'),
  });
  const [from, to] = [await read(0), await read(hourSeconds)];
  return (n, register) => {
    const turn = ({ before, after }: typeof from): Turn => ({
      before: valueOf(before[n], register),
      after: valueOf(after[n], register),
    });
    return [turn(from), turn(to)];
  };
}

function valueOf(reading: Reading | undefined, register: string): Value | undefined {
  const value = reading === undefined ? undefined : ownValue(reading.registers, register);
  return reading === undefined || value === undefined ? undefined : { t: reading.t, value };
}

async function readProfiles(
  sql: Sql,
  gaps: readonly Gap[],
): Promise<(n: number) => readonly number[]> {
  const rows = await sql.rows<{ n: number; values: number[] }>(profileSql, [
    numbers(gaps.keys()),
    numbers(gaps.map(({ input }) => input.meterId)),
    gaps.map(({ register }) => register.name),
    numbers(gaps.map(({ input }) => input.start)),
  ]);
  const found = new Map(rows.map(({ n, values }) => [n, values]));
  return (n) => found.get(n) ?? [];
}

async function replace(
  sql: Sql,
  meters: readonly MeterInput[],
  cells: readonly Cell[],
): Promise<void> {
  await sql.run(clearSql, [
    numbers(meters.map(({ meterId }) => meterId)),
    numbers(meters.map(({ start }) => start)),
  ]);
  await insert(sql, cells);
}

async function insert(sql: Sql, cells: readonly Cell[]): Promise<void> {
  if (cells.length === 0) return;
  await sql.run(insertSql, [
    numbers(cells.map(({ meterId }) => meterId)),
    cells.map(({ register }) => register),
    numbers(cells.map(({ start }) => start)),
    numbers(cells.map(({ value }) => value)),
    cells.map(({ method }) => method),
  ]);
}
