import { utf8 } from '#core/bytes.ts';
import { openReceipt, type Receipt } from '#core/energy/receipt.ts';
import { buildMessage, type Message, type Reading } from '#core/energy/message.ts';
import { parsePublicJwk } from '#core/keys.ts';
import type { Signer } from '#core/signer.ts';
import { createIngestion, type Ingestion } from '#ingestion/service.ts';
import type { IngestionLimits } from '#ingestion/config.ts';
import { manualClock, type ManualClock } from '#platform/clock.ts';
import { createLogger } from '#platform/logger.ts';
import type { Pool } from '#platform/postgres.ts';
import {
  ingestionSigner,
  insertMeter,
  testLog,
  testSigner,
  topicOf,
  type TestMeter,
} from '#support/register.ts';

export const at = 1_767_261_600;
export const quiet = createLogger({ name: 'test', level: 'silent' });
const ingestionKey = parsePublicJwk(ingestionSigner.jwk);

export interface Rig {
  readonly ingestion: Ingestion;
  readonly clock: ManualClock;
  /** Every receipt sent so far, opened with the ingestion key. */
  readonly receipts: { readonly topic: string; readonly receipt: Receipt }[];
  readonly send: (
    bytes: string | Uint8Array,
    options: { topic: string; sender?: string; receivedAt?: number },
  ) => Promise<void>;
}

export async function startRig(pool: Pool, limits: Partial<IngestionLimits> = {}): Promise<Rig> {
  const clock = manualClock(at * 1000);
  const receipts: { topic: string; receipt: Receipt }[] = [];
  const ingestion = createIngestion({
    pool,
    clock,
    signer: ingestionSigner,
    sendReceipt: async (topic, bytes) => {
      receipts.push({ topic, receipt: openReceipt(bytes, ingestionKey) });
    },
    logger: quiet,
    limits: {
      receiptEveryMs: 1,
      receiptTurnMs: 1,
      looksPerSecond: 1_000,
      rollupEveryMs: 50,
      // The tests' clock is behind a server's own, by which TimescaleDB's policies go.
      readingsKeptDays: 20_000,
      readingsCompressedAfterDays: 20_000,
      ...limits,
    },
  });
  await ingestion.start();
  return {
    ingestion,
    clock,
    receipts,
    send: (bytes, { topic, sender = 'sender', receivedAt = at }) =>
      ingestion.accept({
        sender,
        topic,
        bytes: typeof bytes === 'string' ? utf8(bytes) : bytes,
        receivedAt,
      }),
  };
}

export interface Device {
  readonly signer: Signer;
  readonly keyId: number;
  readonly topic: string;
  readonly of: TestMeter;
  readonly message: (seq: number, t: number, change?: Partial<Message>) => string;
}

/** Registers a meter of its own plant with a key derived from its name. */
export async function newDevice(
  pool: Pool,
  meter: string,
  options: Partial<TestMeter> & { alg?: 'Ed25519' | 'ES256'; key?: string } = {},
): Promise<Device> {
  const { alg, key, ...rest } = options;
  const signer = testSigner(key ?? meter, alg);
  const of: TestMeter = { plant: `plant-${meter}`, meter, jwk: signer.jwk, ...rest };
  const keyId = await insertMeter(pool, signer.kid, of);
  const message = (seq: number, t: number, change: Partial<Message> = {}): string =>
    buildMessage(signer, {
      v: 1,
      log: testLog,
      plant: of.plant,
      meter,
      seq,
      readings: [reading(t)],
      ...change,
    });
  return { signer, keyId, topic: topicOf(of), of, message };
}

export function reading(t: number, exportWh = t - at + 100_000_000): Reading {
  return { t, registers: { exportWh } };
}

/** Waits for something that happens by itself soon; the limit is for a test that would hang. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const limit = performance.now() + 20_000;
  while (!(await condition())) {
    if (performance.now() > limit) throw new Error('waited in vain');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
