import { beforeEach, expect, it } from 'vitest';
import { Failed, Refused } from '#core/errors.ts';
import { messagesTopic } from '#core/energy/message.ts';
import type { ExternalBroker } from '#ingestion/external-broker.ts';
import type { Intake } from '#platform/intake.ts';
import { mosquitto, startMosquitto, type Mosquitto } from '#support/mosquitto.ts';
import { describeWith } from '#support/needs.ts';
import { connectDevice, startSubscriber } from './external-rig.ts';
import { until } from './rig.ts';

/** Arrivals that wait for the test to say what becomes of them. */
function createDesk(): {
  readonly intake: Intake;
  readonly waiting: Map<string, { take: () => void; refuse: (error: Error) => void }>;
  readonly seen: string[];
} {
  const waiting = new Map<string, { take: () => void; refuse: (error: Error) => void }>();
  const seen: string[] = [];
  const intake: Intake = ({ bytes }) => {
    const text = Buffer.from(bytes).toString();
    seen.push(text);
    return new Promise<void>((resolve, reject) => {
      waiting.set(text, { take: resolve, refuse: reject });
    });
  };
  return { intake, waiting, seen };
}

describeWith([mosquitto], 'a subscriber of mosquitto', () => {
  let server: Mosquitto;
  let subscriber: ExternalBroker | undefined;
  beforeEach(async () => {
    server = await startMosquitto();
    return async () => {
      await subscriber?.stop();
      subscriber = undefined;
      await server.stop();
    };
  });

  async function send(count: number, prefix = 'm'): Promise<void> {
    const device = await connectDevice(server.url, `device-${prefix}`);
    await Promise.all(
      Array.from({ length: count }, (_, i) =>
        device.publishAsync(messagesTopic('p', `${prefix}${i % 10}`), `${prefix}${i}`, { qos: 1 }),
      ),
    );
    await device.endAsync();
  }
  /** Packet ids that mosquitto has seen acknowledged by us, and with which code. */
  function acknowledged(): { id: number; code: number }[] {
    const found = server.log().matchAll(/Received PUBACK from one \(Mid: (\d+), RC:(\d+)\)/g);
    return Array.from(found, ([, id, code]) => ({ id: Number(id), code: Number(code) }));
  }

  it('has hundreds under way at one time, and acknowledges none before its outcome', async () => {
    const desk = createDesk();
    subscriber = await startSubscriber(server.url, desk.intake, {
      limits: { receiveMaximum: 500 },
    });
    await send(800);
    await until(() => desk.waiting.size === 500);
    expect(acknowledged()).toEqual([]);
    for (let taken = 0; taken < 800;) {
      for (const [text, { take }] of desk.waiting) {
        desk.waiting.delete(text);
        take();
        taken++;
      }
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await until(() => acknowledged().length === 800);
    expect(desk.seen).toHaveLength(800);
  });

  it('acknowledges in the order of arrival, whatever the order of the outcomes', async () => {
    const desk = createDesk();
    subscriber = await startSubscriber(server.url, desk.intake);
    await send(50);
    await until(() => desk.waiting.size === 50);
    const [first, ...rest] = desk.seen;
    for (const text of rest.reverse()) desk.waiting.get(text)?.take();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(acknowledged()).toEqual([]);
    desk.waiting.get(first ?? '')?.take();
    await until(() => acknowledged().length === 50);
    expect(acknowledged()).toEqual(Array.from({ length: 50 }, (_, i) => ({ id: i + 1, code: 0 })));
  });

  it('holds up a broker that keeps no receive maximum', async () => {
    let underWay = 0;
    let most = 0;
    let seen = 0;
    const slow: Intake = async () => {
      most = Math.max(most, ++underWay);
      seen++;
      await new Promise((resolve) => setTimeout(resolve, 2));
      underWay--;
    };
    subscriber = await startSubscriber(server.url, slow, { limits: { receiveMaximum: 10 } });
    await send(3000);
    await until(() => seen === 3000);
    expect(most).toBe(10);
  });

  it('gets again, on the next connection, what it did not acknowledge', async () => {
    const first = createDesk();
    subscriber = await startSubscriber(server.url, first.intake, { limits: { drainMs: 10 } });
    await send(5);
    await until(() => first.waiting.size === 5);
    first.waiting.get('m0')?.take();
    await until(() => acknowledged().length === 1);
    await server.restart();
    await until(() => subscriber?.isConnected() === true);
    await until(() => first.seen.length === 9);
    expect(first.seen.slice(5).sort()).toEqual(['m1', 'm2', 'm3', 'm4']);
  });

  it('tries again in place while the database is away, and acknowledges once it is back', async () => {
    let away = true;
    const tries = new Map<string, number>();
    const intake: Intake = async ({ bytes }) => {
      const text = Buffer.from(bytes).toString();
      tries.set(text, (tries.get(text) ?? 0) + 1);
      if (away) throw new Failed('database-down', 'no database');
    };
    subscriber = await startSubscriber(server.url, intake);
    await send(20);
    await until(() => tries.size === 20 && [...tries.values()].every((count) => count > 2));
    expect(acknowledged()).toEqual([]);
    away = false;
    await until(() => acknowledged().length === 20);
    expect(acknowledged().every(({ code }) => code === 0)).toBe(true);
    expect(server.log().match(/New client connected .* as one /g)).toHaveLength(1);
  });

  it('gives the connection up when that lasts, and takes everything on another', async () => {
    let away = true;
    const taken = new Set<string>();
    const intake: Intake = async ({ bytes }) => {
      if (away) throw new Failed('database-down', 'no database');
      taken.add(Buffer.from(bytes).toString());
    };
    subscriber = await startSubscriber(server.url, intake, { limits: { holdMs: 50 } });
    await send(20);
    const connections = (): number =>
      server.log().match(/New client connected .* as one /g)?.length ?? 0;
    await until(() => connections() > 2);
    expect(acknowledged()).toEqual([]);
    away = false;
    await until(() => taken.size === 20);
    await until(() => acknowledged().length === 20);
  });

  it('says no to one message without holding up the others, and mosquitto forgets it', async () => {
    const seen: string[] = [];
    const intake: Intake = async ({ bytes }) => {
      const text = Buffer.from(bytes).toString();
      seen.push(text);
      if (text === 'm3') throw new Refused('overflow', 'too much waits');
      if (text === 'm4') throw new RangeError('an error of ours');
    };
    subscriber = await startSubscriber(server.url, intake);
    await send(10);
    await until(() => acknowledged().length === 10);
    const codes = acknowledged().map(({ code }) => code);
    expect(codes).toEqual([0, 0, 0, 0x97, 0x83, 0, 0, 0, 0, 0]);
    expect(subscriber.counts().refused).toBe(2);
    await server.restart();
    await until(() => subscriber?.isConnected() === true);
    await send(1, 'after');
    await until(() => seen.includes('after0'));
    expect(seen.filter((text) => text === 'm3' || text === 'm4')).toHaveLength(2);
  });

  it('never sees what is longer than a packet may be, nor what is retained or sent with QoS 0', async () => {
    const seen: string[] = [];
    const intake: Intake = async ({ bytes }) => {
      seen.push(Buffer.from(bytes).toString().slice(0, 10));
    };
    const device = await connectDevice(server.url, 'device');
    await device.publishAsync(messagesTopic('p', 'm'), 'retained', { qos: 1, retain: true });
    subscriber = await startSubscriber(server.url, intake);
    await device.publishAsync(messagesTopic('p', 'm'), 'x'.repeat(80_000), { qos: 1 });
    await device.publishAsync(messagesTopic('p', 'm'), 'no answer', { qos: 0 });
    await device.publishAsync(messagesTopic('p', 'm'), 'after', { qos: 1 });
    await until(() => seen.length > 0);
    await until(() => subscriber?.counts().withoutAcknowledgement === 1);
    expect(seen).toEqual(['after']);
    await device.endAsync();
  });

  it('shares with another, gets what came while it was away, and so loses nothing', async () => {
    const taken = { one: [] as string[], two: [] as string[] };
    const intakeOf =
      (list: string[]): Intake =>
      async ({ bytes }) => {
        list.push(Buffer.from(bytes).toString());
      };
    subscriber = await startSubscriber(server.url, intakeOf(taken.one));
    const two = await startSubscriber(server.url, intakeOf(taken.two), { clientId: 'two' });
    await send(100);
    await until(() => taken.one.length + taken.two.length === 100);
    expect(taken.one.length).toBeGreaterThan(0);
    expect(taken.two.length).toBeGreaterThan(0);
    await two.stop();
    await send(100, 'n');
    // Mosquitto keeps handing the absent one its half, as long as its session lasts.
    await until(() => taken.one.length >= 100);
    const again = await startSubscriber(server.url, intakeOf(taken.two), { clientId: 'two' });
    await until(() => new Set([...taken.one, ...taken.two]).size === 200);
    await again.stop();
  });

  it('ends what is under way before it goes, and takes nothing more', async () => {
    const desk = createDesk();
    subscriber = await startSubscriber(server.url, desk.intake);
    await send(10);
    await until(() => desk.waiting.size === 10);
    const stopped = subscriber.stop();
    subscriber = undefined;
    await send(5, 'late');
    for (const { take } of desk.waiting.values()) take();
    await stopped;
    expect(acknowledged()).toHaveLength(10);
    expect(desk.seen).toHaveLength(10);
  });
});
