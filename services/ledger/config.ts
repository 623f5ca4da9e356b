import { flag, integer, optional, path, readConfig, url } from '#platform/config.ts';
import type { Variables } from '#platform/config.ts';
import type { ActionLimits } from './action-intake.ts';
import type { PublisherLimits } from './publish-size.ts';
import { defaultSealLimits, type SealLimits } from './seal.ts';
import type { UnclaimLimits } from './unclaims.ts';
import { defaultWitnessLimits } from './witnesses.ts';

export interface LedgerLimits extends SealLimits, PublisherLimits, ActionLimits, UnclaimLimits {
  /** How long the ledger rests when there was nothing to do. */
  readonly pollEveryMs: number;
  /** Groups of hours that one step looks at, at most. */
  readonly groupsPerStep: number;
  /** After a failure that may pass, such as a database that restarts. */
  readonly retryAfterMs: number;
}

export const defaultLedgerLimits: LedgerLimits = {
  ...defaultSealLimits,
  ...defaultWitnessLimits,
  keptPendingSizes: 32,
  actionsPerGroup: 500,
  actionsPerStep: 5_000,
  unclaimsPerStep: 100,
  pollEveryMs: 500,
  groupsPerStep: 1_000,
  retryAfterMs: 2_000,
};

export const ledgerVariables = {
  databaseUrl: url('DATABASE_URL', {
    about: 'PostgreSQL server with the installation',
    protocols: ['postgres:', 'postgresql:'],
    secret: true,
  }),
  folder: path('LEDGER_FOLDER', {
    about: "Folder of the log's static files: checkpoint, tiles, batch files",
  }),
  secretsFolder: path('LEDGER_SECRETS_FOLDER', {
    about: 'Folder of the secrets of sites whose consumption is committed',
  }),
  stateFolder: path('LEDGER_STATE_FOLDER', {
    about: 'Folder of what the ledger has learnt from the log; lost, it is learnt again',
  }),
  keyFile: path('LEDGER_KEY_FILE', { about: 'Private key of the log, PKCS#8 PEM' }),
  nextKeyFile: optional(
    path('LEDGER_NEXT_KEY_FILE', {
      about: 'While the log key changes: the private key that the other one hands over to',
    }),
  ),
  signWithoutWitnesses: flag('LEDGER_SIGN_WITHOUT_WITNESSES', {
    about: 'Sign although witnesses cannot say whether the disk was rolled back: true or false',
    default: false,
  }),
  cosignTimeoutMs: integer('LEDGER_COSIGN_MS', {
    about: 'How long the ledger waits for witnesses before it goes on without them',
    unit: 'ms',
    min: 10,
    max: 60_000,
    default: defaultLedgerLimits.cosignTimeoutMs,
  }),
  pollEveryMs: integer('LEDGER_POLL_MS', {
    about: 'How long the ledger rests when there was nothing to do',
    unit: 'ms',
    min: 10,
    max: 60_000,
    default: defaultLedgerLimits.pollEveryMs,
  }),
} satisfies Variables;

export interface LedgerConfig {
  readonly databaseUrl: string;
  readonly folder: string;
  readonly secretsFolder: string;
  readonly stateFolder: string;
  readonly keyFile: string;
  readonly nextKeyFile: string | undefined;
  readonly signWithoutWitnesses: boolean;
  readonly limits: Pick<LedgerLimits, 'cosignTimeoutMs' | 'pollEveryMs'>;
}

/** Refused('config') with everything that is wrong. */
export function readLedgerConfig(
  environment: Readonly<Record<string, string | undefined>>,
): LedgerConfig {
  const { cosignTimeoutMs, pollEveryMs, ...config } = readConfig(ledgerVariables, environment);
  return { ...config, limits: { cosignTimeoutMs, pollEveryMs } };
}
