import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { sha256 } from '#crypto';
import { utf8 } from '#core/bytes.ts';
import { pemFromSeed } from '#core/signer.node.ts';
import { runCli, startCli } from '#support/cli.ts';
import { describeKafka, kcatWrite, startKafka, type TestKafka } from '#support/kafka.ts';
import { ocmfMeter } from '#support/ocmf.ts';
import { startTestPostgres, type TestPostgres } from '#support/postgres.ts';
import { insertLogSetting } from '#support/register.ts';
import { newDevice } from '../ingestion/rig.ts';
import { countRows, newSpace, until } from './rig.ts';

const folder = mkdtempSync(join(tmpdir(), 'hourseal-kafka-only-'));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

describeKafka('ingestion from Kafka alone, as a process of its own', () => {
  let kafka: TestKafka;
  let database: TestPostgres;
  let environment: Record<string, string>;
  beforeAll(async () => {
    [kafka, database] = await Promise.all([startKafka(), startTestPostgres('postgres')]);
    const keyFile = join(folder, 'ingestion.pem');
    // The one that the test's log names.
    const seed = sha256(utf8('hourseal test key ingestion'));
    writeFileSync(keyFile, pemFromSeed(seed), { mode: 0o600 });
    environment = {
      DATABASE_URL: database.connectionString,
      INGESTION_KEY_FILE: keyFile,
      KAFKA_BROKERS: kafka.brokers.join(','),
    };
  });
  afterAll(async () => {
    await Promise.all([kafka.stop(), database.stop()]);
  });

  it('stores what comes, whoever sends it, sends news on, and ends when it is told to', async () => {
    const { pool } = database;
    await insertLogSetting(pool);
    const space = newSpace(kafka.brokers);
    await space.create();
    const [first, second] = [await newDevice(pool, 'M-1'), await newDevice(pool, 'M-2')];
    const now = Math.floor(Date.now() / 1000) - 600;
    const process = startCli(['ingestion'], {
      env: {
        ...environment,
        KAFKA_GROUP: `${space.prefix}ingestion`,
        KAFKA_MESSAGES_IN: 'yes',
        KAFKA_TOPIC_PREFIX: space.prefix,
      },
    });
    try {
      const records = [1, 2, 3].flatMap((seq) =>
        [first, second].map((device) => ({
          key: device.of.meter,
          value: device.message(seq, now + seq),
        })),
      );
      // A record that is nobody's does not hold up those behind it.
      const stranger = ocmfMeter('ECDSA-secp256k1-SHA256', 7n).record('{}');
      const nobody = { key: 'M-1', value: Buffer.from(stranger).toString('utf8') };
      kcatWrite(kafka.brokers, `${space.prefix}messages.in`, { records: [nobody, ...records] });
      await until(async () => (await countRows(pool, 'message')) === records.length);
      await until(async () => (await countRows(pool, 'quarantine')) === 1);
      // Asked for before it ends: its relay sends them.
      await until(async () => (await countRows(pool, 'outbox')) === 0);
      expect(space.news('messages.accepted')).not.toHaveLength(0);
      expect(space.news('messages.quarantined')).toHaveLength(1);
    } finally {
      process.child.kill('SIGTERM');
    }
    const ended = await process.ended;
    expect(ended).toMatchObject({ code: 0 });
    // Nobody waits for receipts there: that none can be sent is no trouble to be told of.
    expect(ended.stdout + ended.stderr).not.toMatch(/receipt/);
  });

  it('says in one line that there is nothing to read from', async () => {
    const ended = await runCli(['ingestion'], { env: environment });
    expect(ended).toMatchObject({ code: 3, stdout: '' });
    expect(ended.stderr).toMatch(/^hourseal: [^\n]*KAFKA_MESSAGES_IN[^\n]*\n$/);
  });
});
