import { spawn } from 'node:child_process';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { MqttClient } from 'mqtt';
import { Failed } from '#core/errors.ts';
import { receiptsTopic } from '#core/energy/message.ts';
import type { Broker } from '#broker/service.ts';
import type { Signer } from '#core/signer.ts';
import { systemClock } from '#platform/clock.ts';
import type { Arrival } from '#platform/intake.ts';
import { createPool, type Pool } from '#platform/postgres.ts';
import { describeWith, program } from '#support/needs.ts';
import { quickEngine, startTestPostgres, type TestPostgres } from '#support/postgres.ts';
import { insertLogSetting, insertMeter, testSigner, topicOf, endKey } from '#support/register.ts';
import { closed, connected, password, rawConnection, startBroker, tryConnect } from './rig.ts';

const own = { plant: 'p', meter: 'M-1' };
const signer = testSigner('M-1');
const p256 = testSigner('M-2', 'ES256');
const unsteady = testSigner('M-3');
const topic = topicOf(own);
const receipts = receiptsTopic(own.plant, own.meter);

let database: TestPostgres;
let pool: Pool;
let broker: Broker;
let arrivals: Arrival[] = [];
let intake: (arrival: Arrival) => Promise<void> = async () => undefined;
const clients: MqttClient[] = [];

beforeAll(async () => {
  database = await startTestPostgres(quickEngine);
  pool = database.pool;
  await insertLogSetting(pool);
  await insertMeter(pool, signer.kid, { ...own, jwk: signer.jwk });
  await insertMeter(pool, p256.kid, { plant: 'p', meter: 'M-2', jwk: p256.jwk });
  const clock = 'unreliable';
  await insertMeter(pool, unsteady.kid, { plant: 'p', meter: 'M-3', jwk: unsteady.jwk, clock });
  return () => database.stop();
});

beforeEach(async () => {
  arrivals = [];
  intake = async (arrival) => void arrivals.push(arrival);
  broker = await startBroker({ database: pool, intake: (arrival) => intake(arrival) });
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.end(true);
  await broker.stop();
});

async function meterClient(): Promise<MqttClient> {
  const client = await connected(broker.port(), 'M-1', { password: password(signer, 'M-1') });
  client.on('error', () => undefined);
  clients.push(client);
  return client;
}

describe('who connects', () => {
  const attempt = async (
    options: Parameters<typeof tryConnect>[2],
    meter = 'M-1',
  ): Promise<string | number> => {
    const answer = await tryConnect(broker.port(), meter, options);
    if ('refused' in answer) return answer.refused;
    clients.push(answer.client);
    return 'connected';
  };
  const now = (): number => systemClock.nowS();
  const unsteadyMeter = async (meter: string): Promise<Signer> => {
    const own = testSigner(meter);
    const clock = 'unreliable';
    await insertMeter(pool, own.kid, { plant: 'p', meter, jwk: own.jwk, clock });
    return own;
  };

  it('may with a fresh password by its own key, of either kind', async () => {
    expect(await attempt({ password: password(signer, 'M-1') })).toBe('connected');
    expect(await attempt({ password: password(p256, 'M-2') }, 'M-2')).toBe('connected');
  });

  it('may not with another password, user name, client id, key, broker or time', async () => {
    const good = password(signer, 'M-1');
    expect(await attempt({})).toBe(5);
    expect(await attempt({ password: '' })).toBe(5);
    expect(await attempt({ password: 'secret' })).toBe(5);
    expect(await attempt({ password: `${good.slice(0, -4)}AAAA` })).toBe(5);
    expect(await attempt({ password: good, username: 'M-2' })).toBe(5);
    expect(await attempt({ password: good }, 'M-2')).toBe(5);
    expect(await attempt({ password: password(p256, 'M-1') })).toBe(5);
    expect(await attempt({ password: password(testSigner('stranger'), 'M-1') })).toBe(5);
    expect(await attempt({ password: password(signer, 'M-2') })).toBe(5);
    expect(await attempt({ password: password(signer, 'M-1', { aud: 'another' }) })).toBe(5);
    expect(await attempt({ password: password(signer, 'M-1', { iat: now() - 310 }) })).toBe(5);
    expect(await attempt({ password: password(signer, 'M-1', { iat: now() + 310 }) })).toBe(5);
  });

  it('may with a password of up to a day where its clock is not reliable, but once', async () => {
    const iat = now() - 80_000;
    const once = { password: password(unsteady, 'M-3', { iat, jti: 'a-random-one' }) };
    expect(await attempt(once, 'M-3')).toBe('connected');
    expect(await attempt(once, 'M-3')).toBe(5);
    await broker.stop();
    broker = await startBroker({ database: pool, intake });
    expect(await attempt(once, 'M-3')).toBe(5);
    const another = password(unsteady, 'M-3', { iat, jti: 'another-one' });
    expect(await attempt({ password: another }, 'M-3')).toBe('connected');
    expect(await attempt({ password: password(unsteady, 'M-3', { iat }) }, 'M-3')).toBe(5);
    const stale = password(unsteady, 'M-3', { iat: now() - 86_500, jti: 'a-third-one' });
    expect(await attempt({ password: stale }, 'M-3')).toBe(5);
  });

  it('may bring one jti to two brokers at once, and only one of them lets it in', async () => {
    const second = await startBroker({ database: database.anotherPool(), intake });
    const options = { password: password(unsteady, 'M-3', { jti: 'to-both-of-them' }) };
    const answers = await Promise.all(
      [broker, second].map(({ port }) => tryConnect(port(), 'M-3', options)),
    );
    for (const answer of answers) if ('client' in answer) clients.push(answer.client);
    expect(answers.filter((answer) => 'client' in answer)).toHaveLength(1);
    for (const client of clients.splice(0)) client.end(true);
    await second.stop();
  });

  it('may use so many jtis of a key at one time, and no more', async () => {
    const meter = await unsteadyMeter('M-5');
    const use = `insert into connect_jti (key_id, jti, expires_at)
                 select key_id, 'used-before-' || n, $3::bigint
                   from meter_key, generate_series(1, $2::integer) as n where kid = $1`;
    await pool.run(use, [meter.kid, 1_000, now() + 1_000]);
    const another = { password: password(meter, 'M-5', { jti: 'one-too-many-1' }) };
    expect(await attempt(another, 'M-5')).toBe(5);
    expect(await attempt({ password: password(signer, 'M-1') })).toBe('connected');
    await pool.run(`update connect_jti set expires_at = $1 where jti = 'used-before-1'`, [
      now() - 1,
    ]);
    expect(await attempt(another, 'M-5')).toBe('connected');
  });

  it('is not let in by a key that signs records in OCMF', async () => {
    const meter = await unsteadyMeter('M-6');
    const good = (jti: string) => ({ password: password(meter, 'M-6', { jti }) });
    expect(await attempt(good('before-it-does'), 'M-6')).toBe('connected');
    await pool.run(`update meter_key set ocmf = '{}' where kid = $1`, [meter.kid]);
    expect(await attempt(good('when-it-does'), 'M-6')).toBe(5);
  });

  it('may leave no will', async () => {
    const will = { topic, payload: Buffer.from('gone'), qos: 1 as const, retain: false };
    expect(await attempt({ password: password(signer, 'M-1'), will })).toBe(5);
    expect(arrivals).toEqual([]);
  });

  it("cannot take another's place without its key", async () => {
    const client = await meterClient();
    expect(await attempt({ password: password(p256, 'M-2'), username: 'M-1' }, 'M-1')).toBe(5);
    expect(await attempt({ password: 'x' })).toBe(5);
    expect(client.connected).toBe(true);
    await client.publishAsync(topic, 'still here', { qos: 1 });
    const second = await meterClient();
    await closed(client);
    expect(second.connected).toBe(true);
  });

  it('may with an ended key until everything under it would be late', async () => {
    const ended = testSigner('M-4');
    await insertMeter(pool, ended.kid, { plant: 'p', meter: 'M-4', jwk: ended.jwk });
    await endKey(pool, ended.kid, { lastSeq: 9, lastT: now() - 44 * 86_400 });
    expect(await attempt({ password: password(ended, 'M-4') }, 'M-4')).toBe('connected');
    await endKey(pool, ended.kid, { lastSeq: 9, lastT: now() - 46 * 86_400 });
    expect(await attempt({ password: password(ended, 'M-4') }, 'M-4')).toBe(5);
  });

  it('is told to come back when the database cannot be asked', async () => {
    const gone = createPool(database.connection);
    await gone.close();
    const other = await startBroker({ database: gone, intake });
    const answer = await tryConnect(other.port(), 'M-1', { password: password(signer, 'M-1') });
    expect(answer).toEqual({ refused: 3 });
    await other.stop();
  });

  it('gets no further with bytes that are not MQTT, or with a CONNECT that is too long', async () => {
    const http = await rawConnection(broker.port(), Buffer.from('GET / HTTP/1.1\r\n\r\n'));
    expect(http).toHaveLength(0);
    const long = Uint8Array.of(0x10, 0xff, 0xff, 0xff, 0x7f);
    expect(await rawConnection(broker.port(), long)).toHaveLength(0);
  });
});

describe('what is published', () => {
  it('is acknowledged when the intake has resolved, and not before', async () => {
    let commit: () => void = () => undefined;
    intake = async (arrival) => {
      arrivals.push(arrival);
      await new Promise<void>((resolve) => {
        commit = resolve;
      });
    };
    const client = await meterClient();
    let acknowledged = false;
    const published = client.publishAsync(topic, 'a message', { qos: 1 }).then(() => {
      acknowledged = true;
    });
    await expect.poll(() => arrivals.length).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(acknowledged).toBe(false);
    commit();
    await published;
    expect(arrivals[0]).toMatchObject({ sender: 'M-1', topic });
    expect(new TextDecoder().decode(arrivals[0]?.bytes)).toBe('a message');
  });

  it('is not acknowledged when the intake rejects: the connection ends', async () => {
    intake = () => Promise.reject(new Failed('database-down', 'gone'));
    const client = await meterClient();
    let acknowledged = 0;
    client.on('packetreceive', ({ cmd }) => {
      if (cmd === 'puback') acknowledged++;
    });
    client.publish(topic, 'a message', { qos: 1 });
    await closed(client);
    expect(acknowledged).toBe(0);
  });

  const large = Buffer.alloc(65_537, 0x61);
  it.each([
    ["to another's topic", topicOf({ plant: 'p', meter: 'M-2' }), 'x', { qos: 1 }],
    ['to its receipts', receipts, 'x', { qos: 1 }],
    ['with QoS 0', topic, 'x', { qos: 0 }],
    ['with QoS 2', topic, 'x', { qos: 2 }],
    ['retained', topic, 'x', { qos: 1, retain: true }],
    ['larger than 64 KiB', topic, large, { qos: 1 }],
    ['much larger than 64 KiB', topic, Buffer.alloc(1_000_000), { qos: 1 }],
    ['below $SYS', '$SYS/x/new/clients', 'x', { qos: 1 }],
  ] as const)('%s ends the connection and reaches nobody', async (...[, to, payload, options]) => {
    const client = await meterClient();
    let acknowledged = 0;
    client.on('packetreceive', ({ cmd }) => {
      if (cmd === 'puback' || cmd === 'pubrec') acknowledged++;
    });
    client.publish(to, payload, options);
    await closed(client);
    expect(acknowledged).toBe(0);
    expect(arrivals).toEqual([]);
  });

  it('may be as large as 64 KiB', async () => {
    const client = await meterClient();
    await client.publishAsync(topic, Buffer.alloc(65_536, 0x61), { qos: 1 });
    expect(arrivals[0]?.bytes).toHaveLength(65_536);
  });

  it('comes in the order in which it was sent', async () => {
    const client = await meterClient();
    const names = Array.from({ length: 200 }, (_, i) => String(i));
    await Promise.all(names.map((name) => client.publishAsync(topic, name, { qos: 1 })));
    expect(arrivals.map(({ bytes }) => new TextDecoder().decode(bytes))).toEqual(names);
  });
});

describe('who subscribes', () => {
  it('gets the receipts that are published for it, and nothing else', async () => {
    const client = await meterClient();
    const got: string[] = [];
    client.on('message', (to, payload) => got.push(`${to} ${payload.toString()}`));
    await client.subscribeAsync(receipts, { qos: 1 });
    await broker.publish(receiptsTopic('p', 'M-2'), Buffer.from('of another'));
    await broker.publish(receipts, Buffer.from('one'));
    await client.publishAsync(topic, 'a message', { qos: 1 });
    await expect.poll(() => got).toEqual([`${receipts} one`]);
  });

  it.each([
    receiptsTopic('p', 'M-2'),
    topic,
    'hourseal/v1/p/+/receipts',
    'hourseal/#',
    '#',
    '$SYS/#',
  ])('is refused %s', async (wanted) => {
    const client = await meterClient();
    const granted: unknown[] = [];
    client.on('packetreceive', (packet) => {
      if (packet.cmd === 'suback') granted.push(...(packet.granted as unknown[]));
    });
    await client.subscribeAsync(wanted, { qos: 1 }).catch(() => undefined);
    expect(granted).toEqual([128]);
  });

  it('keeps nothing for a device that is away, although it asks for a session', async () => {
    const options = { password: password(signer, 'M-1'), clean: false };
    const first = await connected(broker.port(), 'M-1', options);
    await first.subscribeAsync(receipts, { qos: 1 });
    await first.endAsync();
    await broker.publish(receipts, Buffer.from('missed'));
    const answer = await tryConnect(broker.port(), 'M-1', options);
    if ('refused' in answer) throw new Error('refused');
    clients.push(answer.client);
    const got: string[] = [];
    answer.client.on('message', (_, payload) => got.push(payload.toString()));
    await answer.client.publishAsync(topic, 'a message', { qos: 1 });
    expect(got).toEqual([]);
  });
});

const mosquitto = program('mosquitto_pub', 'mosquitto-clients');

describeWith([mosquitto], 'mosquitto_pub', () => {
  const run = (...words: string[]): Promise<number | null> =>
    new Promise((resolve) => {
      const child = spawn(mosquitto.path ?? '', [
        ...['-h', '127.0.0.1', '-p', String(broker.port()), '-V', 'mqttv311'],
        ...words,
      ]);
      child.once('exit', resolve);
    });
  const as = (meter: string): string[] => [
    ...['-i', meter, '-u', meter, '-P', password(signer, 'M-1')],
  ];

  it('publishes with a password made by the key, and is refused without', async () => {
    expect(await run(...as('M-1'), '-q', '1', '-t', topic, '-m', 'hello')).toBe(0);
    expect(arrivals).toHaveLength(1);
    expect(
      await run('-i', 'M-1', '-u', 'M-1', '-P', 'x', '-q', '1', '-t', topic, '-m', 'x'),
    ).not.toBe(0);
    expect(await run(...as('M-2'), '-q', '1', '-t', topic, '-m', 'x')).not.toBe(0);
    expect(arrivals).toHaveLength(1);
  });
});
