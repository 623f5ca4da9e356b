import mqtt, { type MqttClient } from 'mqtt';
import { expect, it } from 'vitest';
import { openReceipt, type Receipt } from '#core/energy/receipt.ts';
import { buildConnect } from '#core/energy/connect.ts';
import { receiptsTopic } from '#core/energy/message.ts';
import { parsePublicJwk } from '#core/keys.ts';
import { createBroker, type Broker } from '#broker/service.ts';
import { createIngestion, type Ingestion } from '#ingestion/service.ts';
import { systemClock } from '#platform/clock.ts';
import type { Pool } from '#platform/postgres.ts';
import { onEveryEngine } from '#support/postgres.ts';
import { ingestionSigner, insertLogSetting } from '#support/register.ts';
import { newDevice, quiet, reading, type Device } from './rig.ts';

interface Station {
  readonly ingestion: Ingestion;
  readonly broker: Broker;
  readonly stop: () => Promise<void>;
}

async function startStation(pool: Pool): Promise<Station> {
  const ingestion = createIngestion({
    pool,
    clock: systemClock,
    signer: ingestionSigner,
    sendReceipt: (topic, bytes) => broker.publish(topic, bytes),
    logger: quiet,
    limits: { receiptEveryMs: 10 },
  });
  const broker = createBroker({
    listen: { host: '127.0.0.1', port: 0 },
    audience: 'b',
    clock: systemClock,
    database: pool,
    intake: ingestion.accept,
    logger: quiet,
  });
  await ingestion.start();
  await broker.start();
  const stop = async (): Promise<void> => {
    await broker.stop();
    await ingestion.stop();
  };
  return { ingestion, broker, stop };
}

function connect(device: Device, port: number): Promise<MqttClient> {
  const { meter } = device.of;
  const client = mqtt.connect({
    host: '127.0.0.1',
    port,
    clientId: meter,
    username: meter,
    password: buildConnect(device.signer, { aud: 'b', iat: systemClock.nowS(), sub: meter }),
    reconnectPeriod: 0,
  });
  return new Promise((resolve, reject) => {
    client.once('connect', () => {
      resolve(client);
    });
    client.once('error', reject);
  });
}

onEveryEngine('a device over MQTT', (start) => {
  it('is acknowledged and gets a receipt that the ingestion key signed', async () => {
    const { pool } = await start();
    await insertLogSetting(pool);
    const device = await newDevice(pool, 'MQTT-1', { alg: 'ES256' });
    const station = await startStation(pool);
    const client = await connect(device, station.broker.port());
    const receipts: Receipt[] = [];
    client.on('message', (_, payload) => {
      receipts.push(openReceipt(payload, parsePublicJwk(ingestionSigner.jwk)));
    });
    await client.subscribeAsync(receiptsTopic(device.of.plant, device.of.meter), { qos: 1 });
    const now = systemClock.nowS();
    await client.publishAsync(device.topic, device.message(1, now - 5), { qos: 1 });
    expect(await pool.rows('select seq, code from message')).toEqual([{ seq: 1, code: null }]);
    await expect.poll(() => receipts[0]?.throughSeq).toBe(1);
    expect(receipts[0]?.kid).toBe(device.signer.kid);
    await client.endAsync();
    await station.stop();
  });

  it('sees no acknowledgement of what did not commit, and is served after it sends again', async () => {
    const { pool } = await start();
    await insertLogSetting(pool);
    const device = await newDevice(pool, 'MQTT-2');
    const station = await startStation(pool);
    await pool.run(`
      create function refuse() returns trigger language plpgsql
      as $$ begin raise exception 'no room' using errcode = '53100'; end $$`);
    // Deferred to the commit itself: everything before it went well.
    await pool.run(`
      create constraint trigger refuse after insert on message deferrable initially deferred
      for each row execute function refuse()`);
    const client = await connect(device, station.broker.port());
    client.on('error', () => undefined);
    let acknowledged = 0;
    client.on('packetreceive', ({ cmd }) => {
      if (cmd === 'puback') acknowledged++;
    });
    const now = systemClock.nowS();
    const message = device.message(1, now - 5, { readings: [reading(now - 5)] });
    const gone = closing(client);
    client.publish(device.topic, message, { qos: 1 });
    await gone;
    expect(acknowledged).toBe(0);
    expect(await pool.rows('select seq from message')).toEqual([]);
    await pool.run('drop trigger refuse on message');
    const again = await connect(device, station.broker.port());
    await again.publishAsync(device.topic, message, { qos: 1 });
    expect(await pool.rows('select seq from message')).toEqual([{ seq: 1 }]);
    await again.endAsync();
    await station.stop();
  });
});

function closing(client: MqttClient): Promise<void> {
  return new Promise((resolve) => {
    client.once('close', () => {
      resolve();
    });
  });
}
