import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { utf8 } from '#core/bytes.ts';
import { createTopics } from '#platform/kafka/client.ts';
import { announce, type BareNews } from '#platform/news.ts';
import type { Pool } from '#platform/postgres.ts';
import { describeKafka, kcatRead, startKafka, type TestKafka } from '#support/kafka.ts';
import { startTestPostgres, type TestPostgres } from '#support/postgres.ts';
import { countRows, firstComings, newSpace, until, type Space } from './rig.ts';

const nowS = 1_767_261_600;
const plants = ['A', 'B', 'C', 'D', 'E', 'F', 'G'];

/** News of the hour with this number, of the plant whose turn it is. */
function hour(n: number): BareNews<'hours.sealed'> {
  const plant = plants[n % plants.length] ?? 'A';
  return { index: n, leafHash: '00'.repeat(32), plant, start: n * 3600 };
}

async function write(pool: Pool, from: number, to: number): Promise<void> {
  for (let n = from; n < to; n++) {
    await announce(pool, 'hours.sealed', { news: [hour(n)], nowS });
  }
}

/** Every hour came, and the first time of each in its order under its key, in one partition. */
function expectInOrder(space: Space, count: number): void {
  const news = space.news('hours.sealed');
  const of = new Map<string, number[]>();
  for (const { key, value } of news) {
    if (!('plant' in value)) throw new Error('an omitted piece of news');
    expect(key).toBe(value.plant);
    const indexes = of.get(key) ?? [];
    if (!indexes.includes(value.index)) indexes.push(value.index);
    of.set(key, indexes);
  }
  const wanted = new Map<string, number[]>();
  for (let n = 0; n < count; n++) {
    const { plant } = hour(n);
    wanted.set(plant, [...(wanted.get(plant) ?? []), n]);
  }
  expect(Object.fromEntries(of)).toEqual(Object.fromEntries(wanted));
  for (const key of of.keys()) {
    const partitions = new Set(news.filter((one) => one.key === key).map((one) => one.partition));
    expect(partitions.size).toBe(1);
  }
  expect(firstComings(news).size).toBe(Math.min(count, plants.length));
}

describeKafka('the relay of the outbox, on a real Kafka', () => {
  let kafka: TestKafka;
  let database: TestPostgres;
  let pool: Pool;
  let space: Space;
  beforeAll(async () => {
    kafka = await startKafka();
  });
  afterAll(async () => {
    await kafka.stop();
  });
  beforeEach(async () => {
    database = await startTestPostgres('postgres');
    ({ pool } = database);
    space = newSpace(kafka.brokers, { requestTimeoutMs: 1_500, retries: 2 });
    return () => database.stop();
  });

  it('keeps the order of each key, and leaves nothing behind', async () => {
    await space.create();
    await write(pool, 0, 100);
    const bus = space.bus();
    const relay = await space.relay(pool, { bus });
    await write(pool, 100, 200);
    await until(async () => (await countRows(pool, 'outbox')) === 0);
    expectInOrder(space, 200);
    const partitions = new Set(space.news('hours.sealed').map(({ partition }) => partition));
    expect(partitions.size).toBeGreaterThan(1);
    // Nothing failed, so nothing came twice.
    expect(space.news('hours.sealed')).toHaveLength(200);
    expect(relay.delivered()).toBe(200);
    await relay.stop();
    await bus.close();
  });

  describe('loses nothing and keeps the order', () => {
    it('while the broker does not answer', async () => {
      await space.create();
      const bus = space.bus();
      const relay = await space.relay(pool, { bus });
      await write(pool, 0, 50);
      await until(() => relay.delivered() > 0);
      kafka.freeze();
      await write(pool, 50, 150);
      // Longer than every attempt of the client together.
      await setTimeout(8_000);
      expect(await countRows(pool, 'outbox')).toBeGreaterThan(0);
      kafka.thaw();
      await write(pool, 150, 200);
      await until(async () => (await countRows(pool, 'outbox')) === 0);
      expectInOrder(space, 200);
      await relay.stop();
      await bus.close();
    });

    it('when the broker is killed and started again, twice', async () => {
      await space.create();
      const bus = space.bus();
      const relay = await space.relay(pool, { bus });
      let written = 0;
      for (const _round of [1, 2]) {
        const writing = write(pool, written, written + 150);
        await until(() => relay.delivered() > written + 20);
        await kafka.kill();
        await writing;
        written += 150;
        await setTimeout(1_000);
        await kafka.restart();
        await until(async () => (await countRows(pool, 'outbox')) === 0);
      }
      expectInOrder(space, written);
      await relay.stop();
      await bus.close();
    });

    it('when it begins before there is a broker', async () => {
      await space.create();
      await kafka.kill();
      const bus = space.bus();
      const relay = await space.relay(pool, { bus });
      await write(pool, 0, 30);
      await setTimeout(2_000);
      expect(await countRows(pool, 'outbox')).toBe(30);
      await kafka.restart();
      await until(async () => (await countRows(pool, 'outbox')) === 0);
      expectInOrder(space, 30);
      await relay.stop();
      await bus.close();
    });
  });

  it('holds what has no topic, and nothing else', async () => {
    const { context, prefix } = space;
    const topic = { partitions: 3, replicas: 1, config: {} };
    await createTopics(context, [{ ...topic, topic: `${prefix}hours.sealed` }]);
    const bus = space.bus();
    const relay = await space.relay(pool, { bus });
    await announce(pool, 'hours.corrected', { news: [hour(1), hour(2)], nowS });
    await write(pool, 0, 40);
    await until(() => relay.delivered() === 40);
    expect(await pool.rows('select topic from outbox')).toEqual([{ topic: 'hours.corrected' }]);
    await createTopics(context, [{ ...topic, topic: `${prefix}hours.corrected` }]);
    await until(async () => (await countRows(pool, 'outbox')) === 0);
    expectInOrder(space, 40);
    expect(space.news('hours.corrected')).toHaveLength(2);
    await relay.stop();
    await bus.close();
  });

  it('says of what the broker finds too large that it was omitted', async () => {
    const { context, prefix } = space;
    const topic = `${prefix}messages.accepted`;
    const config = { 'max.message.bytes': '2000' };
    await createTopics(context, [{ topic, partitions: 1, replicas: 1, config }]);
    const news = (plant: string, meters: number): BareNews<'messages.accepted'> => ({
      hours: [],
      meters: Array.from({ length: meters }, (_, i) => ({
        kid: 'A'.repeat(43),
        maxSeq: 1,
        messages: 1,
        meter: `M${i}`,
        throughSeq: 1,
      })),
      plant,
    });
    const bus = space.bus();
    // Together they are too large as well, and must be parted.
    await announce(pool, 'messages.accepted', {
      news: [news('P', 5), news('Q', 5), news('P', 100), news('P', 1), news('Q', 5), news('P', 2)],
      nowS,
    });
    const relay = await space.relay(pool, { bus });
    await until(async () => (await countRows(pool, 'outbox')) === 0);
    const parts = firstComings(space.news('messages.accepted'));
    expect(parts.get('P')?.map((name) => name.split('.')[1])).toEqual(['0', '2', '3', '5']);
    expect(parts.get('Q')?.map((name) => name.split('.')[1])).toEqual(['1', '4']);
    const omitted = space.news('messages.accepted').filter(({ value }) => 'omittedBytes' in value);
    expect(omitted).toMatchObject([{ key: 'P', value: { part: 2 } }]);
    await relay.stop();
    await bus.close();
  });

  it('is done by one of two, and by the other when that ends or falls silent', async () => {
    await space.create();
    const buses = [space.bus(), space.bus()];
    const [bus, otherBus] = buses;
    if (bus === undefined || otherBus === undefined) throw new Error('two were made');
    const first = await space.relay(pool, { bus });
    await write(pool, 0, 20);
    await until(() => first.delivered() === 20);
    const second = await space.relay(database.anotherPool(), { bus: otherBus });
    await write(pool, 20, 60);
    await until(async () => (await countRows(pool, 'outbox')) === 0);
    expect([first.delivered(), second.delivered()]).toEqual([60, 0]);
    await first.stop();
    await write(pool, 60, 80);
    await until(() => second.delivered() === 20);
    await second.stop();
    // Another one took over and was killed: its lease must run out first.
    await pool.run(
      `update outbox_relay set holder = 'killed', until = clock_timestamp() + interval '3 s'`,
    );
    const third = await space.relay(pool, { bus });
    await write(pool, 80, 100);
    await setTimeout(1_000);
    expect(third.delivered()).toBe(0);
    await until(async () => (await countRows(pool, 'outbox')) === 0);
    expectInOrder(space, 100);
    await third.stop();
    await Promise.all(buses.map(({ close }) => close()));
  });

  it('publishes whatever stands in a row, also what nobody here would write', async () => {
    await space.create();
    await pool.run(
      `insert into outbox (topic, key, value, created_at) values ('certificates', '', '[7, []]', 1),
         ('certificates', '', '{"plant": 3}', 2), ('certificates', '', 'null', 3), ('other', '', '1', 4)`,
    );
    const bus = space.bus();
    const relay = await space.relay(pool, { bus });
    await until(async () => (await countRows(pool, 'outbox')) === 1);
    const values = kcatRead(kafka.brokers, `${space.prefix}certificates`).map(({ value }) => value);
    expect(values).toHaveLength(4);
    await relay.stop();
    await bus.close();
  });

  it('has limits: a bus takes no more than it may hold', async () => {
    await space.create();
    await kafka.kill();
    const bus = space.bus({ maxWaiting: 100, maxWaitingBytes: 5_000 });
    const value = utf8('x'.repeat(40));
    const many = await Promise.allSettled(
      Array.from({ length: 150 }, () => bus.publish('certificates', 'P', value)),
    );
    const codes = many.map((one) =>
      one.status === 'rejected' ? (one.reason as { code: string }).code : '',
    );
    expect(codes.slice(100)).toEqual(Array.from({ length: 50 }, () => 'bus-full'));
    expect(codes.slice(0, 100)).not.toContain('bus-full');
    await expect(bus.publish('certificates', 'P', new Uint8Array(5_001))).rejects.toMatchObject({
      code: 'bus-full',
    });
    // What failed has left room.
    await kafka.restart();
    await bus.publish('certificates', 'P', utf8('{}'));
    await bus.close();
    await expect(bus.publish('certificates', 'P', value)).rejects.toMatchObject({
      code: 'bus-closed',
    });
  });
});
