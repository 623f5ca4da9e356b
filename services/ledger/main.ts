import { systemClock } from '#platform/clock.ts';
import { readKeyFile } from '#platform/keys.ts';
import { createLogger } from '#platform/logger.ts';
import { migrate } from '#platform/migrate.ts';
import { createPool } from '#platform/postgres.ts';
import { runUntilSignal } from '#platform/shutdown.ts';
import { readLedgerConfig } from './config.ts';
import { createLedger } from './service.ts';

const logger = createLogger({ name: 'ledger' });
const { databaseUrl, folder, secretsFolder, keyFile, limits } = readLedgerConfig(process.env);
await migrate(databaseUrl);
const pool = createPool(databaseUrl, { applicationName: 'hourseal ledger' });
const signer = await readKeyFile(keyFile);
const context = { pool, clock: systemClock, signer, folder, secretsFolder, logger, limits };
process.exitCode = await runUntilSignal(createLedger(context), { logger });
await pool.close();
