import { createRequire } from 'node:module';
import {
  Kafka,
  Partitioners,
  logLevel,
  type Consumer,
  type KafkaMessage,
  type LogEntry,
  type Producer,
  type SASLOptions,
} from 'kafkajs';
import { Failed } from '#core/errors.ts';
import { defaultKafkaLimits, type KafkaConnection, type KafkaLimits } from './config.ts';
import { asFailure } from './errors.ts';
import { calmRequestQueues, endedWithin, trackedSockets } from './sockets.ts';
import type {
  IncomingRecord,
  KafkaProducer,
  KafkaReader,
  ReadOptions,
  TopicSettings,
} from './records.ts';
import type { Logger } from '../logger.ts';

/**
 * The one place that knows kafkajs (2.2.4, not developed any more). What it does not do by itself,
 * and is done here: every client has an instance of its own, since consumers of one instance share
 * what they believe was committed; nothing restarts itself, so that a lifetime has one owner; and
 * whatever hangs at the end loses its sockets.
 */

export interface KafkaContext {
  readonly connection: KafkaConnection;
  readonly logger: Logger;
  readonly limits?: Partial<KafkaLimits>;
}

/** A producer that is connected; Failed when no broker takes it in. */
export async function connectProducer(context: KafkaContext): Promise<KafkaProducer> {
  const { limits, kafka, cut } = client(context);
  const producer: Producer = kafka.producer({
    idempotent: true,
    maxInFlightRequests: 1,
    allowAutoTopicCreation: false,
    // The Java client's own, so that a key has the same partition whoever writes it.
    createPartitioner: Partitioners.DefaultPartitioner,
    retry: retryOf(limits),
  });
  const close = (): Promise<void> => endedWithin(producer.disconnect(), limits.closeMs, cut);
  try {
    await producer.connect();
  } catch (error) {
    await close();
    throw asFailure(error);
  }
  return {
    async send(topic, records) {
      const messages = records.map(({ key, value }) => ({ key, value: asBuffer(value) }));
      try {
        await producer.send({ topic, messages, acks: -1, timeout: limits.requestTimeoutMs });
      } catch (error) {
        throw asFailure(error);
      }
    },
    close,
  };
}

/**
 * Joins the group and reads, from the group's offsets or else from the beginning. Failed when the
 * topic is missing or no broker answers.
 */
export async function startReader(
  context: KafkaContext,
  { topic, group, onBatch }: ReadOptions,
): Promise<KafkaReader> {
  const { limits, kafka, cut } = client(context);
  const consumer = kafka.consumer({
    groupId: group,
    allowAutoTopicCreation: false,
    sessionTimeout: limits.sessionMs,
    heartbeatInterval: limits.heartbeatMs,
    rebalanceTimeout: limits.rebalanceMs,
    maxBytes: limits.fetchBytes,
    maxBytesPerPartition: limits.partitionFetchBytes,
    maxWaitTimeInMs: limits.fetchWaitMs,
    retry: { ...retryOf(limits), restartOnFailure: () => Promise.resolve(false) },
  });
  const watch = watchOver(consumer, limits.silenceMs);
  const close = async (): Promise<void> => {
    watch.stop();
    await endedWithin(consumer.disconnect(), limits.closeMs, cut);
  };
  try {
    await consumer.connect();
    await consumer.subscribe({ topics: [topic], fromBeginning: true });
    await consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      partitionsConsumedConcurrently: limits.partitionsAtOnce,
      eachBatch: async (payload) => {
        const { topic: of, partition, messages } = payload.batch;
        const next = await onBatch({
          topic: of,
          partition,
          records: messages.map(asRecord),
          heartbeat: () => payload.heartbeat(),
          commit: (offset) => {
            const upTo = [{ partition, offset: String(offset) }];
            return payload.commitOffsetsIfNecessary({ topics: [{ topic: of, partitions: upTo }] });
          },
          goesOn: () => payload.isRunning() && !payload.isStale(),
        });
        payload.resolveOffset(String(next - 1n));
      },
    });
  } catch (error) {
    await close();
    throw asFailure(error);
  }
  return { ended: watch.ended, close };
}

/** Resolves when the consumer crashes, or when nothing is heard of it for too long. */
function watchOver(
  consumer: Consumer,
  silenceMs: number,
): { readonly ended: Promise<Error>; readonly stop: () => void } {
  let tell: (error: Error) => void = () => undefined;
  const over = new Promise<Error>((resolve) => {
    tell = resolve;
  });
  const timer = setTimeout(() => {
    tell(new Failed('kafka-silent', `nothing was heard of the consumer for ${silenceMs} ms`));
  }, silenceMs);
  const { HEARTBEAT, FETCH, GROUP_JOIN, CRASH } = consumer.events;
  for (const event of [HEARTBEAT, FETCH, GROUP_JOIN]) consumer.on(event, () => timer.refresh());
  consumer.on(CRASH, ({ payload }) => {
    tell(asFailure(payload.error));
  });
  return {
    ended: over,
    stop: () => {
      clearTimeout(timer);
    },
  };
}

/** Creates the topics that are missing, and leaves the others as they are; the names of the new ones. */
export async function createTopics(
  context: KafkaContext,
  topics: readonly TopicSettings[],
): Promise<string[]> {
  const { limits, kafka, cut } = client(context);
  const admin = kafka.admin({ retry: retryOf(limits) });
  try {
    await admin.connect();
    const known = new Set(await admin.listTopics());
    const missing = topics.filter(({ topic }) => !known.has(topic));
    await admin.createTopics({
      waitForLeaders: true,
      timeout: limits.requestTimeoutMs,
      topics: missing.map(({ topic, partitions, replicas, config }) => ({
        topic,
        numPartitions: partitions,
        replicationFactor: replicas,
        configEntries: Object.entries(config).map(([name, value]) => ({ name, value })),
      })),
    });
    return missing.map(({ topic }) => topic);
  } catch (error) {
    throw asFailure(error);
  } finally {
    await endedWithin(admin.disconnect(), limits.closeMs, cut);
  }
}

calmRequestQueues(createRequire(import.meta.url)('kafkajs/src/network/requestQueue/index.js'));

interface Client {
  readonly kafka: Kafka;
  readonly limits: KafkaLimits;
  /** Ends every connection at once, and those that would still be made. */
  readonly cut: () => void;
}

function client({ connection, logger, limits: given }: KafkaContext): Client {
  const limits = { ...defaultKafkaLimits, ...given };
  const sockets = trackedSockets();
  const { brokers, clientId, tls, sasl } = connection;
  const kafka = new Kafka({
    brokers: [...brokers],
    clientId,
    ...(tls !== undefined && { ssl: { ...tls } }),
    ...(sasl !== undefined && { sasl: loginOf(sasl) }),
    connectionTimeout: limits.connectTimeoutMs,
    authenticationTimeout: limits.requestTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    enforceRequestTimeout: true,
    retry: retryOf(limits),
    socketFactory: sockets.open,
    logLevel: logLevel.INFO,
    logCreator: () => logTo(logger),
  });
  return { kafka, limits, cut: sockets.cut };
}

type Sasl = NonNullable<KafkaConnection['sasl']>;

/** One member of a union at a time, as the types of kafkajs want it. */
function loginOf({ mechanism, username, password }: Sasl): SASLOptions {
  switch (mechanism) {
    case 'plain':
      return { mechanism, username, password };
    case 'scram-sha-256':
      return { mechanism, username, password };
    case 'scram-sha-512':
      return { mechanism, username, password };
  }
}

/** Said in full: kafkajs has other defaults where NODE_ENV is `test`. */
function retryOf(limits: KafkaLimits) {
  return {
    retries: limits.retries,
    initialRetryTime: limits.firstRetryMs,
    maxRetryTime: limits.longestRetryMs,
    factor: 0.2,
    multiplier: 2,
  };
}

/** What kafkajs calls an error is, as a rule, the first of several attempts. */
function logTo(logger: Logger): (entry: LogEntry) => void {
  return ({ level, namespace, log }) => {
    const { message, timestamp: _timestamp, logger: _logger, stack: _stack, ...rest } = log;
    const told = { ...rest, part: namespace };
    if (level === logLevel.ERROR || level === logLevel.WARN) logger.warn(told, message);
    else logger.debug(told, message);
  };
}

function asBuffer({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}

function asRecord({ offset, key, value, headers = {} }: KafkaMessage): IncomingRecord {
  const last = new Map<string, Uint8Array>();
  for (const [name, given] of Object.entries(headers)) {
    const one = Array.isArray(given) ? given.at(-1) : given;
    if (one !== undefined) last.set(name, typeof one === 'string' ? Buffer.from(one) : one);
  }
  return {
    offset: BigInt(offset),
    key: key ?? undefined,
    value: value ?? undefined,
    headers: last,
  };
}
