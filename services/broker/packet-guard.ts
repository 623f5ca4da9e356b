/**
 * Follows the frames of an MQTT stream (MQTT 3.1.1, section 2.2) and tells when one may not be, or is
 * longer than it may be. aedes gathers a packet of up to 256 MiB before anybody can refuse it; this
 * looks at the length that the packet announces, and so before its content is kept.
 */
export interface PacketGuard {
  /** Looks at the next bytes; why the connection must end, or undefined. */
  readonly refuses: (chunk: Uint8Array) => string | undefined;
}

export interface PacketLimits {
  /** Longest first packet, which is a CONNECT or wrong, and longest other packet, without its header. */
  readonly connectBytes: number;
  readonly packetBytes: number;
  /**
   * Pieces that one packet may come in. Each is kept as a buffer of its own, whose own size is some
   * hundred bytes: who sends single bytes takes a hundred times what the packet's length says.
   */
  readonly packetPieces: number;
}

/** The type of a packet is in the upper half of its first byte, its flags are in the lower. */
const connect = 0x10;
const publishType = 0x3;
/** What else a client sends that receives and publishes with QoS 1 at most (2.2.1, 2.2.2). */
const others = new Set([
  0x40, // PUBACK
  0x82, // SUBSCRIBE
  0xa2, // UNSUBSCRIBE
  0xc0, // PINGREQ
  0xe0, // DISCONNECT
]);
const longestHeader = 128 ** 4;

export function createPacketGuard({
  connectBytes,
  packetBytes,
  packetPieces,
}: PacketLimits): PacketGuard {
  /** Bytes of the packet under way that are still to come; 0 between packets. */
  let left = 0;
  let limit = connectBytes;
  let first = true;
  let pieces = 0;
  /** While the header is read: the length so far and the weight of its next digit; 0 before it. */
  let length = 0;
  let weight = 0;

  const begins = (byte: number): string | undefined => {
    if (first && byte !== connect) return 'the first packet is no CONNECT';
    if (!first && byte === connect) return 'a second CONNECT';
    if (!first && byte >> 4 !== publishType && !others.has(byte)) {
      return `a packet that no meter sends (0x${byte.toString(16).padStart(2, '0')})`;
    }
    first = false;
    weight = 1;
    length = 0;
    pieces = 1;
    return undefined;
  };
  const refuses = (chunk: Uint8Array): string | undefined => {
    if ((left > 0 || weight > 0) && ++pieces > packetPieces) {
      return `a packet in more than ${packetPieces} pieces`;
    }
    let at = 0;
    while (at < chunk.length) {
      if (left > 0) {
        const skipped = Math.min(left, chunk.length - at);
        left -= skipped;
        at += skipped;
        continue;
      }
      const byte = chunk[at] ?? 0;
      at++;
      if (weight === 0) {
        const why = begins(byte);
        if (why !== undefined) return why;
        continue;
      }
      length += (byte & 0x7f) * weight;
      weight *= 128;
      if (length > limit || weight > longestHeader) return `a packet of more than ${limit} bytes`;
      if (byte >= 0x80) continue;
      left = length;
      weight = 0;
      limit = packetBytes;
    }
    return undefined;
  };
  return { refuses };
}
