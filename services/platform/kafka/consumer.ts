import { setMaxListeners } from 'node:events';
import { Failed, Fatal } from '#core/errors.ts';
import type { IncomingRecord, KafkaReader, ReadOptions, RecordBatch } from './records.ts';
import { takeInOrder } from './progress.ts';
import type { Logger } from '../logger.ts';
import { rest } from '../rest.ts';
import type { Service } from '../shutdown.ts';

export interface KafkaConsumerLimits {
  /** Records of one partition that are under way at one time. */
  readonly inFlightRecords: number;
  /** How often the group is told that we live, and how far we are. */
  readonly tickMs: number;
  /** How long records under way may take to finish when their partition goes to another. */
  readonly drainMs: number;
  /** The first pause before what failed is tried again, doubled up to the longest. */
  readonly retryMs: number;
  readonly longestRetryMs: number;
}

export const defaultKafkaConsumerLimits: KafkaConsumerLimits = {
  inFlightRecords: 1_000,
  tickMs: 500,
  drainMs: 10_000,
  retryMs: 100,
  longestRetryMs: 5_000,
};

export interface KafkaConsumerContext {
  readonly startReader: (options: ReadOptions) => Promise<KafkaReader>;
  readonly topic: string;
  readonly group: string;
  /**
   * Called in the order of the offsets, for many records at once. Resolves when the record is done
   * with for good. Failed: it is tried again until it is; nothing behind it is committed before.
   * Anything else ends the service: one record that can neither be taken nor put aside is ours to
   * mend, and to skip it would lose it.
   */
  readonly take: (record: IncomingRecord, from: { readonly partition: number }) => Promise<void>;
  readonly logger: Logger;
  readonly limits?: Partial<KafkaConsumerLimits>;
}

/**
 * Reads a topic as a member of a group, at least once: what is committed to Kafka is only what lies
 * before the first record that is not done with. A consumer that ended, for whatever reason, is
 * closed and another one started, after a pause.
 */
export function kafkaConsumer(context: KafkaConsumerContext): Required<Service> {
  const { topic, group, logger } = context;
  const limits = { ...defaultKafkaConsumerLimits, ...context.limits };
  const stopping = new AbortController();
  const stopped = aborted(stopping.signal);
  let die: (error: Error) => void = () => undefined;
  const died = new Promise<Error>((resolve) => {
    die = resolve;
  });
  let running: Promise<void> | undefined;

  const onBatch = async (batch: RecordBatch): Promise<bigint> => {
    try {
      return await takeBatch(batch, { ...context, limits, stopping: stopping.signal });
    } catch (error) {
      if (error instanceof Fatal) die(error);
      throw error;
    }
  };

  /** Until this consumer ends, or has to. */
  const session = async (): Promise<void> => {
    const reader = await context.startReader({ topic, group, onBatch });
    try {
      logger.info({ topic, group }, 'reading from Kafka');
      const why = await Promise.race([reader.ended, died, stopped]);
      if (why instanceof Fatal) throw why;
      if (why !== undefined) logger.warn({ err: why, topic }, 'a Kafka consumer has ended');
    } finally {
      await reader.close();
    }
  };

  const run = async (): Promise<void> => {
    let retryMs = limits.retryMs;
    while (!stopping.signal.aborted) {
      const begunMs = performance.now();
      try {
        await session();
      } catch (error) {
        if (!(error instanceof Failed)) throw error;
        logger.warn({ err: error, topic }, 'Kafka cannot be read; it is tried again');
      }
      if (performance.now() - begunMs > limits.longestRetryMs) retryMs = limits.retryMs;
      await rest(retryMs, stopping.signal);
      retryMs = Math.min(limits.longestRetryMs, retryMs * 2);
    }
  };

  return {
    died,
    // Kafka may be away: what else this process does must not wait for it.
    start: () => {
      running = run().catch((error: unknown) => {
        die(error instanceof Error ? error : new Error(String(error)));
      });
      return Promise.resolve();
    },
    stop: async () => {
      stopping.abort();
      await running;
    },
  };
}

interface TakeContext extends KafkaConsumerContext {
  readonly limits: KafkaConsumerLimits;
  readonly stopping: AbortSignal;
}

/** Resolves to the offset of the first record that was not done with, or of the next one. */
async function takeBatch(batch: RecordBatch, context: TakeContext): Promise<bigint> {
  const { limits, stopping } = context;
  const { records, partition } = batch;
  const first = records[0];
  if (first === undefined) throw new RangeError('a batch without records');
  const giveUp = new AbortController();
  // Each record that waits to be tried again listens.
  setMaxListeners(limits.inFlightRecords + 1, giveUp.signal);
  const stop = (): void => giveUp.abort();
  stopping.addEventListener('abort', stop, { once: true });
  const progress = takeInOrder(records, {
    take: (record) => persist(record, { ...context, partition, giveUp: giveUp.signal }),
    inFlight: limits.inFlightRecords,
    giveUp: giveUp.signal,
  });
  const offsetOf = (count: number): bigint =>
    count === 0 ? first.offset : (records[count - 1]?.offset ?? first.offset) + 1n;
  let committed = 0;
  const commit = async (): Promise<void> => {
    const done = progress.done();
    if (done > committed) await batch.commit(offsetOf(done));
    committed = done;
  };
  try {
    while (!(await progress.ended(limits.tickMs))) {
      await batch.heartbeat();
      await commit();
      if (!batch.goesOn()) giveUp.abort();
    }
    await commit();
    return offsetOf(progress.done());
  } catch (error) {
    // The partition goes to another member, or the connection is lost.
    giveUp.abort();
    await progress.ended(limits.drainMs);
    // What is done is said if it still can be: less is then read twice.
    await commit().catch(() => undefined);
    throw error;
  } finally {
    stopping.removeEventListener('abort', stop);
  }
}

/** Takes one record however often it needs; resolves to false when it was given up. */
async function persist(
  record: IncomingRecord,
  {
    take,
    partition,
    giveUp,
    limits,
    logger,
  }: TakeContext & { readonly partition: number; readonly giveUp: AbortSignal },
): Promise<boolean> {
  let retryMs = limits.retryMs;
  for (let attempt = 1; !giveUp.aborted; attempt++) {
    try {
      await take(record, { partition });
      return true;
    } catch (error) {
      if (!(error instanceof Failed)) {
        const at = `partition ${partition}, offset ${record.offset}`;
        throw new Fatal('kafka-record', `a record cannot be dealt with: ${at}`, { cause: error });
      }
      if (attempt === 1) {
        logger.warn({ err: error, partition, offset: String(record.offset) }, 'held, tried again');
      }
    }
    await rest(retryMs, giveUp);
    retryMs = Math.min(limits.longestRetryMs, retryMs * 2);
  }
  return false;
}

function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    const tell = (): void => {
      resolve(undefined);
    };
    if (signal.aborted) tell();
    else signal.addEventListener('abort', tell, { once: true });
  });
}
