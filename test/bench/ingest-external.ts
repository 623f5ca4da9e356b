import { setTimeout as sleep } from 'node:timers/promises';
import { createExternalBroker, type ExternalBroker } from '#ingestion/external-broker.ts';
import { createIngestion } from '#ingestion/service.ts';
import { systemClock } from '#platform/clock.ts';
import { createLogger } from '#platform/logger.ts';
import { mosquitto, startMosquitto } from '#support/mosquitto.ts';
import { startTestPostgres } from '#support/postgres.ts';
import { ingestionSigner, testLog } from '#support/register.ts';
import type { BenchContext, Scale } from './figure.ts';
import { register, runLoad } from './ingest-rig.ts';
import { verifyLimit } from './verify-limit.ts';

const keys = 1_000;
const messagesPerKey: Readonly<Record<Scale, number>> = { s: 5, m: 60, l: 400 };
const hourS = 3600;

/**
 * The first row of D7 through mosquitto: from the first message stored to the last, all four (load
 * generator, mosquitto, ingestion, PostgreSQL) on the same cores. Mosquitto acknowledges to the device
 * at once, so that the load never waits for us; what it is compared with is `ingest`.
 */
export async function bench({ scale, report }: BenchContext): Promise<void> {
  if (mosquitto.path === undefined) throw new Error(mosquitto.reason);
  const limit = await verifyLimit();
  const server = await startMosquitto({ settings: ['log_type none'] });
  const database = await startTestPostgres('postgres');
  await register(database.pool, keys);
  const logger = createLogger({ name: 'bench', level: 'warn' });
  const ingestion = createIngestion({
    pool: database.pool,
    clock: systemClock,
    signer: ingestionSigner,
    sendReceipt: (topic, bytes) => broker.sendReceipt(topic, bytes),
    overQuota: 'put-off',
    logger,
  });
  const broker: ExternalBroker = createExternalBroker({
    access: {
      url: server.url,
      clientId: 'bench',
      userName: undefined,
      password: undefined,
      ca: undefined,
      certificate: undefined,
      privateKey: undefined,
    },
    group: 'bench',
    intake: ingestion.accept,
    clock: systemClock,
    random: Math.random,
    logger,
  });
  await ingestion.start();
  await broker.start();
  let fromSeq = 1;
  const load = async (count: number): Promise<number> => {
    const stored = (): number => ingestion.counts().stored;
    const before = stored();
    const sending = runLoad({
      port: server.port,
      audience: 'bench',
      log: testLog,
      keys,
      messagesPerKey: count,
      readingsPerMessage: 1,
      fromSeq,
      startS: Math.floor(systemClock.nowS() / hourS) * hourS - 40 * 24 * hourS,
      window: 4,
      ratePerS: 0,
    });
    fromSeq += count;
    while (stored() === before) await sleep(1);
    const [from, beginMs] = [stored(), performance.now()];
    while (stored() < before + keys * count) await sleep(1);
    const perS = ((stored() - from) / (performance.now() - beginMs)) * 1000;
    await sending;
    return perS;
  };
  try {
    await load(Math.ceil(messagesPerKey[scale] / 2));
    const value = await load(messagesPerKey[scale]);
    const engine = 'postgresql, mosquitto';
    report({ case: 'messages through mosquitto', value, unit: '1/s', limit, engine });
  } finally {
    await broker.stop();
    await ingestion.stop();
    await database.stop();
    await server.stop();
  }
}
