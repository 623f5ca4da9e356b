import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { createBroker } from '#broker/service.ts';
import { createIngestion } from '#ingestion/service.ts';
import { systemClock } from '#platform/clock.ts';
import { createLogger } from '#platform/logger.ts';
import type { Pool } from '#platform/postgres.ts';
import { findPostgresBinaries } from '#support/real-postgres.ts';
import { startTestPostgres } from '#support/postgres.ts';
import {
  ingestionSigner,
  insertLogSetting,
  insertMeter,
  testLog,
  testSigner,
} from '#support/register.ts';
import type { BenchContext, Scale } from './figure.ts';
import { meterName, plantName, type Load, type LoadResult } from './ingest-load.ts';
import { verifyLimit } from './verify-limit.ts';

export const keys = 1_000;
const messagesPerKey: Readonly<Record<Scale, Readonly<Record<number, number>>>> = {
  s: { 1: 5, 15: 2, 60: 1 },
  m: { 1: 60, 15: 30, 60: 12 },
  l: { 1: 400, 15: 200, 60: 80 },
};
const audience = 'bench';
const hourS = 3600;

/** Signed messages over MQTT QoS 1, acknowledged after the commit (D7, first three rows). */
export async function bench({ scale, report }: BenchContext): Promise<void> {
  const limit = await verifyLimit();
  const external = process.env.TEST_POSTGRES_URL !== undefined;
  const real = external || findPostgresBinaries() !== undefined;
  const database = await startTestPostgres(real ? 'postgres' : 'pglite');
  const engine = real ? 'postgresql' : 'pglite';
  await register(database.pool);
  const logger = createLogger({ name: 'bench', level: 'warn' });
  const ingestion = createIngestion({
    pool: database.pool,
    clock: systemClock,
    signer: ingestionSigner,
    sendReceipt: (topic, bytes) => broker.publish(topic, bytes),
    logger,
  });
  const broker = createBroker({
    listen: { host: '127.0.0.1', port: 0 },
    audience,
    clock: systemClock,
    database: database.pool,
    intake: ingestion.accept,
    logger,
  });
  await ingestion.start();
  await broker.start();
  let fromSeq = 1;
  const load = async (
    readingsPerMessage: number,
    options: { readonly ratePerS: number; readonly share: number },
  ): Promise<LoadResult & { serverCpuMs: number }> => {
    const count = Math.ceil((messagesPerKey[scale][readingsPerMessage] ?? 1) * options.share);
    const cpu = process.cpuUsage();
    const result = await runLoad({
      port: broker.port(),
      audience,
      log: testLog,
      keys,
      messagesPerKey: count,
      readingsPerMessage,
      fromSeq,
      startS: Math.floor(systemClock.nowS() / hourS) * hourS - 40 * 24 * hourS,
      window: 4,
      ratePerS: options.ratePerS,
    });
    fromSeq += count;
    const { user, system } = process.cpuUsage(cpu);
    return { ...result, serverCpuMs: (user + system) / 1000 };
  };
  try {
    await load(1, { ratePerS: 0, share: 0.5 });
    const single = await load(1, { ratePerS: 0, share: 1 });
    const perS = rate(single);
    report({ case: 'messages, 1 reading', value: perS, unit: '1/s', limit, bar: 0.55, engine });
    report({ case: 'load generator, CPU, 1 reading', value: cores(single), unit: 'cores', engine });
    for (const [readings, bar] of [
      [15, 100_000],
      [60, 170_000],
    ] as const) {
      const result = await load(readings, { ratePerS: 0, share: 1 });
      const value = rate(result) * readings;
      const name = `readings, ${readings} a message`;
      report({ case: name, value, unit: '1/s', limit: limit * readings, bar, engine });
      const cpu = `load generator, CPU, ${readings} readings`;
      report({ case: cpu, value: cores(result), unit: 'cores', engine });
    }
    const calm = await load(1, { ratePerS: Math.floor(perS * 0.7), share: 1 });
    const p99 = 'acknowledgement p99 at 70 % load';
    report({ case: p99, value: calm.latencyP99Ms, unit: 'ms', bar: 50, engine });
  } finally {
    await broker.stop();
    await ingestion.stop();
    await database.stop();
  }
}

function rate({ messages, elapsedMs }: LoadResult): number {
  return (messages / elapsedMs) * 1000;
}

function cores({ cpuMs, elapsedMs }: LoadResult): number {
  return cpuMs / elapsedMs;
}

export async function register(pool: Pool): Promise<void> {
  await insertLogSetting(pool);
  for (let key = 0; key < keys; key++) {
    const { jwk, kid } = testSigner(meterName(key));
    await insertMeter(pool, kid, { plant: plantName(key), meter: meterName(key), jwk });
  }
}

const loadScript = fileURLToPath(new URL('./ingest-load.ts', import.meta.url));

export function runLoad(load: Load): Promise<LoadResult> {
  const child = fork(loadScript, { execArgv: ['--import', 'tsx'] });
  return new Promise((resolve, reject) => {
    child.once('message', (answer: { result?: LoadResult; error?: string }) => {
      if (answer.result !== undefined) resolve(answer.result);
      else reject(new Error(`the load generator failed: ${answer.error ?? ''}`));
    });
    child.once('error', reject);
    child.once('exit', () => {
      reject(new Error('the load generator ended early'));
    });
    child.send(load);
  });
}
