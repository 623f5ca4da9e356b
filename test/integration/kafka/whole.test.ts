import { spawn, type ChildProcess } from 'node:child_process';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Reading } from '#core/energy/message.ts';
import { inProcessBus } from '#platform/bus.ts';
import { systemClock } from '#platform/clock.ts';
import { readKafkaConfig } from '#platform/kafka/config.ts';
import { createNewsRelay } from '#platform/news-relay.ts';
import { describeKafka, kcatWrite, startKafka, type TestKafka } from '#support/kafka.ts';
import * as people from '#support/log-people.ts';
import { startTestPostgres, type TestPostgres } from '#support/postgres.ts';
import { insertLogSetting, topicOf } from '#support/register.ts';
import { createTestLedger, removeTestFolders, testStartS } from '#support/test-ledger.ts';
import { newDevice, startRig, type Device } from '../ingestion/rig.ts';
import { countRows, logger, newSpace, until } from './rig.ts';

removeTestFolders();

const hourS = 3600;
const t0 = testStartS;

function reading(t: number, exportWh: number): Reading {
  return { registers: { exportWh }, t };
}

describeKafka('with Kafka away from the start', () => {
  let kafka: TestKafka;
  let database: TestPostgres;
  beforeAll(async () => {
    [kafka, database] = await Promise.all([
      startKafka({ stopped: true }),
      startTestPostgres('postgres'),
    ]);
  });
  afterAll(async () => {
    await Promise.all([kafka.stop(), database.stop()]);
  });

  it('messages become certificates; what they tell comes once Kafka does', async () => {
    const { pool } = database;
    const space = newSpace(kafka.brokers);
    const { enter, stepAt, clock } = createTestLedger(pool);
    await enter(people.genesis(), ...people.simplePlant('p1'));
    const { ingestion } = await startRig(pool);
    const consumer = await space.consumer({ intake: ingestion.accept, pool, clock });
    const kafkaConfig = await readKafkaConfig({
      KAFKA_BROKERS: kafka.brokers.join(','),
      KAFKA_TOPIC_PREFIX: space.prefix,
    });
    const local = inProcessBus(systemClock);
    const relay = createNewsRelay({ kafka: kafkaConfig, local, pool, logger });
    await relay.start();
    const topic = topicOf({ plant: 'p1', meter: 'p1-m' });
    const send = (seq: number, readings: Reading[]): Promise<void> => {
      const jws = people.message({ plant: 'p1', meter: 'p1-m', seq, readings });
      const receivedAt = t0 + 3 * hourS;
      return ingestion.accept({ sender: 'm', topic, bytes: Buffer.from(jws), receivedAt });
    };
    await send(1, [reading(t0, 0), reading(t0 + hourS, 1000)]);
    // Without the second hour's message it is sealed at the deadline, and corrected later.
    await send(3, [reading(t0 + 2 * hourS, 2500), reading(t0 + 3 * hourS, 3000)]);
    expect((await stepAt(t0 + 4 * hourS)).sealed).toHaveLength(2);
    expect((await stepAt(t0 + 26 * hourS + 10)).sealed).toMatchObject([{ kind: 'hour' }]);
    await send(2, [reading(t0 + hourS, 1000), reading(t0 + 2 * hourS, 2500)]);
    await stepAt(t0 + 26 * hourS + 20);
    expect(await countRows(pool, 'bundle')).toBeGreaterThan(2);
    expect(await countRows(pool, 'outbox')).toBeGreaterThan(5);

    await kafka.restart();
    await space.create();
    await until(async () => (await countRows(pool, 'outbox')) === 0);
    const values = (name: 'hours.sealed' | 'hours.corrected' | 'certificates') =>
      space.news(name).map(({ key, value }) => {
        expect(key).toBe('p1');
        return value;
      });
    expect(values('hours.sealed')).toMatchObject([
      { plant: 'p1', start: t0, generation: 1000, quality: 'measured' },
      { plant: 'p1', start: t0 + 2 * hourS, generation: 500 },
      { plant: 'p1', start: t0 + hourS },
    ]);
    const [corrected] = values('hours.corrected');
    expect(corrected).toMatchObject({ plant: 'p1', start: t0 + hourS, generation: 1500 });
    const issued = values('certificates').flatMap((value) =>
      'ranges' in value ? value.ranges : [],
    );
    const bundles = await pool.rows<{ from: number; to: number }>(
      `select lower(range) as "from", upper(range) - 1 as "to" from bundle order by 1`,
    );
    expect(issued).toEqual(bundles);
    // Each says where in the log it stands.
    const entries = await pool.rows<{ index: number; hash: string }>(
      `select index, encode(leaf_hash, 'hex') as hash from log_entry`,
    );
    const hashes = new Map(entries.map(({ index, hash }) => [index, hash]));
    for (const value of [...values('hours.sealed'), ...values('certificates')]) {
      if (!('index' in value)) throw new Error('omitted');
      expect(value.leafHash).toBe(hashes.get(value.index));
    }
    expect(space.news('messages.accepted')).not.toHaveLength(0);
    await Promise.all([relay.stop(), consumer.stop()]);
    await ingestion.stop();
  });
});

describeKafka('two processes that read one topic', () => {
  let kafka: TestKafka;
  let database: TestPostgres;
  beforeAll(async () => {
    [kafka, database] = await Promise.all([startKafka(), startTestPostgres('postgres')]);
  });
  afterAll(async () => {
    await Promise.all([kafka.stop(), database.stop()]);
  });

  it('share it; when one is killed nothing is lost and nothing counts twice', async () => {
    const { pool } = database;
    await insertLogSetting(pool);
    const space = newSpace(kafka.brokers);
    await space.create();
    const devices: Device[] = [];
    for (let i = 0; i < 40; i++) devices.push(await newDevice(pool, `M-${i}`));
    const start = Math.floor(Date.now() / 1000) - 3600;
    let written = 0;
    const write = (count: number): void => {
      const records = Array.from({ length: count }, () => ++written).flatMap((seq) =>
        devices.map((device) => ({
          key: device.of.meter,
          value: device.message(seq, start + seq),
        })),
      );
      kcatWrite(kafka.brokers, `${space.prefix}messages.in`, { records });
    };
    const children = [child(space.prefix), child(space.prefix)];
    await until(() => {
      write(2);
      return children.every(({ stored }) => stored() > 0);
    });
    for (const round of [1, 2, 3]) {
      const victim = children[round % 2];
      const before = victim?.stored() ?? 0;
      write(50);
      // In the middle of its work.
      await until(async () => (victim?.stored() ?? 0) > before || (await isIdle()));
      victim?.process.kill('SIGKILL');
      write(20);
      await setTimeout(500);
      children[round % 2] = child(space.prefix);
    }
    await until(async () => (await countRows(pool, 'message')) === devices.length * written);
    const { readings } = await pool.row<{ readings: number }>(
      'select count(*) as readings from reading',
    );
    expect(readings).toBe(devices.length * written);
    expect(await countRows(pool, 'fork')).toBe(0);
    expect(await countRows(pool, 'quarantine')).toBe(0);
    const heads = await pool.rows<{ through_seq: number }>('select through_seq from key_progress');
    expect(heads.map(({ through_seq }) => through_seq)).toEqual(devices.map(() => written));
    for (const { process: one } of children) one.kill('SIGKILL');

    async function isIdle(): Promise<boolean> {
      return (await countRows(pool, 'message')) === devices.length * written;
    }
  });

  interface Child {
    readonly process: ChildProcess;
    /** Messages that it has stored, as it last said. */
    readonly stored: () => number;
  }

  function child(prefix: string): Child {
    let stored = 0;
    const file = new URL('ingestion.child.ts', import.meta.url).pathname;
    const made = spawn(process.execPath, ['--import', 'tsx', file], {
      env: {
        ...process.env,
        BROKERS: kafka.brokers.join(','),
        PREFIX: prefix,
        DATABASE: database.connectionString,
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    made.stdout.on('data', (chunk: Buffer) => {
      const last = Number(chunk.toString('utf8').trim().split('\n').at(-1));
      if (Number.isInteger(last)) stored = last;
    });
    return { process: made, stored: () => stored };
  }
});
