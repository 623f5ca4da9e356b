import { join } from 'node:path';
import { buildMessage } from '#core/energy/message.ts';
import type { Signer } from '#core/signer.ts';
import { openLogFolder } from '#ledger/log-folder.ts';
import { createLedger } from '#ledger/service.ts';
import { manualClock } from '#platform/clock.ts';
import { createLogger } from '#platform/logger.ts';
import type { Pool } from '#platform/postgres.ts';
import { insertMessages } from '#support/insert-messages.ts';
import * as people from '#support/log-people.ts';
import { testLog } from '#support/register.ts';
import { testStartS } from '#support/test-ledger.ts';
import type { Say } from './figure.ts';

/** Sealing and issuing (D7, row 6). */

const hourS = 3_600;

/** What is sealed into one log. */
export interface Sealing {
  readonly plants: number;
  /** Of each plant. */
  readonly hours: number;
  readonly messagesPerHour: number;
}

/** With all messages there beforehand. The limit is as many files, each durable by itself. */
export async function benchSeal(
  pool: Pool,
  { root, say, ...sealing }: Sealing & { readonly root: string; readonly say: Say },
): Promise<void> {
  const { plants, messagesPerHour } = sealing;
  const { sealed, seconds } = await sealLog(pool, root, sealing);
  say({
    case: `hours sealed and issued, ${messagesPerHour} message an hour, ${plants} plants`,
    value: sealed / seconds,
    unit: '1/s',
    limit: await durableFiles(join(root, 'files')),
    bar: 5_000,
  });
}

/** Seals a log into `root`/sealed; how many hours in which time, what comes before them not counted. */
export async function sealLog(
  pool: Pool,
  root: string,
  { plants, hours, messagesPerHour }: Sealing,
): Promise<{ sealed: number; seconds: number }> {
  const clock = manualClock(testStartS * 1000);
  const logger = createLogger({ name: 'bench', level: 'warn' });
  const folder = join(root, 'sealed');
  const context = { pool, clock, signer: people.logSigner, folder, logger };
  const ledger = createLedger({ ...context, secretsFolder: join(root, 'secrets') });
  const names = Array.from({ length: plants }, (_, i) => `p${i}`);
  await ledger.submit([people.genesis(), ...names.flatMap((name) => people.simplePlant(name))]);
  await ledger.step();
  for (const plant of names) {
    const signer = people.meterSigner(`${plant}-m`);
    const count = hours * messagesPerHour;
    await insertMessages(
      pool,
      Array.from({ length: count }, (_, i) => ({
        jws: partOfHour(plant, { i, messagesPerHour, signer }),
      })),
    );
  }
  await pool.run('analyze');
  await clock.advance((testStartS + hours * hourS + 60) * 1000);
  const startedAt = performance.now();
  let sealed = 0;
  for (let more = true; more;) {
    const step = await ledger.step();
    sealed += step.sealed.length;
    more = step.sealed.length > 0;
  }
  return { sealed, seconds: (performance.now() - startedAt) / 1000 };
}

/** From the end of the message before to its own end. */
function partOfHour(
  plant: string,
  { i, messagesPerHour, signer }: { i: number; messagesPerHour: number; signer: Signer },
): string {
  const at = (t: number, exportWh: number) => ({ registers: { exportWh }, t });
  const stepS = hourS / messagesPerHour;
  const start = testStartS + i * stepS;
  return buildMessage(signer, {
    log: testLog,
    meter: `${plant}-m`,
    plant,
    readings: [at(start, i * 1000), at(start + stepS, (i + 1) * 1000)],
    seq: i + 1,
    v: 1,
  });
}

async function durableFiles(path: string): Promise<number> {
  const folder = openLogFolder(path);
  const count = 2_000;
  const bytes = new Uint8Array(700);
  const files = Array.from({ length: count }, (_, i) => ({ path: `batch/${i}`, bytes }));
  const startedAt = performance.now();
  await folder.write(files);
  return (count / (performance.now() - startedAt)) * 1000;
}
