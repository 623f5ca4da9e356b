/** The few MQTT 3.1.1 packets that the load generator needs, so that it costs little itself. */

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

function packet(type: number, body: Buffer): Buffer {
  const header = [type];
  let left = body.length;
  do {
    header.push((left % 128) | (left >= 128 ? 0x80 : 0));
    left = Math.floor(left / 128);
  } while (left > 0);
  return Buffer.concat([Buffer.from(header), body]);
}

const keepaliveS = 600;

export function connectPacket(clientId: string, password: string): Buffer {
  // Protocol level 4; user name, password and clean session.
  const fixed = Buffer.from([4, 0xc2, keepaliveS >> 8, keepaliveS & 0xff]);
  const parts = [text('MQTT'), fixed, text(clientId), text(clientId), text(password)];
  return packet(0x10, Buffer.concat(parts));
}

/** QoS 1, not retained. */
export function publishPacket(topic: string, packetId: number, payload: string): Buffer {
  const id = Buffer.alloc(2);
  id.writeUInt16BE(packetId);
  return packet(0x32, Buffer.concat([text(topic), id, Buffer.from(payload)]));
}

/** Packet ids of the PUBACKs in a stream that carries nothing else after its CONNACK. */
export function readAnswers(
  onAnswer: (type: number, packetId: number) => void,
): (chunk: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    for (; at + 4 <= rest.length; at += 4)
      onAnswer((rest[at] ?? 0) >> 4, rest.readUInt16BE(at + 2));
    rest = rest.subarray(at);
  };
}
