import { integer, path, readConfig, url, type Variables } from '#platform/config.ts';
import { defaultSealLimits, type SealLimits } from './seal.ts';

export interface LedgerLimits extends SealLimits {
  /** How long the ledger rests when there was nothing to do. */
  readonly pollEveryMs: number;
  /** Groups of hours that one step looks at, at most. */
  readonly groupsPerStep: number;
  /** After a failure that may pass, such as a database that restarts. */
  readonly retryAfterMs: number;
}

export const defaultLedgerLimits: LedgerLimits = {
  ...defaultSealLimits,
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
  keyFile: path('LEDGER_KEY_FILE', { about: 'Private key of the log, PKCS#8 PEM' }),
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
  readonly keyFile: string;
  readonly limits: Pick<LedgerLimits, 'pollEveryMs'>;
}

/** Refused('config') with everything that is wrong. */
export function readLedgerConfig(
  environment: Readonly<Record<string, string | undefined>>,
): LedgerConfig {
  const { pollEveryMs, ...config } = readConfig(ledgerVariables, environment);
  return { ...config, limits: { pollEveryMs } };
}
