import { Failed, Refused } from '#core/errors.ts';
import type { Logger } from '#platform/logger.ts';
import { rest } from '#platform/rest.ts';
import type { Service } from '#platform/shutdown.ts';
import type { BrokerAccess, ConnectionLimits } from './mqtt-agreement.ts';
import { openMqtt, type MqttConnection, type Receive } from './mqtt-connection.ts';
import { reasons } from './mqtt-packets.ts';

export interface SubscriberLimits extends ConnectionLimits {
  /** Between connections: doubled with each that came to nothing, spread over its upper half. */
  readonly backoffFirstMs: number;
  readonly backoffMostMs: number;
  /** How long `stop` waits for what is under way. */
  readonly drainMs: number;
}

export interface SubscriberContext {
  readonly access: BrokerAccess;
  readonly filter: string;
  readonly receive: Receive;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly logger: Logger;
  readonly limits: SubscriberLimits;
}

export interface Subscriber extends Required<Service> {
  /** Resolves on the broker's acknowledgement (QoS 1). Failed('offline' | 'busy' | …) otherwise. */
  readonly publish: (topic: string, bytes: Uint8Array) => Promise<void>;
  readonly isConnected: () => boolean;
}

/**
 * Keeps a connection to a broker, and on each the subscription. A broker that is away is waited for;
 * one that refuses us for good (`Refused`) ends the service, unless it had welcomed us before: then
 * it is the broker's affair, and may pass.
 */
export function createSubscriber(context: SubscriberContext): Subscriber {
  const { limits, logger } = context;
  const stopping = new AbortController();
  let connection: MqttConnection | undefined;
  let died: (error: Error) => void = () => undefined;
  let running: Promise<void> = Promise.resolve();
  /** Connections in a row of which nothing came. */
  let failures = 0;
  let wasWelcome = false;

  const receive: Receive = async (delivery) => {
    const reasonCode = await context.receive(delivery);
    failures = 0;
    return reasonCode;
  };
  const connectOnce = async (): Promise<Failed> => {
    const opened = await openMqtt(context.access, { limits, receive });
    try {
      await opened.subscribe(context.filter);
    } catch (error) {
      opened.end(reasons.implementation, 'no subscription');
      throw error;
    }
    wasWelcome = true;
    if (stopping.signal.aborted) opened.end(reasons.success, 'stopped');
    else connection = opened;
    logger.info({ broker: context.access.url }, 'subscribed');
    const sinceMs = performance.now();
    const why = await opened.closed;
    if (performance.now() - sinceMs > limits.backoffMostMs) failures = 0;
    connection = undefined;
    return why;
  };
  const isStopping = (): boolean => stopping.signal.aborted;
  const run = async (): Promise<void> => {
    while (!isStopping()) {
      let why: unknown;
      try {
        why = await connectOnce();
      } catch (error) {
        if (!(error instanceof Failed || (error instanceof Refused && wasWelcome))) throw error;
        why = error;
      }
      if (why instanceof Failed && why.code === 'session-taken') throw why;
      if (isStopping()) return;
      const waitMs = backoffMs(failures++, {
        firstMs: limits.backoffFirstMs,
        mostMs: limits.backoffMostMs,
        random: context.random,
      });
      logger.warn({ err: why, waitMs }, 'not connected to the broker');
      await rest(waitMs, stopping.signal);
    }
  };
  return {
    died: new Promise((resolve) => {
      died = resolve;
    }),
    start: () => {
      running = run().catch((error: unknown) => {
        died(error instanceof Error ? error : new Error(String(error)));
      });
      return Promise.resolve();
    },
    stop: async () => {
      stopping.abort();
      if (connection !== undefined) {
        // A timer that went on would keep the process from ending.
        const drained = new AbortController();
        const drain = connection.drain().finally(() => drained.abort());
        await Promise.race([drain, rest(limits.drainMs, drained.signal)]);
        connection.end(reasons.success, 'stopped');
      }
      await running;
    },
    publish: async (topic, bytes) => {
      if (connection === undefined) throw new Failed('offline', 'not connected to the broker');
      await connection.publish(topic, bytes);
    },
    isConnected: () => connection !== undefined,
  };
}

/** Doubling to a limit, spread over the upper half, so that instances do not come back as one. */
export function backoffMs(
  failures: number,
  { firstMs, mostMs, random }: { firstMs: number; mostMs: number; random: () => number },
): number {
  const fullMs = Math.min(mostMs, firstMs * 2 ** Math.min(failures, 30));
  return Math.round(fullMs * (0.5 + 0.5 * random()));
}
