import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { utf8 } from '#core/bytes.ts';
import { parseMessage } from '#core/energy/message.ts';
import { extendChain } from '#core/energy/receipt.ts';
import { canonicalText } from '#core/jcs.ts';
import { parsePublicJwk, type PublicKey } from '#core/keys.ts';
import { systemClock } from '#platform/clock.ts';
import { createKeyFile } from '#platform/keys.ts';
import type { Pool } from '#platform/postgres.ts';
import { mosquitto, startMosquitto, type Mosquitto } from '#support/mosquitto.ts';
import { describeWith } from '#support/needs.ts';
import { onPostgres, type TestPostgres } from '#support/postgres.ts';
import { insertLogSetting } from '#support/register.ts';
import { connectDevice } from '../../integration/ingestion/external-rig.ts';
import { newDevice, type Device } from '../../integration/ingestion/rig.ts';
import { roundsOr } from '../seed.ts';
import { gatewayOf } from '../../integration/ingestion/gateways.ts';
import { createInstance, type Instance } from './process.ts';

/** 3 in CI; `npm run test:faults` asks for 20. */
const rounds = Math.max(3, roundsOr(3));
const meters = 10;
const patience = (): AbortSignal => AbortSignal.timeout(120_000);

/** How many messages of each key are stored; throws when a number is missing or twice. */
async function storedOf(pool: Pool, { keyId }: Device): Promise<number> {
  const rows = await pool.rows<{ seq: number; code: string | null; hash: Uint8Array }>(
    'select seq, code, hash from message where key_id = $1 order by seq',
    [keyId],
  );
  expect(rows.every(({ code }, i) => code === null && rows[i]?.seq === i + 1)).toBe(true);
  return rows.length;
}

describeWith([mosquitto], 'two ingestion processes that share a broker', () => {
  onPostgres('killed with kill -9', (start) => {
    let folder = '';
    let server: Mosquitto;
    let database: TestPostgres;
    let receiptKey: PublicKey;
    let instances: Instance[] = [];

    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), 'hourseal-shared-'));
      server = await startMosquitto({ settings: ['autosave_interval 1'] });
      database = await start();
      const keyFile = join(folder, 'ingestion.pem');
      const { jwk } = await createKeyFile(keyFile, 'Ed25519');
      receiptKey = parsePublicJwk(jwk);
      await insertLogSetting(database.pool);
      const keys = canonicalText([{ jwk }]);
      await database.pool.run('update log_setting set ingestion_keys = $1', [keys]);
      instances = ['one', 'two'].map((clientId) =>
        createInstance({
          DATABASE_URL: database.connectionString,
          INGESTION_KEY_FILE: keyFile,
          INGESTION_RECEIPT_EVERY_MS: '50',
          MQTT_URL: server.url,
          MQTT_CLIENT_ID: clientId,
          MQTT_RECEIVE_MAXIMUM: '100',
        }),
      );
      await Promise.all(instances.map((instance) => instance.start()));
    });
    afterEach(async () => {
      await Promise.allSettled(instances.map((instance) => instance.kill()));
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    });

    it('lose nothing that the broker had acknowledged, and store it once', async () => {
      const { pool } = database;
      const devices = await Promise.all(
        Array.from({ length: meters }, (_, i) => newDevice(pool, `RAW-${i}`)),
      );
      const clients = await Promise.all(
        devices.map((device) => connectDevice(server.url, device.of.meter)),
      );
      const from = systemClock.nowS() - 20_000;
      const sent = devices.map((): string[] => []);
      let killing = true;
      const load = devices.map(async (device, i) => {
        while (killing) {
          const seq = (sent[i]?.length ?? 0) + 1;
          const jws = device.message(seq, from + seq);
          sent[i]?.push(jws);
          await clients[i]?.publishAsync(device.topic, jws, { qos: 1 });
          await sleep(10);
        }
      });
      const stored = async (): Promise<number> =>
        (await pool.row<{ n: number }>('select count(*) as n from message')).n;
      for (let round = 0; round < rounds; round++) {
        const before = await stored();
        const victim = instances[round % 2];
        while ((await stored()) < before + 200) await sleep(5);
        await victim?.kill();
        while ((await stored()) < before + 300) await sleep(5);
        await victim?.start();
      }
      killing = false;
      await Promise.all(load);
      const total = sent.reduce((sum, messages) => sum + messages.length, 0);
      const limit = patience();
      while ((await stored()) < total) {
        limit.throwIfAborted();
        await sleep(20);
      }
      for (const [i, device] of devices.entries()) {
        const messages = sent[i] ?? [];
        expect(await storedOf(pool, device)).toBe(messages.length);
        const { chain, readings } = await pool.row<{ chain: Uint8Array; readings: number }>(
          `select p.chain, (select count(*) from reading r join meter m using (meter_id)
                             where m.meter = $2) as readings
             from key_progress p where p.key_id = $1`,
          [device.keyId, device.of.meter],
        );
        const link = (last: Uint8Array, jws: string): Uint8Array =>
          extendChain(last, parseMessage(utf8(jws)).hash);
        expect(chain).toEqual(messages.reduce(link, new Uint8Array(32)));
        expect(readings).toBe(messages.length);
      }
      expect(await pool.rows('select 1 from fork')).toEqual([]);
      await Promise.all(instances.map((instance) => instance.finish()));
      instances = [];
      await Promise.all(clients.map((client) => client.endAsync()));
    });

    it('give every gateway its receipts, also when the broker is killed and forgets', async () => {
      const { pool } = database;
      const devices = await Promise.all(
        Array.from({ length: meters }, (_, i) => newDevice(pool, `GATE-${i}`)),
      );
      const gateways = await Promise.all(
        devices.map((device) => gatewayOf(device, server.url, { receipts: receiptKey })),
      );
      const from = systemClock.nowS() - 20_000;
      let killing = true;
      const load = gateways.map(async (gateway) => {
        gateway.start();
        for (let i = 1; killing; i++) {
          await gateway.record([{ t: from + i, registers: { exportWh: i } }]);
          await sleep(10);
        }
      });
      for (let round = 0; round < rounds; round++) {
        await sleep(300);
        await instances[round % 2]?.kill();
        await server.restart('SIGKILL');
        await instances[round % 2]?.start();
      }
      killing = false;
      await Promise.all(load);
      await Promise.all(gateways.map((gateway) => gateway.settled('receipted', patience())));
      for (const [i, device] of devices.entries()) {
        expect(await storedOf(pool, device)).toBe(gateways[i]?.status().lastSeq);
      }
      expect(await pool.rows('select 1 from fork')).toEqual([]);
      await Promise.all(gateways.map((gateway) => gateway.stop()));
    });
  });
});
