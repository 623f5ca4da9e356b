import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { Failed } from '#core/errors.ts';
import { inProcessBus } from '#platform/bus.ts';
import { systemClock } from '#platform/clock.ts';
import { readKeyFile } from '#platform/keys.ts';
import { createLogger } from '#platform/logger.ts';
import { migrate } from '#platform/migrate.ts';
import { createNewsRelay } from '#platform/news-relay.ts';
import { createPool } from '#platform/postgres.ts';
import { runUntilSignal } from '#platform/shutdown.ts';
import { together } from '#platform/together.ts';
import type { IngestionConfig } from './config.ts';
import { createExternalBroker } from './external-broker.ts';
import type { ExternalBroker, ExternalBrokerContext } from './external-broker.ts';
import { createKafkaSource } from './kafka-source.ts';
import type { BrokerAccess } from './mqtt-agreement.ts';
import { createIngestion } from './service.ts';

/**
 * Ingestion from an external broker, from Kafka, or from both, until a signal ends it; resolves with
 * the exit code. Receipts go the way of the broker: without one, devices are told nothing.
 */
export async function runIngestion(config: IngestionConfig): Promise<number> {
  const { databaseUrl, keyFile, nextKeyFile } = config.broker;
  const { kafka, limits } = config;
  const logger = createLogger({ name: 'ingestion' });
  const keyFiles = nextKeyFile === undefined ? [keyFile] : [keyFile, nextKeyFile];
  const signer = await Promise.all(keyFiles.map((file) => readKeyFile(file)));
  await migrate(databaseUrl);
  const pool = createPool(databaseUrl, {
    applicationName: 'hourseal ingestion',
    pipelined: true,
    onIdleError: (error) => {
      logger.warn({ err: error }, 'a database connection broke');
    },
  });
  const common = { clock: systemClock, logger };
  const ingestion = createIngestion({
    ...common,
    pool,
    signer,
    sendReceipt: async (topic, bytes) => {
      if (broker === undefined) throw new Failed('receipt', 'no broker to send a receipt by');
      await broker.sendReceipt(topic, bytes);
    },
    overQuota: 'put-off',
    limits,
  });
  const { accept: intake } = ingestion;
  const broker = await externalBrokerOf(config.broker, { ...common, intake });
  const services = [
    createNewsRelay({ kafka, local: inProcessBus(systemClock), pool, logger }),
    ingestion,
    ...(broker === undefined ? [] : [broker]),
    ...(kafka?.messagesIn === true
      ? [createKafkaSource(kafka, { ...common, pool, limits, intake })]
      : []),
  ];
  try {
    return await runUntilSignal(together(services), { logger });
  } finally {
    await pool.close();
  }
}

async function externalBrokerOf(
  config: IngestionConfig['broker'],
  context: Pick<ExternalBrokerContext, 'intake' | 'clock' | 'logger'>,
): Promise<ExternalBroker | undefined> {
  const { group, receiveMaximum, sessionExpiryS, url } = config;
  if (url === undefined) return undefined;
  return createExternalBroker({
    ...context,
    access: await accessOf(config, url),
    group,
    random: Math.random,
    limits: { receiveMaximum, sessionExpiryS },
  });
}

async function accessOf(config: IngestionConfig['broker'], url: string): Promise<BrokerAccess> {
  const { userName, password, caFile, certificateFile, privateKeyFile } = config;
  const pem = async (file: string | undefined): Promise<string | undefined> =>
    file === undefined ? undefined : readFile(file, 'utf8');
  return {
    url,
    clientId: config.clientId ?? `hourseal-${hostname()}`,
    userName,
    password,
    ca: await pem(caFile),
    certificate: await pem(certificateFile),
    privateKey: await pem(privateKeyFile),
  };
}
