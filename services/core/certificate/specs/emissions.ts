import { methods, tiers } from '../../energy/emissions/day.ts';
import { factorSetMembers } from '../../energy/emissions/factor-set.ts';
import { factorZone } from '../../energy/emissions/factor-set.ts';
import { regimes } from '../../energy/emissions/substitute.ts';
import { qualityShape } from '../../energy/meter-record.ts';
import { array, either, id, instant, integer, object, oneOf, optional } from '../../shape.ts';
import type { Infer } from '../../shape.ts';
import { entryRef } from '../entry.ts';
import { signed } from './parts.ts';

/**
 * Emission records (D4.6). How a plant's emissions are known is said in `rules`, one way for a plant:
 * from an emission monitor, missing hours substituted by a regime, or from energy times a factor.
 */
export const emissionRuleShape = either(
  object({
    /** What the plant can emit in an hour at most, grams: it stands in where nothing else does. */
    maxGramsPerHour: integer(1),
    method: oneOf('measured'),
    plant: id,
    regime: oneOf(...regimes),
  }),
  object({
    energy: oneOf('generation', 'consumption'),
    factor: object({ scope: id, set: id, zone: factorZone }),
    method: oneOf('calculated'),
    plant: id,
  }),
);
export type EmissionRule = Infer<typeof emissionRuleShape>;

/** Of plants with emission records: as many as `rules` holds beside all else. */
export const emissionRulesLimit = 250;

/** A version of a set of factors; another of the same name is never entered. */
export const factorsSpec = object({ ...factorSetMembers, ...signed });

const ppm = integer(0, 1_000_000);

const emissionHourShape = object({
  availabilityPpm: optional(ppm),
  entry: integer(1),
  grams: integer(0),
  method: oneOf(...methods),
  quality: qualityShape,
  start: instant,
  tier: oneOf(...tiers),
  validPpm: optional(ppm),
});

const emissionMembers = {
  /** Start of a day of UTC. */
  day: instant,
  /** What was multiplied by; of a day that is calculated alone. */
  factor: optional(object({ entry: integer(1), mgPerKwh: integer(0), set: id, version: id })),
  /** Every hour of the day in the plant's life. */
  hours: array(emissionHourShape, { min: 1, max: 24 }),
  plant: id,
  totalG: integer(0),
} as const;
export const emissionSpec = object(emissionMembers);
export const emissionCorrectionSpec = object({ amends: entryRef, ...emissionMembers });
