import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { origin as originShape } from '#core/shape.ts';
import { Refused } from '#core/errors.ts';
import { createLedger } from '#ledger/service.ts';
import { systemClock } from '#platform/clock.ts';
import { createKeyFile } from '#platform/keys.ts';
import { createLogger } from '#platform/logger.ts';
import { openDataFolder } from './data-folder.ts';
import { genesisDraft } from './genesis.ts';
import { openDatabase } from './network.ts';

export interface InitOptions {
  readonly folder: string;
  /** The log's name for ever: a host that is yours, and a path. */
  readonly origin: string;
  readonly databaseUrl: string | undefined;
}

/**
 * Makes a new installation: its folder, the keys of log, ingestion and issuing body, and entry 0.
 * This is the explicit command that creates keys; nothing else does. Refused when the folder holds
 * anything, or the database a log.
 */
export async function initInstallation(options: InitOptions): Promise<void> {
  const origin = originShape.parse(options.origin, 'origin');
  const folder = await openDataFolder(options.folder, { create: 'installation' });
  try {
    await mkdir(join(folder.keys, 'accounts'), { recursive: true, mode: 0o700 });
    const logger = createLogger({ name: 'hourseal', level: 'warn' });
    const { databaseUrl } = options;
    const database = await openDatabase(folder, { databaseUrl, logger });
    try {
      const create = (name: string) => createKeyFile(join(folder.keys, `${name}.pem`), 'Ed25519');
      const log = await create('log');
      const parties = {
        origin,
        log,
        ingestion: await create('ingestion'),
        issuer: await create('issuing-body'),
      };
      const { pool } = database;
      const clock = systemClock;
      const places = { folder: folder.log, secretsFolder: folder.secrets };
      const ledger = createLedger({ pool, clock, signer: log, ...places, logger });
      if (!(await ledger.isEmpty())) throw new Refused('log-exists', 'the database holds a log');
      const [outcome] = await ledger.submit([genesisDraft(parties, clock.nowS())]);
      if (outcome?.result === 'refused') throw new Refused(outcome.code, outcome.message);
      await ledger.step();
    } finally {
      await database.close();
    }
  } finally {
    await folder.release();
  }
}
