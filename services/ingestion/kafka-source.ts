import type { Clock } from '#platform/clock.ts';
import type { Intake } from '#platform/intake.ts';
import type { KafkaConfig } from '#platform/kafka/config.ts';
import { kafkaConsumer } from '#platform/kafka/consumer.ts';
import { startReader } from '#platform/kafka/client.ts';
import type { Logger } from '#platform/logger.ts';
import type { Pool } from '#platform/postgres.ts';
import type { Service } from '#platform/shutdown.ts';
import { kafkaIntake } from './kafka-intake.ts';
import type { QuarantineLimits } from './quarantine.ts';

/**
 * Messages of meters from the topic `messages.in`, into `intake`. To be started after ingestion and
 * stopped before it. Kafka may be away for as long as it likes.
 */
export function createKafkaSource(
  { connection, topicPrefix, group, inFlightMessages }: KafkaConfig,
  context: {
    readonly intake: Intake;
    readonly pool: Pool;
    readonly clock: Clock;
    readonly logger: Logger;
    readonly limits: QuarantineLimits;
  },
): Required<Service> {
  const { logger } = context;
  return kafkaConsumer({
    startReader: (options) => startReader({ connection, logger }, options),
    topic: `${topicPrefix}messages.in`,
    group,
    take: kafkaIntake(context),
    logger,
    limits: { inFlightRecords: inFlightMessages },
  });
}
