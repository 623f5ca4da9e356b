import { randomBytes } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import { createRelay, type Relay, type RelayLimits } from '#platform/outbox-relay.ts';
import { connectProducer, startReader, type KafkaContext } from '#platform/kafka/client.ts';
import { kafkaBus, type KafkaBus, type KafkaBusLimits } from '#platform/kafka/bus.ts';
import type { KafkaLimits } from '#platform/kafka/config.ts';
import { kafkaConsumer } from '#platform/kafka/consumer.ts';
import { kafkaIntake } from '#ingestion/kafka-intake.ts';
import { defaultIngestionLimits } from '#ingestion/config.ts';
import { makeTopics, readTopics } from '#platform/kafka/topics.ts';
import { createLogger, type Logger } from '#platform/logger.ts';
import { newsShapes, type NewsTopic } from '#platform/news.ts';
import type { Clock } from '#platform/clock.ts';
import type { Intake } from '#platform/intake.ts';
import type { Pool } from '#platform/postgres.ts';
import type { Service } from '#platform/shutdown.ts';
import { kcatRead } from '#support/kafka.ts';

/** HOURSEAL_TEST_LOG=debug shows what the client of Kafka does. */
const level = process.env.HOURSEAL_TEST_LOG === 'debug' ? 'debug' : 'silent';
export const logger: Logger = createLogger({ name: 'test', level });

/** Quick enough for a test, and still in the proportions of the real ones. */
export const quickLimits: Partial<KafkaLimits> = {
  requestTimeoutMs: 5_000,
  sessionMs: 6_000,
  heartbeatMs: 500,
  rebalanceMs: 6_000,
  silenceMs: 20_000,
  closeMs: 5_000,
  fetchWaitMs: 100,
};

/** Topics of its own for every test, on one cluster. */
export interface Space {
  readonly brokers: readonly string[];
  readonly prefix: string;
  readonly context: KafkaContext;
  /** Creates what infra/kafka/topics.json names. */
  readonly create: () => Promise<string[]>;
  readonly bus: (limits?: Partial<KafkaBusLimits>) => KafkaBus;
  readonly relay: (
    pool: Pool,
    options?: { readonly limits?: Partial<RelayLimits>; readonly bus?: KafkaBus },
  ) => Promise<Relay>;
  readonly consumer: (options: ConsumerOptions) => Promise<Required<Service>>;
  /** What kcat finds under a topic, parsed by the topic's shape. */
  readonly news: <T extends NewsTopic>(topic: T) => Read<T>[];
}

export interface ConsumerOptions {
  readonly intake: Intake;
  readonly pool: Pool;
  readonly clock: Clock;
  readonly inFlightRecords?: number;
  readonly logger?: Logger;
}

export interface Read<T extends NewsTopic> {
  readonly partition: number;
  readonly key: string;
  readonly value: ReturnType<(typeof newsShapes)[T]['parse']>;
}

export function newSpace(brokers: readonly string[], limits: Partial<KafkaLimits> = {}): Space {
  const prefix = `t${randomBytes(4).toString('hex')}.`;
  const context: KafkaContext = {
    connection: { brokers, clientId: 'test' },
    logger,
    limits: { ...quickLimits, ...limits },
  };
  const bus: Space['bus'] = (busLimits = {}) =>
    kafkaBus({
      connect: () => connectProducer(context),
      topicPrefix: prefix,
      logger,
      limits: busLimits,
    });
  return {
    brokers,
    prefix,
    context,
    create: async () => makeTopics(context, await readTopics(), { prefix, replicas: 1 }),
    bus,
    relay: async (pool, options = {}) => {
      const relayLimits = { pollMs: 20, retryMs: 50, longestRetryMs: 500, leaseMs: 3_000 };
      const relay = createRelay({
        pool,
        bus: options.bus ?? bus(),
        logger,
        limits: { ...relayLimits, ...options.limits },
      });
      await relay.start();
      return relay;
    },
    consumer: async ({ intake, pool, clock, inFlightRecords, logger: own = logger }) => {
      const consumer = kafkaConsumer({
        startReader: (options) => startReader({ ...context, logger: own }, options),
        topic: `${prefix}messages.in`,
        group: `${prefix}ingestion`,
        take: kafkaIntake({ intake, pool, clock, logger: own, limits: defaultIngestionLimits }),
        logger: own,
        limits: {
          tickMs: 50,
          retryMs: 20,
          longestRetryMs: 200,
          ...(inFlightRecords !== undefined && { inFlightRecords }),
        },
      });
      await consumer.start();
      return consumer;
    },
    news: (topic) =>
      kcatRead(brokers, prefix + topic).map(({ partition, key, value }) => ({
        partition,
        key,
        value: newsShapes[topic].parse(JSON.parse(value)) as ReturnType<
          (typeof newsShapes)[typeof topic]['parse']
        >,
      })),
  };
}

/** Waits for something that happens by itself soon; the limit is for a test that would hang. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  limitMs = 90_000,
): Promise<void> {
  const limit = performance.now() + limitMs;
  while (!(await condition())) {
    if (performance.now() > limit) throw new Error('waited in vain');
    await setTimeout(50);
  }
}

export async function countRows(pool: Pool, table: string): Promise<number> {
  return (await pool.row<{ n: number }>(`select count(*) as n from ${table}`)).n;
}

/** The first time that each piece of news came under each key, in the order of coming. */
export function firstComings(
  news: readonly {
    readonly key: string;
    readonly value: { readonly id: number; readonly part: number };
  }[],
): Map<string, string[]> {
  const seen = new Map<string, string[]>();
  for (const { key, value } of news) {
    const name = `${value.id}.${value.part}`;
    const of = seen.get(key) ?? [];
    if (!of.includes(name)) of.push(name);
    seen.set(key, of);
  }
  return seen;
}
