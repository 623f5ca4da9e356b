import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openMqtt, type MqttConnection } from '#ingestion/mqtt-connection.ts';
import type { BrokerAccess } from '#ingestion/mqtt-agreement.ts';
import { defaultExternalBrokerLimits } from '#ingestion/external-broker.ts';
import { mosquitto, startMosquitto, type Mosquitto } from '#support/mosquitto.ts';
import { describeWith, program } from '#support/needs.ts';
import { anybody } from './external-rig.ts';

const openssl = program('openssl', 'openssl');
const passwd = program('mosquitto_passwd', 'mosquitto');

describeWith([mosquitto, openssl, passwd], 'a mosquitto that asks who one is', () => {
  let folder = '';
  let server: Mosquitto;
  const file = (name: string): string => join(folder, name);
  const pem = (name: string): string => readFileSync(file(name), 'utf8');
  function ssl(...words: string[]): void {
    execFileSync(openssl.path ?? '', words, { stdio: 'pipe', cwd: folder });
  }
  /** A certificate of its own authority, for 127.0.0.1. */
  function certify(authority: string, name: string): void {
    const alternative = 'subjectAltName=IP:127.0.0.1';
    const key = ['-newkey', 'ed25519', '-nodes', '-subj', `/CN=${name}`];
    const own = ['-CA', `${authority}.pem`, '-CAkey', `${authority}.key`];
    ssl(
      'req',
      '-x509',
      ...key,
      ...own,
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.pem`,
      '-days',
      '2',
      '-addext',
      alternative,
      '-addext',
      'basicConstraints=critical,CA:FALSE',
    );
  }

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'hourseal-tls-'));
    for (const authority of ['ca', 'stranger']) {
      ssl(
        'req',
        '-x509',
        '-newkey',
        'ed25519',
        '-nodes',
        '-subj',
        `/CN=${authority}`,
        '-keyout',
        `${authority}.key`,
        '-out',
        `${authority}.pem`,
        '-days',
        '2',
      );
    }
    certify('ca', 'broker');
    certify('ca', 'ingestion');
    certify('stranger', 'impostor');
    execFileSync(passwd.path ?? '', ['-b', '-c', file('passwords'), 'hourseal', 'secret']);
    server = await startMosquitto({
      settings: ['allow_anonymous false', `password_file ${file('passwords')}`],
      listener: [
        `cafile ${file('ca.pem')}`,
        `certfile ${file('broker.pem')}`,
        `keyfile ${file('broker.key')}`,
        'require_certificate true',
      ],
    });
  });
  afterAll(async () => {
    await server.stop();
    rmSync(folder, { recursive: true });
  });

  function connect(change: Partial<BrokerAccess> = {}): Promise<MqttConnection> {
    const access: BrokerAccess = {
      ...anybody,
      url: `mqtts://127.0.0.1:${server.port}`,
      clientId: 'tls',
      userName: 'hourseal',
      password: 'secret',
      ca: pem('ca.pem'),
      certificate: pem('ingestion.pem'),
      privateKey: pem('ingestion.key'),
      ...change,
    };
    const limits = { ...defaultExternalBrokerLimits, connectMs: 5_000 };
    return openMqtt(access, { limits, receive: () => Promise.resolve(0) });
  }

  it('is talked to over TLS, with a certificate and a password', async () => {
    const connection = await connect();
    await connection.subscribe('$share/g/a');
    connection.end(0, 'over');
    await connection.closed;
  });

  it('is not believed where another authority signed its certificate', async () => {
    const refused = { name: 'Failed', code: 'connect' };
    await expect(connect({ ca: pem('stranger.pem') })).rejects.toMatchObject(refused);
    await expect(connect({ ca: undefined })).rejects.toMatchObject(refused);
  });

  it('refuses a wrong password for good, and a certificate that it does not know', async () => {
    await expect(connect({ password: 'wrong' })).rejects.toMatchObject({
      name: 'Refused',
      code: 'mqtt-access',
    });
    const impostor = { certificate: pem('impostor.pem'), privateKey: pem('impostor.key') };
    await expect(connect(impostor)).rejects.toMatchObject({ name: 'Failed' });
    const nobody = { certificate: undefined, privateKey: undefined };
    await expect(connect(nobody)).rejects.toMatchObject({ name: 'Failed' });
  });
});
