import { Refused } from '#core/errors.ts';
import type { Signer } from '#core/signer.ts';
import { createLedger, type Ledger } from '#ledger/service.ts';
import { manualClock, systemClock, type Clock } from '#platform/clock.ts';
import { createLogger, type Logger } from '#platform/logger.ts';
import { createPool, type Pool } from '#platform/postgres.ts';
import { openDataFolder, places, type DataFolder } from './data-folder.ts';
import { readDemoState } from './demo-state.ts';
import { startDemoWatch, type DemoWatch } from './demo-network.ts';
import { readKeyRing } from './key-ring.ts';
import { openDatabase, type Database } from './network.ts';

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
  // What people must know of a witness that is away, the command says in its own words.
  const logger = createLogger({ name: 'hourseal', level: 'error' });
  try {
    const signers = await readKeyRing(folder.keys, 'log');
    const demo = await readDemoState(folder);
    // Opened last: nothing after it can fail and leave an engine running.
    const database = await openDatabase(folder, { databaseUrl, logger });
    const clock = demo === undefined ? systemClock : manualClock(demo.nowS * 1000);
    const { pool } = database;
    const watch = demo && (await watchOf({ folder, clock, logger, signers }, database));
    const ledger = createLedger({
      pool,
      clock,
      signer: signers,
      folder: folder.log,
      secretsFolder: folder.secrets,
      stateFolder: folder.state,
      logger,
      ...(watch !== undefined && { witnessUrls: watch.witnessUrls }),
    });
    watch?.show(ledger);
    return {
      folder,
      clock,
      ledger,
      pool,
      close: async () => {
        await watch?.stop();
        await ledger.close();
        await database.close();
        await folder.release();
      },
    };
  } catch (error) {
    await folder.release();
    throw error;
  }
}

/** An installation that runs in another process, on a database server that both reach. */
export interface Beside extends Pick<Installation, 'clock' | 'pool' | 'close'> {
  readonly folder: Pick<DataFolder, 'keys' | 'secrets'>;
  /** Sequencing alone: files, checkpoints and the kept state belong to the process that runs. */
  readonly ledger: Pick<Ledger, 'settings' | 'submit'>;
}

/**
 * Reads the whole log to learn its state, since the one that is kept is another's. Refused('folder-in-use')
 * where that process is a demo: its time is nobody else's.
 */
export async function attachInstallation(path: string, databaseUrl: string): Promise<Beside> {
  const folder = places(path);
  if ((await readDemoState(folder)) !== undefined) {
    throw new Refused('folder-in-use', `${path} is a running demo: stop it first`);
  }
  const signers = await readKeyRing(folder.keys, 'log');
  const pool = createPool(databaseUrl, { applicationName: 'hourseal' });
  const clock = systemClock;
  const ledger = createLedger({
    pool,
    clock,
    signer: signers,
    folder: folder.log,
    secretsFolder: folder.secrets,
    logger: createLogger({ name: 'hourseal', level: 'error' }),
  });
  return {
    ...{ folder, clock, pool, ledger },
    close: async () => {
      await ledger.close();
      await pool.close();
    },
  };
}

/** A demo's witnesses run where its ledger does; those of an installation run somewhere else. */
async function watchOf(
  {
    signers: [logKey],
    ...options
  }: { folder: DataFolder; clock: Clock; logger: Logger; signers: readonly Signer[] },
  database: Database,
): Promise<DemoWatch | undefined> {
  try {
    return logKey && (await startDemoWatch({ ...options, pool: database.pool, logKey }));
  } catch (error) {
    await database.close();
    throw error;
  }
}
