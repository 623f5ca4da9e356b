import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { toHex, utf8 } from '#core/bytes.ts';
import { commitmentOf, parseOpening } from '#core/certificate/commitment.ts';
import type { SpecOf } from '#core/certificate/kinds.ts';
import { parseBatchFile } from '#core/energy/batch.ts';
import { parseMessage, type Reading } from '#core/energy/message.ts';
import type { Pool } from '#platform/postgres.ts';
import { auditLog } from '#support/audit-log.ts';
import { insertFork, insertMessages } from '#support/insert-messages.ts';
import * as people from '#support/log-people.ts';
import { onEachEngine } from '#support/postgres.ts';
import { createTestLedger, removeTestFolders, testStartS } from '#support/test-ledger.ts';

removeTestFolders();

const hour = 3600;
const t0 = testStartS;
const at = (t: number, exportWh: number): Reading => ({ registers: { exportWh }, t });
const kidOf = (name: string): string => people.meterSigner(name).kid;

const message = (seq: number, readings: Reading[], signer?: string): string =>
  people.message({
    plant: 'p1',
    meter: 'p1-m',
    seq,
    readings,
    ...(signer !== undefined && { signer }),
  });

/** The message of hour `i` of p1, with both boundaries and `wh` an hour. */
const hourly = (i: number, wh = 1000): string =>
  message(i + 1, [at(t0 + i * hour, i * wh), at(t0 + (i + 1) * hour, (i + 1) * wh)]);

interface Stated {
  kind: string;
  hour: number;
  spec: SpecOf<'hour-correction'> & { certificates: { netted: number; deficit: number } };
}

/** The `hour` and `hour-correction` entries in the log's order. */
async function statedHours(pool: Pool): Promise<Stated[]> {
  const rows = await pool.rows<{ text: string }>(
    `select convert_from(data, 'utf8') as text from log_entry where kind like 'hour%' order by index`,
  );
  return rows.map(({ text }) => {
    const { kind, spec } = JSON.parse(text) as Pick<Stated, 'kind' | 'spec'>;
    return { kind, hour: (spec.interval.start - t0) / hour, spec };
  });
}

onEachEngine('what happens to hours', (start) => {
  test('a key rotated in mid-hour: the hour is measured by both keys', async () => {
    const { pool } = await start();
    const { enter, stepAt, folder } = createTestLedger(pool);
    await enter(people.genesis(), ...people.simplePlant('p1'));
    await insertMessages(pool, [{ jws: message(1, [at(t0, 0), at(t0 + 1700, 400)]) }]);
    const owner = { at: 'p1', owner: 'p1' };
    await enter(
      people.signed('key-end', { kid: kidOf('p1-m'), lastSeq: 1, lastT: t0 + 1700 }, [
        people.accountSigner('p1'),
      ]),
      people.key('p1-m', { ...owner, notBefore: t0 + 1700, signer: 'p1-m second' }),
    );
    const second = message(1, [at(t0 + 1800, 450), at(t0 + hour, 1000)], 'p1-m second');
    await insertMessages(pool, [{ jws: second }]);
    expect((await stepAt(t0 + hour + 10)).sealed).toHaveLength(1);
    expect((await statedHours(pool))[0]).toMatchObject({
      spec: { generation: 1000, messages: 2, quality: 'measured' },
    });
    expect((await auditLog(folder)).findings).toEqual([]);
  });

  test('a backlog in random order yields no correction', async () => {
    const { pool } = await start();
    const { enter, stepAt, folder } = createTestLedger(pool);
    await enter(people.genesis(), ...people.simplePlant('p1'));
    const order = [7, 2, 0, 9, 4, 11, 1, 3, 8, 5, 10, 6];
    for (const [step, i] of order.entries()) {
      await insertMessages(pool, [{ jws: hourly(i) }]);
      await stepAt(t0 + 12 * hour + 10 + step);
    }
    const stated = await statedHours(pool);
    expect(stated.map(({ kind }) => kind)).toEqual(order.map(() => 'hour'));
    expect(stated.every(({ spec }) => 'generation' in spec && spec.generation === 1000)).toBe(true);
    const report = await auditLog(folder);
    expect(report).toMatchObject({ findings: [], openChains: 0, hours: 12 });
  });

  test('an outage: its empty hours wait for the next message, and then not for the deadline', async () => {
    const { pool } = await start();
    const { enter, stepAt, folder } = createTestLedger(pool);
    await enter(people.genesis(), ...people.simplePlant('p1'));
    await insertMessages(pool, [{ jws: message(1, [at(t0, 0), at(t0 + 1000, 300)]) }]);
    expect((await stepAt(t0 + 5 * hour)).sealed).toEqual([]);
    await insertMessages(pool, [{ jws: message(2, [at(t0 + 4 * hour + 600, 5000)]) }]);
    const sealed = (await stepAt(t0 + 5 * hour + 10)).sealed.map((one) => (one.start - t0) / hour);
    expect(sealed).toEqual([0, 1, 2, 3]);
    expect(
      (await statedHours(pool)).map(({ spec }) => 'generation' in spec && spec.generation),
    ).toEqual([300, 0, 0, 0]);
    expect((await auditLog(folder)).findings).toEqual([]);
  });

  test('a deficit is netted from the next hours', async () => {
    const { pool } = await start();
    const { enter, stepAt, folder } = createTestLedger(pool);
    await enter(people.genesis(), ...people.simplePlant('p1'));
    await insertMessages(pool, [{ jws: hourly(0) }]);
    await stepAt(t0 + hour + 10);
    const items = [{ from: 1, series: 'energy/p1', to: 1000 }];
    const period = { from: t0, to: t0 + hour };
    await enter(
      people.signedByAccount('cancel', 'p1', { beneficiary: 'b', items, period, purpose: 'x' }),
      people.signed('decision', {
        effect: 'set-aside',
        evidence: [],
        from: 1,
        kid: kidOf('p1-m'),
        reason: 'a test',
        to: 1,
      }),
    );
    await stepAt(t0 + hour + 20);
    await insertMessages(pool, [{ jws: hourly(1, 600) }, { jws: hourly(2, 600) }]);
    await stepAt(t0 + 3 * hour + 10);
    const certificates = (await statedHours(pool)).map(({ kind, hour: h, spec }) => [
      kind,
      h,
      spec.certificates,
    ]);
    expect(certificates).toEqual([
      ['hour', 0, { deficit: 0, issued: { from: 1, to: 1000 }, netted: 0 }],
      ['hour-correction', 0, { deficit: 1000, netted: 0, withdrawn: [] }],
      // The next message completes what is left of the hour: one more leaf, nothing more to move.
      ['hour-correction', 0, { deficit: 1000, netted: 0, withdrawn: [] }],
      ['hour', 1, { deficit: 400, netted: 600 }],
      ['hour', 2, { deficit: 0, issued: { from: 1001, to: 1200 }, netted: 400 }],
    ]);
    expect((await auditLog(folder)).findings).toEqual([]);
  });

  test('a decrease withdraws what the account still has, highest number first', async () => {
    const { pool } = await start();
    const { enter, stepAt, folder } = createTestLedger(pool);
    await enter(people.genesis(), ...people.simplePlant('p1'));
    await insertMessages(pool, [{ jws: message(1, [at(t0, 0), at(t0 + 1800, 400)]) }]);
    await insertMessages(pool, [{ jws: message(2, [at(t0 + 1800, 400), at(t0 + hour, 1000)]) }]);
    await stepAt(t0 + hour + 10);
    await enter(
      people.signed('decision', {
        effect: 'set-aside',
        evidence: [],
        from: 2,
        kid: kidOf('p1-m'),
        reason: 'a test',
        to: 2,
      }),
    );
    await stepAt(t0 + hour + 20);
    expect((await statedHours(pool))[1]).toMatchObject({
      kind: 'hour-correction',
      spec: {
        certificates: { deficit: 0, netted: 0, withdrawn: [{ from: 401, to: 1000 }] },
        generation: 400,
      },
    });
    const bundles = await pool.rows<{ text: string }>(
      `select range::text || ' ' || state as text from bundle order by range`,
    );
    expect(bundles.map(({ text }) => text)).toEqual(['[1,401) active', '[401,1001) withdrawn']);
    expect((await auditLog(folder)).findings).toEqual([]);
  });

  test('a fork disputes its hour until a decision and unfreeze', async () => {
    const { pool } = await start();
    const { enter, stepAt, folder } = createTestLedger(pool);
    await enter(people.genesis(), ...people.simplePlant('p1'));
    const other = message(1, [at(t0, 0), at(t0 + hour, 800)]);
    await insertMessages(pool, [{ jws: hourly(0) }]);
    await insertFork(pool, { jws: other, receivedAt: t0 + hour + 6 });
    const step = await stepAt(t0 + hour + 10);
    expect(step).toMatchObject({ reported: 1, sealed: [{ kind: 'hour' }] });
    expect((await statedHours(pool))[0]).toMatchObject({
      spec: { certificates: { deficit: 0, netted: 0 }, generation: 0, quality: 'disputed' },
    });
    const [evidence = ''] = readdirSync(join(folder, 'evidence'));
    await enter(
      people.signed('decision', {
        effect: 'keep-fork',
        evidence: [evidence],
        hash: toHex(parseMessage(utf8(other)).hash),
        kid: kidOf('p1-m'),
        reason: 'the first was a test of the device',
        seq: 1,
      }),
      people.signed('unfreeze', { evidence: [], id: kidOf('p1-m'), reason: 'x', what: 'key' }),
    );
    await stepAt(t0 + hour + 20);
    expect((await statedHours(pool))[1]).toMatchObject({
      kind: 'hour-correction',
      spec: {
        certificates: { issued: { from: 1, to: 800 } },
        generation: 800,
        quality: 'measured',
      },
    });
    expect((await auditLog(folder)).findings).toEqual([]);
  });

  test('a committed site shows nothing but its commitment, which its opening fits', async () => {
    const { pool } = await start();
    const { enter, stepAt, folder, secretsFolder } = createTestLedger(pool);
    const registers = { importWh: { direction: 'import', unit: 'Wh' } };
    await enter(
      people.genesis(),
      people.account('c1'),
      people.plant('c1', 'c1', { disclosure: 'committed', type: 'consumption' }),
      people.meter('c1-m', { at: 'c1', owner: 'c1', registers, role: 'consumption' }),
      people.key('c1-m', { at: 'c1', owner: 'c1' }),
    );
    const of = (t: number, importWh: number): Reading => ({ registers: { importWh }, t });
    const readings = [of(t0, 0), of(t0 + hour, 700)];
    await insertMessages(pool, [
      { jws: people.message({ plant: 'c1', meter: 'c1-m', seq: 1, readings }) },
    ]);
    await stepAt(t0 + hour + 10);
    const spec: Readonly<Record<string, unknown>> = (await statedHours(pool))[0]?.spec ?? {};
    expect(Object.keys(spec).sort()).toEqual([
      'batchRoot',
      'commitment',
      'interval',
      'metersRoot',
      'plant',
    ]);
    const path = join(folder, 'private', 'opening', String(spec.commitment));
    const { opening, salt } = parseOpening(new Uint8Array(readFileSync(path)));
    expect(opening).toEqual({ consumption: 700, messages: 1, quality: 'measured' });
    expect(toHex(commitmentOf(salt, opening))).toBe(spec.commitment);
    expect(statSync(join(secretsFolder, 'site-c1.hex')).mode & 0o777).toBe(0o600);
    expect(await auditLog(folder)).toMatchObject({ findings: [], hours: 1, withheld: 0 });
    rmSync(join(folder, 'private'), { recursive: true });
    expect(await auditLog(folder)).toMatchObject({ findings: [], hours: 0, withheld: 1 });
  });

  test('a message that came too late counts by a decision, and is listed as quarantined once', async () => {
    const { pool } = await start();
    const { enter, stepAt, folder } = createTestLedger(pool);
    await enter(people.genesis({ lateAfterS: 7200 }), ...people.simplePlant('p1'));
    await insertMessages(pool, [{ jws: hourly(0), receivedAt: t0 + 5 * hour, code: 'late' }]);
    await stepAt(t0 + 26 * hour);
    await enter(
      people.signed('decision', {
        effect: 'accept-late',
        evidence: [],
        from: 1,
        kid: kidOf('p1-m'),
        reason: 'a line was cut',
        to: 1,
      }),
    );
    await stepAt(t0 + 26 * hour + 20);
    const ofFirst = (await statedHours(pool)).filter(({ hour: h }) => h === 0);
    expect(ofFirst.map(({ spec }) => 'generation' in spec && spec.generation)).toEqual([0, 1000]);
    const listed = readdirSync(join(folder, 'batch')).flatMap(
      (name) =>
        parseBatchFile(new Uint8Array(readFileSync(join(folder, 'batch', name)))).quarantined,
    );
    expect(listed).toMatchObject([{ code: 'late', kid: kidOf('p1-m'), seq: 1 }]);
    expect((await auditLog(folder)).findings).toEqual([]);
  });

  test('what an auxiliary meter draws is subtracted, and an exchange ends a segment', async () => {
    const { pool } = await start();
    const { enter, stepAt, folder } = createTestLedger(pool);
    const registers = { importWh: { direction: 'import', unit: 'Wh' } };
    const by = { at: 'p1', owner: 'p1' };
    await enter(
      people.genesis(),
      ...people.simplePlant('p1'),
      people.meter('aux', { ...by, registers, role: 'auxiliary' }),
      people.key('aux', by),
      people.signed(
        'exchange',
        {
          closing: { exportWh: 500 },
          meter: 'p1-m',
          opening: { exportWh: 0 },
          serial: 'new-serial',
          t: t0 + 1800,
        },
        [people.accountSigner('p1')],
      ),
    );
    const of = (t: number, importWh: number): Reading => ({ registers: { importWh }, t });
    const aux = { plant: 'p1', meter: 'aux', seq: 1, readings: [of(t0, 10), of(t0 + hour, 60)] };
    await insertMessages(pool, [
      { jws: message(1, [at(t0, 100), at(t0 + hour, 700)]) },
      { jws: people.message(aux) },
    ]);
    await stepAt(t0 + hour + 10);
    expect((await statedHours(pool))[0]).toMatchObject({
      spec: { generation: 400 + 700 - 50, quality: 'measured' },
    });
    expect((await auditLog(folder)).findings).toEqual([]);
  });

  test('an hour without any message is sealed empty at its deadline, as every other is', async () => {
    const { pool } = await start();
    const { enter, stepAt, folder } = createTestLedger(pool);
    await enter(people.genesis(), ...people.simplePlant('p1'));
    expect((await stepAt(t0 + 25 * hour - 1)).sealed).toEqual([]);
    expect((await stepAt(t0 + 25 * hour)).sealed).toMatchObject([{ start: t0 }]);
    expect((await stepAt(t0 + 30 * hour)).sealed).toHaveLength(5);
    expect(readdirSync(join(folder, 'batch'))).toHaveLength(1);
    expect((await auditLog(folder)).findings).toEqual([]);
  });
});
