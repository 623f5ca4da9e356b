import { setTimeout } from 'node:timers/promises';
import { createLogger } from '#platform/logger.ts';
import { openDataFolder } from '#standalone/data-folder.ts';
import { openDatabase, startNetwork } from '#standalone/network.ts';
import { logSigner } from '#support/log-people.ts';
import { ingestionSigner } from '#support/register.ts';
import { acceleratedClock, audience, enrolment, type World } from './kill-world.ts';

/**
 * Broker, ingestion and ledger in one process, to be killed. Says 'ready' once, and the size of the
 * tree after every step; after SIGTERM it works off everything and ends with 0.
 */
const [argument] = process.argv.slice(2);
if (argument === undefined) throw new Error('usage: WORLD');
const world = JSON.parse(argument) as World;
const clock = acceleratedClock(world);
const logger = createLogger({ name: 'killed', level: 'warn' });
const folder = await openDataFolder(world.folder, { create: 'installation' });
const database = await openDatabase(folder, { databaseUrl: world.databaseUrl, logger });
const network = await startNetwork({
  folder,
  pool: database.pool,
  clock,
  logger,
  logKey: logSigner,
  ingestionKey: ingestionSigner,
  listen: { host: '127.0.0.1', port: world.port },
  audience,
  ingestionLimits: { receiptEveryMs: 100 },
});
const { ingestion, ledger } = network;
const stopping = new AbortController();
process.on('SIGTERM', () => {
  stopping.abort();
});
for (const died of [database.died, network.died]) {
  void died.then((error) => {
    throw error;
  });
}
if (await ledger.isEmpty()) {
  const outcomes = await ledger.submit(enrolment());
  const refused = outcomes.filter(({ result }) => result === 'refused');
  if (refused.length > 0) throw new Error(JSON.stringify(refused));
}
await ledger.step();
process.stdout.write('ready\n');
for (let rest = false; !rest;) {
  const last = stopping.signal.aborted;
  if (last) await ingestion.whenIdle();
  const { treeSize, sealed, reported } = await ledger.step();
  process.stdout.write(`${treeSize}\n`);
  rest = last && sealed.length === 0 && reported === 0;
  await setTimeout(30);
}
await network.stop();
await database.close();
await folder.release();
