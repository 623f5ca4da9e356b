import { readFile } from 'node:fs/promises';
import { within } from '#core/errors.ts';
import { systemClock } from '#platform/clock.ts';
import { readKeyFile } from '#platform/keys.ts';
import { createLogger } from '#platform/logger.ts';
import { runUntilSignal } from '#platform/shutdown.ts';
import { logAuditors } from './audit.ts';
import type { WitnessConfig } from './config.ts';
import { parseLogs } from './logs.ts';
import { createWitness } from './service.ts';

/**
 * Runs a witness until a signal ends it; resolves with the exit code. Refused with one line that says
 * what to change when it cannot be what the configuration says.
 */
export async function runWitness(config: WitnessConfig): Promise<number> {
  const { name, folder, listen, logsFile } = config;
  const clock = systemClock;
  const logger = createLogger({ name: 'witness' });
  const text = await readFile(logsFile, 'utf8');
  const logs = within(logsFile, () => parseLogs(text));
  const signer = await readKeyFile(config.keyFile);
  const auditing = config.audit
    ? { auditorOf: logAuditors({ signer, folder, clock, logger }) }
    : {};
  const witness = createWitness({ name, signer, folder, logs, clock, listen, logger, ...auditing });
  return runUntilSignal(witness, { logger });
}
