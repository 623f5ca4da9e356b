import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { generate } from 'mqtt-packet';
import { receiptsTopic } from '#core/energy/message.ts';
import type { Pool } from '#platform/postgres.ts';
import { quickEngine, startTestPostgres, type TestPostgres } from '#support/postgres.ts';
import { testSigner, topicOf } from '#support/register.ts';
import { until } from '../ingestion/rig.ts';
import {
  connectPacketOf,
  letIn,
  openRaw,
  publishPacket,
  startScene,
  type Raw,
  type Scene,
} from './hostile-rig.ts';
import { password } from './rig.ts';

/**
 * Whoever has a meter's key, or none, and means ill: it is refused with a reason in the log, while an
 * honest meter beside it is acknowledged and receipted on its one connection.
 */
describe('a hostile client', () => {
  let database: TestPostgres;
  let pool: Pool;
  let scene: Scene;
  const open: Raw[] = [];
  beforeAll(async () => {
    database = await startTestPostgres(quickEngine);
    ({ pool } = database);
  });
  afterAll(() => database.stop());
  beforeEach(async () => {
    scene = await startScene(pool, { connectMs: 400, drainMs: 1_500, packetPieces: 50 });
    await scene.goesOn(1);
  });
  afterEach(async () => {
    for (const { socket } of open.splice(0)) socket.destroy();
    await scene.stop();
    expect(scene.honest.promised()).toMatchObject({ disconnections: 0, faults: [] });
  });

  const stranger = async (): Promise<Raw> => kept(await openRaw(scene.broker.port()));
  const insider = async (): Promise<Raw> => kept(await letIn(scene.broker.port(), scene.hostile));
  const kept = (raw: Raw): Raw => {
    open.push(raw);
    return raw;
  };
  const expectReason = async (reason: RegExp): Promise<void> => {
    await until(() => scene.reasons().some((one) => reason.test(one))).catch(() => undefined);
    expect(scene.reasons()).toContainEqual(expect.stringMatching(reason));
  };
  /** The header of a packet that announces so many bytes. */
  const header = (first: number, ...length: number[]): Uint8Array =>
    Uint8Array.of(first, ...length);

  describe('before it is let in', () => {
    it.each([
      ['a CONNECT of 256 MiB', header(0x10, 0xff, 0xff, 0xff, 0x7f), /more than 4096 bytes/],
      ['a PUBLISH', header(0x32, 0x05), /the first packet is no CONNECT/],
      ['HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n'), /the first packet is no CONNECT/],
      ['a CONNECT with a reserved bit', header(0x11, 0x00), /the first packet is no CONNECT/],
      ['a CONNECT that is nonsense', header(0x10, 0x02, 0xff, 0xff), /connection refused: /],
    ])('sends %s', async (_what, bytes, reason) => {
      const raw = await stranger();
      raw.bytes(bytes);
      await scene.goesOn();
      await raw.closed;
      await expectReason(reason);
    });

    it('sends a CONNECT one byte after the other', async () => {
      const raw = await stranger();
      await raw.slowly(generate(connectPacketOf(scene.hostile)), 20);
      await raw.closed;
      await scene.goesOn();
      await expectReason(/connection refused: connect did not arrive in time/);
    });

    it('says nothing at all', async () => {
      const raw = await stranger();
      await raw.closed;
      await scene.goesOn();
      await expectReason(/connection refused: connect did not arrive in time/);
    });

    const another = testSigner('another');
    it.each([
      ['no JWS', '.'.repeat(200), /may not connect: form/],
      ['a bomb of brackets', bomb('['.repeat(600)), /may not connect: form/],
      ['a number without end', bomb(`{"iat":${'9'.repeat(600)}}`), /may not connect: form/],
    ])('shows %s for a password', async (_what, shown, reason) => {
      const raw = await stranger();
      raw.send(connectPacketOf(scene.hostile, { password: Buffer.from(shown) }));
      await raw.closed;
      expect(raw.heard).toMatchObject([{ cmd: 'connack', returnCode: 5 }]);
      await scene.goesOn();
      await expectReason(reason);
    });

    it("takes an honest meter's name, with no key and with its own", async () => {
      const { meter } = scene.honest.device.of;
      const { hostile } = scene;
      for (const by of [another, hostile.signer]) {
        const raw = await stranger();
        const shown = Buffer.from(password(by, meter, { aud: 'any' }));
        raw.send(connectPacketOf(scene.honest.device, { password: shown }));
        await raw.closed;
        expect(raw.heard).toMatchObject([{ cmd: 'connack', returnCode: 5 }]);
      }
      await scene.goesOn();
      await expectReason(/may not connect: key: no such key/);
      await expectReason(/may not connect: subject: a key of hostile/);
    });

    it('leaves a will', async () => {
      const raw = await stranger();
      const will = { topic: topicOf(scene.honest.device.of), payload: Buffer.from('x'), qos: 1 };
      raw.send(connectPacketOf(scene.hostile, { will } as object));
      await raw.closed;
      await scene.goesOn();
      await expectReason(/may not connect: will/);
    });

    it('goes on sending before it is answered', async () => {
      const raw = await stranger();
      const pings = Array.from({ length: 50 }, () => ({ cmd: 'pingreq' }) as const);
      raw.send(connectPacketOf(scene.hostile), ...pings);
      await raw.closed;
      await scene.goesOn();
      await expectReason(/queue limit/);
      expect(raw.heard).toEqual([]);
    });

    it('asks for a keep-alive of none', async () => {
      const raw = await stranger();
      raw.send(connectPacketOf(scene.hostile, { keepalive: 0 }));
      await raw.closed;
      await scene.goesOn();
      await expectReason(/keep alive limit/);
    });
  });

  describe('with a key of its own', () => {
    const mine = (): string => scene.hostile.topic;
    const theirs = (): string => scene.honest.device.topic;
    it.each<[string, () => Uint8Array, RegExp]>([
      ['a PUBLISH of 256 MiB', () => header(0x32, 0xff, 0xff, 0xff, 0x7f), /more than 66048 bytes/],
      ["a message on another's topic", () => of(theirs()), /may not publish there/],
      ['a message on #', () => of('#'), /not allowed in PUBLISH/],
      ['a message on a + topic', () => of('hourseal/v1/+/+/messages'), /not allowed in PUBLISH/],
      ['a message to the broker itself', () => of('$SYS/x'), /may not publish there/],
      ['a retained message', () => of(mine(), { retain: true }), /not retained/],
      ['a message with QoS 0', () => of(mine(), { qos: 0 }), /sent with QoS 1/],
      ['a message with QoS 2', () => of(mine(), { qos: 2 }), /sent with QoS 1/],
      ['QoS 3', () => Uint8Array.of(0x36, 0x03, 0x00, 0x01, 0x61), /connection closed: /],
      ['the second step of QoS 2', () => Uint8Array.of(0x62, 2, 0, 1), /no meter sends \(0x62\)/],
      [
        'a SUBSCRIBE without its bit',
        () => Uint8Array.of(0x80, 2, 0, 1),
        /no meter sends \(0x80\)/,
      ],
      ['a second CONNECT', () => generate(connectPacketOf(scene.hostile)), /a second CONNECT/],
      ["a server's packet", () => Uint8Array.of(0x20, 2, 0, 0), /no meter sends \(0x20\)/],
      [
        'an UNSUBSCRIBE of more levels than a topic of ours has',
        () => generate({ cmd: 'unsubscribe', messageId: 1, unsubscriptions: ['a/b/c/d/e/f'] }),
        /too many levels/,
      ],
      ['a PUBLISH in single bytes', () => new Uint8Array(0), /in more than 50 pieces/],
    ])('sends %s', async (what, bytes, reason) => {
      const raw = await insider();
      if (what.endsWith('single bytes')) await raw.slowly(of(mine()), 4);
      else raw.bytes(bytes());
      await raw.closed;
      await scene.goesOn();
      await expectReason(reason);
      expect(raw.heard.map(({ cmd }) => cmd)).toEqual(['connack']);
    });
    const of = (topic: string, change: Parameters<typeof publishPacket>[2] = {}): Uint8Array =>
      generate(publishPacket(topic, 'a message of some length, which is no JWS', change));

    it("subscribes to everything, and to another's receipts", async () => {
      const raw = await insider();
      const { plant, meter } = scene.honest.device.of;
      const filters = [
        '#',
        '+/#',
        '$SYS/#',
        'hourseal/v1/+/+/receipts',
        receiptsTopic(plant, meter),
      ];
      const subscriptions = filters.map((topic) => ({ topic, qos: 1 as const }));
      raw.send({ cmd: 'subscribe', messageId: 1, subscriptions });
      await until(() => raw.heard.length === 2);
      expect(raw.heard[1]).toMatchObject({ cmd: 'suback', granted: [128, 128, 128, 128, 128] });
      await scene.goesOn();
      await expectReason(/may not subscribe: #/);
      expect(scene.reasons().filter((one) => one.startsWith('may not subscribe'))).toHaveLength(1);
      expect(raw.heard).toHaveLength(2);
    });

    it.each([
      ['no JWS', 'x'.repeat(1_000)],
      ['65,000 bytes of [', '['.repeat(65_000)],
      ['a JWS of nested arrays', bomb('['.repeat(24_000) + ']'.repeat(24_000))],
      ['a JWS of nested objects', bomb(`${'{"a":'.repeat(7_000)}1${'}'.repeat(7_000)}`)],
      ['a number of 40,000 digits', bomb(`{"v":${'9'.repeat(40_000)}}`)],
      ['a number beyond all', bomb('{"v":1e999999}')],
      ['a header that is a bomb', `${base64('['.repeat(40_000))}.e30.${'A'.repeat(86)}`],
      ['nothing', ''],
    ])('sends %s for a message: it is put aside with the reason', async (_what, payload) => {
      const raw = await insider();
      raw.send(publishPacket(mine(), payload));
      await until(() => raw.heard.length === 2);
      expect(raw.heard[1]).toMatchObject({ cmd: 'puback' });
      await scene.goesOn();
      const { code } = await pool.row<{ code: string }>(
        'select code from quarantine where sender = $1',
        [scene.hostile.of.meter],
      );
      expect(['form', 'size']).toContain(code);
    });

    it('does not read what it is sent, and is cut off', async () => {
      const raw = await fullOf(await insider());
      await expectReason(/connection closed: drain timeout/);
      expect(raw.heard).toHaveLength(2);
      await scene.goesOn();
    });

    it('does not read its receipts: nobody waits for it', async () => {
      await scene.stop();
      scene = await startScene(pool, { drainMs: 600_000 });
      const raw = await fullOf(await insider());
      // Its own receipts fall due while it is like that.
      raw.send(publishPacket(mine(), 'x'));
      await scene.goesOn(50);
      expect(scene.broker.connections()).toBe(2);
      // Nor is it kept for it: once it reads on, it gets what lay between us and no more.
      raw.socket.resume();
      const { plant, meter } = scene.hostile.of;
      const ofSize = (bytes: number): number =>
        raw.heard.filter((one) => one.cmd === 'publish' && one.payload.length === bytes).length;
      while (ofSize(3) === 0) {
        await scene.broker.publish(receiptsTopic(plant, meter), new Uint8Array(3));
        await nextTurn();
      }
      expect(ofSize(largeBytes)).toBeLessThan(largeCount);
    });
    const largeBytes = 60_000;
    const largeCount = 400;
    /** Subscribed to its receipts, and sent 24 MB of them, which is more than lies between us. */
    const fullOf = async (raw: Raw): Promise<Raw> => {
      const { plant, meter } = scene.hostile.of;
      const subscriptions = [{ topic: receiptsTopic(plant, meter), qos: 1 as const }];
      raw.send({ cmd: 'subscribe', messageId: 1, subscriptions });
      await until(() => raw.heard.length === 2);
      raw.socket.pause();
      const large = new Uint8Array(largeBytes);
      for (let i = 0; i < largeCount; i++) {
        await scene.broker.publish(receiptsTopic(plant, meter), large);
        await nextTurn();
      }
      return raw;
    };

    it('sends and sends, and reads no acknowledgement', async () => {
      const raw = await insider();
      raw.socket.pause();
      const one = generate(publishPacket(mine(), 'x'));
      const many = Buffer.concat(Array.from({ length: 500 }, () => one));
      for (let i = 0; i < 20 && !raw.socket.destroyed; i++) raw.socket.write(many);
      await scene.goesOn(50);
      const { n } = await pool.row<{ n: number }>(
        'select count(*) as n from quarantine where sender = $1',
        [scene.hostile.of.meter],
      );
      // Of what is unsigned no more is kept of one sender than is allowed.
      expect(n).toBeLessThanOrEqual(256);
    });

    it('is two that push each other out', async () => {
      let rounds = 0;
      const until20 = async (): Promise<void> => {
        while (rounds < 20) {
          const raw = kept(await openRaw(scene.broker.port()));
          raw.send(connectPacketOf(scene.hostile));
          rounds++;
          await Promise.race([raw.closed, scene.goesOn(3)]);
        }
      };
      await Promise.all([until20(), until20()]);
      await scene.goesOn();
    });
  });
});

function base64(text: string): string {
  return Buffer.from(text).toString('base64url');
}

/** Has the form of a JWS. */
function bomb(payload: string): string {
  return `${base64('{"alg":"Ed25519","kid":"x","typ":"hourseal-message"}')}.${base64(payload)}.${'A'.repeat(86)}`;
}
