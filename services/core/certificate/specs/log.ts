import { validationShape } from '../../energy/validation/thresholds.ts';
import { publicJwk } from '../../keys.ts';
import {
  array,
  id,
  instant,
  integer,
  lines,
  object,
  oneOf,
  optional,
  origin,
  pattern,
  text,
  thumbprint,
} from '../../shape.ts';
import type { Infer } from '../../shape.ts';
import { emissionRuleShape, emissionRulesLimit } from './emissions.ts';
import { signed } from './parts.ts';

const hours = { min: 1, max: 64 } as const;

/** Thresholds and terms (D3.3 `rules`): seconds, parts per million, Wh. Judged by entry time. */
const rulesMembers = {
  /** An energy above capacity times this is disputed; 1,100,000 ppm is 1.1 (D4.2). */
  capacityPpm: integer(1_000_000, 2_000_000),
  /** Within this time after the hour an increase is issued (D4.3). */
  correctWithinS: integer(0),
  /** After this time an incomplete hour is sealed with what is proved (D4.3). */
  deadlineS: integer(0),
  eligibleSources: array(id, { min: 0, max: 64 }),
  /** How the emissions of plants are known (D4.6), one way for a plant; others have no record. */
  emissions: optional(array(emissionRuleShape, { min: 1, max: emissionRulesLimit })),
  /** So long after the end of its hour a certificate can be used (D4.4); by default for ever. */
  expireAfterS: optional(integer(0)),
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
