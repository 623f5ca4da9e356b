import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { utf8 } from '#core/bytes.ts';
import { connectProducer, createTopics, startReader } from '#platform/kafka/client.ts';
import type { KafkaConnection } from '#platform/kafka/config.ts';
import { describeKafka, kcatRead, startKafka, type TestKafka } from '#support/kafka.ts';
import { logger, quickLimits, until } from './rig.ts';

const folder = mkdtempSync(join(tmpdir(), 'hourseal-kafka-tls-'));
const file = (name: string): string => join(folder, name);
const topic = 'client';

/** An authority of our own, and a certificate of it for 127.0.0.1. */
function makeCertificates(): void {
  const openssl = (...words: string[]): void => {
    execFileSync('openssl', words, { cwd: folder, stdio: 'pipe' });
  };
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  openssl('req', '-x509', ...newKey, '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=ca');
  openssl('req', ...newKey, '-keyout', 'b.key', '-out', 'b.csr', '-subj', '/CN=broker');
  writeFileSync(file('san'), 'subjectAltName=IP:127.0.0.1');
  const by = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', 'san'];
  openssl('x509', '-req', '-in', 'b.csr', ...by, '-out', 'b.pem');
  const pair = readFileSync(file('b.key'), 'utf8') + readFileSync(file('b.pem'), 'utf8');
  writeFileSync(file('broker.pem'), pair);
}

describeKafka('the client of Kafka', () => {
  let kafka: TestKafka;
  beforeAll(async () => {
    makeCertificates();
    const secure = 'listener.name.secure';
    const plainLogin = 'org.apache.kafka.common.security.plain.PlainLoginModule required';
    const scramLogin = 'org.apache.kafka.common.security.scram.ScramLoginModule required;';
    kafka = await startKafka({
      format: ['--add-scram', 'SCRAM-SHA-512=[name=sam,password=sams-word]'],
      settings: ({ plain, controller, other }) => ({
        listeners: `PLAINTEXT://127.0.0.1:${plain},CONTROLLER://127.0.0.1:${controller},SECURE://127.0.0.1:${other}`,
        'advertised.listeners': `PLAINTEXT://127.0.0.1:${plain},SECURE://127.0.0.1:${other}`,
        'listener.security.protocol.map':
          'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL',
        [`${secure}.ssl.keystore.type`]: 'PEM',
        [`${secure}.ssl.keystore.location`]: file('broker.pem'),
        [`${secure}.sasl.enabled.mechanisms`]: 'PLAIN,SCRAM-SHA-512',
        [`${secure}.plain.sasl.jaas.config`]: `${plainLogin} user_paul="pauls-word";`,
        [`${secure}.scram-sha-512.sasl.jaas.config`]: scramLogin,
      }),
    });
    const context = { connection: { brokers: kafka.brokers, clientId: 'test' }, logger };
    await createTopics(context, [{ topic, partitions: 1, replicas: 1, config: {} }]);
  });
  afterAll(async () => {
    await kafka.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const secured = (sasl: KafkaConnection['sasl'], ca = 'ca.pem'): KafkaConnection => ({
    brokers: [`127.0.0.1:${kafka.ports.other}`],
    clientId: 'test',
    tls: { ca: readFileSync(file(ca), 'utf8') },
    ...(sasl !== undefined && { sasl }),
  });
  const limits = { ...quickLimits, retries: 1 };

  it.each([
    { mechanism: 'plain', username: 'paul', password: 'pauls-word' },
    { mechanism: 'scram-sha-512', username: 'sam', password: 'sams-word' },
  ] as const)('writes over TLS as somebody who logs in: $mechanism', async (sasl) => {
    const producer = await connectProducer({ connection: secured(sasl), logger, limits });
    await producer.send(topic, [{ key: sasl.username, value: utf8('hello') }]);
    await producer.close();
    expect(kcatRead(kafka.brokers, topic)).toContainEqual({
      partition: 0,
      key: sasl.username,
      value: 'hello',
    });
  });

  it('is told when its login is refused, and when the certificate is not believed', async () => {
    const wrong = { mechanism: 'plain', username: 'paul', password: 'guess' } as const;
    const connection = secured(wrong);
    await expect(connectProducer({ connection, logger, limits })).rejects.toMatchObject({
      code: 'kafka-denied',
    });
    const right = { ...wrong, password: 'pauls-word' };
    const { tls: _tls, ...unsaid } = secured(right);
    await expect(
      connectProducer({ connection: { ...unsaid, tls: {} }, logger, limits }),
    ).rejects.toMatchObject({ code: 'kafka-down' });
  });

  it('refuses what the broker finds too large, and names a topic that is missing', async () => {
    const connection = { brokers: kafka.brokers, clientId: 'test' };
    const producer = await connectProducer({ connection, logger, limits });
    await expect(
      producer.send(topic, [{ key: 'k', value: new Uint8Array(2_000_000) }]),
    ).rejects.toMatchObject({ code: 'kafka-too-large' });
    await producer.close();
    const another = await connectProducer({ connection, logger, limits });
    await expect(another.send('missing', [{ key: 'k', value: utf8('v') }])).rejects.toMatchObject({
      code: 'kafka-topic',
    });
    await another.close();
    await expect(
      startReader(
        { connection, logger, limits },
        { topic: 'missing', group: 'g', onBatch: () => Promise.resolve(0n) },
      ),
    ).rejects.toMatchObject({ code: 'kafka-topic' });
  });

  /** Fails when kafkajs is another version than the one whose queue is known (calmRequestQueues). */
  it('sleeps while there is nothing to do', async () => {
    const connection = { brokers: kafka.brokers, clientId: 'test' };
    const producer = await connectProducer({ connection, logger, limits });
    let read = 0;
    const reader = await startReader(
      { connection, logger, limits: { ...limits, fetchWaitMs: 2_000 } },
      {
        topic,
        group: 'idle',
        onBatch: ({ records }) => {
          read += records.length;
          return Promise.resolve((records.at(-1)?.offset ?? -1n) + 1n);
        },
      },
    );
    await producer.send(topic, [{ key: 'k', value: utf8('last') }]);
    await until(() => read > 0);
    const timers = globalThis.setTimeout;
    let begun = 0;
    const counting = (...words: Parameters<typeof timers>): NodeJS.Timeout => {
      begun++;
      return timers(...words);
    };
    globalThis.setTimeout = Object.assign(counting, timers);
    await setTimeout(1_000);
    globalThis.setTimeout = timers;
    // Without our doing: hundreds.
    expect(begun).toBeLessThan(50);
    await reader.close();
    await producer.close();
  });
});
