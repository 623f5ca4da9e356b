import { expect, test } from 'vitest';
import { toHex, utf8 } from '#core/bytes.ts';
import type { SignedDraft } from '#core/certificate/entry.ts';
import { messagesTopic, type Reading } from '#core/energy/message.ts';
import { createIngestion } from '#ingestion/service.ts';
import { validateSome } from '#ingestion/validation/step.ts';
import { inTransaction, type Pool } from '#platform/postgres.ts';
import { insertMessages } from '#support/insert-messages.ts';
import * as people from '#support/log-people.ts';
import { onEachEngine } from '#support/postgres.ts';
import { ingestionSigner } from '#support/register.ts';
import { createTestLedger, removeTestFolders, testStartS as t0 } from '#support/test-ledger.ts';
import { quiet } from './rig.ts';

removeTestFolders();

const hourS = 3600;
const dayS = 24 * hourS;
const [plant, meter] = ['p1', 'p1-m'];
/** Of the second day these hours are told late. */
const missing = { from: 26, to: 29 };
/** The last of its day, which is then added up. */
const lastHour = 47;
const limits = { validationHours: 7, validationPages: 100 };

/** Wh at a turn of a quarter: every hour of the day runs at a pace of its own, odd on the second. */
function registerAt(quarter: number): number {
  let value = 1_000;
  for (let i = 0; i < quarter; i++)
    value += 100 + (Math.floor(i / 4) % 24) * 10 + (i >= 96 ? 3 : 0);
  return value;
}

/** The message of each hour, its turns included. */
const jws = Array.from({ length: lastHour + 1 }, (_, hour) => {
  const readings = Array.from({ length: 5 }, (_unused, i): Reading => {
    const quarter = hour * 4 + i;
    return { t: t0 + quarter * 900, registers: { exportWh: registerAt(quarter) } };
  });
  return people.message({ plant, meter, seq: hour + 1, readings });
});
const between = (from: number, to: number): string[] => jws.slice(from, to);

interface Stage {
  readonly deliver: readonly string[];
  readonly atS: number;
}

const stages: readonly Stage[] = [
  { deliver: between(0, missing.from), atS: t0 + missing.from * hourS + 60 },
  // The deadline of what is missing has passed, and nothing came since.
  { deliver: [], atS: t0 + (missing.to + 2) * hourS },
  // What came since shows on which values the gap ends; the ledger looks once a day.
  { deliver: between(missing.to, lastHour + 1), atS: t0 + (lastHour + 1) * hourS + 60 },
  { deliver: [], atS: t0 + (lastHour + 4) * hourS + dayS },
  { deliver: between(missing.from, missing.to), atS: t0 + (lastHour + 5) * hourS + dayS },
];

/** Without `state`, which falls due between two steps or not. */
const kinds = people.rulesOfTest.kinds.filter((kind) => kind !== 'state');

const drafts = (): SignedDraft[] => [
  people.genesis({ deadlineS: hourS, kinds }),
  ...people.simplePlant(plant, { source: 'wind' }),
];

interface World {
  readonly pool: Pool;
  readonly deliver: (messages: readonly string[], receivedAt: number) => Promise<void>;
  readonly afterStage: (atS: number) => Promise<void>;
}

/** The log that comes of it, entry by entry. */
async function runWorld(
  entered: readonly SignedDraft[],
  { pool, deliver, afterStage }: World,
): Promise<string[]> {
  const { enter, clock, ledger } = createTestLedger(pool);
  await enter(...entered);
  for (const stage of stages) {
    await clock.advance(stage.atS * 1000);
    await deliver(stage.deliver, stage.atS);
    await ledger.step();
    await afterStage(stage.atS);
  }
  const rows = await pool.rows<{ data: Uint8Array }>(`select data from log_entry order by index`);
  return rows.map(({ data }) => toHex(data));
}

async function methods(pool: Pool): Promise<string[]> {
  const rows = await pool.rows<{ method: string }>(
    `select method from chart_hour join meter using (meter_id)
      where meter = $1 and start >= $2 and start < $3 order by start`,
    [meter, t0 + missing.from * hourS, t0 + missing.to * hourS],
  );
  return rows.map(({ method }) => method);
}

/** What was said of the day's last hour, version by version, and of which entry. */
async function lastVerdicts(pool: Pool): Promise<{ codes: string[]; entry: number }[]> {
  const rows = await pool.rows<{ findings: { code: string }[]; entry: number }>(
    `select findings, entry_index as entry from hour_verdict where start = $1 order by version`,
    [t0 + lastHour * hourS],
  );
  return rows.map(({ findings, entry }) => ({ entry, codes: findings.map(({ code }) => code) }));
}

async function chartSum(pool: Pool, from: number, to: number): Promise<number> {
  const { sum } = await pool.row<{ sum: number }>(
    `select sum(value)::bigint as sum from chart_hour where start >= $1 and start < $2`,
    [t0 + from * hourS, t0 + to * hourS],
  );
  return sum;
}

onEachEngine('the hourly series for charts', (start, engine) => {
  test('fills gaps, marked, and no certificate is another with it or without', async () => {
    const entered = drafts();
    const { pool } = await start();
    const seen: string[][] = [];
    const sums: number[] = [];
    // Housekeeping rests: here the test says when hours are judged.
    const ingestion = createIngestion({
      pool,
      clock: { nowMs: () => t0 * 1000, nowS: () => t0, sleep: () => new Promise(() => undefined) },
      signer: ingestionSigner,
      sendReceipt: () => Promise.resolve(),
      logger: quiet,
      limits: { rollupEveryMs: 3_600_000, refreshEveryMs: 1 },
    });
    let isStarted = false;
    const charted = await runWorld(entered, {
      pool,
      async deliver(messages, receivedAt) {
        if (!isStarted) await ingestion.start();
        isStarted = true;
        for (const text of messages) {
          const topic = messagesTopic(plant, meter);
          await ingestion.accept({ sender: meter, topic, bytes: utf8(text), receivedAt });
        }
      },
      async afterStage(nowS) {
        await validateSome(pool, limits, { nowS });
        seen.push(await methods(pool));
        sums.push(await chartSum(pool, missing.from, missing.to));
      },
    });
    await ingestion.stop();
    const of = (method: string): string[] => [method, method, method];
    expect(seen).toEqual([[], of('profile'), of('profile'), of('linear'), of('measured')]);
    const ran = (from: number, to: number): number => registerAt(to * 4) - registerAt(from * 4);
    // The same hours of the first day; a straight line adds up to the truth, its hours are others.
    expect(sums[1]).toBe(ran(missing.from - 24, missing.to - 24));
    expect(sums[3]).toBe(ran(missing.from, missing.to));
    expect(await chartSum(pool, 0, lastHour + 1)).toBe(ran(0, lastHour + 1));

    // An hour that nobody touched is judged again for what came of those before it.
    const [first, second, ...more] = await lastVerdicts(pool);
    expect([first?.codes, second?.codes, more]).toEqual([['daily'], [], []]);
    expect(second?.entry).toBe(first?.entry);

    const bare = await start();
    await bare.pool.run(`drop table chart_hour, hour_verdict, validation_due, validation_progress`);
    const uncharted = await runWorld(entered, {
      pool: bare.pool,
      deliver: (messages, receivedAt) =>
        insertMessages(
          bare.pool,
          messages.map((text) => ({ jws: text, receivedAt })),
        ),
      afterStage: () => Promise.resolve(),
    });
    expect(uncharted).toEqual(charted);
    expect(charted.length).toBeGreaterThan(lastHour);
  });

  // Locks prove nothing on the embedded engine, which has one session.
  if (engine === 'postgres') {
    test('is kept by one process at a time, and judges each hour once', async () => {
      const { pool, anotherPool } = await start();
      const { enter, stepAt } = createTestLedger(pool);
      await enter(...drafts());
      await insertMessages(
        pool,
        between(0, 3).map((text) => ({ jws: text })),
      );
      await stepAt(t0 + 4 * hourS);
      const nowS = t0 + 4 * hourS;
      await inTransaction(anotherPool(1), async (sql) => {
        await sql.rows(`select * from validation_progress for update`);
        expect(await validateSome(pool, limits, { nowS })).toBe(0);
      });
      expect(await validateSome(pool, limits, { nowS })).toBe(3);
      expect(await validateSome(pool, limits, { nowS })).toBe(0);
      const stopped = AbortSignal.abort();
      expect(await validateSome(pool, limits, { nowS, signal: stopped })).toBe(0);
    });
  }

  test('refuses what is not marked as one of three', async () => {
    const { pool } = await start();
    const { enter } = createTestLedger(pool);
    await enter(...drafts());
    const insert = `insert into chart_hour select meter_id, 'exportWh', $1, $2, $3 from meter`;
    await pool.run(insert, [t0, 1, 'linear']);
    await expect(pool.run(insert, [t0 + hourS, 1, 'guessed'])).rejects.toMatchObject({
      code: '23514',
    });
    await expect(pool.run(insert, [t0 + 1, 1, 'linear'])).rejects.toMatchObject({ code: '23514' });
    await expect(pool.run(insert, [t0 + hourS, -1, 'linear'])).rejects.toMatchObject({
      code: '23514',
    });
    await expect(pool.run(insert, [t0, 2, 'measured'])).rejects.toMatchObject({ code: '23505' });
  });
});
