import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { toHex, utf8 } from '#core/bytes.ts';
import { openingPath } from '#core/certificate/commitment.ts';
import { encodeEntry } from '#core/certificate/entry.ts';
import type { Reading } from '#core/energy/message.ts';
import { sha256 } from '#crypto';
import { auditLog } from '#support/audit-log.ts';
import { startHostileLog, type HostileLog } from '#support/hostile-log.ts';
import { insertFork, insertMessages } from '#support/insert-messages.ts';
import * as people from '#support/log-people.ts';
import { quickEngine, startTestPostgres, type TestPostgres } from '#support/postgres.ts';
import { createTestLedger, removeTestFolders, type TestLedger } from '#support/test-ledger.ts';
import { at, hourly, hourS, kinds, lastHour, newAuditor, t0 } from './audit-rig.ts';

removeTestFolders();

/** What the real ledger writes and says of itself, an auditor finds right, at the end of each step. */
let database: TestPostgres;
let ledger: TestLedger;
let log: HostileLog | undefined;
beforeEach(async () => {
  database = await startTestPostgres(quickEngine);
  ledger = createTestLedger(database.pool);
});
afterEach(async () => {
  await log?.stop();
  log = undefined;
  await database.stop();
});

const never = new AbortController().signal;
const serve = async (): Promise<HostileLog> => {
  await log?.stop();
  log = await startHostileLog(ledger.folder);
  return log;
};
const judge = async (size?: number): Promise<void> => {
  const served = log ?? (await serve());
  await newAuditor(served.url, ledger.clock).judge(served.checkpoint(size), never);
};
const kid = people.meterSigner('p1-m').kid;
const nowhere = (name: string): string => toHex(sha256(utf8(name)));

test('entries that nobody checked are void in the words of the auditor', async () => {
  const { enter, stepAt, clock } = ledger;
  await enter(people.genesis({ kinds }), ...people.simplePlant('p1'));
  const jws = [0, 1, 2, 3].map((i) => ({ jws: hourly(i) }));
  await insertMessages(database.pool, jws);
  await stepAt(t0 + 4 * hourS + 10);
  await clock.advance((t0 + 5 * hourS + 10) * 1000);
  const { batchRoot, ...sealed } = (await serve()).spec(lastHour);
  const hour = {
    ...sealed,
    batchRoot: nowhere('a batch'),
    certificates: { deficit: 0, netted: 0 },
    generation: 0,
    interval: { seconds: 3600, start: t0 + 4 * hourS },
    prev: log?.ref(lastHour),
  };
  const wrong = [
    { kind: 'hour', spec: hour },
    { kind: 'fork', spec: { evidence: nowhere('a fork'), kid, seq: 1 } },
    { kind: 'hour', spec: { ...sealed, batchRoot, prev: log?.ref(0) } },
  ].map((entry) => encodeEntry({ ...entry, auth: [], time: clock.nowS() }));
  const outcomes = await ledger.ledger.appendUnchecked(wrong);
  expect(outcomes.map(({ result }) => result)).toEqual(['sequenced', 'sequenced', 'sequenced']);
  const { reported, treeSize } = await stepAt(t0 + 5 * hourS + 10);
  expect(reported).toBe(wrong.length);
  await serve();
  const first = treeSize - 2 * wrong.length;
  await judge(first);
  await expect(judge(first + 1)).rejects.toMatchObject({ code: 'evidence-missing' });
  await expect(judge(treeSize - 1)).rejects.toMatchObject({ code: 'prev' });
  await judge();
  expect(await auditLog(ledger.folder)).toMatchObject({ findings: [], voided: wrong.length });
});

test('a fork whose second message counts, where no batch shows the first', async () => {
  const { enter, stepAt } = ledger;
  const half = (exportWh: number): string =>
    people.message({
      plant: 'p1',
      meter: 'p1-m',
      seq: 2,
      readings: [at(t0 + hourS + 600, 1400), at(t0 + hourS + 1200, exportWh)],
    });
  const kept = half(1900);
  await enter(people.genesis(), ...people.simplePlant('p1'));
  await insertMessages(database.pool, [{ jws: hourly(0) }, { jws: half(1800) }]);
  await insertFork(database.pool, { jws: kept });
  const during = t0 + hourS + 1800;
  expect(await stepAt(during)).toMatchObject({ reported: 1 });
  const [, payload = ''] = kept.split('.');
  const hash = toHex(sha256(utf8(`${kept.split('.')[0] ?? ''}.${payload}`)));
  const by = { evidence: [], reason: 'a test' };
  await enter(
    people.signed('decision', { ...by, effect: 'keep-fork', hash, kid, seq: 2 }),
    people.signed('unfreeze', { ...by, id: kid, what: 'key' }),
  );
  const rest = { plant: 'p1', meter: 'p1-m', seq: 3, readings: [at(t0 + 2 * hourS, 2000)] };
  await insertMessages(database.pool, [{ jws: people.message(rest) }]);
  const { sealed } = await stepAt(t0 + 2 * hourS + 10);
  expect(sealed.length).toBeGreaterThan(0);
  await judge();
  expect(await auditLog(ledger.folder)).toMatchObject({ findings: [], openChains: 0 });
});

describe('a committed site', () => {
  const registers = { importWh: { direction: 'import', unit: 'Wh' } };
  const of = (t: number, importWh: number): Reading => ({ registers: { importWh }, t });
  const by = { at: 'c1', owner: 'c1' };

  test('is judged by its opening, and not without it', async () => {
    const { enter, stepAt } = ledger;
    await enter(
      people.genesis(),
      people.account('c1'),
      people.plant('c1', 'c1', { disclosure: 'committed', type: 'consumption' }),
      people.meter('c1-m', { ...by, registers, role: 'consumption' }),
      people.key('c1-m', by),
    );
    const readings = [of(t0, 0), of(t0 + hourS, 700)];
    const jws = people.message({ plant: 'c1', meter: 'c1-m', seq: 1, readings });
    await insertMessages(database.pool, [{ jws }]);
    await stepAt(t0 + hourS + 10);
    const { overlay, spec } = await serve();
    const opening = openingPath(String(spec(5).commitment));
    await judge();
    overlay.set(opening, 401);
    await expect(judge()).rejects.toMatchObject({ code: 'evidence-missing' });
    overlay.set(opening, 404);
    await expect(judge()).rejects.toMatchObject({ code: 'evidence-missing' });
    overlay.set(opening, utf8('another'));
    await expect(judge()).rejects.toMatchObject({ code: 'commitment' });
    overlay.clear();
    await judge();
  });
});
