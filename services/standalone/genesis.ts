import { signedDraft, type SignedDraft } from '#core/certificate/entry.ts';
import { parsePublicJwk } from '#core/keys.ts';
import type { Signer } from '#core/signer.ts';
import { ed25519Type, formatVkey } from '#core/tlog/note.ts';

/** The parties that the first entry of a log names; no two of their keys are the same (D2). */
export interface LogParties {
  readonly origin: string;
  readonly log: Signer;
  readonly ingestion: Signer;
  readonly issuer: Signer;
}

/** The signature under a genesis is good for a day. */
const signatureLifeS = 86_400;

const kindsInForce = [
  'account',
  'cancel',
  'decision',
  'exchange',
  'fork',
  'freeze',
  'hour',
  'hour-correction',
  'key',
  'key-end',
  'meter',
  'plant',
  'plant-change',
  'rules',
  'unfreeze',
  'void',
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
  version: 1,
};

export function genesisDraft(parties: LogParties, nowS: number): SignedDraft {
  const { origin, issuer, ingestion, log } = parties;
  const publicKey = parsePublicJwk(log.jwk).raw;
  const spec = {
    formatVersion: 1,
    ingestionKey: ingestion.jwk,
    issuers: { keys: [issuer.jwk], threshold: 1 },
    logKey: formatVkey({ name: origin, type: ed25519Type, publicKey }),
    nonce: 'genesis',
    notAfter: nowS + signatureLifeS,
    origin,
    rules: defaultRules,
  };
  return signedDraft({ kind: 'genesis', origin, spec }, [issuer]);
}
