import { oneOf, readConfig, text, type Config, type Variables } from '#platform/config.ts';
import { logLevels } from '#platform/logger.ts';

/** What one process with everything in it reads of its environment. */
export const standaloneVariables = {
  databaseUrl: text('DATABASE_URL', {
    about: 'PostgreSQL 15+ to use, with TimescaleDB where it has it; empty: the embedded engine',
    default: '',
    secret: true,
  }),
  logLevel: oneOf('LOG_LEVEL', {
    about: 'Least level that is logged',
    values: logLevels,
    default: 'info',
  }),
} satisfies Variables;

export interface StandaloneConfig extends Omit<Config<typeof standaloneVariables>, 'databaseUrl'> {
  readonly databaseUrl: string | undefined;
}

/** Refused('config') with everything that is wrong. */
export function readStandaloneConfig(
  environment: Readonly<Record<string, string | undefined>>,
): StandaloneConfig {
  const { databaseUrl, ...rest } = readConfig(standaloneVariables, environment);
  return { ...rest, databaseUrl: databaseUrl === '' ? undefined : databaseUrl };
}
