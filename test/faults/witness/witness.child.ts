import { systemClock } from '#platform/clock.ts';
import { createLogger } from '#platform/logger.ts';
import { runUntilSignal } from '#platform/shutdown.ts';
import { createWitness } from '#witness/service.ts';
import { logKey, witnessName, witnessSigner } from '../../integration/witness/rig.ts';

/** A witness in a process of its own, to be killed. Says its URL once it serves. */
const [folder, port, storeBytes = '1000'] = process.argv.slice(2);
if (folder === undefined || port === undefined) throw new Error('usage: FOLDER PORT [STORE-BYTES]');
const logger = createLogger({ name: 'killed', level: 'warn' });
const witness = createWitness({
  name: witnessName,
  signer: witnessSigner,
  folder,
  logs: [{ key: logKey }],
  clock: systemClock,
  listen: { host: '127.0.0.1', port: Number(port) },
  logger,
  limits: { storeBytes: Number(storeBytes), waitingPerLog: 1_000 },
});
const start = async (): Promise<void> => {
  await witness.start();
  process.stdout.write(`${witness.url()}\n`);
};
process.exitCode = await runUntilSignal({ ...witness, start }, { logger });
