import { join } from 'node:path';
import { createLedger, type Ledger } from '#ledger/service.ts';
import { manualClock, systemClock, type Clock } from '#platform/clock.ts';
import { readKeyFile } from '#platform/keys.ts';
import { createLogger } from '#platform/logger.ts';
import type { Pool } from '#platform/postgres.ts';
import { openDataFolder, type DataFolder } from './data-folder.ts';
import { readDemoState } from './demo-state.ts';
import { openDatabase } from './network.ts';

/** A stopped installation, opened by a command: database and ledger, nothing that listens. */
export interface Installation {
  readonly folder: DataFolder;
  readonly clock: Clock;
  readonly ledger: Ledger;
  readonly pool: Pool;
  readonly close: () => Promise<void>;
}

/**
 * Opens the installation in a data folder, or on `databaseUrl` with the keys of that folder. A demo
 * lives in its own time: what is entered into its log bears the time on the demo's clock.
 * Refused('data-folder' | 'data-version' | 'folder-in-use' | 'key-missing' …) with one clear line.
 */
export async function openInstallation(
  path: string,
  { databaseUrl }: { databaseUrl: string | undefined },
): Promise<Installation> {
  const folder = await openDataFolder(path);
  const logger = createLogger({ name: 'hourseal', level: 'warn' });
  try {
    const signer = await readKeyFile(join(folder.keys, 'log.pem'));
    const demo = await readDemoState(folder);
    // Opened last: nothing after it can fail and leave an engine running.
    const database = await openDatabase(folder, { databaseUrl, logger });
    const clock = demo === undefined ? systemClock : manualClock(demo.nowS * 1000);
    const { pool } = database;
    const secretsFolder = folder.secrets;
    const ledger = createLedger({ pool, clock, signer, folder: folder.log, secretsFolder, logger });
    return {
      folder,
      clock,
      ledger,
      pool,
      close: async () => {
        await database.close();
        await folder.release();
      },
    };
  } catch (error) {
    await folder.release();
    throw error;
  }
}
