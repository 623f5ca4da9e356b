import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { utf8 } from '#core/bytes.ts';
import { hourSeconds } from '#core/energy/hours.ts';
import { openReceipt } from '#core/energy/receipt.ts';
import { parsePublicJwk } from '#core/keys.ts';
import { openFileStore, receiptInFile, storeFileName } from '#devices/file-store.ts';
import type { KeptReceipt } from '#devices/store-journal.ts';
import type { Clock } from '#platform/clock.ts';
import { createLogger } from '#platform/logger.ts';
import { openDataFolder, type DataFolder } from '#standalone/data-folder.ts';
import { startNetwork, type Network } from '#standalone/network.ts';
import { runCli } from '#support/cli.ts';
import * as people from '#support/log-people.ts';
import { quickEngine, startTestPostgres, type TestPostgres } from '#support/postgres.ts';
import { ingestionSigner } from '#support/register.ts';
import { removeTestFolders, scratchFolder } from '#support/test-ledger.ts';
import { acceleratedClock, audience, startS } from '../../faults/kill-world.ts';

/** The receipt that a gateway keeps, from the real broker and ingestion, over many a `kill -9`. */

removeTestFolders();

const child = fileURLToPath(new URL('./gateway.child.ts', import.meta.url));
const ingestionKey = parsePublicJwk(ingestionSigner.jwk);
/** The first hour that is sealed begins after the plant's entry; one of them ends here. */
const untilS = startS + 3 * hourSeconds;
const rounds = 6;

const gatewayFolder = join(scratchFolder(), 'gateway');
let beganMs = 0;
let clock: Clock;
let database: TestPostgres;
let folder: DataFolder;
let network: Network;

beforeAll(async () => {
  database = await startTestPostgres(quickEngine);
  folder = await openDataFolder(join(scratchFolder(), 'data'), { create: 'installation' });
  beganMs = Date.now();
  clock = acceleratedClock({ beganMs });
  network = await startNetwork({
    folder,
    pool: database.pool,
    clock,
    logger: createLogger({ name: 'test', level: 'silent' }),
    logKey: people.logSigner,
    ingestionKey: ingestionSigner,
    listen: { host: '127.0.0.1', port: 0 },
    audience,
    ingestionLimits: { receiptEveryMs: 50 },
  });
  const by = { at: 'p1', owner: 'p1' };
  // A password of five minutes would be good for half a second of this clock.
  const meter = people.meter('p1-m', { ...by, clock: 'unreliable' });
  const actions = [people.genesis(), people.account('p1'), people.plant('p1', 'p1'), meter];
  const outcomes = await network.ledger.submit([...actions, people.key('p1-m', by)]);
  expect(outcomes.map(({ result }) => result)).toEqual(Array(5).fill('sequenced'));
  await network.ledger.step();
});
afterAll(async () => {
  await network.stop();
  await database.stop();
  await folder.release();
});

interface Gateway {
  readonly process: ChildProcess;
  readonly done: Promise<void>;
  /** Rejects where it had ended by itself. */
  readonly kill: () => Promise<void>;
}

function startGateway(): Gateway {
  const url = `mqtt://127.0.0.1:${network.broker.port()}`;
  const args = ['--import', 'tsx', child, gatewayFolder, url, String(beganMs), String(untilS)];
  const running = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let errors = '';
  running.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  const ended = once(running, 'close');
  const done = Promise.race([
    once(running.stdout, 'data').then(() => undefined),
    ended.then(() => Promise.reject(new Error(`the gateway ended by itself: ${errors}`))),
  ]);
  done.catch(() => undefined);
  return {
    process: running,
    done,
    async kill() {
      running.kill('SIGKILL');
      const [, signal] = (await ended) as [number | null, NodeJS.Signals | null];
      expect([signal, errors]).toEqual(['SIGKILL', '']);
    },
  };
}

/** As anybody may read it beside the running gateway. */
async function keptReceipt(): Promise<KeptReceipt | undefined> {
  const file = join(gatewayFolder, storeFileName);
  return existsSync(file) ? receiptInFile(await readFile(file)) : undefined;
}

test('it is whole, the newest, and honoured by the log', async () => {
  const seen = [0];
  const look = async (): Promise<number> => {
    const kept = await keptReceipt();
    if (kept === undefined) return 0;
    const { kid, throughSeq } = openReceipt(utf8(kept.jws), ingestionKey);
    expect([kid, throughSeq]).toEqual([people.meterSigner('p1-m').kid, kept.seq]);
    expect(throughSeq).toBeGreaterThanOrEqual(seen.at(-1) ?? 0);
    seen.push(throughSeq);
    return throughSeq;
  };
  for (let round = 0; round < rounds; round++) {
    const gateway = startGateway();
    try {
      // Killed as soon as this run of it has brought something new, at whatever it is doing then.
      const before = await look();
      const patience = AbortSignal.timeout(30_000);
      while ((await look()) <= before) {
        patience.throwIfAborted();
        await sleep(1);
      }
      await sleep(round * 7);
    } finally {
      await gateway.kill();
    }
    const store = await openFileStore(gatewayFolder, {
      meter: 'p1-m',
      kid: people.meterSigner('p1-m').kid,
    });
    expect(store.receipt()?.seq).toBe(await look());
    expect(store.state().throughSeq).toBe(store.receipt()?.seq);
    await store.close();
  }
  expect(new Set(seen).size).toBeGreaterThan(rounds);

  const last = startGateway();
  await last.done;
  await last.kill();
  expect(await look()).toBe((untilS - startS) / 60 + 1);
  await clock.sleep(60_000);
  const early = await runCli(['receipt', gatewayFolder, '--data', folder.path]);
  expect(early.code).toBe(4);
  const { sealed } = await network.ledger.step();
  expect(sealed.length).toBeGreaterThan(0);
  const honoured = await runCli(['receipt', gatewayFolder, '--data', folder.path]);
  expect(honoured.stdout).toContain('honoured so far');
  expect(honoured.code).toBe(0);
});
