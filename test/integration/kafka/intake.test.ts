import { spawn } from 'node:child_process';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { Failed } from '#core/errors.ts';
import type { Intake } from '#platform/intake.ts';
import type { Pool } from '#platform/postgres.ts';
import { createTopics } from '#platform/kafka/client.ts';
import { describeKafka, kcatWrite, startKafka, type TestKafka } from '#support/kafka.ts';
import { startTestPostgres, type TestPostgres } from '#support/postgres.ts';
import { insertLogSetting } from '#support/register.ts';
import { at, newDevice, startRig, type Device, type Rig } from '../ingestion/rig.ts';
import { countRows, newSpace, until, type Space } from './rig.ts';

interface Sent {
  readonly key: string;
  readonly value: string;
}

describeKafka('messages from a real Kafka', () => {
  let kafka: TestKafka;
  let database: TestPostgres;
  let pool: Pool;
  let rig: Rig;
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
    await insertLogSetting(pool);
    rig = await startRig(pool);
    space = newSpace(kafka.brokers);
    return async () => {
      await rig.ingestion.stop();
      await database.stop();
    };
  });

  const devices = async (count: number): Promise<Device[]> => {
    const made: Device[] = [];
    for (let i = 0; i < count; i++) made.push(await newDevice(pool, `M-${i}`));
    return made;
  };
  /** For each meter seq `from` to `to`, the meters taking turns. */
  const messages = (of: readonly Device[], from: number, to: number): Sent[] => {
    const all: Sent[] = [];
    for (let seq = from; seq <= to; seq++) {
      for (const device of of) {
        all.push({ key: device.of.meter, value: device.message(seq, at - 2000 + seq) });
      }
    }
    return all;
  };
  const write = (records: readonly Sent[], options: readonly string[] = []): void => {
    kcatWrite(kafka.brokers, `${space.prefix}messages.in`, { records, options });
  };
  /** Every message is stored once, accepted, and every chain has no gap. */
  const expectAll = async (of: readonly Device[], through: number): Promise<void> => {
    await until(async () => (await countRows(pool, 'message')) >= of.length * through);
    expect(await pool.rows('select code, count(*) as n from message group by code')).toEqual([
      { code: null, n: of.length * through },
    ]);
    const heads = await pool.rows<{ through_seq: number }>('select through_seq from key_progress');
    expect(heads.map(({ through_seq }) => through_seq)).toEqual(of.map(() => through));
  };
  const duplicates = async (): Promise<number> =>
    (await pool.row<{ n: number }>('select sum(duplicates)::bigint as n from key_progress')).n;
  /** Nothing of the group is left to read, as Kafka itself says it. */
  const consumer = (intake: Intake = rig.ingestion.accept) =>
    space.consumer({ intake, pool, clock: rig.clock });

  it('are stored whatever names their meter and however they are packed', async () => {
    await space.create();
    const [one, two, three] = await devices(3);
    if (one === undefined || two === undefined || three === undefined) throw new Error('three');
    const reading = await consumer();
    write([{ key: one.of.meter, value: one.message(1, at) }]);
    write(
      [{ key: `${two.of.plant}/${two.of.meter}`, value: two.message(1, at) }],
      ['-z', 'snappy'],
    );
    write(
      [{ key: 'anything', value: three.message(1, at) }],
      [...['-z', 'lz4'], ...['-H', `topic=${three.topic}`]],
    );
    await expectAll([one, two, three], 1);
    await reading.stop();
  });

  it('go on behind what is refused, which is quarantined with its reason', async () => {
    await space.create();
    const [good, other] = await devices(2);
    if (good === undefined || other === undefined) throw new Error('two');
    const big = 'x'.repeat(200_000);
    const onOnePartition = ['-p', '0'];
    write(
      [
        { key: good.of.meter, value: big },
        { key: good.of.meter, value: 'no JWS' },
        { key: 'nobody', value: good.message(1, at) },
        { key: other.of.meter, value: good.message(2, at) },
        { key: '../../etc', value: '' },
        { key: good.of.meter, value: good.message(3, at) },
      ],
      onOnePartition,
    );
    // A tombstone: no value at all.
    kcatWrite(kafka.brokers, `${space.prefix}messages.in`, {
      records: [{ key: 'M-0', value: '' }],
      options: ['-Z', ...onOnePartition],
    });
    write([{ key: good.of.meter, value: good.message(4, at) }], onOnePartition);
    const reading = await consumer();
    await until(async () => (await countRows(pool, 'message')) === 2);
    const rows = await pool.rows<{ code: string; sender: string; bytes: number }>(
      `select code, sender, octet_length(bytes)::bigint as bytes from quarantine
        order by quarantine_id`,
    );
    const known = `kafka ${good.topic}`;
    // Meters that nobody has asked for yet wait for the answer: between them there is no order.
    expect(new Set(rows.map((row) => JSON.stringify(row)))).toEqual(
      new Set(
        [
          // Cut where its size alone refuses it.
          { code: 'size', sender: known, bytes: 65_001 },
          { code: 'form', sender: known, bytes: 6 },
          { code: 'topic', sender: 'kafka', bytes: good.message(1, at).length },
          { code: 'topic', sender: `kafka ${other.topic}`, bytes: good.message(2, at).length },
          { code: 'form', sender: 'kafka', bytes: 0 },
          { code: 'form', sender: known, bytes: 0 },
        ].map((row) => JSON.stringify(row)),
      ),
    );
    expect(rows).toHaveLength(6);
    await reading.stop();
  });

  it('are many under way at once, and are not asked for again once committed', async () => {
    await space.create();
    const meters = await devices(20);
    let underWay = 0;
    let most = 0;
    const intake: Intake = async (arrival) => {
      most = Math.max(most, ++underWay);
      await rig.ingestion.accept(arrival);
      underWay--;
    };
    write(messages(meters, 1, 100));
    const first = await consumer(intake);
    await expectAll(meters, 100);
    expect(most).toBeGreaterThan(200);
    await first.stop();
    const second = await consumer(intake);
    write(messages(meters, 101, 101));
    await expectAll(meters, 101);
    expect(await duplicates()).toBe(0);
    await second.stop();
  });

  it('never has more of a partition under way than it may', async () => {
    await space.create();
    const [meter] = await devices(1);
    if (meter === undefined) throw new Error('one');
    let underWay = 0;
    let most = 0;
    const intake: Intake = async (arrival) => {
      most = Math.max(most, ++underWay);
      await rig.ingestion.accept(arrival);
      underWay--;
    };
    write(messages([meter], 1, 200));
    const reading = await space.consumer({ intake, pool, clock: rig.clock, inFlightRecords: 7 });
    await expectAll([meter], 200);
    expect(most).toBe(7);
    await reading.stop();
  });

  it('wait while the database is away, and are neither lost nor committed', async () => {
    await space.create();
    const meters = await devices(5);
    let away = true;
    let refused = 0;
    const intake: Intake = async (arrival) => {
      // Of a batch some are stored and most are not, as when a connection breaks.
      const isStored = !away || arrival.topic === meters[0]?.topic;
      if (!isStored) refused++;
      if (!isStored) throw new Failed('database-down', 'away');
      await rig.ingestion.accept(arrival);
    };
    // On one partition: what is stored stands between what is not.
    write(messages(meters, 1, 60), ['-p', '0']);
    const reading = await consumer(intake);
    await until(async () => (await countRows(pool, 'message')) === 60);
    // Longer than a session: the member must keep its place all the while.
    await setTimeout(7_000);
    const before = refused;
    await reading.stop();
    const again = await consumer(intake);
    await until(() => refused > before + 100);
    expect(await countRows(pool, 'message')).toBe(60);
    away = false;
    await expectAll(meters, 60);
    expect(await duplicates()).toBeGreaterThan(0);
    await again.stop();
  });

  it('are put aside when the database can never take them', async () => {
    await space.create();
    const [good, bad] = await devices(2);
    if (good === undefined || bad === undefined) throw new Error('two');
    await pool.run(`
      create function refuse() returns trigger language plpgsql
      as $$ begin if new.key_id = ${bad.keyId} then raise exception 'never'; end if; return new; end $$`);
    await pool.run(
      'create trigger refuse before insert on message for each row execute function refuse()',
    );
    write([
      { key: bad.of.meter, value: bad.message(1, at) },
      { key: good.of.meter, value: good.message(1, at) },
    ]);
    const reading = await consumer();
    await until(async () => (await countRows(pool, 'quarantine')) === 1);
    await until(async () => (await countRows(pool, 'message')) === 1);
    expect(await pool.row('select code, detail from quarantine')).toEqual({
      code: 'form',
      detail: 'the database cannot take it; see the log',
    });
    await reading.stop();
  });

  it('are shared by two consumers; one that ends gives its part to the other', async () => {
    await space.create();
    const meters = await devices(24);
    const taken = [0, 0];
    const counted =
      (i: 0 | 1): Intake =>
      async (arrival) => {
        await rig.ingestion.accept(arrival);
        taken[i] = (taken[i] ?? 0) + 1;
      };
    const first = await consumer(counted(0));
    write(messages(meters, 1, 50));
    await until(() => (taken[0] ?? 0) > 100);
    // Partitions move while hundreds are under way.
    const second = await consumer(counted(1));
    for (let seq = 51; seq <= 150; seq += 10) {
      write(messages(meters, seq, seq + 9));
      await setTimeout(200);
    }
    await until(() => (taken[1] ?? 0) > 100);
    await first.stop();
    write(messages(meters, 151, 180));
    await expectAll(meters, 180);
    await second.stop();
  });

  it('survive a broker that is frozen, and one that is killed', async () => {
    await space.create();
    const meters = await devices(12);
    const reading = await consumer();
    write(messages(meters, 1, 40));
    await until(async () => (await countRows(pool, 'message')) > 0);
    kafka.freeze();
    await setTimeout(8_000);
    kafka.thaw();
    write(messages(meters, 41, 80));
    await expectAll(meters, 80);
    await kafka.kill();
    await setTimeout(1_000);
    await kafka.restart();
    write(messages(meters, 81, 120));
    await expectAll(meters, 120);
    await reading.stop();
  });

  it('come once their topic is there', async () => {
    const [meter] = await devices(1);
    if (meter === undefined) throw new Error('one');
    const reading = await consumer();
    await setTimeout(1_000);
    await createTopics(space.context, [
      { topic: `${space.prefix}messages.in`, partitions: 1, replicas: 1, config: {} },
    ]);
    write(messages([meter], 1, 3));
    await expectAll([meter], 3);
    await reading.stop();
  });

  it('leave nothing that keeps a process from its end, whatever the broker does', async () => {
    await space.create();
    kafka.freeze();
    const child = spawn(
      process.execPath,
      ['--import', 'tsx', new URL('ends.child.ts', import.meta.url).pathname],
      {
        env: { ...process.env, BROKERS: kafka.brokers.join(','), PREFIX: space.prefix },
        stdio: 'inherit',
      },
    );
    const code = await new Promise((resolve) => child.once('close', resolve));
    kafka.thaw();
    expect(code).toBe(0);
  });
});
