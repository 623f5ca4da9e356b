import { setTimeout as pause } from 'node:timers/promises';
import { Failed } from '#core/errors.ts';
import type { Bus } from '../bus.ts';
import type { KafkaProducer, OutgoingRecord } from './records.ts';
import type { Logger } from '../logger.ts';

export interface KafkaBusLimits {
  /** News that wait, and their bytes; beyond either `publish` fails with 'bus-full'. */
  readonly maxWaiting: number;
  readonly maxWaitingBytes: number;
  /** What one request carries at most; a single larger record goes alone. */
  readonly batchRecords: number;
  readonly batchBytes: number;
  /** How long `close` waits for what is under way. */
  readonly stopMs: number;
}

export const defaultKafkaBusLimits: KafkaBusLimits = {
  maxWaiting: 20_000,
  maxWaitingBytes: 64 * 1024 * 1024,
  batchRecords: 1_000,
  batchBytes: 512 * 1024,
  stopMs: 5_000,
};

/** The publishing side of a Bus, on Kafka: what it promises of order and repetition, this keeps. */
export interface KafkaBus extends Pick<Bus, 'publish'> {
  /** What still waits fails with 'bus-closed'. */
  readonly close: () => Promise<void>;
}

export interface KafkaBusContext {
  readonly connect: () => Promise<KafkaProducer>;
  readonly topicPrefix: string;
  readonly logger: Logger;
  readonly limits?: Partial<KafkaBusLimits>;
}

interface Waiting extends OutgoingRecord {
  readonly delivered: () => void;
  readonly failed: (error: Failed) => void;
}

/**
 * Gathers what is published at the same time into one request a topic, one request at a time: that
 * keeps the order of each key. After a failure everything that waits for the same topic fails too,
 * or it would overtake; the other topics go on.
 */
export function kafkaBus(context: KafkaBusContext): KafkaBus {
  const limits = { ...defaultKafkaBusLimits, ...context.limits };
  const line = createLine(limits);
  const sender = createSender(context);
  let working: Promise<void> | undefined;
  let isClosed = false;

  /** A request that is too large as a whole goes in parts, in the same order. */
  const deliver = async (topic: string, records: readonly Waiting[]): Promise<void> => {
    if (records.length === 0) return;
    try {
      await sender.send(topic, records);
      line.settle(records);
    } catch (error) {
      const failure = error instanceof Failed ? error : unexpected(error);
      const half = records.length >> 1;
      if (failure.code === 'kafka-too-large' && half > 0) {
        line.putBack(topic, records.slice(half));
        return deliver(topic, records.slice(0, half));
      }
      line.settle(records, failure);
      const text = `behind news of ${topic} that failed`;
      line.failTopic(topic, new Failed('bus-delivery', text, { cause: failure }));
    }
  };

  const work = async (): Promise<void> => {
    // What is published in the same turn goes together.
    await Promise.resolve();
    while (!line.isEmpty()) {
      for (const topic of line.topics()) await deliver(topic, line.take(topic));
    }
    working = undefined;
  };

  return {
    publish: (topic, key, value) =>
      new Promise((delivered, failed) => {
        if (isClosed || !line.hasRoom(value)) {
          const code = isClosed ? 'bus-closed' : 'bus-full';
          failed(new Failed(code, `no more news of ${topic} are taken`));
          return;
        }
        line.join(topic, { key, value, delivered, failed });
        working ??= work();
      }),
    close: async () => {
      isClosed = true;
      const closed = new Failed('bus-closed', 'the bus was closed');
      for (const topic of line.topics()) line.failTopic(topic, closed);
      await Promise.race([working, pause(limits.stopMs, undefined, { ref: false })]);
      await sender.close();
    },
  };
}

/** What waits, by topic, and what was taken and is not settled yet. */
interface Line {
  readonly hasRoom: (value: Uint8Array) => boolean;
  readonly join: (topic: string, record: Waiting) => void;
  readonly isEmpty: () => boolean;
  readonly topics: () => string[];
  /** The next request of a topic: at least one record, where there is any. */
  readonly take: (topic: string) => Waiting[];
  /** In front of all that came later. */
  readonly putBack: (topic: string, records: readonly Waiting[]) => void;
  readonly settle: (records: readonly Waiting[], error?: Failed) => void;
  readonly failTopic: (topic: string, error: Failed) => void;
}

function createLine(limits: KafkaBusLimits): Line {
  const lanes = new Map<string, Waiting[]>();
  let count = 0;
  let bytes = 0;
  const settle: Line['settle'] = (records, error) => {
    for (const { value, delivered, failed } of records) {
      count--;
      bytes -= value.length;
      if (error === undefined) delivered();
      else failed(error);
    }
  };
  const put = (topic: string, lane: Waiting[]): void => {
    if (lane.length === 0) lanes.delete(topic);
    else lanes.set(topic, lane);
  };
  return {
    hasRoom: (value) => count < limits.maxWaiting && bytes + value.length <= limits.maxWaitingBytes,
    join: (topic, record) => {
      count++;
      bytes += record.value.length;
      const lane = lanes.get(topic);
      if (lane === undefined) lanes.set(topic, [record]);
      else lane.push(record);
    },
    isEmpty: () => lanes.size === 0,
    topics: () => [...lanes.keys()],
    take: (topic) => {
      const lane = lanes.get(topic) ?? [];
      const taken = lane.slice(0, fitting(lane, limits));
      put(topic, lane.slice(taken.length));
      return taken;
    },
    putBack: (topic, records) => {
      put(topic, [...records, ...(lanes.get(topic) ?? [])]);
    },
    settle,
    failTopic: (topic, error) => {
      const lane = lanes.get(topic) ?? [];
      lanes.delete(topic);
      settle(lane, error);
    },
  };
}

/** How many from the first on go into one request. */
function fitting(lane: readonly Waiting[], { batchRecords, batchBytes }: KafkaBusLimits): number {
  let bytes = 0;
  let count = 0;
  for (const { value } of lane) {
    bytes += value.length;
    if (count === batchRecords || (count > 0 && bytes > batchBytes)) break;
    count++;
  }
  return count;
}

interface Sender {
  readonly send: (topic: string, records: readonly OutgoingRecord[]) => Promise<void>;
  readonly close: () => Promise<void>;
}

/** Connects when there is something to send. */
function createSender({ connect, topicPrefix, logger }: KafkaBusContext): Sender {
  let producer: KafkaProducer | undefined;
  return {
    async send(topic, records) {
      producer ??= await connect();
      try {
        await producer.send(topicPrefix + topic, records);
      } catch (error) {
        // See KafkaProducer.send: the next one begins with an identity of its own.
        const spent = producer;
        producer = undefined;
        logger.debug({ err: error }, 'a Kafka producer is spent');
        await spent.close();
        throw error;
      }
    },
    close: async () => producer?.close(),
  };
}

function unexpected(cause: unknown): Failed {
  return new Failed('bus-delivery', 'news could not be published', { cause });
}
