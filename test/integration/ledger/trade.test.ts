import { expect, test } from 'vitest';
import type { EntryRef, SignedDraft } from '#core/certificate/entry.ts';
import { encodeProof } from '#core/certificate/proof/proof.ts';
import { verifyProof } from '#core/certificate/proof/verify.ts';
import type { Reading } from '#core/energy/message.ts';
import { readUnitChanges } from '#ledger/unit-changes.ts';
import type { Pool } from '#platform/postgres.ts';
import { auditLog } from '#support/audit-log.ts';
import { insertMessages } from '#support/insert-messages.ts';
import * as people from '#support/log-people.ts';
import { onEachEngine } from '#support/postgres.ts';
import {
  createTestLedger,
  removeTestFolders,
  testStartS,
  type TestLedger,
} from '#support/test-ledger.ts';

removeTestFolders();

const hour = 3600;
const t0 = testStartS;
const at = (t: number, exportWh: number): Reading => ({ registers: { exportWh }, t });
const units = (from: number, to: number) => ({ series: 'energy/p1', from, to });
const terms = { currency: 'EUR', payBy: t0 + 100 * hour, priceMinor: 6500 };
const measure = { evidence: [], reason: 'a test' };

/** A ledger whose plant p1 has units 1 to 1000 of its first hour, and two buyers. */
async function tradingLedger(pool: Pool): Promise<TestLedger> {
  const rig = createTestLedger(pool);
  const buyers = [people.account('buyer'), people.account('other')];
  await rig.enter(people.genesis(), ...people.simplePlant('p1'), ...buyers);
  const readings = [at(t0, 0), at(t0 + hour, 1000)];
  const jws = people.message({ plant: 'p1', meter: 'p1-m', seq: 1, readings });
  await insertMessages(pool, [{ jws }]);
  await rig.stepAt(t0 + hour + 10);
  return rig;
}

async function submit(rig: TestLedger, ...drafts: SignedDraft[]): Promise<EntryRef[]> {
  return (await rig.ledger.submit(drafts)).map((outcome) => {
    if (outcome.result === 'refused') throw new Error(`${outcome.code} ${outcome.message}`);
    return outcome.ref;
  });
}

async function enterOne(rig: TestLedger, draft: SignedDraft): Promise<EntryRef> {
  const [ref] = await submit(rig, draft);
  if (ref === undefined) throw new Error('nothing entered');
  return ref;
}

/** An offer that is taken back, one that is partly bought and paid, and a lock on some of the rest. */
async function trade(rig: TestLedger): Promise<{ entries: number[] }> {
  const by = people.signedByAccount;
  const first = await enterOne(rig, by('offer', 'p1', { items: [units(1, 300)] }));
  const back = await enterOne(rig, by('refuse', 'p1', { offer: first }));
  const said = { items: [units(1, 500)], counterparty: 'buyer', terms };
  const offer = await enterOne(rig, by('offer', 'p1', said));
  const bought = { offer, items: [units(1, 200)] };
  const accept = await enterOne(rig, by('accept', 'buyer', bought));
  // All in one batch: what an action without items moved must be known of each.
  const paid = { accept, items: [units(1, 100)], reference: 'payment 1' };
  const rest = await submit(
    rig,
    by('settle', 'p1', paid),
    by('refuse', 'buyer', { offer }),
    people.signed('lock', { ...measure, items: [units(51, 150)] }),
    by('offer', 'p1', { items: [units(201, 210)], terms }),
  );
  return { entries: [first, back, offer, accept, ...rest].map(({ index }) => index) };
}

onEachEngine('certificates that change hands', (start) => {
  test('stand in bundles as the log leaves them, with the history of every unit', async () => {
    const { pool } = await start();
    const rig = await tradingLedger(pool);
    const { entries } = await trade(rig);
    const bundles = await pool.rows<{ text: string }>(
      `select lower(range) || ' ' || upper(range) - 1 || ' ' || owner || ' ' || state as text
       from bundle order by range`,
    );
    const rows = bundles.map(({ text }) => text);
    expect(rows.slice(0, 3)).toEqual([
      '1 50 buyer active',
      '51 100 buyer locked',
      '101 150 p1 locked',
    ]);
    expect(rows.filter((row) => row.endsWith('offered'))).toEqual(['201 210 p1 offered']);
    const history = async (unit: number) =>
      (await readUnitChanges(pool, units(unit, unit), 100)).map(
        ({ kind, account, counterparty }) => [kind, account, counterparty],
      );
    const common = [
      ['offer', 'p1', null],
      ['refuse', 'p1', null],
      ['offer', 'p1', 'buyer'],
    ];
    const reserved = [...common, ['accept', 'buyer', 'p1']];
    expect(await history(50)).toEqual([...reserved, ['settle', 'p1', 'buyer']]);
    expect(await history(51)).toEqual([
      ...reserved,
      ['settle', 'p1', 'buyer'],
      ['lock', null, null],
    ]);
    expect(await history(200)).toEqual([...reserved, ['refuse', 'buyer', 'p1']]);
    expect(await history(201)).toEqual([
      ...common,
      ['refuse', 'buyer', 'p1'],
      ['offer', 'p1', null],
    ]);
    expect(await history(1000)).toEqual([]);
    expect((await readUnitChanges(pool, units(1, 1000), 2)).length).toBe(2);
    const touched = await readUnitChanges(pool, units(1, 1000), 100);
    expect(new Set(touched.map(({ entryIndex }) => entryIndex))).toEqual(new Set(entries));
  });

  test('are told to others, and audited', async () => {
    const { pool } = await start();
    const rig = await tradingLedger(pool);
    await trade(rig);
    const news = await pool.rows<{ text: string }>(
      `select value::text as text from outbox where topic = 'certificates' order by 1`,
    );
    const told = news.map(({ text }) => text).join('\n');
    for (const change of ['issued', 'offered', 'refused', 'accepted', 'settled', 'locked']) {
      expect(told).toMatch(new RegExp(`"change": ?"${change}"`));
    }
    await rig.ledger.enterState();
    await rig.ledger.step();
    expect((await auditLog(rig.folder)).findings).toEqual([]);
  });

  test('show their whole life in a proof file, from which nothing can be left out', async () => {
    const { pool } = await start();
    const rig = await tradingLedger(pool);
    const { entries } = await trade(rig);
    await rig.ledger.enterState();
    await rig.ledger.step();
    const proofs = await rig.ledger.proofs();
    const parts = await proofs.collect(units(1, 250));
    const shown = parts.entries.map(({ index }) => index);
    expect(entries.filter((index) => !shown.includes(index))).toEqual([]);
    const { steps, result } = verifyProof(encodeProof(parts));
    expect(steps.filter((step) => step.result === 'fail')).toEqual([]);
    expect(result).toBe('undecided');
    const reason = steps[8]?.reason ?? '';
    expect(reason).toContain('units 1 to 50 were active, owned by buyer');
    expect(reason).toContain('units 51 to 100 were locked, owned by buyer');
    expect(reason).toContain('units 101 to 150 were locked, owned by p1');
    expect(reason).toContain('units 201 to 210 were offered until 2026-01-05T04:00:00Z');
    // Without any one of them, the life that the file tells is not the one that the log has.
    for (const hidden of entries) {
      const rest = parts.entries.filter(({ index }) => index !== hidden);
      const verdict = verifyProof(encodeProof({ ...parts, entries: rest }));
      expect([hidden, verdict.steps[8]?.result]).toEqual([hidden, 'fail']);
    }
  });
});
