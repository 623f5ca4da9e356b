import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createPacketGuard } from '#broker/packet-guard.ts';

const limits = { connectBytes: 200, packetBytes: 1_000, packetPieces: 10_000 };

/** A packet of a type with so many bytes after its header (MQTT 3.1.1, section 2.2.3). */
function packet(type: number, length: number): number[] {
  const header = [type << 4];
  let left = length;
  do {
    header.push((left % 128) | (left >= 128 ? 0x80 : 0));
    left = Math.floor(left / 128);
  } while (left > 0);
  return [...header, ...new Array<number>(length).fill(0xff)];
}

function passes(...packets: number[][]): boolean {
  return createPacketGuard(limits).refuses(Uint8Array.from(packets.flat())) === undefined;
}

describe('the packet guard', () => {
  it('lets a connection through whose packets are as long as they may be', () => {
    expect(passes(packet(1, 200), packet(3, 1_000), packet(12, 0), packet(3, 127))).toBe(true);
  });

  it('stops at a first packet that is too long, or that is not a CONNECT', () => {
    expect(passes(packet(1, 201))).toBe(false);
    expect(passes(packet(3, 10))).toBe(false);
    expect(passes([0x47, 0x45, 0x54, 0x20])).toBe(false);
  });

  it('stops at a packet that is too long as soon as its length is announced', () => {
    expect(passes(packet(1, 10), [0x30, 0xe9, 0x07])).toBe(false);
    expect(passes(packet(1, 10), [0x30, 0xff, 0xff, 0xff, 0x7f])).toBe(false);
  });

  it('stops at a length that never ends', () => {
    expect(passes(packet(1, 10), [0x30, 0x80, 0x80, 0x80, 0x80, 0x80])).toBe(false);
  });

  it('stops at what no meter sends, and says what it was', () => {
    const after = (byte: number): string | undefined =>
      createPacketGuard(limits).refuses(Uint8Array.from([...packet(1, 10), byte, 0]));
    const taken = Array.from({ length: 256 }, (_, byte) => byte).filter(
      (byte) => after(byte) === undefined,
    );
    const published = Array.from({ length: 16 }, (_, flags) => 0x30 | flags);
    expect(taken).toEqual([...published, 0x40, 0x82, 0xa2, 0xc0, 0xe0]);
    expect(after(0x10)).toBe('a second CONNECT');
    // PUBREL, as QoS 2 has it; a SUBSCRIBE without its reserved bit; a packet of servers.
    for (const byte of [0x62, 0x80, 0x20]) expect(after(byte)).toMatch(/no meter sends \(0x/);
    expect(passes([0x11, 0])).toBe(false);
  });

  it('stops at a packet in too many pieces, and counts for each packet anew', () => {
    const guard = createPacketGuard({ ...limits, packetPieces: 12 });
    const one = (bytes: number[]): string | undefined => {
      for (const byte of bytes) {
        const why = guard.refuses(Uint8Array.of(byte));
        if (why !== undefined) return why;
      }
      return undefined;
    };
    expect(one(packet(1, 10))).toBeUndefined();
    expect(one(packet(3, 10))).toBeUndefined();
    expect(one(packet(12, 0))).toBeUndefined();
    expect(one(packet(3, 11))).toBe('a packet in more than 12 pieces');
  });

  it('says the same however the bytes are cut', () => {
    const length = fc.integer({ min: 0, max: 1_300 });
    fc.assert(
      fc.property(
        fc.array(length, { maxLength: 6 }),
        fc.integer({ min: 1, max: 300 }),
        (all, size) => {
          const bytes = Uint8Array.from([
            ...packet(1, 20),
            ...all.flatMap((one) => packet(3, one)),
          ]);
          const guard = createPacketGuard(limits);
          let accepted = true;
          for (let at = 0; at < bytes.length && accepted; at += size) {
            accepted = guard.refuses(bytes.subarray(at, at + size)) === undefined;
          }
          expect(accepted).toBe(all.every((one) => one <= 1_000));
        },
      ),
    );
  });
});
