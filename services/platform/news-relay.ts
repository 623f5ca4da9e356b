import type { Bus } from './bus.ts';
import { kafkaBus } from './kafka/bus.ts';
import type { KafkaConfig } from './kafka/config.ts';
import { connectProducer } from './kafka/client.ts';
import type { Logger } from './logger.ts';
import { createRelay } from './outbox-relay.ts';
import type { Pool } from './postgres.ts';
import type { Service } from './shutdown.ts';

export interface NewsRelayContext {
  /** Where the news go; where there is no Kafka they go to `local`. */
  readonly kafka: KafkaConfig | undefined;
  readonly local: Pick<Bus, 'publish'>;
  readonly pool: Pool;
  readonly logger: Logger;
}

/** The outbox of an installation, relayed by this process, or in reserve while another does it. */
export function createNewsRelay({
  kafka,
  local,
  pool,
  logger,
}: NewsRelayContext): Required<Service> {
  if (kafka === undefined) return createRelay({ pool, bus: local, logger });
  const { connection, topicPrefix } = kafka;
  const connect = () => connectProducer({ connection, logger });
  const bus = kafkaBus({ connect, topicPrefix, logger });
  const relay = createRelay({ pool, bus, logger });
  return {
    died: relay.died,
    start: relay.start,
    // Together: what the relay waits for, the bus gives up.
    stop: async () => {
      await Promise.all([relay.stop(), bus.close()]);
    },
  };
}
