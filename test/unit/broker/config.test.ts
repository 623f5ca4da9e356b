import { describe, expect, it } from 'vitest';
import { readBrokerConfig } from '#broker/config.ts';
import { readBrokerTls } from '#broker/tls.ts';

const whole = {
  BROKER_TLS_PORT: '8883',
  BROKER_TLS_CERTIFICATE_FILE: '/etc/broker.crt',
  BROKER_TLS_KEY_FILE: '/etc/broker.pem',
};

describe('TLS of the broker', () => {
  it('is off, or on with port, certificate and key together', () => {
    expect(readBrokerConfig({}).tls).toBeUndefined();
    expect(readBrokerConfig({ ...whole, BROKER_HOST: '::1' }).tls).toEqual({
      listen: { host: '::1', port: 8883 },
      certificateFile: '/etc/broker.crt',
      keyFile: '/etc/broker.pem',
      caFile: undefined,
    });
    for (const name of Object.keys(whole)) {
      const read = (): unknown => readBrokerConfig({ ...whole, [name]: '' });
      expect(read, name).toThrow(expect.objectContaining({ code: 'config' }) as Error);
    }
    expect(() => readBrokerConfig({ BROKER_TLS_CA_FILE: '/etc/ca.pem' })).toThrow(/go together/);
  });

  it('names the file that cannot be read, and what is no certificate, before it listens', async () => {
    const files = {
      listen: { host: '127.0.0.1', port: 0 },
      certificateFile: '/nowhere/broker.crt',
      keyFile: '/nowhere/broker.pem',
      caFile: undefined,
    };
    await expect(readBrokerTls(files)).rejects.toThrow(/CERTIFICATE_FILE \/nowhere\/broker.crt/);
    const page = new URL('../../../README.md', import.meta.url).pathname;
    const nonsense = { ...files, certificateFile: page, keyFile: page };
    await expect(readBrokerTls(nonsense)).rejects.toMatchObject({ code: 'config' });
  });
});
