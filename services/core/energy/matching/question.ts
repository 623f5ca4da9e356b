import { Refused } from '../../errors.ts';
import { array, id, instant, integer, object, oneOf, optional, pattern } from '../../shape.ts';
import { record, wattHours, type Infer } from '../../shape.ts';

/** What a plan is asked for (D4.4): metered consumption, certificates to use for it, and the rules. */

export const seriesShape = pattern('energy/[A-Za-z0-9][A-Za-z0-9._-]{0,63}');

/** What a point, a metered site of the buyer, took in the hour that starts at `hour`. */
export const consumptionShape = object({ hour: instant, point: id, wh: wattHours, zone: id });
export type Consumption = Infer<typeof consumptionShape>;

const units = { from: integer(1), series: seriesShape, to: integer(1) } as const;

/** Units of one plant and hour that the buyer may use; `to - from + 1` is their energy in Wh. */
export const bundleShape = object({
  ...units,
  /** What rules may ask for, such as `plant`, `source`, `technology`, `contract`. */
  attributes: record(id, id, { min: 0, max: 32 }),
  /** Start of the hour that generated them. */
  hour: instant,
  /** Log index at which they became the buyer's: those of the lower one were in first. Absent: 0. */
  since: optional(integer(0)),
  zone: id,
});
export type Bundle = Infer<typeof bundleShape>;

/** Units that already stand for what a point took in `hour`; they are taken off on both sides. */
export const madeShape = object({ ...units, hour: instant, point: id });
export type Made = Infer<typeof madeShape>;

/** How the units and the points of one rule share what there is. */
export const splitShape = oneOf('fifo', 'pro-rata');

/**
 * Which bundles go to which points; what is absent asks for nothing. Rules are followed in their order,
 * each until one of the two sides is used up.
 */
export const ruleShape = object({
  /** A bundle must have one of the values named, of every attribute named. */
  attributes: optional(record(id, array(id, { min: 1, max: 256 }), { min: 1, max: 32 })),
  /** Stands in the plan beside what it allocates. */
  id,
  points: optional(array(id, { min: 1, max: 10_000 })),
  series: optional(array(seriesShape, { min: 1, max: 10_000 })),
  split: splitShape,
  /** At most this, with what is made already, per zone and hour; on basis `annual` per zone. */
  upToWh: optional(integer(1)),
});
export type Rule = Infer<typeof ruleShape>;

/** `hourly`: only units of the same hour. `annual`: units of any hour of the period. */
const basisShape = oneOf('annual', 'hourly');

const many = { min: 0, max: 10_000_000 } as const;

export const questionShape = object({
  basis: basisShape,
  bundles: array(bundleShape, many),
  consumption: array(consumptionShape, many),
  made: array(madeShape, many),
  /** Unix seconds, `to` not included. */
  period: object({ from: instant, to: instant }),
  rules: array(ruleShape, { min: 1, max: 1000 }),
});
export type Question = Infer<typeof questionShape>;

/** The methods that need no rules of the buyer's own. */
export const proRata: readonly Rule[] = [{ id: 'pro-rata', split: 'pro-rata' }];
export const firstInFirstOut: readonly Rule[] = [{ id: 'fifo', split: 'fifo' }];

/** Refused('period') for what lies outside, Refused('hour') for what starts at no UTC hour. */
export function requireHours(
  items: readonly { readonly hour: number }[],
  { from, to }: Question['period'],
): void {
  for (const { hour } of items) {
    if (hour % 3600 !== 0) throw new Refused('hour', `${hour} is not the start of a UTC hour`);
    if (hour < from || hour >= to) {
      throw new Refused('period', `the hour ${hour} is not within ${from} to ${to}`);
    }
  }
}
