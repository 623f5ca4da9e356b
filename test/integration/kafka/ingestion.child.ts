import { setTimeout } from 'node:timers/promises';
import { createKafkaSource } from '#ingestion/kafka-source.ts';
import { defaultIngestionLimits } from '#ingestion/config.ts';
import { createIngestion } from '#ingestion/service.ts';
import { systemClock } from '#platform/clock.ts';
import { readKafkaConfig } from '#platform/kafka/config.ts';
import { createLogger } from '#platform/logger.ts';
import { createPool } from '#platform/postgres.ts';
import { ingestionSigner } from '#support/register.ts';

/**
 * Ingestion from Kafka as a process of its own, until it is killed. Says `ready`, and then how many
 * messages it has stored.
 */
const { BROKERS = '', PREFIX = '', DATABASE = '' } = process.env;
const logger = createLogger({ name: 'child', level: 'silent' });
const pool = createPool(DATABASE);
const ingestion = createIngestion({
  pool,
  clock: systemClock,
  signer: ingestionSigner,
  sendReceipt: () => Promise.resolve(),
  logger,
  limits: { burstMessages: 1_000_000 },
});
await ingestion.start();
const config = await readKafkaConfig({
  KAFKA_BROKERS: BROKERS,
  KAFKA_TOPIC_PREFIX: PREFIX,
  KAFKA_GROUP: `${PREFIX}ingestion`,
});
if (config === undefined) throw new Error('no brokers');
const consumer = createKafkaSource(config, {
  intake: ingestion.accept,
  pool,
  clock: systemClock,
  logger,
  limits: defaultIngestionLimits,
});
await consumer.start();
// Whoever started it has gone.
process.stdout.on('error', () => process.exit(1));
process.stdout.write('ready\n');
for (;;) {
  process.stdout.write(`${ingestion.counts().stored}\n`);
  await setTimeout(50);
}
