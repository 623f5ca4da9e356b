import { Refused } from '#core/errors.ts';
import { parsePublicJwk } from '#core/keys.ts';
import type { Signer } from '#core/signer.ts';
import { createBroker, type Broker } from '#broker/service.ts';
import type { IngestionLimits } from '#ingestion/config.ts';
import { createIngestion, type Ingestion } from '#ingestion/service.ts';
import { createLedger, type Ledger } from '#ledger/service.ts';
import type { Clock } from '#platform/clock.ts';
import { startEmbeddedPostgres } from '#platform/embedded-postgres.ts';
import type { Logger } from '#platform/logger.ts';
import { migrate } from '#platform/migrate.ts';
import { createPool, type Connection, type Pool } from '#platform/postgres.ts';
import type { DataFolder } from './data-folder.ts';

export interface Database {
  readonly connection: Connection;
  readonly pool: Pool;
  /** Resolves if the embedded engine dies by itself. */
  readonly died: Promise<Error>;
  readonly close: () => Promise<void>;
}

const never = new Promise<Error>(() => undefined);

/**
 * The database of an installation, migrated: the server that `databaseUrl` names, or else the
 * embedded engine in the data folder (D6). Services cannot tell which it is.
 */
export async function openDatabase(
  folder: Pick<DataFolder, 'database'>,
  { databaseUrl, logger }: { databaseUrl: string | undefined; logger: Logger },
): Promise<Database> {
  const embedded =
    databaseUrl === undefined
      ? await startEmbeddedPostgres({ folder: folder.database })
      : undefined;
  const connection = databaseUrl ?? embedded?.connection ?? '';
  try {
    await migrate(connection);
  } catch (error) {
    await embedded?.stop();
    throw error;
  }
  const pool = createPool(connection, {
    applicationName: 'hourseal',
    onIdleError: (error) => {
      logger.warn({ err: error }, 'a database connection broke');
    },
  });
  return {
    connection,
    pool,
    died: embedded?.died ?? never,
    close: async () => {
      await pool.close();
      await embedded?.stop();
    },
  };
}

export interface NetworkOptions {
  readonly folder: DataFolder;
  readonly pool: Pool;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly logKey: Signer;
  readonly ingestionKey: Signer;
  readonly listen: { readonly host: string; readonly port: number };
  readonly audience: string;
  readonly ingestionLimits?: Partial<IngestionLimits>;
}

/** Broker, ingestion and ledger in one process (D1: composed here and nowhere else). */
export interface Network {
  readonly broker: Broker;
  readonly ingestion: Ingestion;
  readonly ledger: Ledger;
  readonly died: Promise<Error>;
  readonly stop: () => Promise<void>;
}

/**
 * Starts what ingests and what answers. The ledger is made but not started: whoever steps the clock
 * calls its `step` when nothing is in flight, or `start` where time runs by itself.
 */
export async function startNetwork(options: NetworkOptions): Promise<Network> {
  const { folder, pool, clock, logger } = options;
  const ledger = createLedger({
    pool,
    clock,
    signer: options.logKey,
    folder: folder.log,
    secretsFolder: folder.secrets,
    logger: logger.child({ service: 'ledger' }),
  });
  const ingestion = createIngestion({
    pool,
    clock,
    signer: options.ingestionKey,
    sendReceipt: (topic, bytes) => broker.publish(topic, bytes),
    logger: logger.child({ service: 'ingestion' }),
    limits: options.ingestionLimits ?? {},
  });
  const broker: Broker = createBroker({
    listen: options.listen,
    audience: options.audience,
    clock,
    database: pool,
    intake: ingestion.accept,
    logger: logger.child({ service: 'broker' }),
  });
  await requireIngestionKey(pool, options.ingestionKey);
  await ingestion.start();
  try {
    await broker.start();
  } catch (error) {
    await ingestion.stop();
    throw error;
  }
  return {
    broker,
    ingestion,
    ledger,
    died: Promise.race([broker, ingestion, ledger].map(({ died }) => died ?? never)),
    stop: async () => {
      await broker.stop();
      await ingestion.stop();
    },
  };
}

/** Devices drop what a receipt covers: one by a key that the log does not name would be worth nothing. */
async function requireIngestionKey(pool: Pool, key: Signer): Promise<void> {
  const [setting] = await pool.rows<{ ingestion_jwk: unknown }>(
    'select ingestion_jwk from log_setting',
  );
  if (setting !== undefined && parsePublicJwk(setting.ingestion_jwk).kid !== key.kid) {
    throw new Refused('ingestion-key', 'the ingestion key is not the one that the log names');
  }
}
