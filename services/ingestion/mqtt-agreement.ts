import { Failed, Refused } from '#core/errors.ts';
import { reasons, type Packet } from './mqtt-packets.ts';
import type { BrokerAddress } from './mqtt-wire.ts';

export interface BrokerAccess extends BrokerAddress {
  /** The name of our session at the broker: no two processes may have the same. */
  readonly clientId: string;
  readonly userName: string | undefined;
  readonly password: string | undefined;
}

export interface ConnectionLimits {
  /** PUBLISHes that the broker may send before we answer the first of them: the back-pressure. */
  readonly receiveMaximum: number;
  /** Longest packet that the broker may send. */
  readonly packetBytes: number;
  /** How long the broker keeps what is ours while we are away. */
  readonly sessionExpiryS: number;
  readonly keepaliveS: number;
  /** From the first SYN to the broker's welcome. */
  readonly connectMs: number;
  /** What we publish: unacknowledged at one time, and waiting for a place among these. */
  readonly publishing: number;
  readonly publishQueue: number;
}

/** What both sides have said. */
export interface Agreed {
  readonly keepaliveS: number;
  /** What we may publish at one time, and how long a packet of ours may be. */
  readonly publishing: number;
  readonly packetBytes: number;
}

/** What trying again as the same cannot change (CONNACK and SUBACK, MQTT 5, 3.2.2.2 and 3.9.3). */
const forGood = new Set([0x81, 0x82, 0x84, 0x85, 0x86, 0x87, 0x8a, 0x8c, 0x8f, 0x9e, 0xa2]);
/** Where the broker names no limit of its own (3.2.2.3.3, 2.1.4). */
const receiveMaximumDefault = 65_535;
const longestPacketBytes = 268_435_460;

/** Clean start false: what the broker kept for us comes first. */
export function connectPacket(access: BrokerAccess, limits: ConnectionLimits): Packet {
  const { clientId, userName, password } = access;
  return {
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion: 5,
    clientId,
    clean: false,
    keepalive: limits.keepaliveS,
    ...(userName !== undefined && { username: userName }),
    ...(password !== undefined && { password: Buffer.from(password) }),
    properties: {
      sessionExpiryInterval: limits.sessionExpiryS,
      receiveMaximum: limits.receiveMaximum,
      maximumPacketSize: limits.packetBytes,
    },
  };
}

/** Of the broker's first packet. Failed where trying again may help, Refused('mqtt-access') else. */
export function agreementOf(packet: Packet, limits: ConnectionLimits): Agreed {
  if (packet.cmd !== 'connack') throw new Failed('mqtt-form', `${packet.cmd} instead of CONNACK`);
  const { properties } = packet;
  const code = packet.reasonCode ?? packet.returnCode ?? reasons.success;
  if (code !== reasons.success) throw refusal('connection', code, properties?.reasonString);
  if (properties?.sharedSubscriptionAvailable === false) {
    throw new Refused('mqtt-access', 'the broker offers no shared subscriptions');
  }
  if (properties?.wildcardSubscriptionAvailable === false) {
    throw new Refused('mqtt-access', 'the broker offers no wildcard subscriptions');
  }
  if (properties?.maximumQoS === 0) throw new Refused('mqtt-access', 'the broker offers no QoS 1');
  return {
    keepaliveS: properties?.serverKeepAlive ?? limits.keepaliveS,
    publishing: Math.min(limits.publishing, properties?.receiveMaximum ?? receiveMaximumDefault),
    packetBytes: properties?.maximumPacketSize ?? longestPacketBytes,
  };
}

/** Throws likewise unless the subscription was granted as asked, with QoS 1. */
export function requireGranted(granted: unknown): void {
  if (granted === 1) return;
  if (granted === 0) throw new Refused('mqtt-access', 'the broker grants QoS 0 alone');
  throw refusal('subscription', Number(granted), undefined);
}

function refusal(what: string, code: number, said: string | undefined): Refused | Failed {
  const text = `the broker refuses the ${what} (${hex(code)})${said === undefined ? '' : `: ${said}`}`;
  return forGood.has(code) ? new Refused('mqtt-access', text) : new Failed('connect', text);
}

type Disconnect = Extract<Packet, { cmd: 'disconnect' }>;

/** Why the broker ended the connection. 'session-taken': another process has our client id. */
export function sentAway({ reasonCode = 0, properties }: Disconnect): Failed {
  if (reasonCode === reasons.sessionTakenOver) {
    return new Failed('session-taken', 'another client has connected with our client id');
  }
  const said = properties?.reasonString;
  const text = `the broker ended the connection (${hex(reasonCode)})`;
  return new Failed('sent-away', said === undefined ? text : `${text}: ${said}`);
}

function hex(code: number): string {
  return `0x${code.toString(16).padStart(2, '0')}`;
}
