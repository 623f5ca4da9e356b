import { expect, test } from 'vitest';
import type { SignedDraft } from '#core/certificate/entry.ts';
import { encodeProof } from '#core/certificate/proof/proof.ts';
import { verifyProof } from '#core/certificate/proof/verify.ts';
import type { Reading } from '#core/energy/message.ts';
import { readMeterStatus } from '#ingestion/meter-status.ts';
import type { Pool } from '#platform/postgres.ts';
import { auditLog } from '#support/audit-log.ts';
import { insertMessages } from '#support/insert-messages.ts';
import * as people from '#support/log-people.ts';
import { onEachEngine } from '#support/postgres.ts';
import { createTestLedger, removeTestFolders, testStartS } from '#support/test-ledger.ts';
import type { TestLedger } from '#support/test-ledger.ts';

removeTestFolders();

const hour = 3600;
const t0 = testStartS;
const owner = [people.accountSigner('p1')];
const registers = { importWh: { direction: 'import', unit: 'Wh' } };
const by = { at: 'p1', owner: 'p1' };

/** What the plant feeds in during hour `i`: 1,000 Wh. */
const fed = (i: number): string => {
  const readings = [i, i + 1].map((h) => ({ registers: { exportWh: h * 1000 }, t: t0 + h * hour }));
  return people.message({ plant: 'p1', meter: 'p1-m', seq: i + 1, readings });
};
const drawn = (seq: number, values: readonly (readonly [number, number])[]): string => {
  const readings = values.map(([t, importWh]): Reading => ({ registers: { importWh }, t: t0 + t }));
  return people.message({ plant: 'p1', meter: 'aux', seq, readings });
};
const end = (endsAt: number, importWh: number): SignedDraft =>
  people.signed(
    'meter-change',
    { closing: { importWh }, endsAt: t0 + endsAt, meter: 'aux' },
    owner,
  );

/** A plant that feeds in 1,000 Wh an hour, and takes 10 Wh through a meter of its own. */
async function plantWithAuxiliary(pool: Pool): Promise<TestLedger> {
  const made = createTestLedger(pool);
  await made.enter(
    people.genesis(),
    ...people.simplePlant('p1'),
    people.meter('aux', { ...by, registers, role: 'auxiliary' }),
    people.key('aux', by),
  );
  return made;
}

interface Version {
  readonly kind: string;
  readonly hour: number;
  readonly generation: number;
  readonly quality: string;
}

/** The latest version of each sealed hour, in the order of time. */
async function latest(pool: Pool): Promise<Version[]> {
  const rows = await pool.rows<{ text: string }>(
    `select convert_from(data, 'utf8') as text from log_entry where kind like 'hour%' order by index`,
  );
  const hours = new Map<number, Version>();
  for (const { text } of rows) {
    const { kind, spec } = JSON.parse(text) as {
      kind: string;
      spec: { interval: { start: number }; generation: number; quality: string };
    };
    const of = (spec.interval.start - t0) / hour;
    const { generation, quality } = spec;
    hours.set(of, { kind, hour: of, generation, quality });
  }
  return [...hours.values()].sort((a, b) => a.hour - b.hour);
}

const figures = (versions: readonly Version[]): number[] =>
  versions.map(({ generation }) => generation);

/** No rule is broken, and every certificate leads back to its messages. */
async function requireSound({ ledger, folder }: TestLedger, pool: Pool): Promise<void> {
  expect((await auditLog(folder)).findings).toEqual([]);
  const proofs = await ledger.proofs();
  const bundles = await pool.rows<{ series: string; from: number; to: number }>(
    `select series, lower(range) as "from", upper(range) - 1 as "to" from bundle order by 2`,
  );
  expect(bundles.length).toBeGreaterThan(0);
  for (const bundle of bundles) {
    const { steps } = verifyProof(encodeProof(await proofs.collect(bundle)));
    expect(steps.filter(({ result }) => result === 'fail')).toEqual([]);
  }
}

onEachEngine('the end of an auxiliary meter', (start) => {
  test('lets its plant issue again, from its hour on, and no hour more than is true', async () => {
    const { pool } = await start();
    const made = await plantWithAuxiliary(pool);
    const { enter, stepAt } = made;
    await insertMessages(pool, [
      ...[0, 1, 2, 3, 4].map((i) => ({ jws: fed(i) })),
      {
        jws: drawn(1, [
          [0, 0],
          [hour, 10],
        ]),
      },
    ]);
    await stepAt(t0 + 5 * hour + 10);
    // The meter was taken away at 02:20, and the plant waits for it.
    expect(figures(await latest(pool))).toEqual([990]);
    await enter(end(2 * hour + 1200, 25));
    await stepAt(t0 + 5 * hour + 20);
    // From 01:00 to its end it took 15 Wh: nobody knows in which hour, so both bear them.
    const hours = await latest(pool);
    expect(figures(hours)).toEqual([990, 985, 1000, 1000]);
    expect(hours.map(({ hour: h }) => h)).toEqual([0, 2, 3, 4]);
    await stepAt(t0 + 26 * hour + 10);
    expect(figures(await latest(pool)).slice(0, 5)).toEqual([990, 985, 985, 1000, 1000]);
    await requireSound(made, pool);
  });

  test('proves its hours anew that were sealed without it, also after the end of its key', async () => {
    const { pool } = await start();
    const made = await plantWithAuxiliary(pool);
    const { enter, stepAt } = made;
    await insertMessages(pool, [
      ...[0, 1, 2, 3].map((i) => ({ jws: fed(i) })),
      {
        jws: drawn(1, [
          [0, 0],
          [hour, 10],
        ]),
      },
    ]);
    const { kid } = people.meterSigner('aux');
    await enter(people.signed('key-end', { kid, lastSeq: 1, lastT: t0 + hour }, owner));
    await stepAt(t0 + 4 * hour + 10);
    // Nothing is waited for, and nothing is known of what it took.
    expect(figures(await latest(pool))).toEqual([990, 0, 0, 0]);
    const outcomes = await made.ledger.submit([end(2 * hour, 12)]);
    expect(outcomes).toMatchObject([{ result: 'refused', code: 'sealed' }]);
    await enter(end(4 * hour, 12));
    await stepAt(t0 + 4 * hour + 20);
    expect(figures(await latest(pool))).toEqual([990, 998, 998, 998]);
    await insertMessages(pool, [{ jws: fed(4) }]);
    await stepAt(t0 + 5 * hour + 10);
    expect(figures(await latest(pool))).toEqual([990, 998, 998, 998, 1000]);
    await requireSound(made, pool);
  });

  test('that its messages contradict disputes its last hour, and none after it', async () => {
    const { pool } = await start();
    const made = await plantWithAuxiliary(pool);
    const { enter, stepAt } = made;
    await insertMessages(pool, [
      ...[0, 1, 2].map((i) => ({ jws: fed(i) })),
      {
        jws: drawn(1, [
          [0, 0],
          [hour, 10],
        ]),
      },
      { jws: drawn(2, [[hour + 600, 400]]) },
    ]);
    await stepAt(t0 + hour + 10);
    await stepAt(t0 + 3 * hour + 10);
    await enter(end(hour + 1200, 11));
    await stepAt(t0 + 3 * hour + 20);
    expect(await latest(pool)).toMatchObject([
      { hour: 0, generation: 990, quality: 'measured' },
      { hour: 1, generation: 0, quality: 'disputed' },
      { hour: 2, generation: 1000, quality: 'measured' },
    ]);
    await requireSound(made, pool);
  });

  test('is the last that is heard of it: what it signed for later counts for nothing', async () => {
    const { pool } = await start();
    const made = await plantWithAuxiliary(pool);
    const { enter, stepAt } = made;
    await insertMessages(pool, [
      ...[0, 1].map((i) => ({ jws: fed(i) })),
      {
        jws: drawn(1, [
          [0, 0],
          [1200, 4],
        ]),
      },
      {
        jws: drawn(2, [
          [1800, 900],
          [hour, 950],
        ]),
      },
    ]);
    await made.clock.advance((t0 + 1900) * 1000);
    await enter(end(1200, 4));
    await stepAt(t0 + 2 * hour + 10);
    expect(await latest(pool)).toMatchObject([
      { hour: 0, generation: 996, quality: 'measured' },
      { hour: 1, generation: 1000, quality: 'measured' },
    ]);
    const [row] = await pool.rows<{ ends_at: number; version: number }>(
      `select ends_at, version from meter join meter_key using (meter_id) where meter = 'aux'`,
    );
    expect(row).toMatchObject({ ends_at: t0 + 1200, version: 7 });
    const question = { meter: 'aux', nowS: t0 + 9 * hour, silentAfterS: hour };
    expect(await readMeterStatus(pool, question)).toMatchObject([{ state: 'ended' }]);
    await requireSound(made, pool);
  });
});
