import type { Pool } from '#platform/postgres.ts';

/** Which plant a registered meter belongs to; meter ids are unique in the log (D3.1). */
export interface MeterBook {
  /** Undefined where there is no such meter. Failed when the database cannot be asked. */
  readonly plantOf: (meter: string) => Promise<string | undefined>;
}

export interface MeterBookLimits {
  readonly meters: number;
  /** How long it is believed that there is no such meter. */
  readonly absentMs: number;
}

const defaultLimits: MeterBookLimits = { meters: 200_000, absentMs: 2_000 };

const lookSql = `
  select m.meter, p.plant from meter m join plant p using (plant_id) where m.meter = any($1::text[])`;
const idPattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const lookMeters = 1_000;

/**
 * Meters are asked for together while one question is under way, and remembered: where a meter
 * belongs never changes, and that it does not exist is asked again after a while.
 */
export function createMeterBook(pool: Pool, limits: MeterBookLimits = defaultLimits): MeterBook {
  /** The Map's own order is the order of use. */
  const known = new Map<string, { readonly plant: string | undefined; readonly untilMs: number }>();
  /** Who waits for the answer to one question, waits together: messages of a meter keep their order. */
  const pending = new Map<string, Promise<void>>();
  let gathering: { readonly meters: string[]; readonly answered: Promise<void> } | undefined;
  let line: Promise<unknown> = Promise.resolve();

  const look = async (): Promise<void> => {
    const meters = gathering?.meters ?? [];
    gathering = undefined;
    try {
      await ask(meters);
    } finally {
      for (const meter of meters) pending.delete(meter);
    }
  };

  const ask = async (meters: readonly string[]): Promise<void> => {
    for (let from = 0; from < meters.length; from += lookMeters) {
      const page = meters.slice(from, from + lookMeters);
      const rows = await pool.rows<{ meter: string; plant: string }>(lookSql, [page]);
      const found = new Map(rows.map(({ meter, plant }) => [meter, plant]));
      const absentUntilMs = performance.now() + limits.absentMs;
      for (const meter of page) {
        const plant = found.get(meter);
        const untilMs = plant === undefined ? absentUntilMs : Number.POSITIVE_INFINITY;
        known.set(meter, { plant, untilMs });
      }
    }
    for (const meter of known.keys()) {
      if (known.size <= limits.meters) break;
      known.delete(meter);
    }
  };

  const begin = (): NonNullable<typeof gathering> => {
    const answered = line.then(look, look);
    line = answered;
    return { meters: [], answered };
  };

  return {
    async plantOf(meter) {
      if (!idPattern.test(meter)) return undefined;
      for (;;) {
        const found = known.get(meter);
        if (found !== undefined && found.untilMs > performance.now()) {
          known.delete(meter);
          known.set(meter, found);
          return found.plant;
        }
        let answered = pending.get(meter);
        if (answered === undefined) {
          gathering ??= begin();
          gathering.meters.push(meter);
          ({ answered } = gathering);
          pending.set(meter, answered);
        }
        await answered;
      }
    },
  };
}
