import type { Signer } from '#core/signer.ts';
import type { BrokerLimits } from '#broker/config.ts';
import { createBroker, type Broker } from '#broker/service.ts';
import type { BrokerTls } from '#broker/tls.ts';
import { defaultIngestionLimits, type IngestionLimits } from '#ingestion/config.ts';
import { createKafkaSource } from '#ingestion/kafka-source.ts';
import { createIngestion, type Ingestion } from '#ingestion/service.ts';
import { createLedger, type Ledger } from '#ledger/service.ts';
import { inProcessBus } from '#platform/bus.ts';
import type { Clock } from '#platform/clock.ts';
import { startEmbeddedPostgres } from '#platform/embedded-postgres.ts';
import type { KafkaConfig } from '#platform/kafka/config.ts';
import type { Logger } from '#platform/logger.ts';
import { migrate } from '#platform/migrate.ts';
import { createNewsRelay } from '#platform/news-relay.ts';
import { createPool, type Connection, type Pool } from '#platform/postgres.ts';
import { together } from '#platform/together.ts';
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
    pipelined: embedded === undefined,
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
  /** All that the log may be signed with now. */
  readonly logKey: Signer | readonly Signer[];
  /** By vkey, where the policy in the log does not say where a witness is. */
  readonly witnessUrls?: ReadonlyMap<string, string>;
  /** The operator's word that the disk was not rolled back (D5, step 6). */
  readonly signWithoutWitnesses?: boolean;
  readonly ingestionKey: Signer | readonly Signer[];
  readonly listen: { readonly host: string; readonly port: number };
  readonly audience: string;
  readonly limits?: Partial<BrokerLimits>;
  readonly tls?: BrokerTls | undefined;
  readonly ingestionLimits?: Partial<IngestionLimits>;
  /** Where news go, and messages may come from; without it news stay in this process. */
  readonly kafka?: KafkaConfig | undefined;
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
    stateFolder: folder.state,
    logger: logger.child({ service: 'ledger' }),
    ...(options.witnessUrls !== undefined && { witnessUrls: options.witnessUrls }),
    signWithoutWitnesses: options.signWithoutWitnesses ?? false,
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
    limits: options.limits ?? {},
    tls: options.tls,
    clock,
    database: pool,
    intake: ingestion.accept,
    logger: logger.child({ service: 'broker' }),
  });
  const { kafka } = options;
  const local = inProcessBus(clock);
  const intake = { pool, clock, logger: logger.child({ service: 'ingestion' }) };
  const limits = { ...defaultIngestionLimits, ...options.ingestionLimits };
  const services = together([
    createNewsRelay({ kafka, local, pool, logger: logger.child({ service: 'relay' }) }),
    ingestion,
    broker,
    ...(kafka?.messagesIn === true
      ? [createKafkaSource(kafka, { ...intake, limits, intake: ingestion.accept })]
      : []),
  ]);
  await services.start();
  return {
    broker,
    ingestion,
    ledger,
    died: Promise.race([services.died, ledger.died]),
    stop: async () => {
      await services.stop();
      await ledger.close();
    },
  };
}
