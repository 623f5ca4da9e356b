import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { encodeEntry, type SignedDraft } from '#core/certificate/entry.ts';
import { parsePublicJwk } from '#core/keys.ts';
import type { Reading } from '#core/energy/message.ts';
import { auditLog } from '#support/audit-log.ts';
import { insertMessages } from '#support/insert-messages.ts';
import * as people from '#support/log-people.ts';
import { onEachEngine } from '#support/postgres.ts';
import {
  createTestLedger,
  removeTestFolders,
  scratchFolder,
  testStartS as t0,
  type TestLedger,
} from '#support/test-ledger.ts';

removeTestFolders();

const hour = 3600;
const units = (from: number, to: number) => ({ series: 'energy/p1', from, to });
const claimed = (from: number, to: number) => ({ ...units(from, to), hour: t0, point: 'site' });
const claim = (from: number, to: number): SignedDraft =>
  people.signedByAccount('claim', 'mill', {
    ...{ basis: 'hourly', procurement: 'direct' },
    items: [claimed(from, to)],
  });

/** What is not entered, by its code. */
async function refusal({ ledger }: TestLedger, draft: SignedDraft): Promise<string | undefined> {
  const [outcome] = await ledger.submit([draft]);
  return outcome?.result === 'refused' ? outcome.code : undefined;
}

onEachEngine('claims against a site', (start) => {
  test.each(['committed', 'public'])(
    'that is %s are held to what was metered, also when that is corrected',
    async (disclosure) => {
      const { pool } = await start();
      const rig = createTestLedger(pool);
      const { enter, stepAt, folder } = rig;
      const site = { at: 'site', owner: 'mill' };
      const registers = { importWh: { direction: 'import', unit: 'Wh' } };
      await enter(
        people.genesis(),
        ...people.simplePlant('p1'),
        people.account('mill'),
        people.plant('site', 'mill', { disclosure, type: 'consumption' }),
        people.meter('site-m', { ...site, registers, role: 'consumption' }),
        people.key('site-m', site),
      );
      const made = (t: number, exportWh: number): Reading => ({ registers: { exportWh }, t });
      const took = (t: number, importWh: number): Reading => ({ registers: { importWh }, t });
      const ofSite = { plant: 'site', meter: 'site-m' };
      const generated = [made(t0, 0), made(t0 + hour, 1000)];
      await insertMessages(pool, [
        { jws: people.message({ plant: 'p1', meter: 'p1-m', seq: 1, readings: generated }) },
        { jws: people.message({ ...ofSite, seq: 1, readings: [took(t0, 0), took(t0 + 60, 10)] }) },
        { jws: people.message({ ...ofSite, seq: 2, readings: [took(t0 + hour, 300)] }) },
      ]);
      await stepAt(t0 + hour + 10);
      const cancel = { beneficiary: 'mill', items: [units(1, 1000)], purpose: 'the mill' };
      await enter(
        people.signedByAccount('cancel', 'p1', { ...cancel, period: { from: t0, to: t0 + hour } }),
      );
      expect(await refusal(rig, claim(1, 301))).toBe('consumption');
      await enter(claim(1, 200), claim(201, 300));
      expect(await refusal(rig, claim(301, 301))).toBe('consumption');
      // Somebody who knows the log alone, from its first entry on, comes to the same.
      const other = createTestLedger(pool);
      expect(await refusal(other, claim(301, 301))).toBe('consumption');
      await rig.ledger.step();

      const { kid } = parsePublicJwk(people.meterSigner('site-m').jwk);
      const decision = { effect: 'set-aside', evidence: [], from: 2, kid, reason: 'a test', to: 2 };
      await enter(people.signed('decision', decision));
      await stepAt(t0 + 2 * hour + 20);
      await rig.ledger.step();
      const undone = await pool.rows<{ data: Uint8Array }>(
        `select data from log_entry where kind = 'unclaim'`,
      );
      expect(undone).toHaveLength(1);
      const { auth, spec } = JSON.parse(Buffer.from(undone[0]?.data ?? '').toString()) as {
        auth: unknown;
        spec: { items: unknown };
      };
      expect(auth).toEqual([]);
      // 10 Wh are left of what was taken: all of the newest claim has to go, and most of the first.
      expect(spec.items).toEqual([claimed(201, 300), claimed(11, 200)]);
      const rows = await pool.rows<{ state: string; units: number }>(
        `select state, sum(upper(range) - lower(range))::bigint as units
           from bundle group by state order by state`,
      );
      expect(rows).toEqual([
        { state: 'cancelled', units: 990 },
        { state: 'claimed', units: 10 },
      ]);
      // Whoever cannot open the site's hours still finds nothing wrong.
      const copy = join(scratchFolder(), 'log');
      cpSync(folder, copy, { recursive: true });
      rmSync(join(copy, 'private'), { recursive: true, force: true });
      expect((await auditLog(copy)).findings).toEqual([]);
      // A faulty ledger enters a claim without room; its own fold says so, and so does every auditor's.
      const entry = encodeEntry({ ...claim(901, 901), time: t0 + 2 * hour + 20 });
      await rig.ledger.appendUnchecked([entry]);
      await rig.ledger.step();
      const voids = await pool.rows<{ code: string }>(
        `select convert_from(data, 'UTF8')::jsonb -> 'spec' ->> 'code' as code
           from log_entry where kind = 'void'`,
      );
      expect(voids).toEqual([{ code: 'consumption' }]);
      expect((await auditLog(folder)).findings).toEqual([]);
    },
    120_000,
  );
});
