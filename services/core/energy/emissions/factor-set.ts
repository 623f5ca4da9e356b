import {
  array,
  id,
  instant,
  integer,
  object,
  oneOf,
  optional,
  pattern,
  text,
} from '../../shape.ts';
import type { Infer } from '../../shape.ts';

/**
 * Emission factors as others published them: one version of a set, never changed in place. Factors are
 * whole milligrams for each unit of what is consumed (D3).
 */

/** An entry holds at most so many, with sources of an ordinary length. */
export const factorRowsLimit = 200;

/** `*` is every zone. */
export const factorZone = pattern('[*]|[A-Za-z0-9][A-Za-z0-9._-]{0,63}');

export const factorRowShape = object({
  gas: oneOf('CO2', 'CO2e'),
  /** Milligrams for each `per`. */
  mg: integer(0),
  per: oneOf('kWh', 'L', 't'),
  /** What it is a factor of: `location`, `residual`, a fuel, a technology. */
  scope: id,
  source: text(128),
  year: integer(1900, 9999),
  zone: factorZone,
});
export type FactorRow = Infer<typeof factorRowShape>;

export const factorSetMembers = {
  rows: array(factorRowShape, { min: 1, max: factorRowsLimit }),
  set: id,
  /** From when on it may be used, and up to when, `to` not included; without an end where absent. */
  validity: object({ from: instant, to: optional(instant) }),
  version: id,
} as const;
export const factorSetShape = object(factorSetMembers);
export type FactorSet = Infer<typeof factorSetShape>;

/** Two rows of one name would be two answers to one question. */
export function factorKey({ per, scope, year, zone }: FactorRow): string {
  return `${zone} ${scope} ${per} ${year}`;
}

/** Which row of a set a figure is made of: that of the zone, or of all zones; of several the newest year. */
export interface FactorName {
  readonly scope: string;
  readonly zone: string;
}

export function factorRowOf(
  rows: readonly FactorRow[],
  { scope, zone }: FactorName,
  per: FactorRow['per'] = 'kWh',
): FactorRow | undefined {
  const fitting = (of: string): FactorRow | undefined =>
    rows
      .filter((row) => row.scope === scope && row.per === per && row.zone === of)
      .reduce<FactorRow | undefined>(
        (best, row) => (best === undefined || row.year > best.year ? row : best),
        undefined,
      );
  return fitting(zone) ?? fitting('*');
}

/** Whether a set may be used at an instant. */
export function isValidAt({ from, to }: FactorSet['validity'], t: number): boolean {
  return from <= t && (to === undefined || t < to);
}
