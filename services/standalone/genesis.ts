import { signedDraft, type SignedDraft } from '#core/certificate/entry.ts';
import type { Rules } from '#core/certificate/specs/log.ts';
import type { Signer } from '#core/signer.ts';
import { ed25519Type, vkeyOf } from '#core/tlog/note.ts';

/** The parties that the first entry of a log names; no two of their keys are the same (D2). */
export interface LogParties {
  readonly origin: string;
  readonly log: Signer;
  readonly ingestion: Signer;
  readonly issuer: Signer;
}

export interface GenesisTerms {
  /** The first witness policy (c2sp.org/tlog-policy); without one nobody else is asked. */
  readonly policy?: string | undefined;
  /** Where they differ from `defaultRules`, and what these leave out. */
  readonly rules?: Partial<Rules>;
}

/** The signature under a genesis is good for a day. */
const signatureLifeS = 86_400;

const kindsInForce = [
  'accept',
  'account',
  'account-key',
  'cancel',
  'decision',
  'emission',
  'emission-correction',
  'exchange',
  'factors',
  'fork',
  'freeze',
  'hour',
  'hour-correction',
  'ingestion-key',
  'issuer-key',
  'key',
  'key-end',
  'lock',
  'log-close',
  'log-key',
  'meter',
  'meter-change',
  'offer',
  'plant',
  'plant-change',
  'policy',
  'refuse',
  'rules',
  'settle',
  'state',
  'unfreeze',
  'unlock',
  'void',
  'withdraw',
];

/** The thresholds of D4. An issuing body changes them by a `rules` entry. */
export const defaultRules = {
  capacityPpm: 1_100_000,
  correctWithinS: 45 * 86_400,
  deadlineS: 86_400,
  eligibleSources: ['hydro', 'solar', 'wind'],
  futureS: 120,
  kinds: kindsInForce,
  lateAfterS: 45 * 86_400,
  stateEveryS: 86_400,
  version: 1,
};

export function genesisDraft(
  parties: LogParties,
  nowS: number,
  { policy, rules = {} }: GenesisTerms = {},
): SignedDraft {
  const { origin, issuer, ingestion, log } = parties;
  const spec = {
    formatVersion: 1,
    ingestionKey: ingestion.jwk,
    issuers: { keys: [issuer.jwk], threshold: 1 },
    logKey: vkeyOf(origin, ed25519Type, log),
    nonce: 'genesis',
    notAfter: nowS + signatureLifeS,
    origin,
    ...(policy !== undefined && { policy }),
    rules: { ...defaultRules, ...rules },
  };
  return signedDraft({ kind: 'genesis', origin, spec }, [issuer]);
}
