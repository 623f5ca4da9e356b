import { generate, parser, type Packet } from 'mqtt-packet';
import { Failed } from '#core/errors.ts';

export type { Packet };

/** Reason codes of MQTT 5 (section 2.4) that this client says or acts upon. */
export const reasons = {
  success: 0x00,
  /** From here on a code says that something was not done. */
  firstFailure: 0x80,
  implementation: 0x83,
  sessionTakenOver: 0x8e,
  quotaExceeded: 0x97,
} as const;

const version = { protocolVersion: 5 } as const;

export function encodePacket(packet: Packet): Buffer {
  return generate(packet, version);
}

export interface PacketReader {
  /**
   * Tells of every packet that is whole with this chunk. Throws Failed('mqtt-form') for what is not
   * MQTT 5, or is longer than `limitBytes`; the connection must end then.
   */
  readonly read: (chunk: Uint8Array) => void;
}

/**
 * The maintained parser that mqtt.js is made of, and all that is used of it: it is told the protocol
 * version, tells of packets and errors by events, and returns how many bytes it holds back. That
 * number bounds its memory: it gathers whatever length a packet announces, up to 256 MiB.
 */
export function createPacketReader(
  limitBytes: number,
  onPacket: (packet: Packet) => void,
): PacketReader {
  const parsing = parser(version);
  let wrong: unknown;
  parsing.on('packet', (packet) => {
    if (wrong === undefined) onPacket(packet);
  });
  parsing.on('error', (error) => {
    wrong ??= error;
  });
  return {
    read: (chunk) => {
      const heldBytes = parsing.parse(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length));
      if (wrong !== undefined) {
        throw new Failed('mqtt-form', 'the broker sent what is not MQTT 5', { cause: wrong });
      }
      if (heldBytes > limitBytes) {
        throw new Failed(
          'mqtt-form',
          `the broker sent more than ${limitBytes} bytes as one packet`,
        );
      }
    },
  };
}
