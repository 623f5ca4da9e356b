import { qualityShape } from '../../energy/meter-record.ts';
import { entryRef } from '../entry.ts';
import {
  array,
  either,
  hashHex,
  id,
  instant,
  integer,
  object,
  oneOf,
  optional,
  wattHours,
} from '../../shape.ts';
import type { Infer } from '../../shape.ts';
import { rangeShape } from './parts.ts';

/** One entry withdraws at most so many ranges, so that it stays below 65,535 bytes. */
export const withdrawnRangesLimit = 500;

const interval = object({ seconds: oneOf(3600), start: instant });
export type Quality = Infer<typeof qualityShape>;

/** Certificates that an hour moves: Wh. `deficit` is the plant's whole deficit after this entry. */
const issuing = {
  deficit: wattHours,
  issued: optional(rangeShape),
  netted: wattHours,
} as const;
const hourEnergy = {
  batchRoot: hashHex,
  co2G: optional(integer(0)),
  consumption: optional(wattHours),
  generation: wattHours,
  messages: integer(0),
  metersRoot: hashHex,
  /** Seconds of an emission monitor, beside `co2G`: both or neither. */
  operatingS: optional(integer(0)),
  quality: qualityShape,
  validS: optional(integer(0)),
} as const;
const hourPlace = { interval, plant: id, prev: optional(entryRef) } as const;
/** In place of everything but plant, interval, `prev`, `amends` and roots (D3.3, committed sites). */
const commitment = { batchRoot: hashHex, commitment: hashHex, metersRoot: hashHex } as const;

export const openHourSpec = object({ ...hourPlace, ...hourEnergy, certificates: object(issuing) });
export const committedHourSpec = object({ ...hourPlace, ...commitment });
export const hourSpec = either(openHourSpec, committedHourSpec);
export const openCorrectionSpec = object({
  ...hourPlace,
  ...hourEnergy,
  amends: entryRef,
  certificates: object({
    ...issuing,
    withdrawn: array(rangeShape, { min: 0, max: withdrawnRangesLimit }),
  }),
});
export const committedCorrectionSpec = object({ ...hourPlace, ...commitment, amends: entryRef });
export const hourCorrectionSpec = either(openCorrectionSpec, committedCorrectionSpec);

/** What a commitment hides (D3.3): the members of an open hour that its public form leaves out. */
export const hourOpeningShape = object({
  consumption: wattHours,
  messages: integer(0),
  quality: qualityShape,
});
export type HourOpening = Infer<typeof hourOpeningShape>;
