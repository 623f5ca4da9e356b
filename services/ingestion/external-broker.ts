import { setMaxListeners } from 'node:events';
import { parseMessagesTopic } from '#core/energy/message.ts';
import { Failed, Refused } from '#core/errors.ts';
import type { Clock } from '#platform/clock.ts';
import type { Intake, SendReceipt } from '#platform/intake.ts';
import type { Logger } from '#platform/logger.ts';
import { rest } from '#platform/rest.ts';
import type { Service } from '#platform/shutdown.ts';
import type { BrokerAccess } from './mqtt-agreement.ts';
import type { Delivery, Receive } from './mqtt-connection.ts';
import { reasons } from './mqtt-packets.ts';
import { backoffMs, createSubscriber, type SubscriberLimits } from './mqtt-subscriber.ts';

export interface ExternalBrokerLimits extends SubscriberLimits {
  /** How long a message that fails is tried again while the broker waits for its acknowledgement. */
  readonly holdMs: number;
  /** Between these tries, at first and at most. */
  readonly retryFirstMs: number;
  readonly retryMostMs: number;
}

export const defaultExternalBrokerLimits: ExternalBrokerLimits = {
  receiveMaximum: 1_000,
  // A message of 65,000 bytes with its topic, the packet id and properties that its sender added.
  packetBytes: 65_536 + 4_096,
  sessionExpiryS: 3_600,
  keepaliveS: 30,
  connectMs: 20_000,
  publishing: 256,
  publishQueue: 1_000,
  backoffFirstMs: 250,
  backoffMostMs: 30_000,
  drainMs: 10_000,
  holdMs: 60_000,
  retryFirstMs: 100,
  retryMostMs: 5_000,
};

export interface ExternalBrokerContext {
  readonly access: BrokerAccess;
  /** Of the shared subscription: the processes of one installation have the same, and share the work. */
  readonly group: string;
  readonly intake: Intake;
  readonly clock: Clock;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly logger: Logger;
  readonly limits?: Partial<ExternalBrokerLimits>;
}

export interface ExternalBrokerCounts {
  /** Sent with QoS 0, and so left alone: nobody could be told whether it was stored. */
  readonly withoutAcknowledgement: number;
  /** Answered with a reason code that says it was not taken. */
  readonly refused: number;
}

export interface ExternalBroker extends Service {
  readonly sendReceipt: SendReceipt;
  readonly isConnected: () => boolean;
  readonly counts: () => ExternalBrokerCounts;
}

/**
 * Messages from any MQTT 5 broker by a shared subscription, receipts back (D6). A PUBACK leaves after
 * the commit. What is not committed has one of three fates:
 *
 * - The database is away: tried again, while the message keeps its place in the receive maximum, and
 *   so the broker is slowed down. After `holdMs` the connection is given up and, with a growing
 *   backoff, opened anew: the broker sends again what was not acknowledged, to us or, where it can
 *   (EMQX, HiveMQ), to another process of the group.
 * - Too much of this one meter waits: PUBACK with 0x97, quota exceeded. Acknowledgements leave in order,
 *   so one that waited would stop every other meter's; and the broker forgets a message that is
 *   refused ([MQTT-4.8.2-6]), but its device does not: it drops nothing without a receipt (D3.1).
 * - An error of ours that keeps it out even of the backlog: PUBACK with 0x83, likewise.
 */
export function createExternalBroker(context: ExternalBrokerContext): ExternalBroker {
  const { access, clock, group, logger, random } = context;
  const limits = { ...defaultExternalBrokerLimits, ...context.limits };
  const stopping = new AbortController();
  // One for each message that waits to be tried again.
  setMaxListeners(limits.receiveMaximum + 1, stopping.signal);
  const counts = { withoutAcknowledgement: 0, refused: 0 };

  const receive: Receive = async (delivery) => {
    if (delivery.qos === 0) {
      counts.withoutAcknowledgement++;
      return reasons.success;
    }
    try {
      await takeIn(delivery);
      return reasons.success;
    } catch (error) {
      if (error instanceof Failed) throw error;
      counts.refused++;
      if (error instanceof Refused) return reasons.quotaExceeded;
      logger.error({ err: error, topic: delivery.topic }, 'a message cannot be taken');
      return reasons.implementation;
    }
  };

  const takeIn = async ({ topic, bytes }: Delivery): Promise<void> => {
    const sender = parseMessagesTopic(topic)?.meter ?? '';
    const arrival = { sender, topic, bytes, receivedAt: clock.nowS() };
    const untilMs = performance.now() + limits.holdMs;
    const retry = { firstMs: limits.retryFirstMs, mostMs: limits.retryMostMs, random };
    for (let failures = 0; ; failures++) {
      try {
        await context.intake(arrival);
        return;
      } catch (error) {
        if (!(error instanceof Failed) || performance.now() > untilMs) throw error;
        await rest(backoffMs(failures, retry), stopping.signal);
        if (stopping.signal.aborted) throw error;
      }
    }
  };

  const subscriber = createSubscriber({
    access,
    filter: `$share/${group}/hourseal/v1/+/+/messages`,
    receive,
    random,
    logger,
    limits,
  });
  return {
    died: subscriber.died,
    start: subscriber.start,
    stop: async () => {
      const stopped = subscriber.stop();
      stopping.abort();
      await stopped;
    },
    sendReceipt: subscriber.publish,
    isConnected: subscriber.isConnected,
    counts: () => counts,
  };
}
