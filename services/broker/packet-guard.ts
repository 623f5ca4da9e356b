/**
 * Follows the frames of an MQTT stream (MQTT 3.1.1, section 2.2) and tells when one is longer than
 * it may be. aedes gathers a packet of up to 256 MiB before anybody can refuse it; this looks at the
 * length that the packet announces, and so before its content is kept.
 */
export interface PacketGuard {
  /** Looks at the next bytes; false when the connection must end. */
  readonly accepts: (chunk: Uint8Array) => boolean;
}

export interface PacketLimits {
  /** Longest first packet, which is a CONNECT or wrong, and longest other packet, with its header. */
  readonly connectBytes: number;
  readonly packetBytes: number;
}

/** The type of a packet is in the upper half of its first byte. */
const connectType = 1;

export function createPacketGuard({ connectBytes, packetBytes }: PacketLimits): PacketGuard {
  /** Bytes of the packet under way that are still to come; 0 between packets. */
  let left = 0;
  let limit = connectBytes;
  let first = true;
  /** While the header is read: the length so far and the weight of its next digit; 0 before it. */
  let length = 0;
  let weight = 0;

  const accepts = (chunk: Uint8Array): boolean => {
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
        if (first && byte >> 4 !== connectType) return false;
        first = false;
        weight = 1;
        length = 0;
        continue;
      }
      length += (byte & 0x7f) * weight;
      weight *= 128;
      if (length > limit || weight > 128 ** 4) return false;
      if (byte >= 0x80) continue;
      left = length;
      weight = 0;
      limit = packetBytes;
    }
    return true;
  };
  return { accepts };
}
