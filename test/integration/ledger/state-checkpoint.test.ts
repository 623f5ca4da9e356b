import { afterEach, describe, expect, test } from 'vitest';
import { encodeProof } from '#core/certificate/proof/proof.ts';
import { verifyProof } from '#core/certificate/proof/verify.ts';
import type { Reading } from '#core/energy/message.ts';
import { parsePolicy } from '#core/tlog/policy.ts';
import type { Pool } from '#platform/postgres.ts';
import { away, createCosigningRig, eager, policyText } from '#support/cosigning.ts';
import { insertMessages } from '#support/insert-messages.ts';
import * as people from '#support/log-people.ts';
import {
  createTestLedger,
  removeTestFolders,
  testStartS,
  type TestLedger,
} from '#support/test-ledger.ts';

/** Proofs rest on a `state` that ends a published tree (D3.5): the ledger keeps that checkpoint. */

removeTestFolders();

const hour = 3600;
const { witnesses, database, clear } = createCosigningRig();

async function seal(pool: Pool, rig: TestLedger, n: number): ReturnType<TestLedger['stepAt']> {
  const at = (t: number, exportWh: number): Reading => ({ registers: { exportWh }, t });
  const readings = [
    at(testStartS + n * hour, n * 1000),
    at(testStartS + (n + 1) * hour, (n + 1) * 1000),
  ];
  const jws = people.message({ plant: 'p1', meter: 'p1-m', seq: n + 1, readings });
  await insertMessages(pool, [{ jws }]);
  return rig.stepAt(testStartS + (n + 1) * hour + 10);
}

/** Step 9 of the proof of the first hour's units, by a policy of plain witnesses. */
async function lifeOf(rig: TestLedger, policy: string): Promise<string> {
  const proofs = await rig.ledger.proofs();
  const parts = await proofs.collect({ series: 'energy/p1', from: 1, to: 1000 });
  const { steps } = verifyProof(encodeProof(parts), { policy: parsePolicy(policy) });
  expect(steps.slice(0, 7).filter(({ result }) => result === 'fail')).toEqual([]);
  return steps[8]?.reason ?? '';
}

const onlyAuditors = 'only an auditing witness of your policy can say';
const mayBeVoid = 'may say that the state is void';

describe('the checkpoint that ends with a state', () => {
  afterEach(clear);

  test('is what proofs rest on, however far the log has grown since', async () => {
    const [one] = await witnesses('one');
    const pool = await database();
    const rig = createTestLedger(pool, { limits: eager });
    const policy = policyText(1, one);
    await rig.enter(
      people.genesis(),
      people.signed('policy', { policy }),
      ...people.simplePlant('p1'),
    );
    await seal(pool, rig, 0);
    expect(await rig.ledger.enterState()).toBe(true);
    const { publishedSize } = await rig.ledger.step();
    for (let n = 1; n < 4; n++) await seal(pool, rig, n);
    expect(await lifeOf(rig, policy)).toContain(onlyAuditors);
    const parts = await (
      await rig.ledger.proofs()
    ).collect({ series: 'energy/p1', from: 1, to: 1 });
    expect(parts.state?.entry).toBe(publishedSize - 1);
    expect(parts.checkpoint.split('\n')[1]).toBe(String(publishedSize));
  });

  test('comes with a state of its own where witnesses passed one over', async () => {
    const [one] = await witnesses('one');
    const pool = await database();
    const rig = createTestLedger(pool, { limits: eager });
    const policy = policyText(1, one);
    await rig.enter(
      people.genesis(),
      people.signed('policy', { policy }),
      ...people.simplePlant('p1'),
    );
    await seal(pool, rig, 0);
    one.lie = away;
    expect(await rig.ledger.enterState()).toBe(true);
    await rig.ledger.step();
    await seal(pool, rig, 1);
    one.lie = undefined;
    const passed = await rig.ledger.step();
    expect(passed.publishedSize).toBe(passed.treeSize);
    expect(await lifeOf(rig, policy)).toContain(mayBeVoid);
    await rig.stepAt(testStartS + 2 * hour + 80);
    expect(await lifeOf(rig, policy)).toContain(onlyAuditors);
    // And no more of them: that one was published by itself.
    const { treeSize } = await rig.stepAt(testStartS + 2 * hour + 200);
    expect(treeSize).toBe(passed.treeSize + 1);
  });
});
