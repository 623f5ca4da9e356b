import { createBroker, type Broker } from '#broker/service.ts';
import { createIngestion } from '#ingestion/service.ts';
import { systemClock } from '#platform/clock.ts';
import { createLogger } from '#platform/logger.ts';
import { createPool } from '#platform/postgres.ts';
import { ingestionSigner } from '#support/register.ts';

/** Our broker with ingestion behind it, until it is killed. Says `ready`. */
const { DATABASE = '', PORT = '', AUDIENCE = '' } = process.env;
const logger = createLogger({ name: 'child', level: 'warn' });
const pool = createPool(DATABASE);
const ingestion = createIngestion({
  pool,
  clock: systemClock,
  signer: ingestionSigner,
  sendReceipt: (topic, bytes) => broker.publish(topic, bytes),
  logger,
});
const broker: Broker = createBroker({
  listen: { host: '127.0.0.1', port: Number(PORT) },
  audience: AUDIENCE,
  clock: systemClock,
  database: pool,
  intake: ingestion.accept,
  logger,
});
await ingestion.start();
await broker.start();
process.stdout.write('ready\n');
