import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { advance } from '#core/certificate/fold.ts';
import { emptyState } from '#core/certificate/state.ts';
import { buildMessage } from '#core/energy/message.ts';
import type { Signer } from '#core/signer.ts';
import { tileWidth } from '#core/tlog/tile.ts';
import { emptyRoot, leafHash } from '#core/tlog/tree.ts';
import { auditFolder, type AuditReport } from '#ledger/audit.ts';
import type { Draft } from '#ledger/draft.ts';
import { readLogFiles } from '#ledger/files.ts';
import { createFollower } from '#ledger/follow.ts';
import { openLogFolder } from '#ledger/log-folder.ts';
import { createPublisher } from '#ledger/publish.ts';
import { createSequencer } from '#ledger/sequence.ts';
import { createLedger } from '#ledger/service.ts';
import { manualClock } from '#platform/clock.ts';
import { createLogger } from '#platform/logger.ts';
import type { Pool } from '#platform/postgres.ts';
import { insertMessages } from '#support/insert-messages.ts';
import * as people from '#support/log-people.ts';
import { startTestPostgres, type TestPostgres } from '#support/postgres.ts';
import { findPostgresBinaries } from '#support/real-postgres.ts';
import { testLog } from '#support/register.ts';
import { testStartS } from '#support/test-ledger.ts';
import type { BenchContext, Figure, Scale } from './figure.ts';
import { verifyLimit } from './verify-limit.ts';

/** Plants, hours of each, and entries to append alone. */
const sizes: Readonly<Record<Scale, { plants: number; hours: number; entries: number }>> = {
  s: { plants: 20, hours: 24, entries: 5_000 },
  m: { plants: 100, hours: 240, entries: 50_000 },
  l: { plants: 1_000, hours: 720, entries: 500_000 },
};
const hourS = 3_600;
const checkpointEveryMs = 400;
const draftsPerTransaction = 1_000;

/** Appending, sealing and auditing (D7, rows 4, 6 and 7). */
export async function bench({ scale, report }: BenchContext): Promise<void> {
  const real = process.env.TEST_POSTGRES_URL !== undefined || findPostgresBinaries() !== undefined;
  const engine = real ? 'postgresql' : 'pglite';
  const say = (figure: Omit<Figure, 'engine'>): void => {
    report({ ...figure, engine });
  };
  const root = mkdtempSync(join(tmpdir(), 'hourseal-bench-'));
  const open = (): Promise<TestPostgres> => startTestPostgres(real ? 'postgres' : 'pglite');
  try {
    const first = await open();
    await benchAppend(first.pool, { root, entries: sizes[scale].entries, say });
    await first.stop();
    const second = await open();
    await benchSeal(second.pool, { root, ...sizes[scale], say });
    await second.stop();
    await benchAudit(join(root, 'sealed'), say);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

type Say = (figure: Omit<Figure, 'engine'>) => void;

/** Entries that need no evidence: hours of a plant without meters. The limit is the bare insert. */
async function benchAppend(
  pool: Pool,
  { root, entries, say }: { root: string; entries: number; say: Say },
): Promise<void> {
  const clock = manualClock(testStartS * 1000);
  const folder = openLogFolder(join(root, 'appended'));
  const sequencer = createSequencer({ pool, clock, follower: createFollower() });
  const origin = async () => (await sequencer.state()).genesis?.origin;
  const publisher = createPublisher({ pool, folder, signer: people.logSigner, origin });
  const register = [people.genesis(), people.account('p'), people.plant('p', 'p')];
  await sequencer.sequence(register.map((draft): Draft => ({ type: 'action', ...draft })));
  await publisher.publish();
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

/** One message an hour, all there beforehand. The limit is writing as many files durably. */
async function benchSeal(
  pool: Pool,
  { root, plants, hours, say }: { root: string; plants: number; hours: number; say: Say },
): Promise<void> {
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
    await insertMessages(
      pool,
      Array.from({ length: hours }, (_, i) => ({ jws: hourMessage(plant, i, signer) })),
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
  const seconds = (performance.now() - startedAt) / 1000;
  say({
    case: `hours sealed and issued, 1 message an hour, ${plants} plants`,
    value: sealed / seconds,
    unit: '1/s',
    limit: await durableFiles(join(root, 'files')),
    bar: 5_000,
  });
}

function hourMessage(plant: string, i: number, signer: Signer): string {
  const at = (t: number, exportWh: number) => ({ registers: { exportWh }, t });
  const start = testStartS + i * hourS;
  return buildMessage(signer, {
    log: testLog,
    meter: `${plant}-m`,
    plant,
    readings: [at(start, i * 1000), at(start + hourS, (i + 1) * 1000)],
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
  await folder.writeNew(files);
  return (count / (performance.now() - startedAt)) * 1000;
}

async function benchAudit(folder: string, say: Say): Promise<void> {
  const verifies = await verifyLimit();
  const trusted = await timedAudit(folder, 'trust');
  const { report, seconds } = trusted;
  const replayed = await replay(folder, report.size);
  say({ case: 'entries replayed without signatures', value: replayed, unit: '1/s', bar: 50_000 });
  say({
    case: 'full audit without signatures, leaves',
    value: report.leaves / seconds,
    unit: '1/s',
    limit: bareHashes(),
    bar: 300_000,
  });
  const verified = await timedAudit(folder, 'verify');
  say({
    case: 'full audit with signatures, leaves',
    value: verified.report.leaves / verified.seconds,
    unit: '1/s',
    limit: verifies,
    bar: 0.7,
  });
}

async function timedAudit(
  path: string,
  signatures: 'verify' | 'trust',
): Promise<{ report: AuditReport; seconds: number }> {
  const startedAt = performance.now();
  const audit = auditFolder(openLogFolder(path), { signatures });
  let next = await audit.next();
  while (next.done !== true) next = await audit.next();
  if (next.value.findings.length > 0) throw new Error('the audit of the bench found something');
  return { report: next.value, seconds: (performance.now() - startedAt) / 1000 };
}

/** The rules alone, from the entry bundles. */
async function replay(path: string, size: number): Promise<number> {
  const files = readLogFiles(openLogFolder(path));
  const state = emptyState();
  const startedAt = performance.now();
  for (let index = 0; index * tileWidth < size; index++) {
    const { entries } = await files.bundle(index, size);
    for (const data of entries) advance(state, data, { signatures: 'trust' });
  }
  return (size / (performance.now() - startedAt)) * 1000;
}

/** Leaf hashes a second, of messages as long as those of this bench, on all cores. */
function bareHashes(): number {
  const data = new Uint8Array(450);
  const count = 200_000;
  const startedAt = performance.now();
  for (let i = 0; i < count; i++) leafHash(data);
  return (count / (performance.now() - startedAt)) * 1000 * availableParallelism();
}
