import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { auditorKeys } from '#core/certificate/access.ts';
import { Refused, within } from '#core/errors.ts';
import { createFileServer, type Readers } from '#ledger/file-server.ts';
import { createAnswerOpen } from '#ledger/open-leaves.ts';
import { systemClock } from '#platform/clock.ts';
import { parseListen } from '#platform/listen.ts';
import { createLogger, type Logger } from '#platform/logger.ts';
import { createPool, type Pool } from '#platform/postgres.ts';
import { runUntilSignal } from '#platform/shutdown.ts';
import type { Terminal } from '#platform/terminal.ts';
import { places } from '#standalone/data-folder.ts';
import { readPolicy } from './read-file.ts';

export interface ServeLogOptions {
  readonly data: string;
  readonly listen: string;
  readonly policy?: string;
}

/**
 * `hourseal log serve`: only reads, so it may run beside whatever writes. The leaves of open hours it
 * has of an installation with a database server: the embedded engine is in one process alone.
 */
export async function serveLog(options: ServeLogOptions, terminal: Terminal): Promise<number> {
  const { data, policy } = options;
  const readers = policy === undefined ? undefined : await readersOf(policy);
  const logger = createLogger({ name: 'log' });
  const isInstallation = existsSync(places(data).log);
  const pool = isInstallation ? poolOf(process.env.DATABASE_URL, logger) : undefined;
  const server = createFileServer({
    folder: isInstallation ? places(data).log : requireLog(data),
    open: pool && createAnswerOpen(pool),
    listen: within(options.listen, () => parseListen(options.listen)),
    clock: systemClock,
    readers: readers && (() => Promise.resolve(readers)),
    logger,
  });
  return runUntilSignal(
    {
      ...server,
      start: async () => {
        await server.start();
        terminal.out(`${server.url()}/checkpoint\n`);
      },
      stop: async () => {
        await server.stop();
        await pool?.close();
      },
    },
    { logger },
  );
}

function poolOf(databaseUrl: string | undefined, logger: Logger): Pool | undefined {
  if (databaseUrl === undefined || databaseUrl === '') return undefined;
  return createPool(databaseUrl, {
    applicationName: 'hourseal log',
    limits: { maxConnections: 2, connectTimeoutMs: 5_000, statementTimeoutMs: 5_000 },
    onIdleError: (error) => {
      logger.warn({ err: error }, 'a database connection broke');
    },
  });
}

function requireLog(folder: string): string {
  if (existsSync(join(folder, 'checkpoint'))) return folder;
  throw new Refused('log', `${folder}: no log is there`);
}

/** The auditing witnesses of a policy; its log line says which log the tokens must be meant for. */
async function readersOf(file: string): Promise<Readers> {
  const policy = await readPolicy(file);
  const origin = policy.logs[0]?.key.name;
  if (origin === undefined) throw new Refused('policy', `${file}: it names no log`);
  return { origin, keys: auditorKeys(policy) };
}
