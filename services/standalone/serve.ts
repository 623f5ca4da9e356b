import { Refused } from '#core/errors.ts';
import { readBrokerConfig } from '#broker/config.ts';
import { readBrokerTls } from '#broker/tls.ts';
import { readIngestionLimits } from '#ingestion/config.ts';
import { systemClock } from '#platform/clock.ts';
import { readKafkaConfig } from '#platform/kafka/config.ts';
import { createLogger } from '#platform/logger.ts';
import { runUntilSignal, type Service } from '#platform/shutdown.ts';
import { readStandaloneConfig } from './config.ts';
import { openDataFolder } from './data-folder.ts';
import { readKeyRing } from './key-ring.ts';
import { openDatabase, startNetwork } from './network.ts';

/**
 * `hourseal serve`: broker, ingestion and ledger of one installation on real time, until a signal.
 * Returns the exit code.
 */
export async function serve(
  path: string,
  environment: Readonly<Record<string, string | undefined>>,
  { signWithoutWitnesses = false }: { signWithoutWitnesses?: boolean } = {},
): Promise<number> {
  const { databaseUrl, logLevel } = readStandaloneConfig(environment);
  const { tls: tlsFiles, ...broker } = readBrokerConfig(environment);
  const tls = tlsFiles && (await readBrokerTls(tlsFiles));
  const ingestionLimits = readIngestionLimits(environment);
  const kafka = await readKafkaConfig(environment);
  const logger = createLogger({ name: 'hourseal', level: logLevel });
  const folder = await openDataFolder(path);
  try {
    if (folder.purpose === 'demo') {
      throw new Refused('data-folder', `${path} is a demo's: its clock is simulated`);
    }
    const logKey = await readKeyRing(folder.keys, 'log');
    const ingestionKey = await readKeyRing(folder.keys, 'ingestion');
    const database = await openDatabase(folder, { databaseUrl, logger });
    try {
      const network = await startNetwork({
        folder,
        pool: database.pool,
        clock: systemClock,
        logger,
        logKey,
        ingestionKey,
        ...broker,
        tls,
        ingestionLimits,
        kafka,
        signWithoutWitnesses,
      });
      const service: Service = {
        start: async () => {
          await network.ledger.start();
          const { port, tlsPort } = network.broker;
          logger.info({ port: port(), tlsPort: tlsPort() }, 'ready');
        },
        stop: async () => {
          await network.ledger.stop();
        },
        died: Promise.race([database.died, network.died]),
      };
      try {
        return await runUntilSignal(service, { logger });
      } finally {
        await network.stop();
      }
    } finally {
      await database.close();
    }
  } finally {
    await folder.release();
  }
}
