import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { utf8 } from '#core/bytes.ts';
import { extendChain } from '#core/energy/receipt.ts';
import { parseMessage } from '#core/energy/message.ts';
import { parsePublicJwk } from '#core/keys.ts';
import { createGateway, type Gateway } from '#devices/gateway.ts';
import { createMemoryJournal } from '#devices/store-journal.ts';
import { openStore } from '#devices/store.ts';
import { systemClock } from '#platform/clock.ts';
import type { Pool } from '#platform/postgres.ts';
import { mosquitto, startMosquitto, type Mosquitto } from '#support/mosquitto.ts';
import { describeWith } from '#support/needs.ts';
import { onEveryEngine } from '#support/postgres.ts';
import { ingestionSigner, insertLogSetting, testLog } from '#support/register.ts';
import { connectDevice, startStation, type Station } from './external-rig.ts';
import { newDevice, until, type Device } from './rig.ts';

const patience = (): AbortSignal => AbortSignal.timeout(60_000);

async function gatewayOf(device: Device, url: string): Promise<Gateway> {
  const { meter, plant } = device.of;
  return createGateway({
    url,
    plant,
    meter,
    origin: testLog,
    audience: 'any',
    signer: device.signer,
    store: await openStore(createMemoryJournal(), { meter, kid: device.signer.kid }),
    ingestionKeys: [parsePublicJwk(ingestionSigner.jwk)],
    clock: {
      nowS: systemClock.nowS,
      sleep: async (ms, signal) => sleep(ms, undefined, signal === undefined ? {} : { signal }),
    },
    random: Math.random,
    limits: { answerTimeoutMs: 200, backoffFirstMs: 20, backoffMostMs: 100 },
  });
}

/** Publishes messages 1 … `count` of a device, and waits for the broker to have them. */
async function publishAll(url: string, device: Device, count: number): Promise<string[]> {
  const from = systemClock.nowS() - 10 * count;
  const sent = Array.from({ length: count }, (_, i) => device.message(i + 1, from + i));
  const client = await connectDevice(url, device.of.meter);
  await Promise.all(sent.map((jws) => client.publishAsync(device.topic, jws, { qos: 1 })));
  await client.endAsync();
  return sent;
}

/** All of them are stored, once, in order, under one chain. */
async function expectStored(pool: Pool, device: Device, sent: readonly string[]): Promise<void> {
  const rows = await pool.rows<{ seq: number; code: string | null }>(
    'select seq, code from message where key_id = $1 order by seq',
    [device.keyId],
  );
  expect(rows).toEqual(sent.map((_, i) => ({ seq: i + 1, code: null })));
  const { chain } = await pool.row<{ chain: Uint8Array }>(
    'select chain from key_progress where key_id = $1',
    [device.keyId],
  );
  expect(chain).toEqual(
    sent.reduce<Uint8Array>(
      (link, jws) => extendChain(link, parseMessage(utf8(jws)).hash),
      new Uint8Array(32),
    ),
  );
}

async function waitingOf(pool: Pool): Promise<{ messages: number; overflowed: number }> {
  return pool.row(
    `select coalesce(sum(messages), 0)::bigint as messages,
            coalesce(sum(overflowed), 0)::bigint as overflowed from backlog_sender`,
  );
}

describeWith([mosquitto], 'ingestion behind mosquitto', () => {
  let server: Mosquitto;
  let station: Station | undefined;
  beforeEach(async () => {
    server = await startMosquitto();
  });
  afterEach(async () => {
    await station?.stop();
    station = undefined;
    await server.stop();
  });

  onEveryEngine('with a database', (start) => {
    it('takes what gateways send, and its receipts empty their stores', async () => {
      const { pool } = await start();
      await insertLogSetting(pool);
      const taking = await startStation(server.url, pool);
      station = taking;
      const devices = await Promise.all(['G-1', 'G-2', 'G-3'].map((name) => newDevice(pool, name)));
      const gateways = await Promise.all(devices.map((device) => gatewayOf(device, server.url)));
      const from = systemClock.nowS() - 1000;
      for (const gateway of gateways) {
        gateway.start();
        for (let i = 0; i < 20; i++) {
          await gateway.record([{ t: from + i, registers: { exportWh: i } }]);
        }
      }
      await Promise.all(gateways.map((gateway) => gateway.settled('receipted', patience())));
      expect(gateways.map((gateway) => gateway.status().stored)).toEqual([0, 0, 0]);
      expect(taking.ingestion.counts()).toMatchObject({ stored: 60, putOff: 0, overflowed: 0 });
      await Promise.all(gateways.map((gateway) => gateway.stop()));
    });

    it('puts off what is over a quota, and verifies it later, in order', async () => {
      const { pool } = await start();
      await insertLogSetting(pool);
      const device = await newDevice(pool, 'EAGER');
      const taking = await startStation(server.url, pool, {
        ingestion: { messagesPerSecond: 200, burstMessages: 20 },
      });
      station = taking;
      const sent = await publishAll(server.url, device, 300);
      await until(() => taking.ingestion.counts().stored === 300);
      expect(taking.ingestion.counts().putOff).toBeGreaterThan(200);
      // Duplicates there are none: everything came once, and was verified once.
      expect(taking.ingestion.counts().duplicates).toBe(0);
      await expectStored(pool, device, sent);
      await until(async () => (await waitingOf(pool)).messages === 0);
      expect(await pool.rows('select 1 from backlog')).toEqual([]);
    });

    it('lets a meter that floods overflow alone, and gets everything in the end', async () => {
      const { pool } = await start();
      await insertLogSetting(pool);
      const flooding = await newDevice(pool, 'FLOOD');
      const calm = await newDevice(pool, 'CALM');
      const taking = await startStation(server.url, pool, {
        limits: { receiveMaximum: 50 },
        ingestion: { messagesPerSecond: 200, burstMessages: 5, backlogMessages: 20 },
      });
      station = taking;
      const gateway = await gatewayOf(flooding, server.url);
      const from = systemClock.nowS() - 3000;
      for (let i = 0; i < 200; i++) {
        await gateway.record([{ t: from + i, registers: { exportWh: i } }]);
      }
      // A whole flood beside it, of what was never signed by anybody.
      const hostile = await connectDevice(server.url, 'hostile');
      const junk = Promise.all(
        Array.from({ length: 2000 }, (_, i) =>
          hostile.publishAsync(flooding.topic, `junk ${i}`, { qos: 1 }),
        ),
      );
      gateway.start();
      const sent = await publishAll(server.url, calm, 5);
      await until(async () => {
        const [row] = await pool.rows('select 1 from message where key_id = $1 and seq = 5', [
          calm.keyId,
        ]);
        return row !== undefined;
      });
      await junk;
      await expectStored(pool, calm, sent);
      await gateway.settled('receipted', patience());
      expect(taking.ingestion.counts().overflowed).toBeGreaterThan(0);
      expect((await waitingOf(pool)).overflowed).toBeGreaterThan(0);
      expect(taking.broker.counts().refused).toBe(taking.ingestion.counts().overflowed);
      await gateway.stop();
      await hostile.endAsync();
    });

    it('gives all topics that are nobody’s one quota', async () => {
      const { pool } = await start();
      await insertLogSetting(pool);
      const taking = await startStation(server.url, pool, {
        ingestion: { messagesPerSecond: 10, burstMessages: 10, backlogMessages: 10 },
      });
      station = taking;
      const hostile = await connectDevice(server.url, 'hostile');
      await Promise.all(
        Array.from({ length: 100 }, (_, i) =>
          hostile.publishAsync(`hourseal/v1/x/made-up-${i}/messages`, 'junk', { qos: 1 }),
        ),
      );
      await until(() => taking.ingestion.counts().overflowed >= 75);
      const senders = await pool.rows('select distinct sender from quarantine');
      expect(senders).toEqual([{ sender: '' }]);
      await hostile.endAsync();
    });
  });
});
