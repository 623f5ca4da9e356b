import { ecdsaJwk, publicJwk } from '../keys.ts';
import { array, hashHex, id, instant, integer, object, oneOf, optional, origin } from '../shape.ts';
import { either, lines, pattern, record, text, thumbprint, wattHours } from '../shape.ts';
import type { Infer } from '../shape.ts';
import { qualityShape, roleShape } from '../energy/meter-record.ts';
import { ocmfShape } from '../energy/ocmf.ts';
import { reasonCode } from '../energy/receipt.ts';
import { validationShape } from '../energy/validation/thresholds.ts';
import { entryRef } from './entry.ts';

/**
 * The `spec` of every kind of entry (D3.3). A signed spec carries `nonce`, used once per signer for
 * ever, and `notAfter`, so that no signature counts twice or late.
 */
const signed = { nonce: pattern('[A-Za-z0-9_-]{1,64}'), notAfter: instant } as const;

const hours = { min: 1, max: 64 } as const;
const evidence = array(hashHex, { min: 0, max: 16 });

/** Thresholds and terms (D3.3 `rules`): seconds, parts per million, Wh. Judged by entry time. */
const rulesMembers = {
  /** An energy above capacity times this is disputed; 1,100,000 ppm is 1.1 (D4.2). */
  capacityPpm: integer(1_000_000, 2_000_000),
  /** Within this time after the hour an increase is issued (D4.3). */
  correctWithinS: integer(0),
  /** After this time an incomplete hour is sealed with what is proved (D4.3). */
  deadlineS: integer(0),
  eligibleSources: array(id, { min: 0, max: 64 }),
  /** A reading further ahead of its arrival than this is quarantined (D4.1). */
  futureS: integer(0, 86_400),
  kinds: array(pattern('[a-z][a-z-]{0,31}'), hours),
  /** A message arriving later than this after its readings counts only by a decision (D4.1). */
  lateAfterS: integer(0),
  /** A `state` entry is due this long after the one before (D3.3); by default a day. */
  stateEveryS: optional(integer(60, 31 * 86_400)),
  /** Thresholds of the rules that inform people (D4.2): nothing certified depends on them. */
  validation: optional(validationShape),
  version: integer(1),
} as const;
export const rulesBody = object(rulesMembers);
export type Rules = Infer<typeof rulesBody>;
export const rulesSpec = object({ ...rulesMembers, ...signed });

/** A witness policy as a file of c2sp.org/tlog-policy: what a verifier may take as its own. */
const policyText = lines(16_384);
/** A checkpoint key as a C2SP vkey: name+hash+key. */
const vkeyText = pattern('[!-~]{1,512}');

export const genesisSpec = object({
  /** The last checkpoint of the log that this one follows, as a signed note. */
  follows: optional(lines(8192)),
  formatVersion: oneOf(1),
  ingestionKey: publicJwk,
  issuers: object({ keys: array(publicJwk, { min: 1, max: 16 }), threshold: integer(1, 16) }),
  logKey: vkeyText,
  origin,
  /** The first policy; absent where checkpoints are published without witnesses. */
  policy: optional(policyText),
  rules: rulesBody,
  ...signed,
});

/** In force from the next index on (D3.4). */
export const policySpec = object({ policy: policyText, ...signed });

/**
 * A new log or ingestion key. The ones before it stay good until `previousUntil`, by entry time:
 * until then checkpoints bear both signatures, and receipts are good under either key.
 */
export const logKeySpec = object({ logKey: vkeyText, previousUntil: instant, ...signed });
export const ingestionKeySpec = object({ jwk: publicJwk, previousUntil: instant, ...signed });

/** Adds a key of the issuing body, removes one, or sets how many must sign; any of it together. */
export const issuerKeySpec = object({
  add: optional(publicJwk),
  remove: optional(thumbprint),
  threshold: integer(1, 16),
  ...signed,
});

/** The end of this log: only a `void` may follow. `next` is the origin of the log that goes on. */
export const logCloseSpec = object({ next: optional(origin), reason: text(1000), ...signed });

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

/** `evidence` is SHA-256 of the file that holds the two messages' leaves, framed as in a batch. */
export const forkSpec = object({ evidence: hashHex, kid: thumbprint, seq: integer(1) });

const frozenThing = oneOf('account', 'key', 'meter', 'plant');
const freezeMembers = {
  evidence,
  id: pattern('[A-Za-z0-9._-]{1,64}'),
  reason: text(1000),
  what: frozenThing,
  ...signed,
} as const;
export const freezeSpec = object(freezeMembers);
export const unfreezeSpec = object(freezeMembers);

/**
 * What an issuing body decides about evidence (D4.1 to D4.3), for messages `from` … `to` of a key:
 * `accept-late` lets late ones count; `set-aside` makes them count for nothing; `keep-fork` (one seq)
 * says which of the two, by its hash, counts. `break`: at `t` of `meter` the registers may have
 * fallen; nothing is asserted across it.
 */
const decisionBase = { evidence, reason: text(1000), ...signed } as const;
export const decisionSpec = either(
  object({
    ...decisionBase,
    effect: oneOf('accept-late', 'set-aside'),
    from: integer(1),
    kid: thumbprint,
    to: integer(1),
  }),
  either(
    object({
      ...decisionBase,
      effect: oneOf('keep-fork'),
      hash: hashHex,
      kid: thumbprint,
      seq: integer(1),
    }),
    object({ ...decisionBase, effect: oneOf('break'), meter: id, t: instant }),
  ),
);

/** One entry withdraws at most so many ranges, so that it stays below 65,535 bytes. */
export const withdrawnRangesLimit = 500;

/** A range of a series, both ends inclusive, from 1 (D3). */
export const rangeShape = object({ from: integer(1), to: integer(1) });
export type Range = Infer<typeof rangeShape>;
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
  quality: qualityShape,
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

export const seriesShape = pattern('energy/[A-Za-z0-9][A-Za-z0-9._-]{0,63}');
export const itemShape = object({ from: integer(1), series: seriesShape, to: integer(1) });
export type Item = Infer<typeof itemShape>;
export const cancelSpec = object({
  account: id,
  beneficiary: id,
  items: array(itemShape, { min: 1, max: 500 }),
  period: object({ from: instant, to: instant }),
  purpose: text(256),
  ...signed,
});

/**
 * Whose every certificate is, and in which state (D3.3): `root` is that of the tree over all ranges
 * issued by the first `asOf` entries, `count` of them, in the order of issue.
 */
export const stateSpec = object({ asOf: integer(1), count: integer(0), root: hashHex });

/**
 * A leaf of that tree: a range as the entry at `index` issued it, and the root over its pieces. Numbers
 * that a void entry stated are issued again by another one, so a range alone does not say whose it is.
 */
export const stateLeafShape = object({
  from: integer(1),
  index: integer(1),
  pieces: hashHex,
  series: seriesShape,
  to: integer(1),
});
export const stateNames = ['active', 'cancelled', 'withdrawn'] as const;
/** A leaf of the tree over the pieces of one range. */
export const statePieceShape = object({
  from: integer(1),
  lastIndex: integer(1),
  owner: id,
  state: oneOf(...stateNames),
  to: integer(1),
});

export const voidSpec = object({ code: reasonCode, index: integer(0), leafHash: hashHex });

/** Every kind that this version of the program can judge. */
export const specOf = {
  account: accountSpec,
  'account-key': accountKeySpec,
  cancel: cancelSpec,
  decision: decisionSpec,
  exchange: exchangeSpec,
  fork: forkSpec,
  freeze: freezeSpec,
  genesis: genesisSpec,
  hour: hourSpec,
  'hour-correction': hourCorrectionSpec,
  'ingestion-key': ingestionKeySpec,
  'issuer-key': issuerKeySpec,
  key: keySpec,
  'key-end': keyEndSpec,
  'log-close': logCloseSpec,
  'log-key': logKeySpec,
  meter: meterSpec,
  'meter-change': meterChangeSpec,
  plant: plantSpec,
  'plant-change': plantChangeSpec,
  policy: policySpec,
  rules: rulesSpec,
  state: stateSpec,
  unfreeze: unfreezeSpec,
  void: voidSpec,
} as const;

export type Kind = keyof typeof specOf;
export type SpecOf<K extends Kind> = Infer<(typeof specOf)[K]>;

/** The spec of an entry that broke no rule: the rule of its kind has parsed it (fold.ts). */
export function specAs<K extends Kind>(_kind: K, spec: object): SpecOf<K> {
  return spec as SpecOf<K>;
}

export function isKnownKind(kind: string): kind is Kind {
  return Object.hasOwn(specOf, kind);
}

/** Kinds that are a function of what is known: nobody signs them, so they carry no `nonce`. */
export const unsignedKinds: ReadonlySet<Kind> = new Set([
  'fork',
  'hour',
  'hour-correction',
  'state',
  'void',
]);
