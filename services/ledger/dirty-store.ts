import { hourSeconds, hourStartOf } from '#core/energy/hours.ts';
import type { Sql } from '#platform/postgres.ts';
import { integers, texts } from './columns.ts';

/**
 * Which hours the ledger looks at again. Ingestion touches those of the readings that arrive, the
 * ledger itself those that an entry of the register bears upon.
 */

/** Ends in `touched`, so that a row that changed since it was read stays. */
const upsert = `on conflict (plant_id, start) do update set touched = plant_dirty.touched + 1`;

const ofMessages = `
  insert into plant_dirty (plant_id, start)
  select distinct r.plant_id, s.start
  from meter_key k join meter r using (meter_id) join message m using (key_id)
  cross join lateral generate_series(
    (m.t_first - 1) / ${hourSeconds} * ${hourSeconds}, m.t_last, ${hourSeconds}) as s (start)
  where k.kid = $1 and m.seq between $2 and $3 and s.start >= 0
  ${upsert}`;
const ofMeterAt = `
  insert into plant_dirty (plant_id, start)
  select plant_id, unnest($2::bigint[]) from meter where meter = $1 ${upsert}`;
const ofMeterEnd = `
  insert into plant_dirty (plant_id, start)
  select r.plant_id, s.start
  from meter r cross join lateral (
    select coalesce(max(m.t_last), 0) as t from message m join meter_key k using (key_id)
    where k.meter_id = r.meter_id and m.t_last <= $2) last
  cross join lateral generate_series(
    (greatest(last.t, $2 - $3::bigint) - 1) / ${hourSeconds} * ${hourSeconds}, $2, ${hourSeconds}
  ) as s (start)
  where r.meter = $1 and s.start >= 0 ${upsert}`;
const ofKeyAt = `
  insert into plant_dirty (plant_id, start)
  select plant_id, $2::bigint from meter_key join meter using (meter_id) where kid = $1 ${upsert}`;
const disputed = (where: string): string => `
  insert into plant_dirty (plant_id, start)
  select plant_id, start from (
    select distinct on (start) plant_id, start, quality from hour_value
    where plant_id = (${where}) order by start, version desc) latest
  where quality = 'disputed' ${upsert}`;
const plantOfKey = `select plant_id from meter_key join meter using (meter_id) where kid = $1`;
const plantOfMeter = `select plant_id from meter where meter = $1`;
const plantItself = `select plant_id from plant where plant = $1`;
const closeDisputes = (where: string): string =>
  `delete from meter_dispute where meter_id in (${where})`;
const meterOfKey = `select meter_id from meter_key where kid = $1`;
const meterItself = `select meter_id from meter where meter = $1`;

export type Touch =
  /** The hours of some messages of a key. */
  | { readonly kind: 'key'; readonly kid: string; readonly fromSeq: number; readonly toSeq: number }
  /** The hour in which a key ended: what its meter lacks until then may be all that there is. */
  | { readonly kind: 'key-end'; readonly kid: string; readonly t: number }
  /** The hours around an instant of a meter; its open dispute ends, to be found again if it lasts. */
  | { readonly kind: 'meter'; readonly meter: string; readonly t: number }
  /** From the last that a meter said to its end, but not further back than `withinS`: its closing values prove what these hours lacked. */
  | {
      readonly kind: 'meter-end';
      readonly meter: string;
      readonly t: number;
      readonly withinS: number;
    }
  /** The disputed hours of the plant of a key, a meter or by its id. */
  | { readonly kind: 'disputed-key'; readonly kid: string }
  | { readonly kind: 'disputed-meter' | 'disputed-plant'; readonly id: string };

export async function touchHours(sql: Sql, touch: Touch): Promise<void> {
  switch (touch.kind) {
    case 'key':
      await sql.run(ofMessages, [touch.kid, touch.fromSeq, touch.toSeq]);
      return;
    case 'key-end':
      await sql.run(ofKeyAt, [touch.kid, hourStartOf(touch.t)]);
      return;
    case 'meter': {
      const start = hourStartOf(touch.t);
      await sql.run(closeDisputes(meterItself), [touch.meter]);
      await sql.run(ofMeterAt, [touch.meter, [Math.max(0, start - hourSeconds), start]]);
      await sql.run(disputed(plantOfMeter), [touch.meter]);
      return;
    }
    case 'meter-end':
      await sql.run(ofMeterEnd, [touch.meter, touch.t, touch.withinS]);
      return;
    case 'disputed-key':
      await sql.run(closeDisputes(meterOfKey), [touch.kid]);
      await sql.run(disputed(plantOfKey), [touch.kid]);
      return;
    case 'disputed-meter':
      await sql.run(disputed(plantOfMeter), [touch.id]);
      return;
    case 'disputed-plant':
      await sql.run(disputed(plantItself), [touch.id]);
  }
}

export interface DirtyHour {
  readonly plantId: number;
  readonly plant: string;
  readonly start: number;
  readonly touched: number;
}

const dirtySql = `
  select d.plant_id, p.plant, d.start, d.touched from plant_dirty d join plant p using (plant_id)
  where d.start <= $1 and p.plant <> all($3::text[]) order by d.plant_id, d.start limit $2`;
const clearDirtySql = `
  delete from plant_dirty d using unnest($1::int[], $2::bigint[], $3::bigint[])
    as r (plant_id, start, touched)
  where d.plant_id = r.plant_id and d.start = r.start and d.touched = r.touched`;

/** Hours that were touched and have ended by `now`: start <= now - 3600; none of `busy` plants. */
export async function readDirtyHours(
  sql: Sql,
  { nowS, limitHours, busy }: { nowS: number; limitHours: number; busy: ReadonlySet<string> },
): Promise<DirtyHour[]> {
  const rows = await sql.rows<{ plant_id: number; plant: string; start: number; touched: number }>(
    dirtySql,
    [nowS - hourSeconds, limitHours, texts([...busy])],
  );
  return rows.map(({ plant_id, plant, start, touched }) => ({
    plantId: plant_id,
    plant,
    start,
    touched,
  }));
}

/** Only as they were read: what was touched since stays. */
export async function clearDirtyHours(sql: Sql, hours: readonly DirtyHour[]): Promise<void> {
  if (hours.length === 0) return;
  await sql.run(clearDirtySql, [
    integers(hours.map(({ plantId }) => plantId)),
    integers(hours.map(({ start }) => start)),
    integers(hours.map(({ touched }) => touched)),
  ]);
}
