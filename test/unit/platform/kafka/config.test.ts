import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readKafkaConfig } from '#platform/kafka/config.ts';

const folder = mkdtempSync(join(tmpdir(), 'hourseal-kafka-config-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});
const pem = (name: string): string => {
  writeFileSync(join(folder, name), `PEM ${name}`);
  return join(folder, name);
};
const base = { KAFKA_BROKERS: 'a.example:9092,[::1]:9093' };

describe('the configuration of Kafka', () => {
  it('is none where no broker is named', async () => {
    expect(await readKafkaConfig({})).toBeUndefined();
    expect(await readKafkaConfig({ KAFKA_BROKERS: '', KAFKA_GROUP: 'g' })).toBeUndefined();
  });

  it('needs no more than brokers', async () => {
    expect(await readKafkaConfig(base)).toEqual({
      connection: { brokers: ['a.example:9092', '[::1]:9093'], clientId: 'hourseal' },
      topicPrefix: 'hourseal.',
      group: 'hourseal-ingestion',
      messagesIn: false,
      inFlightMessages: 1_000,
    });
  });

  it('has all that a login over TLS takes', async () => {
    const config = await readKafkaConfig({
      ...base,
      KAFKA_TLS: 'yes',
      KAFKA_TLS_CA_FILE: pem('ca'),
      KAFKA_TLS_CERT_FILE: pem('cert'),
      KAFKA_TLS_KEY_FILE: pem('key'),
      KAFKA_SASL_MECHANISM: 'scram-sha-512',
      KAFKA_SASL_USERNAME: 'u',
      KAFKA_SASL_PASSWORD: 'p',
    });
    expect(config?.connection).toMatchObject({
      tls: { ca: 'PEM ca', cert: 'PEM cert', key: 'PEM key' },
      sasl: { mechanism: 'scram-sha-512', username: 'u', password: 'p' },
    });
  });

  it.each([
    ['a broker without a port', { KAFKA_BROKERS: 'a.example' }, 'KAFKA_BROKERS'],
    ['an empty place among brokers', { KAFKA_BROKERS: 'a:1,,b:2' }, 'KAFKA_BROKERS'],
    ['a prefix that Kafka refuses', { ...base, KAFKA_TOPIC_PREFIX: 'a/b' }, 'KAFKA_TOPIC_PREFIX'],
    ['files without TLS', { ...base, KAFKA_TLS_CA_FILE: '/ca' }, 'KAFKA_TLS must be yes'],
    [
      'a certificate without its key',
      { ...base, KAFKA_TLS: 'yes', KAFKA_TLS_CERT_FILE: '/cert' },
      'belong together',
    ],
    [
      'a file that is not there',
      { ...base, KAFKA_TLS: 'yes', KAFKA_TLS_CA_FILE: join(folder, 'absent') },
      'cannot be read',
    ],
    ['a login without a password', { ...base, KAFKA_SASL_USERNAME: 'u' }, 'belong together'],
    ['another mechanism', { ...base, KAFKA_SASL_MECHANISM: 'oauth' }, 'KAFKA_SASL_MECHANISM'],
  ])('refuses %s', async (_title, environment, reason) => {
    await expect(readKafkaConfig(environment)).rejects.toMatchObject({
      code: 'config',
      message: expect.stringContaining(reason) as string,
    });
  });

  it('never repeats the password', async () => {
    const wrong = { ...base, KAFKA_SASL_MECHANISM: 'none', KAFKA_SASL_PASSWORD: 'secret-word' };
    await expect(readKafkaConfig(wrong)).rejects.toThrow(/^(?!.*secret-word)/);
  });
});
