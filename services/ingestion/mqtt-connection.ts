import { Failed } from '#core/errors.ts';
import { withDeadline } from '#platform/deadline.ts';
import {
  agreementOf,
  connectPacket,
  requireGranted,
  sentAway,
  type Agreed,
  type BrokerAccess,
  type ConnectionLimits,
} from './mqtt-agreement.ts';
import { reasons, type Packet } from './mqtt-packets.ts';
import { openWire, type Wire } from './mqtt-wire.ts';
import { createOrderedAcks, type Ack } from './ordered-acks.ts';
import { createPublishWindow, lastPublishId } from './publish-window.ts';

export interface Delivery {
  readonly topic: string;
  readonly bytes: Uint8Array;
  readonly qos: number;
}

/**
 * Resolves with the reason code of the PUBACK. A rejection means that there shall be none, and ends
 * the connection, since the broker sends again on a new one and only there. With QoS 0 the outcome
 * makes no difference, and no receive maximum bounds how many are under way.
 */
export type Receive = (delivery: Delivery) => Promise<number>;

export interface MqttConnection {
  readonly subscribe: (filter: string) => Promise<void>;
  /** Resolves on the broker's acknowledgement (QoS 1); rejects with Failed. */
  readonly publish: (topic: string, bytes: Uint8Array) => Promise<void>;
  /** Takes nothing more; resolves when all that came before is answered, or it is over. */
  readonly drain: () => Promise<void>;
  /** Says why and ends it; the session stays at the broker. */
  readonly end: (reasonCode: number, why: string) => void;
  /** Resolves when it is over, with the reason, whoever ended it. */
  readonly closed: Promise<Failed>;
}

/**
 * One connection to an MQTT 5 broker, never mended; the session behind it goes on in the next.
 * Deliveries are under way side by side, up to the receive maximum. mqtt.js (5.16) takes one after
 * the other and has no other way to hold an acknowledgement: with a commit in between that is a few
 * hundred messages a second.
 *
 * Failed when the broker cannot be reached or refuses for now; Refused('mqtt-access') when it will
 * refuse until somebody changes something.
 */
export async function openMqtt(
  access: BrokerAccess,
  { limits, receive }: { readonly limits: ConnectionLimits; readonly receive: Receive },
): Promise<MqttConnection> {
  return withDeadline(limits.connectMs, async (signal) => {
    const wire = await openWire(access, { packetBytes: limits.packetBytes, signal });
    const late = (): void => {
      wire.close(new Failed('connect', 'the broker does not answer'));
    };
    signal.addEventListener('abort', late);
    try {
      wire.send([connectPacket(access, limits)]);
      const agreed = agreementOf(await wire.next(), limits);
      wire.keepAlive(agreed.keepaliveS);
      return serve(wire, { agreed, limits, receive });
    } catch (error) {
      wire.close(new Failed('connect', 'not opened', { cause: error }));
      throw error;
    } finally {
      signal.removeEventListener('abort', late);
    }
  });
}

interface Terms {
  readonly agreed: Agreed;
  readonly limits: ConnectionLimits;
  readonly receive: Receive;
}

function serve(wire: Wire, { agreed, limits, receive }: Terms): MqttConnection {
  const inFlight = agreed.publishing;
  const publishing = createPublishWindow({ inFlight, waiting: limits.publishQueue });
  const subscribing = createSubscribing(wire);
  const end = (reasonCode: number, why: string): void => {
    wire.send([{ cmd: 'disconnect', reasonCode, properties: { reasonString: why } }]);
    wire.close(new Failed('ended', why));
  };
  const inbound = createInbound(wire, { limits, receive, end });

  wire.listen((packet) => {
    if (packet.cmd === 'publish') inbound.take(packet);
    else if (packet.cmd === 'puback') {
      publishing.answered(packet.messageId ?? 0, packet.reasonCode ?? reasons.success);
    } else if (packet.cmd === 'suback') subscribing.answered(packet.granted[0]);
    else if (packet.cmd === 'disconnect') wire.close(sentAway(packet));
    else if (packet.cmd !== 'pingresp') {
      wire.close(new Failed('mqtt-form', `the broker sent ${packet.cmd}`));
    }
  });
  void wire.closed.then((why) => {
    subscribing.close(why);
    publishing.close(why.message);
  });
  return {
    subscribe: subscribing.subscribe,
    publish: async (topic, bytes) => {
      if (packetOverheadBytes + topic.length + bytes.length > agreed.packetBytes) {
        throw new Failed('mqtt-refused', `the broker takes at most ${agreed.packetBytes} bytes`);
      }
      const payload = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
      await publishing.submit((messageId) => {
        wire.send([{ cmd: 'publish', topic, payload, messageId, ...once }]);
      });
    },
    drain: inbound.drain,
    end,
    closed: wire.closed,
  };
}

const once = { qos: 1, dup: false, retain: false } as const;
/** Header, length of the topic, packet id, no properties; topics of ours are ASCII. */
const packetOverheadBytes = 16;

type Publish = Extract<Packet, { cmd: 'publish' }>;

interface Inbound {
  readonly take: (packet: Publish) => void;
  readonly drain: () => Promise<void>;
}

/**
 * The receive maximum is the broker's to keep, and Mosquitto before 2.0.13 does not: with every
 * acknowledgement it sends as many again from its queue. So beyond it nothing is read: what comes
 * waits in the broker, but for the rest of one chunk.
 */
function createInbound(
  wire: Wire,
  { limits, receive, end }: Pick<Terms, 'limits' | 'receive'> & Pick<MqttConnection, 'end'>,
): Inbound {
  const { receiveMaximum } = limits;
  const held: Publish[] = [];
  let draining = false;
  const acks = createOrderedAcks((ready) => {
    wire.send(ready.map(pubackOf));
    for (const packet of held.splice(0, receiveMaximum - acks.waiting())) handle(packet);
    if (held.length === 0 && acks.waiting() < receiveMaximum) wire.resume();
  });
  const handle = ({ topic, payload, qos, messageId }: Publish): void => {
    if (draining) return;
    const settle = qos === 0 ? undefined : acks.enter(messageId ?? 0);
    if (acks.waiting() >= receiveMaximum) wire.pause();
    const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload;
    receive({ topic, bytes, qos }).then(settle, (error: unknown) => {
      end(reasons.implementation, error instanceof Failed ? error.message : 'an error of ours');
    });
  };

  return {
    take: (packet) => {
      if (acks.waiting() >= receiveMaximum) held.push(packet);
      else handle(packet);
    },
    drain: async () => {
      draining = true;
      await Promise.race([acks.none(), wire.closed]);
    },
  };
}

function pubackOf({ packetId: messageId, reasonCode }: Ack): Packet {
  return { cmd: 'puback', messageId, reasonCode };
}

interface Subscribing {
  readonly subscribe: (filter: string) => Promise<void>;
  readonly answered: (granted: unknown) => void;
  readonly close: (why: Failed) => void;
}

/** One SUBSCRIBE in a connection, with a packet id that no PUBLISH of ours takes. */
function createSubscribing(wire: Wire): Subscribing {
  let settle: ((granted: unknown) => void) | undefined;
  let fail: ((why: unknown) => void) | undefined;
  return {
    subscribe: async (filter) => {
      const answer = new Promise<unknown>((resolve, reject) => {
        settle = resolve;
        fail = reject;
      });
      // Retain handling 2: not what is retained; Mosquitto before 2.0.13 sends it to a group too.
      const subscriptions = [{ topic: filter, qos: once.qos, rh: 2 }];
      wire.send([{ cmd: 'subscribe', messageId: lastPublishId + 1, subscriptions }]);
      requireGranted(await answer);
    },
    answered: (granted) => settle?.(granted),
    close: (why) => fail?.(why),
  };
}
