import { procurementShape } from '../../energy/reports/claim.ts';
import { array, either, id, instant, integer, object, oneOf } from '../../shape.ts';
import type { Infer } from '../../shape.ts';
import { entryRef } from '../entry.ts';
import { seriesShape, signed } from './parts.ts';

/** Cancelled certificates that stand for metered consumption (D4.4): `claim`, `unclaim`. */

/** Units that stand for what the site `point` took in the hour that begins at `hour`. */
export const claimItemShape = object({
  from: integer(1),
  hour: instant,
  point: id,
  series: seriesShape,
  to: integer(1),
});
export type ClaimItem = Infer<typeof claimItemShape>;
const claimItems = array(claimItemShape, { min: 1, max: 500 });

export const claimSpec = object({
  account: id,
  /** `hourly`: generated in the very hour that they stand for. */
  basis: oneOf('annual', 'hourly'),
  items: claimItems,
  procurement: procurementShape,
  ...signed,
});

/**
 * The beneficiary takes a claim back, or, signed by nobody, a correction of the site's consumption leaves
 * no room for it: then it names that correction.
 */
export const unclaimSpec = either(
  object({ account: id, items: claimItems, ...signed }),
  object({ items: claimItems, restsOn: entryRef }),
);
