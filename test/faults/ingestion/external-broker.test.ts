import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { utf8 } from '#core/bytes.ts';
import { parseMessage } from '#core/energy/message.ts';
import { extendChain } from '#core/energy/receipt.ts';
import { canonicalText } from '#core/jcs.ts';
import { parsePublicJwk, type PublicKey } from '#core/keys.ts';
import { createGateway, type Gateway } from '#devices/gateway.ts';
import { createMemoryJournal } from '#devices/store-journal.ts';
import { openStore } from '#devices/store.ts';
import { systemClock } from '#platform/clock.ts';
import { createKeyFile } from '#platform/keys.ts';
import type { Pool } from '#platform/postgres.ts';
import { mosquitto, startMosquitto, type Mosquitto } from '#support/mosquitto.ts';
import { describeWith } from '#support/needs.ts';
import { onPostgres, type TestPostgres } from '#support/postgres.ts';
import { insertLogSetting, testLog } from '#support/register.ts';
import { connectDevice } from '../../integration/ingestion/external-rig.ts';
import { newDevice, type Device } from '../../integration/ingestion/rig.ts';

/** 3 in CI; `npm run test:faults` asks for 20. */
const rounds = Math.max(3, Number(process.env.HOURSEAL_FAULT_ROUNDS ?? '3'));
const main = fileURLToPath(new URL('../../../services/ingestion/main.ts', import.meta.url));
const project = fileURLToPath(new URL('../../..', import.meta.url));
const meters = 10;
const patience = (): AbortSignal => AbortSignal.timeout(120_000);

/** One ingestion process, the product's own `main.ts`, that is killed and started again. */
interface Instance {
  readonly start: () => Promise<void>;
  readonly kill: () => Promise<void>;
  /** Asks it to end, and expects that it does so with 0. */
  readonly finish: () => Promise<void>;
}

function createInstance(environment: Readonly<Record<string, string>>): Instance {
  let child: ChildProcess | undefined;
  let said = '';
  const end = async (signal: NodeJS.Signals): Promise<unknown> => {
    if (child === undefined) return undefined;
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`ended: ${said}`);
    const ended = once(child, 'exit');
    child.kill(signal);
    const [code] = (await ended) as [number | null];
    return code;
  };
  return {
    start: async () => {
      said = '';
      const started = spawn(process.execPath, ['--import', 'tsx', main], {
        cwd: project,
        env: { ...process.env, ...environment },
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      child = started;
      await new Promise<void>((resolve, reject) => {
        started.stderr.on('data', (chunk: Buffer) => {
          said = (said + chunk.toString('utf8')).slice(-8_000);
          if (said.includes('"subscribed"')) resolve();
        });
        started.once('exit', () => {
          reject(new Error(`ended: ${said}`));
        });
      });
    },
    kill: async () => {
      await end('SIGKILL');
      child = undefined;
    },
    finish: async () => {
      const code = await end('SIGTERM');
      child = undefined;
      if (code !== 0) throw new Error(`ended with ${String(code)}: ${said}`);
    },
  };
}

async function gatewayOf(device: Device, url: string, receipts: PublicKey): Promise<Gateway> {
  const { meter, plant } = device.of;
  return createGateway({
    url,
    plant,
    meter,
    origin: testLog,
    audience: 'any',
    signer: device.signer,
    store: await openStore(createMemoryJournal(), { meter, kid: device.signer.kid }),
    ingestionKeys: [receipts],
    clock: {
      nowS: systemClock.nowS,
      sleep: async (ms, signal) => sleep(ms, undefined, signal === undefined ? {} : { signal }),
    },
    random: Math.random,
    limits: { answerTimeoutMs: 500, backoffFirstMs: 50, backoffMostMs: 200 },
  });
}

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
        devices.map((device) => gatewayOf(device, server.url, receiptKey)),
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
