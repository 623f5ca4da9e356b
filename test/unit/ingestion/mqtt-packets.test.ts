import { describe, expect, it } from 'vitest';
import { createPacketReader, encodePacket, type Packet } from '#ingestion/mqtt-packets.ts';

/** What is relied upon of `mqtt-packet`, in bytes that are written here by hand from MQTT 5. */
const limitBytes = 1_000;

function reader(): { read: (hex: string) => void; packets: Packet[] } {
  const packets: Packet[] = [];
  const { read } = createPacketReader(limitBytes, (packet) => packets.push(packet));
  return { read: (hex) => read(Buffer.from(hex.replaceAll(' ', ''), 'hex')), packets };
}

// PUBLISH, QoS 1, topic "a/b", packet id 0x0102, one user property k=v, payload "hi".
const publish = '32 11 0003 612f62 0102 07 26 0001 6b 0001 76 6869';

describe('the packets of MQTT 5', () => {
  it('are written as the specification says', () => {
    const written = (packet: Packet): string => encodePacket(packet).toString('hex');
    expect(written({ cmd: 'puback', messageId: 0x0102, reasonCode: 0 })).toBe('40020102');
    expect(written({ cmd: 'puback', messageId: 0x0102, reasonCode: 0x97 })).toBe('400401029700');
    expect(written({ cmd: 'pingreq' })).toBe('c000');
    expect(
      written({ cmd: 'disconnect', reasonCode: 0x83, properties: { reasonString: 'no' } }),
    ).toBe('e00783051f00026e6f');
    expect(
      written({
        cmd: 'subscribe',
        messageId: 0xffff,
        subscriptions: [{ topic: '$share/g/a', qos: 1, rh: 2 }],
      }),
    ).toBe(`8210ffff00000a${Buffer.from('$share/g/a').toString('hex')}21`);
    expect(
      written({
        cmd: 'publish',
        topic: 'a/b',
        messageId: 7,
        payload: Buffer.from('hi'),
        qos: 1,
        dup: false,
        retain: false,
      }),
    ).toBe('320a0003612f620007006869');
    // Clean start false, expiry 60 s, receive maximum 5, maximum packet size 256.
    expect(
      written({
        cmd: 'connect',
        protocolId: 'MQTT',
        protocolVersion: 5,
        clientId: 'c',
        clean: false,
        keepalive: 30,
        username: 'u',
        password: Buffer.from('p'),
        properties: { sessionExpiryInterval: 60, receiveMaximum: 5, maximumPacketSize: 256 },
      }),
    ).toBe('102100044d51545405c0001e0d110000003c2100052700000100000163000175000170');
  });

  it('are read one by one, wherever the stream is cut', () => {
    const bytes = Buffer.from(`${publish} d000 4003 0007 10`.replaceAll(' ', ''), 'hex');
    for (let cut = 0; cut <= bytes.length; cut++) {
      const { read, packets } = reader();
      read(bytes.subarray(0, cut).toString('hex'));
      read(bytes.subarray(cut).toString('hex'));
      expect(packets).toMatchObject([
        { cmd: 'publish', topic: 'a/b', qos: 1, messageId: 0x0102, payload: Buffer.from('hi') },
        { cmd: 'pingresp' },
        { cmd: 'puback', messageId: 7, reasonCode: 0x10 },
      ]);
    }
  });

  it('tell what the broker allows, and why it ends', () => {
    const { read, packets } = reader();
    // Receive maximum 3, maximum packet size 512, keep alive 9, no shared subscriptions.
    read('20 10 00 00 0d 21 0003 27 00000200 13 0009 2a 00');
    read('90 04 ffff 00 87');
    read('e0 02 8e 00');
    expect(packets).toMatchObject([
      {
        cmd: 'connack',
        reasonCode: 0,
        properties: { receiveMaximum: 3, maximumPacketSize: 512, serverKeepAlive: 9 },
      },
      { cmd: 'suback', granted: [0x87] },
      { cmd: 'disconnect', reasonCode: 0x8e },
    ]);
    expect(packets[0]).toMatchObject({ properties: { sharedSubscriptionAvailable: false } });
  });

  it('are refused when they are none', () => {
    for (const junk of ['f5 00', '36 00', '20 03 00 00 05', '32 03 0009 61', '47 02 0001']) {
      expect(() => {
        const { read } = reader();
        read(`${junk} ${'00'.repeat(300)}`);
      }).toThrow(expect.objectContaining({ code: 'mqtt-form' }));
    }
  });

  it('are refused when they are too long, before they are gathered', () => {
    const { read, packets } = reader();
    read('32 ffff7f');
    expect(() => {
      for (let i = 0; i < 3; i++) read('00'.repeat(400));
    }).toThrow(expect.objectContaining({ code: 'mqtt-form' }));
    expect(packets).toEqual([]);
  });
});
