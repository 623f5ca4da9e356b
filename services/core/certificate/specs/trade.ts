import { publicJwk } from '../../keys.ts';
import {
  array,
  hashHex,
  id,
  instant,
  integer,
  object,
  optional,
  pattern,
  text,
} from '../../shape.ts';
import type { Infer } from '../../shape.ts';
import { entryRef } from '../entry.ts';
import { itemShape, signed } from './parts.ts';

/** Certificates from one account to another (D4.4): `offer`, `accept`, `refuse`, `settle`. */

export const itemsShape = array(itemShape, { min: 1, max: 500 });

/** What tells a payment from others: a transfer's number, an order of a payment provider. */
const reference = text(256);

/** What is paid for offered units, and until when. Without `payKey` the seller alone says it was. */
export const termsShape = object({
  /** ISO 4217. */
  currency: pattern('[A-Z]{3}'),
  /** Entry time up to which the offer can be accepted and what was accepted can be settled. */
  payBy: instant,
  payKey: optional(publicJwk),
  /** Per MWh, in the smallest unit of the currency. */
  priceMinor: integer(0),
  reference: optional(reference),
});
export type Terms = Infer<typeof termsShape>;

export const offerSpec = object({
  account: id,
  /** Who alone may accept; absent where anybody may. */
  counterparty: optional(id),
  items: itemsShape,
  terms: optional(termsShape),
  ...signed,
});

export const acceptSpec = object({
  account: id,
  items: itemsShape,
  offer: entryRef,
  reference: optional(reference),
  ...signed,
});

/** Without `items`: all that the account can still give or take back under that offer. */
export const refuseSpec = object({
  account: id,
  items: optional(itemsShape),
  offer: entryRef,
  ...signed,
});

/** Without `items`: all that is still reserved under that accept. */
export const settleSpec = object({
  accept: entryRef,
  /** The seller, also where the key of the terms signs. */
  account: id,
  items: optional(itemsShape),
  reference,
  ...signed,
});

/** What the issuing body does to anybody's units (D4.4): `lock`, `unlock`, `withdraw`. */
const measure = {
  evidence: array(hashHex, { min: 0, max: 16 }),
  items: itemsShape,
  reason: text(1000),
  ...signed,
} as const;
export const lockSpec = object(measure);
export const unlockSpec = object(measure);
export const withdrawSpec = object(measure);
