import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { createBroker } from '#broker/service.ts';
import { createIngestion } from '#ingestion/service.ts';
import { systemClock } from '#platform/clock.ts';
import { createLogger } from '#platform/logger.ts';
import { createPool, describeServer, type Pool, type Sql } from '#platform/postgres.ts';
import { startTestPostgres } from '#support/postgres.ts';
import { findPostgresBinaries } from '#support/real-postgres.ts';
import {
  ingestionSigner,
  insertLogSetting,
  insertMeter,
  testLog,
  testSigner,
} from '#support/register.ts';
import { meterName, plantName, type Load, type LoadResult } from './ingest-load.ts';
import { postgresCpu } from './process-cpu.ts';

export interface IngestLoad {
  /** Of those that were registered, the first ones. */
  readonly keys: number;
  readonly messagesPerKey: number;
  readonly readingsPerMessage: number;
  /** Messages of one connection that wait for their acknowledgement. */
  readonly window: number;
  /** Messages a second over all connections; 0 is as fast as they are acknowledged. */
  readonly ratePerS: number;
}

export interface IngestResult extends LoadResult {
  readonly perS: number;
  /** Microseconds of CPU for each message, by who spent them while the load ran. */
  readonly cpuUs: Readonly<Record<string, number>>;
}

/** Broker and ingestion in this process, a database of their own, the load in a process beside it. */
export interface IngestRig {
  readonly pool: Pool;
  readonly engine: string;
  readonly load: (load: IngestLoad) => Promise<IngestResult>;
  readonly stop: () => Promise<void>;
}

const audience = 'bench';
const hourS = 3600;

export async function startIngestRig({ keys }: { readonly keys: number }): Promise<IngestRig> {
  const external = process.env.TEST_POSTGRES_URL !== undefined;
  const real = external || findPostgresBinaries() !== undefined;
  const database = await startTestPostgres(real ? 'postgres' : 'pglite');
  // As an installation has it.
  const pool = createPool(database.connection, { pipelined: real });
  await register(pool, keys);
  const logger = createLogger({ name: 'bench', level: 'warn' });
  const ingestion = createIngestion({
    pool,
    clock: systemClock,
    signer: ingestionSigner,
    sendReceipt: (topic, bytes) => broker.publish(topic, bytes),
    logger,
  });
  const broker = createBroker({
    listen: { host: '127.0.0.1', port: 0 },
    audience,
    clock: systemClock,
    database: pool,
    intake: ingestion.accept,
    logger,
  });
  await ingestion.start();
  await broker.start();
  const databaseCpu = real ? await postgresCpu(pool) : (): undefined => undefined;
  const startS = Math.floor(systemClock.nowS() / hourS) * hourS - 40 * 24 * hourS;
  let fromSeq = 1;
  return {
    pool,
    engine: await describeEngine(pool, real),
    load: async (load) => {
      let before = spent(databaseCpu);
      const place = { port: broker.port(), audience, log: testLog, fromSeq, startS };
      fromSeq += load.messagesPerKey;
      const result = await runLoad({ ...load, ...place }, () => (before = spent(databaseCpu)));
      const after = spent(databaseCpu);
      const cpuUs: Record<string, number> = { 'load generator': result.cpuMs };
      cpuUs.ingestion = after.ingestionMs - before.ingestionMs;
      if (before.databaseMs !== undefined && after.databaseMs !== undefined) {
        cpuUs.database = after.databaseMs - before.databaseMs;
      }
      for (const name in cpuUs) cpuUs[name] = ((cpuUs[name] ?? 0) * 1000) / result.messages;
      return { ...result, perS: (result.messages / result.elapsedMs) * 1000, cpuUs };
    },
    stop: async () => {
      await broker.stop();
      await ingestion.stop();
      await pool.close();
      await database.stop();
    },
  };
}

/** What every line says of what it was measured with (D7). */
async function describeEngine(sql: Sql, real: boolean): Promise<string> {
  const { version, timescale } = await describeServer(sql);
  const [number = version] = version.split(' ');
  return [
    `${real ? 'postgresql' : 'pglite'} ${number}`,
    ...(timescale === undefined ? [] : [`timescaledb ${timescale}`]),
    `node ${process.versions.node}`,
    `openssl ${process.versions.openssl}`,
  ].join(', ');
}

function spent(databaseCpu: () => number | undefined): {
  readonly ingestionMs: number;
  readonly databaseMs: number | undefined;
} {
  const { user, system } = process.cpuUsage();
  return { ingestionMs: (user + system) / 1000, databaseMs: databaseCpu() };
}

export async function register(pool: Pool, keys: number): Promise<void> {
  await insertLogSetting(pool);
  for (let key = 0; key < keys; key++) {
    const { jwk, kid } = testSigner(meterName(key));
    await insertMeter(pool, kid, { plant: plantName(key), meter: meterName(key), jwk });
  }
}

const loadScript = fileURLToPath(new URL('./ingest-load.ts', import.meta.url));

/** `onStart` hears when everybody is connected and the first message is about to be sent. */
export function runLoad(load: Load, onStart?: () => void): Promise<LoadResult> {
  const child = fork(loadScript, { execArgv: ['--import', 'tsx'] });
  return new Promise((resolve, reject) => {
    child.on('message', (answer: LoadAnswer) => {
      if ('result' in answer) resolve(answer.result);
      else if ('error' in answer) reject(new Error(`the load generator failed: ${answer.error}`));
      else onStart?.();
    });
    child.once('error', reject);
    child.once('exit', () => {
      reject(new Error('the load generator ended early'));
    });
    child.send(load);
  });
}

type LoadAnswer =
  { readonly started: true } | { readonly result: LoadResult } | { readonly error: string };
