import { systemClock } from '#platform/clock.ts';
import { readKeyFile } from '#platform/keys.ts';
import { createLogger } from '#platform/logger.ts';
import { migrate } from '#platform/migrate.ts';
import { createPool } from '#platform/postgres.ts';
import { runUntilSignal } from '#platform/shutdown.ts';
import { readLedgerConfig } from './config.ts';
import { createLedger } from './service.ts';

const logger = createLogger({ name: 'ledger' });
const { databaseUrl, keyFile, nextKeyFile, ...rest } = readLedgerConfig(process.env);
await migrate(databaseUrl);
const pool = createPool(databaseUrl, { applicationName: 'hourseal ledger' });
const keyFiles = nextKeyFile === undefined ? [keyFile] : [keyFile, nextKeyFile];
const signer = await Promise.all(keyFiles.map((path) => readKeyFile(path)));
const context = { pool, clock: systemClock, signer, logger, ...rest };
process.exitCode = await runUntilSignal(createLedger(context), { logger });
await pool.close();
