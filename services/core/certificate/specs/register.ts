import { roleShape } from '../../energy/meter-record.ts';
import { ocmfShape } from '../../energy/ocmf.ts';
import { ecdsaJwk, publicJwk } from '../../keys.ts';
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
  pattern,
  record,
  text,
  thumbprint,
} from '../../shape.ts';
import { signed } from './parts.ts';

export const accountRole = oneOf('plant', 'trader', 'buyer', 'regulator');
export const accountSpec = object({
  account: id,
  custody: oneOf('own', 'operator'),
  /** Salted SHA-256 of the legal identity; the identity itself stays off the log. */
  identity: hashHex,
  jwk: publicJwk,
  role: accountRole,
  ...signed,
});

/**
 * `change` is signed by the old key and holds at once; `loss` by the issuing body, and holds 7 days
 * later unless the old key speaks up with a `change` in the meantime (D3.3).
 */
export const accountKeySpec = object({
  account: id,
  cause: oneOf('change', 'loss'),
  jwk: publicJwk,
  ...signed,
});

const plantMembers = {
  account: id,
  /** At most 100 GW, so that ten years of it stay below 2^53 units (D3). */
  capacityW: integer(1, 100_000_000_000),
  commissionedAt: instant,
  disclosure: oneOf('public', 'committed'),
  endsAt: optional(instant),
  /** 1e-7 degrees. */
  latitude: integer(-900_000_000, 900_000_000),
  longitude: integer(-1_800_000_000, 1_800_000_000),
  /** EIC, GSRN, project code: visible ASCII, so that no two spellings look alike. */
  official: optional(record(id, pattern('[!-~]{1,128}'), { min: 1, max: 8 })),
  plant: id,
  schemes: optional(array(text(128), { min: 1, max: 16 })),
  source: id,
  support: optional(text(256)),
  technology: id,
  type: oneOf('production', 'storage', 'consumption'),
  zone: id,
} as const;
/** What people fill in; the signature's members are added when it is signed. */
export const plantBody = object(plantMembers);
export const plantSpec = object({ ...plantMembers, ...signed });
export const plantChangeSpec = object({
  capacityW: optional(plantMembers.capacityW),
  endsAt: optional(instant),
  plant: id,
  schemes: plantMembers.schemes,
  source: optional(id),
  support: plantMembers.support,
  technology: optional(id),
  ...signed,
});

export const registerShape = object({
  digits: optional(integer(1, 15)),
  direction: oneOf('export', 'import', 'none'),
  multiplier: optional(integer(1, 1_000_000)),
  obis: optional(pattern('[0-9.:*-]{1,32}')),
  unit: oneOf('Wh', 'g', 's'),
});
const meterMembers = {
  class: optional(text(32)),
  /** A meter without a reliable clock may connect with an older password (D4.1, broker). */
  clock: oneOf('reliable', 'unreliable'),
  meter: id,
  plant: id,
  point: optional(text(64)),
  registers: record(id, registerShape, { min: 1, max: 16 }),
  role: roleShape,
  serial: pattern('[!-~]{1,64}'),
} as const;
export const meterBody = object(meterMembers);
export const meterSpec = object({ ...meterMembers, ...signed });
/** What may change of a meter while it lives; what energy rests on never does. */
const meterChangeMembers = {
  class: meterMembers.class,
  clock: optional(meterMembers.clock),
  meter: id,
  point: meterMembers.point,
} as const;
export const meterChangeBody = object(meterChangeMembers);
const meterEndMembers = {
  closing: record(id, integer(0), { min: 1, max: 16 }),
  endsAt: instant,
  meter: id,
} as const;
export const meterEndBody = object(meterEndMembers);
export const meterEndSpec = object({ ...meterEndMembers, ...signed });
export const meterChangeSpec = either(object({ ...meterChangeMembers, ...signed }), meterEndSpec);
const exchangeMembers = {
  closing: record(id, integer(0), { min: 1, max: 16 }),
  meter: id,
  opening: record(id, integer(0), { min: 1, max: 16 }),
  serial: pattern('[!-~]{1,64}'),
  t: instant,
} as const;
export const exchangeBody = object(exchangeMembers);
export const exchangeSpec = object({ ...exchangeMembers, ...signed });

const keyMembers = { meter: id, notBefore: instant, plant: id, ...signed } as const;
/** Of a meter that signs our messages. */
export const ownKeySpec = object({ jwk: publicJwk, ...keyMembers });
/** Or of one that signs OCMF records, and can sign nothing else. */
export const keySpec = either(
  ownKeySpec,
  object({ jwk: ecdsaJwk, ocmf: ocmfShape, ...keyMembers }),
);
export const keyEndSpec = object({
  kid: thumbprint,
  lastSeq: integer(0),
  lastT: instant,
  ...signed,
});
