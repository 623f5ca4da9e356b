import { afterEach, beforeEach, expect, it } from 'vitest';
import { utf8 } from '#core/bytes.ts';
import { messagesTopic } from '#core/energy/message.ts';
import { parseCompactJws } from '#core/jws.ts';
import type { Signer } from '#core/signer.ts';
import { createIngestion, type Ingestion } from '#ingestion/service.ts';
import { genesis, message, signed, simplePlant } from '#support/log-people.ts';
import { onEveryEngine, type TestPostgres } from '#support/postgres.ts';
import { ingestionSigner, testSigner } from '#support/register.ts';
import { createTestLedger, removeTestFolders, testStartS } from '#support/test-ledger.ts';
import type { TestLedger } from '#support/test-ledger.ts';
import { quiet, until } from './rig.ts';

const next = testSigner('ingestion 2');
const untilS = testStartS + 1000;

removeTestFolders();

onEveryEngine('ingestion while its key changes', (start) => {
  let database: TestPostgres;
  let log: TestLedger;
  let ingestion: Ingestion | undefined;
  let seq: number;
  /** The `kid` of every receipt, in the order of sending. */
  let receipts: string[];

  beforeEach(async () => {
    database = await start();
    log = createTestLedger(database.pool);
    [seq, receipts] = [0, []];
    await log.enter(genesis(), ...simplePlant('p1'));
  });
  afterEach(async () => {
    await ingestion?.stop();
    ingestion = undefined;
    await database.stop();
  });

  async function run(...held: readonly Signer[]): Promise<Ingestion> {
    await ingestion?.stop();
    ingestion = undefined;
    const made = createIngestion({
      pool: database.pool,
      clock: log.clock,
      signer: held,
      sendReceipt: (_topic, bytes) => {
        receipts.push(parseCompactJws(bytes, 'hourseal-receipt').header.kid);
        return Promise.resolve();
      },
      logger: quiet,
      limits: { receiptEveryMs: 1, receiptTurnMs: 1, refreshEveryMs: 0, looksPerSecond: 1_000 },
    });
    await made.start();
    ingestion = made;
    return made;
  }

  /** Sends one message; whoever signs its receipt. */
  async function send(to: Ingestion): Promise<void> {
    seq += 1;
    const t = log.clock.nowS();
    const readings = [{ registers: { exportWh: seq }, t }];
    const bytes = utf8(message({ plant: 'p1', meter: 'p1-m', seq, readings }));
    const topic = messagesTopic('p1', 'p1-m');
    await to.accept({ sender: 'p1-m', topic, bytes, receivedAt: t });
  }

  async function receiptOf(to: Ingestion): Promise<string | undefined> {
    const before = receipts.length;
    await send(to);
    await until(() => receipts.length > before);
    return receipts.at(-1);
  }

  const change = (): Promise<void> =>
    log.enter(signed('ingestion-key', { jwk: next.jwk, previousUntil: untilS }));

  it('signs with the new key from its entry on, with both at hand', async () => {
    const running = await run(ingestionSigner, next);
    expect(await receiptOf(running)).toBe(ingestionSigner.kid);
    await change();
    expect(await receiptOf(running)).toBe(next.kid);
    await log.clock.advance((untilS + 1) * 1000);
    expect(await receiptOf(running)).toBe(next.kid);
  });

  it('signs with the old key to its end, and then ends rather than sign what is worth nothing', async () => {
    await change();
    const running = await run(ingestionSigner);
    await log.clock.advance(untilS * 1000);
    expect(await receiptOf(running)).toBe(ingestionSigner.kid);
    await log.clock.advance((untilS + 1) * 1000);
    await send(running);
    expect(await running.died).toMatchObject({ code: 'ingestion-key' });
    expect(receipts).toHaveLength(1);
  });

  it('does not start with keys that the log does not name, or has ended', async () => {
    await expect(run(next)).rejects.toMatchObject({ code: 'ingestion-key' });
    await change();
    await run(next);
    await log.clock.advance((untilS + 1) * 1000);
    await expect(run(ingestionSigner)).rejects.toMatchObject({ code: 'ingestion-key' });
    await run(ingestionSigner, next);
  });

  it('is told of an end that comes earlier than was said before', async () => {
    await change();
    const last = { jwk: testSigner('ingestion 3').jwk, previousUntil: testStartS };
    await log.enter(signed('ingestion-key', last));
    await run(next);
    await log.clock.advance((testStartS + 1) * 1000);
    await expect(run(ingestionSigner, next)).rejects.toMatchObject({ code: 'ingestion-key' });
  });
});
