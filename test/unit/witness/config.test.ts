import { describe, expect, it } from 'vitest';
import { readWitnessConfig } from '#witness/config.ts';

const least = {
  WITNESS_FOLDER: '/var/lib/witness',
  WITNESS_KEY_FILE: '/etc/witness.pem',
  WITNESS_NAME: 'witness.example/one',
  WITNESS_LOGS_FILE: '/etc/witness.logs',
};

describe('the configuration of a witness', () => {
  it('needs a folder, a key, a name and logs; the rest has defaults', () => {
    expect(readWitnessConfig(least)).toEqual({
      folder: '/var/lib/witness',
      keyFile: '/etc/witness.pem',
      name: 'witness.example/one',
      logsFile: '/etc/witness.logs',
      listen: { host: '127.0.0.1', port: 7380 },
      audit: false,
    });
    for (const name of Object.keys(least)) {
      expect(() => readWitnessConfig({ ...least, [name]: '' })).toThrow(`${name} must be set`);
    }
  });

  it.each([
    ['0.0.0.0:0', { host: '0.0.0.0', port: 0 }],
    ['localhost:65535', { host: 'localhost', port: 65_535 }],
    ['[::1]:80', { host: '::1', port: 80 }],
  ])('listens on %s', (text, listen) => {
    expect(readWitnessConfig({ ...least, WITNESS_LISTEN: text })).toMatchObject({ listen });
  });

  it.each([
    '7380',
    ':7380',
    'localhost',
    'localhost:',
    'localhost:07',
    '::1:80',
    'a:b:80',
    'a:65536',
  ])('does not listen on %s', (text) => {
    expect(() => readWitnessConfig({ ...least, WITNESS_LISTEN: text })).toThrow('WITNESS_LISTEN');
  });

  it('audits when it is on, and knows no other word for it', () => {
    expect(readWitnessConfig({ ...least, WITNESS_AUDIT: 'on' }).audit).toBe(true);
    expect(() => readWitnessConfig({ ...least, WITNESS_AUDIT: 'true' })).toThrow('WITNESS_AUDIT');
  });

  it.each(['two words', 'with+plus', 'witn\u00e9ss', 'a'.repeat(256)])('has no name %j', (name) => {
    expect(() => readWitnessConfig({ ...least, WITNESS_NAME: name })).toThrow('WITNESS_NAME');
  });
});
