import { Refused } from '#core/errors.ts';
import { auditorKeys } from '#core/certificate/access.ts';
import { accountKeyAt, type Genesis, type LogState } from '#core/certificate/state/state.ts';
import type { PublicKey } from '#core/keys.ts';

/** What the log says of those who take part, as of its newest entry. */
export interface LedgerSettings {
  readonly origin: string;
  /** Plant to the account that owns it. */
  readonly plants: ReadonlyMap<string, string>;
  /** Meter to its plant. */
  readonly meters: ReadonlyMap<string, string>;
  /** Thumbprints, the newest last. */
  readonly keys: {
    readonly log: readonly string[];
    readonly ingestion: readonly string[];
    readonly issuers: readonly string[];
    /** Account to the key that acts for it now. */
    readonly accounts: ReadonlyMap<string, string>;
  };
  /** Of the policy in force, as it was entered; undefined where no witness is asked. */
  readonly policy: string | undefined;
  readonly isClosed: boolean;
}

/** Refused('genesis') as long as the log is empty. */
export function settingsOf({ genesis, plants, meters, accounts, time }: LogState): LedgerSettings {
  const { origin, logKeys, ingestionKeys, issuers, policies, closed } = begun(genesis);
  return {
    origin,
    plants: new Map([...plants].map(([plant, { spec }]) => [plant, spec.account])),
    meters: new Map([...meters].map(([meter, { spec }]) => [meter, spec.plant])),
    keys: {
      log: logKeys.map(({ key }) => key.kid),
      ingestion: ingestionKeys.map(({ key }) => key.kid),
      issuers: issuers.map(({ kid }) => kid),
      accounts: new Map([...accounts].map(([id, state]) => [id, accountKeyAt(state, time).kid])),
    },
    policy: policies.at(-1)?.text,
    isClosed: closed !== undefined,
  };
}

/**
 * The auditing witnesses of the policy in force: they may read the evidence of committed sites. It
 * costs the same however much is in the log. Refused('genesis') as long as the log is empty.
 */
export function auditorsOf({ genesis }: Pick<LogState, 'genesis'>): readonly PublicKey[] {
  const inForce = begun(genesis).policies.at(-1);
  return inForce === undefined ? [] : auditorKeys(inForce.policy);
}

function begun(genesis: Genesis | undefined): Genesis {
  if (genesis === undefined) throw new Refused('genesis', 'the log has no genesis yet');
  return genesis;
}
