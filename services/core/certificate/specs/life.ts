import { id, instant, object, text } from '../../shape.ts';
import { signed } from './parts.ts';
import { itemsShape } from './trade.ts';

export const cancelSpec = object({
  account: id,
  beneficiary: id,
  items: itemsShape,
  period: object({ from: instant, to: instant }),
  purpose: text(256),
  ...signed,
});
