import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import { promisify } from 'node:util';
import type { IClientOptions, MqttClient } from 'mqtt';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import type { Broker, BrokerContext } from '#broker/service.ts';
import { readBrokerTls } from '#broker/tls.ts';
import { receiptsTopic } from '#core/energy/message.ts';
import { publicKeyFromPem, signerFromPem } from '#core/signer.node.ts';
import { manualClock, systemClock } from '#platform/clock.ts';
import type { Arrival } from '#platform/intake.ts';
import { createLogger } from '#platform/logger.ts';
import type { Pool } from '#platform/postgres.ts';
import { describeWith, program } from '#support/needs.ts';
import { quickEngine, startTestPostgres, type TestPostgres } from '#support/postgres.ts';
import { endKey, insertLogSetting, insertMeter, topicOf } from '#support/register.ts';
import { closed, connected, password, rawConnection, startBroker, tryConnect } from './rig.ts';

const run = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), 'hourseal-tls-'));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});
const openssl = (...args: readonly string[]) => run('openssl', args, { cwd: folder });
const at = (name: string): string => join(folder, name);
const dayS = 86_400;
const own = { plant: 'p', meter: 'M-1' };
const topic = topicOf(own);

/** A key, and a certificate of one day that it signed for itself: `subject` is nobody's word. */
async function selfSigned(name: string, algorithm: readonly string[]): Promise<void> {
  await openssl('genpkey', ...algorithm, '-out', `${name}.pem`);
  const names = ['-subj', '/CN=whoever', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const subject = [...names, '-days', '1'];
  await openssl('req', '-x509', '-key', `${name}.pem`, ...subject, '-out', `${name}.crt`);
}

const ed25519 = ['-algorithm', 'ed25519'];
const p256 = ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'];
const keyOf = (name: string) => signerFromPem(readFileSync(at(`${name}.pem`), 'utf8'));

/** What a client shows. */
const showing = (name: string): Partial<IClientOptions> => ({
  protocol: 'mqtts',
  cert: readFileSync(at(`${name}.crt`)),
  key: readFileSync(at(`${name}.pem`)),
  ca: readFileSync(at('broker.crt')),
  rejectUnauthorized: true,
});

describeWith(
  [program('openssl', 'openssl'), program('mosquitto_pub', 'mosquitto-clients')],
  'a meter that shows a certificate',
  () => {
    let database: TestPostgres;
    let pool: Pool;
    let broker: Broker;
    let arrivals: Arrival[] = [];
    const clients: MqttClient[] = [];
    const brokers: Broker[] = [];

    async function newBroker(
      change: Partial<BrokerContext> = {},
      caFile?: string,
    ): Promise<Broker> {
      const tls = await readBrokerTls({
        listen: { host: '127.0.0.1', port: 0 },
        certificateFile: at('broker.crt'),
        keyFile: at('broker.pem'),
        caFile,
      });
      const intake = async (arrival: Arrival): Promise<void> => void arrivals.push(arrival);
      const started = await startBroker({ database: pool, intake, tls, ...change });
      brokers.push(started);
      return started;
    }

    beforeAll(async () => {
      await selfSigned('broker', p256);
      await selfSigned('M-1', ed25519);
      await selfSigned('M-2', p256);
      await selfSigned('M-3', ed25519);
      await selfSigned('stranger', ed25519);
      await selfSigned('rsa', ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048']);
      database = await startTestPostgres(quickEngine);
      pool = database.pool;
      await insertLogSetting(pool);
      for (const meter of ['M-1', 'M-2', 'M-3']) {
        const { kid, jwk } = keyOf(meter);
        await insertMeter(pool, kid, { plant: 'p', meter, jwk });
      }
      broker = await newBroker();
      return async () => {
        for (const each of brokers) await each.stop();
        await database.stop();
      };
    }, 120_000);

    afterEach(() => {
      for (const client of clients.splice(0)) client.end(true);
      arrivals = [];
    });

    const attempt = async (
      meter: string,
      options: Partial<IClientOptions>,
      to = broker,
    ): Promise<string | number> => {
      const answer = await tryConnect(to.tlsPort() ?? 0, meter, options);
      if ('refused' in answer) return answer.refused;
      clients.push(answer.client);
      return 'connected';
    };

    it('connects by its registered key, of either kind, and by nothing else', async () => {
      expect(await attempt('M-1', showing('M-1'))).toBe('connected');
      expect(await attempt('M-2', showing('M-2'))).toBe('connected');
      expect(await attempt('M-2', { ...showing('M-2'), username: 'M-2' })).toBe('connected');
      expect(await attempt('M-1', showing('stranger'))).toBe(5);
      expect(await attempt('M-1', showing('M-2'))).toBe(5);
      expect(await attempt('M-2', showing('M-1'))).toBe(5);
      expect(await attempt('M-1', { ...showing('M-1'), username: 'M-2' })).toBe(5);
      expect(await attempt('M-1', showing('rsa'))).toBe(5);
      const { cert: _cert, key: _key, ...bare } = showing('M-1');
      expect(await attempt('M-1', bare)).toBe(5);
    });

    it('publishes on its own topic alone, and reads its own receipts alone', async () => {
      const port = broker.tlsPort() ?? 0;
      const client = await connected(port, 'M-1', showing('M-1'));
      clients.push(client);
      client.on('error', () => undefined);
      await client.publishAsync(topic, 'a message', { qos: 1 });
      expect(arrivals).toMatchObject([{ sender: 'M-1', topic }]);
      const granted = await client.subscribeAsync(receiptsTopic('p', 'M-1'), { qos: 1 });
      expect(granted).toMatchObject([{ qos: 1 }]);
      await expect(client.subscribeAsync(receiptsTopic('p', 'M-2'), { qos: 1 })).rejects.toThrow();
      client.publish(topicOf({ plant: 'p', meter: 'M-2' }), 'not mine', { qos: 1 });
      await closed(client);
      expect(arrivals).toHaveLength(1);
    });

    it('may do so with an ended key until everything under it would be late', async () => {
      const { kid } = keyOf('M-3');
      const nowS = systemClock.nowS();
      await endKey(pool, kid, { lastSeq: 9, lastT: nowS - 44 * dayS });
      expect(await attempt('M-3', showing('M-3'))).toBe('connected');
      await endKey(pool, kid, { lastSeq: 9, lastT: nowS - 46 * dayS });
      expect(await attempt('M-3', showing('M-3'))).toBe(5);
    });

    it('is refused with a certificate that is over, or not yet valid', async () => {
      const nowMs = systemClock.nowS() * 1000;
      for (const [days, outcome] of [
        [0, 'connected'],
        [2, 5],
        [-2, 5],
      ] as const) {
        const other = await newBroker({ clock: manualClock(nowMs + days * dayS * 1000) });
        expect([days, await attempt('M-1', showing('M-1'), other)]).toEqual([days, outcome]);
      }
    });

    it('is not let in by a key that signs records in OCMF', async () => {
      await selfSigned('M-6', ed25519);
      const { kid, jwk } = keyOf('M-6');
      await insertMeter(pool, kid, { plant: 'p', meter: 'M-6', jwk });
      expect(await attempt('M-6', showing('M-6'))).toBe('connected');
      await pool.run(`update meter_key set ocmf = '{}' where kid = $1`, [kid]);
      expect(await attempt('M-6', showing('M-6'))).toBe(5);
    });

    it('has a handshake in its time, or the connection ends', async () => {
      const hasty = await newBroker({ limits: { connectMs: 300 } });
      await rawConnection(hasty.tlsPort() ?? 0, new Uint8Array(0));
    });

    it('may use a password instead, over TLS as over TCP', async () => {
      const by = { password: password(keyOf('M-1'), 'M-1'), username: 'M-1' };
      const { cert: _cert, key: _key, ...bare } = showing('M-1');
      expect(await attempt('M-1', { ...bare, ...by })).toBe('connected');
      // A password that does not fit is not made good by a certificate that does.
      const wrong = { username: 'M-1', password: password(keyOf('M-2'), 'M-1') };
      expect(await attempt('M-1', { ...showing('M-1'), ...wrong })).toBe(5);
    });

    it('needs the signature of an authority where the broker asks for one', async () => {
      await selfSigned('authority', p256);
      await openssl('req', '-new', '-key', 'M-1.pem', '-subj', '/CN=M-1', '-out', 'M-1.csr');
      await openssl(
        ...['x509', '-req', '-in', 'M-1.csr', '-CA', 'authority.crt', '-CAkey', 'authority.pem'],
        ...['-CAcreateserial', '-days', '1', '-out', 'signed.crt'],
      );
      const strict = await newBroker({}, at('authority.crt'));
      const signed = { ...showing('M-1'), cert: readFileSync(at('signed.crt')) };
      expect(await attempt('M-1', signed, strict)).toBe('connected');
      expect(await attempt('M-1', showing('M-1'), strict)).toBe(5);
      // The authority alone says nothing: it signed this one too, and its key is in no register.
      expect(publicKeyFromPem(readFileSync(at('signed.crt'), 'utf8')).kid).toBe(keyOf('M-1').kid);
      expect(await attempt('authority', showing('authority'), strict)).toBe(5);
    });

    it('is heard over TLS 1.2 and 1.3, and not below, nor in plain text', async () => {
      const handshake = (options: ConnectionOptions): Promise<string> =>
        new Promise((resolve) => {
          const base = { host: '127.0.0.1', port: broker.tlsPort(), rejectUnauthorized: false };
          const socket = connectTls({ ...base, ...options }, () => {
            resolve(socket.getProtocol() ?? '');
            socket.destroy();
          });
          socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
        });
      expect(await handshake({ maxVersion: 'TLSv1.2' })).toBe('TLSv1.2');
      expect(await handshake({ minVersion: 'TLSv1.3' })).toBe('TLSv1.3');
      const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1' } as const;
      // Said by the broker: this client would have gone on.
      expect(await handshake({ ...old, ciphers: 'DEFAULT@SECLEVEL=0' })).toBe(
        'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION',
      );
      const connect = Buffer.from('100f00044d51545404020000000341424300', 'hex');
      const said = await rawConnection(broker.tlsPort() ?? 0, connect);
      // A TLS alert at most, never a CONNACK.
      expect([undefined, 0x15]).toContain(said[0]);
      expect(await attempt('M-1', { ...showing('M-1') })).toBe('connected');
    });

    it('is mosquitto_pub as it comes', async () => {
      const publish = (name: string, meter: string) =>
        run('mosquitto_pub', [
          ...['-h', '127.0.0.1', '-p', String(broker.tlsPort()), '-i', meter],
          ...[
            '--cafile',
            at('broker.crt'),
            '--cert',
            at(`${name}.crt`),
            '--key',
            at(`${name}.pem`),
          ],
          ...['-t', topicOf({ plant: 'p', meter }), '-q', '1', '-m', 'by mosquitto'],
        ]);
      await publish('M-2', 'M-2');
      expect(arrivals).toMatchObject([{ sender: 'M-2' }]);
      await expect(publish('stranger', 'M-2')).rejects.toThrow(/not authori[sz]ed/i);
      await expect(publish('M-2', 'M-1')).rejects.toThrow(/not authori[sz]ed/i);
      expect(arrivals).toHaveLength(1);
    });

    it('counts with all other connections, in the middle of its handshake too', async () => {
      const logger = createLogger({ name: 'test', level: 'silent' });
      const small = await newBroker({ limits: { connections: 1 }, logger });
      const first = await connected(small.tlsPort() ?? 0, 'M-1', showing('M-1'));
      clients.push(first);
      expect(await attempt('M-2', showing('M-2'), small)).toBe('closed');
      expect(await rawConnection(small.port(), new Uint8Array(1))).toEqual(Buffer.alloc(0));
      expect(first.connected).toBe(true);
    });
  },
);
