import { join } from 'node:path';
import { emptyRoot } from '#core/tlog/tree.ts';
import type { Draft } from '#ledger/draft.ts';
import { defaultLedgerLimits } from '#ledger/config.ts';
import { createFollower } from '#ledger/follow.ts';
import { openLogFolder } from '#ledger/log-folder.ts';
import { createPublisher } from '#ledger/publish.ts';
import { createSequencer } from '#ledger/sequence.ts';
import { manualClock } from '#platform/clock.ts';
import { createLogger } from '#platform/logger.ts';
import type { Pool } from '#platform/postgres.ts';
import * as people from '#support/log-people.ts';
import { testStartS } from '#support/test-ledger.ts';
import type { Say } from './figure.ts';

/** Appending entries alone (D7, row 4). */

const hourS = 3_600;
const checkpointEveryMs = 400;
const draftsPerTransaction = 1_000;

/** Entries that need no evidence: hours of a plant without meters. The limit is the bare insert. */
export async function benchAppend(
  pool: Pool,
  { root, entries, say }: { root: string; entries: number; say: Say },
): Promise<void> {
  const clock = manualClock(testStartS * 1000);
  const folder = openLogFolder(join(root, 'appended'));
  const sequencer = createSequencer({ pool, clock, follower: createFollower() });
  const publisher = createPublisher({
    pool,
    folder,
    signers: [people.logSigner],
    state: sequencer.state,
    logger: createLogger({ name: 'test', level: 'silent' }),
    limits: defaultLedgerLimits,
    signWithoutWitnesses: false,
    witnessUrls: new Map(),
  });
  const register = [people.genesis(), people.account('p'), people.plant('p', 'p')];
  await sequencer.sequence(register.map((draft): Draft => ({ type: 'action', ...draft })));
  await publisher.recover();
  await publisher.sign();
  await clock.advance((testStartS + (entries + 1) * hourS) * 1000);

  const latenciesMs: number[] = [];
  let waiting: number[] = [];
  const startedAt = performance.now();
  let checkpointAt = startedAt;
  for (let done = 0; done < entries;) {
    const drafts = emptyHours(done, Math.min(draftsPerTransaction, entries - done));
    waiting.push(performance.now());
    await sequencer.sequence(drafts);
    done += drafts.length;
    if (done < entries && performance.now() - checkpointAt < checkpointEveryMs) continue;
    await publisher.sign();
    await publisher.publish();
    checkpointAt = performance.now();
    latenciesMs.push(...waiting.map((since) => checkpointAt - since));
    waiting = [];
  }
  const seconds = (performance.now() - startedAt) / 1000;
  latenciesMs.sort((a, b) => a - b);
  say({
    case: `entries appended, a checkpoint at least every 500 ms`,
    value: entries / seconds,
    unit: '1/s',
    limit: await bareInserts(pool),
    bar: 10_000,
  });
  const p99 = latenciesMs[Math.floor(latenciesMs.length * 0.99)] ?? 0;
  say({ case: 'append to published checkpoint, p99', value: p99, unit: 'ms', bar: 1_000 });
}

function emptyHours(from: number, count: number): Draft[] {
  return Array.from({ length: count }, (_, i) => ({
    type: 'hour',
    plant: 'p',
    start: testStartS + (from + i) * hourS,
    version: 1,
    amends: undefined,
    generationWh: 0,
    consumptionWh: undefined,
    co2G: undefined,
    operatingS: undefined,
    validS: undefined,
    quality: 'partial',
    messages: 0,
    complete: false,
    batchRoot: emptyRoot,
    metersRoot: emptyRoot,
    records: [],
    committed: undefined,
  }));
}

/** How many rows of the same bytes a second the database takes in the same way, and nothing else. */
async function bareInserts(pool: Pool): Promise<number> {
  await pool.run('create table bare (like log_entry including indexes)');
  const rows = await pool.row<{ n: number }>('select count(*)::bigint as n from log_entry');
  const wanted = Math.min(rows.n, 10_000);
  const data = await pool.rows<{ index: number; leaf_hash: Uint8Array; data: Uint8Array }>(
    'select index, leaf_hash, data from log_entry order by index limit $1',
    [wanted],
  );
  const startedAt = performance.now();
  for (let at = 0; at < data.length; at += draftsPerTransaction) {
    const page = data.slice(at, at + draftsPerTransaction);
    await pool.run(
      `insert into bare select i, h, d, 'hour', 0
       from unnest($1::bigint[], $2::bytea[], $3::bytea[]) as r (i, h, d)`,
      [
        page.map(({ index }) => index),
        page.map(({ leaf_hash }) => leaf_hash),
        page.map((row) => row.data),
      ],
    );
  }
  return (data.length / (performance.now() - startedAt)) * 1000;
}
