import { array, id, instant, object, text } from '../../shape.ts';
import { itemShape, signed } from './parts.ts';

export const cancelSpec = object({
  account: id,
  beneficiary: id,
  items: array(itemShape, { min: 1, max: 500 }),
  period: object({ from: instant, to: instant }),
  purpose: text(256),
  ...signed,
});
