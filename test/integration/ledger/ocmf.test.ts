import { expect, test } from 'vitest';
import { parseBatchFile, parseMessageLeaf } from '#core/energy/batch.ts';
import { verifyProof } from '#core/certificate/proof/verify.ts';
import { encodeProof } from '#core/certificate/proof/proof.ts';
import { batchPath } from '#core/energy/batch.ts';
import { createIngestion } from '#ingestion/service.ts';
import { createLogger } from '#platform/logger.ts';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { auditLog } from '#support/audit-log.ts';
import { insertMessages } from '#support/insert-messages.ts';
import * as people from '#support/log-people.ts';
import { ocmfMeter } from '#support/ocmf.ts';
import { onEachEngine } from '#support/postgres.ts';
import { ingestionSigner, topicOf } from '#support/register.ts';
import { createTestLedger, removeTestFolders, testStartS } from '#support/test-ledger.ts';

removeTestFolders();

const hour = 3600;
const t0 = testStartS;
const charger = ocmfMeter('ECDSA-brainpool384r1-SHA256', 4711n);

function recordAt(page: number, t: number, kWh: string): Uint8Array {
  const time = new Date(t * 1000).toISOString().slice(0, 19);
  return charger.record(
    `{"FV":"1.4","PG":"F${page}","MS":"SN-1","RD":[{"TM":"${time},000+0000 S","RV":${kWh},` +
      `"RI":"1-0:1.8.0","RU":"kWh","ST":"G"}]}`,
  );
}

onEachEngine('hours of a meter that speaks OCMF', (start) => {
  test('are sealed, audited and proved like any other', async () => {
    const { pool } = await start();
    const { enter, stepAt, ledger, folder, clock } = createTestLedger(pool);
    const register = { importWh: { direction: 'import', unit: 'Wh' } } as const;
    const consuming = { at: 'p1', owner: 'p1', registers: register, serial: 'SN-1' };
    await enter(people.genesis(), ...people.simplePlant('p1'));
    await enter(people.meter('charger', { ...consuming, role: 'consumption' }));
    await enter(
      people.signed(
        'key',
        {
          jwk: charger.key.jwk,
          meter: 'charger',
          notBefore: 0,
          ocmf: { after: 99, context: 'F', serial: 'SN-1' },
          plant: 'p1',
        },
        [people.accountSigner('p1')],
      ),
    );
    const ingestion = createIngestion({
      pool,
      clock,
      signer: ingestionSigner,
      sendReceipt: () => Promise.resolve(),
      logger: createLogger({ name: 'test', level: 'silent' }),
      limits: { looksPerSecond: 1_000 },
    });
    await ingestion.start();
    const topic = topicOf({ plant: 'p1', meter: 'charger' });
    const arrive = (bytes: Uint8Array, receivedAt: number) =>
      ingestion.accept({ sender: 'gateway', topic, bytes, receivedAt });
    await arrive(recordAt(100, t0, '1000.0004'), t0 + 5);
    await arrive(recordAt(101, t0 + hour / 2, '1010.5'), t0 + hour / 2 + 5);
    await arrive(recordAt(102, t0 + hour, '1022.2229'), t0 + hour + 5);
    const readings = [0, hour].map((s) => ({ registers: { exportWh: 5000 + s }, t: t0 + s }));
    await insertMessages(pool, [
      { jws: people.message({ plant: 'p1', meter: 'p1-m', seq: 1, readings }) },
    ]);
    const step = await stepAt(t0 + hour + 30);
    await ingestion.stop();
    expect(step.sealed).toHaveLength(1);
    const [sealed] = await pool.rows<{
      consumption_wh: number;
      quality: string;
      batch_root: Uint8Array;
    }>('select consumption_wh, quality, batch_root from hour_value order by start limit 1');
    expect(sealed).toMatchObject({ consumption_wh: 22_222, quality: 'measured' });
    const root = Buffer.from(sealed?.batch_root ?? []).toString('hex');
    const { leaves } = parseBatchFile(new Uint8Array(readFileSync(join(folder, batchPath(root)))));
    expect(leaves.map((leaf) => parseMessageLeaf(leaf).parsed.ocmf?.page)).toEqual([
      100,
      101,
      102,
      undefined,
    ]);
    const report = await auditLog(folder);
    expect(report.findings).toEqual([]);
    const proofs = await ledger.proofs();
    const proof = encodeProof(await proofs.collect({ series: 'energy/p1', from: 1, to: 10 }));
    const { steps } = verifyProof(proof);
    const failed = steps.filter(({ result }) => result === 'fail');
    expect(failed).toEqual([]);
    expect(steps.find(({ name }) => name === 'signatures')?.result).toBe('pass');
  });
});
