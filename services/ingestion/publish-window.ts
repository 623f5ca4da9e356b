import { Failed } from '#core/errors.ts';
import { reasons } from './mqtt-packets.ts';

export interface WindowLimits {
  /** Sent and not yet acknowledged. */
  readonly inFlight: number;
  /** What may wait for a place; more is refused. */
  readonly waiting: number;
}

export interface PublishWindow {
  /**
   * Calls `send` with a packet id as soon as there is a place. Resolves on the broker's
   * acknowledgement. Failed('busy' | 'offline' | 'mqtt-refused') when there will be none.
   */
  readonly submit: (send: (packetId: number) => void) => Promise<void>;
  /** The broker has answered; an id that nobody waits for is ignored. */
  readonly answered: (packetId: number, reasonCode: number) => void;
  /** The connection is over: nothing will be answered any more. */
  readonly close: (why: string) => void;
}

interface Waiting {
  readonly send: (packetId: number) => void;
  readonly resolve: () => void;
  readonly reject: (error: Failed) => void;
}

/** Ids of PUBLISHes go round up to this one; the last that MQTT has is left for a SUBSCRIBE. */
export const lastPublishId = 65_534;

/** What we publish with QoS 1: never more under way than the broker's receive maximum allows. */
export function createPublishWindow(limits: WindowLimits): PublishWindow {
  const underWay = new Map<number, Waiting>();
  const queue: Waiting[] = [];
  let packetId = 0;
  let closed: string | undefined;

  const nextId = (): number => {
    do packetId = (packetId % lastPublishId) + 1;
    while (underWay.has(packetId));
    return packetId;
  };
  const fill = (): void => {
    while (underWay.size < limits.inFlight) {
      const next = queue.shift();
      if (next === undefined) return;
      const id = nextId();
      underWay.set(id, next);
      next.send(id);
    }
  };
  return {
    submit: (send) => {
      if (closed !== undefined) return Promise.reject(new Failed('offline', closed));
      if (underWay.size >= limits.inFlight && queue.length >= limits.waiting) {
        return Promise.reject(new Failed('busy', 'too many messages wait to be published'));
      }
      return new Promise((resolve, reject) => {
        queue.push({ send, resolve, reject });
        fill();
      });
    },
    answered: (id, reasonCode) => {
      const of = underWay.get(id);
      if (of === undefined) return;
      underWay.delete(id);
      if (reasonCode < reasons.firstFailure) of.resolve();
      else
        of.reject(
          new Failed('mqtt-refused', `the broker refuses it (0x${reasonCode.toString(16)})`),
        );
      fill();
    },
    close: (why) => {
      closed ??= why;
      for (const of of [...underWay.values(), ...queue]) of.reject(new Failed('offline', why));
      underWay.clear();
      queue.length = 0;
    },
  };
}
