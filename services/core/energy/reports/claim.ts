import { id, instant, integer, object, oneOf, optional, type Infer } from '../../shape.ts';
import { seriesShape } from '../matching/question.ts';

/** How a buyer came by what it claims; RE100 treats them differently (technical criteria, 2022). */
export const procurementShape = oneOf(
  'direct',
  'grandfathered',
  'self-generation',
  'supplier',
  'unbundled',
);
export type Procurement = Infer<typeof procurementShape>;

/** Cancelled units that stand for what `point` took in `hour`: `to - from + 1` Wh (D4.4). */
export const claimShape = object({
  cancelledAt: instant,
  /** The first second at which the units could no longer be cancelled. Absent: they never expire. */
  expiresAt: optional(instant),
  from: integer(1),
  /** The hour and zone that generated them. */
  generationHour: instant,
  generationZone: id,
  hour: instant,
  point: id,
  procurement: procurementShape,
  series: seriesShape,
  to: integer(1),
  /** Of `point`. */
  zone: id,
});
export type Claim = Infer<typeof claimShape>;

export function energyOf({ from, to }: { readonly from: number; readonly to: number }): number {
  return to - from + 1;
}

/** Units are valid up to, and not including, the second `expiresAt`. */
export function isExpired(t: number, expiresAt: number | undefined): boolean {
  return expiresAt !== undefined && t >= expiresAt;
}
