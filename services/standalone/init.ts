import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { origin as originShape } from '#core/shape.ts';
import { Refused } from '#core/errors.ts';
import type { Signer } from '#core/signer.ts';
import { createLedger } from '#ledger/service.ts';
import { systemClock } from '#platform/clock.ts';
import { createKeyFile, readKeyFile } from '#platform/keys.ts';
import { createLogger } from '#platform/logger.ts';
import { openDataFolder } from './data-folder.ts';
import { genesisDraft } from './genesis.ts';
import { openDatabase } from './network.ts';

const nextIndexSql = `select next_index from log_state`;

export interface InitOptions {
  readonly folder: string;
  /** The log's name for ever: a host that is yours, and a path. */
  readonly origin: string;
  readonly databaseUrl: string | undefined;
}

/**
 * Makes a new installation: its folder, the keys of log, ingestion and issuing body, and entry 0.
 * This is the explicit command that creates keys; nothing else does. Refused when the folder holds
 * other files, or folder or database a log; after a crash before that the same command goes on.
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
      const { pool } = database;
      const { next_index } = await pool.row<{ next_index: number }>(nextIndexSql);
      if (next_index > 0 || existsSync(join(folder.log, 'checkpoint'))) {
        throw new Refused('log-exists', `${folder.path} or its database holds a log already`);
      }
      const key = (name: string) => keyOf(join(folder.keys, `${name}.pem`));
      const log = await key('log');
      const parties = {
        origin,
        log,
        ingestion: await key('ingestion'),
        issuer: await key('issuing-body'),
      };
      const clock = systemClock;
      const places = { folder: folder.log, secretsFolder: folder.secrets };
      const ledger = createLedger({ pool, clock, signer: log, ...places, logger });
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

/** Makes a key, unless an earlier `init` that was cut short has: nothing was signed with that yet. */
function keyOf(path: string): Promise<Signer> {
  return existsSync(path) ? readKeyFile(path) : createKeyFile(path, 'Ed25519');
}
