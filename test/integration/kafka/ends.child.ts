import { connectProducer, startReader, type KafkaContext } from '#platform/kafka/client.ts';
import { kafkaBus } from '#platform/kafka/bus.ts';
import { kafkaConsumer } from '#platform/kafka/consumer.ts';
import { createLogger } from '#platform/logger.ts';

/**
 * Starts to read and to write, stops both while the broker does not answer, and must then end by
 * itself: nobody calls exit.
 */
const { BROKERS = '', PREFIX = '' } = process.env;
const logger = createLogger({ name: 'child', level: 'silent' });
const context: KafkaContext = {
  connection: { brokers: BROKERS.split(','), clientId: 'child' },
  logger,
  limits: { requestTimeoutMs: 1_500, retries: 1, closeMs: 2_000 },
};
const consumer = kafkaConsumer({
  startReader: (options) => startReader(context, options),
  topic: `${PREFIX}messages.in`,
  group: `${PREFIX}ingestion`,
  take: () => Promise.resolve(),
  logger,
});
const bus = kafkaBus({ connect: () => connectProducer(context), topicPrefix: PREFIX, logger });
await consumer.start();
const published = bus.publish('certificates', 'P', new Uint8Array(3)).then(
  () => 'published',
  () => 'failed',
);
await new Promise((resolve) => setTimeout(resolve, 1_000));
await Promise.all([consumer.stop(), bus.close()]);
if ((await published) !== 'failed') process.exitCode = 1;
