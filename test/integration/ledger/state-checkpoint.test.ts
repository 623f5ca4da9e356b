import { afterEach, describe, expect, test } from 'vitest';
import { decodeUtf8 } from '#core/bytes.ts';
import { encodeProof } from '#core/certificate/proof/proof.ts';
import { verifyProof } from '#core/certificate/proof/verify.ts';
import type { Reading } from '#core/energy/message.ts';
import { parseVkey } from '#core/tlog/note.ts';
import { parsePolicy } from '#core/tlog/policy.ts';
import { createFileServer } from '#ledger/file-server.ts';
import { openLogFolder } from '#ledger/log-folder.ts';
import { createLogger } from '#platform/logger.ts';
import type { Pool } from '#platform/postgres.ts';
import { breakAt } from '#support/breaking.ts';
import { away, createCosigningRig, eager, policyText, type Lie } from '#support/cosigning.ts';
import { insertMessages } from '#support/insert-messages.ts';
import * as people from '#support/log-people.ts';
import { testSigner } from '#support/register.ts';
import {
  createTestLedger,
  removeTestFolders,
  scratchFolder,
  testStartS,
  type TestLedger,
} from '#support/test-ledger.ts';
import { logAuditors } from '#witness/audit.ts';
import { createWitness } from '#witness/service.ts';

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

  test('is there for a state that others came after while witnesses were away', async () => {
    const [one] = await witnesses('one');
    const pool = await database();
    const rig = createTestLedger(pool, { limits: { ...eager, keptPendingSizes: 1 } });
    const policy = policyText(1, one);
    await rig.enter(
      people.genesis(),
      people.signed('policy', { policy }),
      ...people.simplePlant('p1'),
    );
    await seal(pool, rig, 0);
    one.lie = away;
    expect(await rig.ledger.enterState()).toBe(true);
    const { treeSize: stated } = await rig.ledger.step();
    for (let n = 1; n < 3; n++) await seal(pool, rig, n);
    one.lie = undefined;
    const { treeSize, publishedSize } = await rig.ledger.step();
    expect(publishedSize).toBe(treeSize);
    expect(await sizeOf(rig, 'state/checkpoint')).toBe(stated);
    expect(await lifeOf(rig, policy)).toContain(onlyAuditors);
  });

  test('comes with a state of its own where the witnesses refused it', async () => {
    const [one, two, three] = await witnesses('one', 'two', 'three');
    const pool = await database();
    const rig = createTestLedger(pool, { limits: eager });
    const policy = policyText(2, one, two, three);
    await rig.enter(
      people.genesis(),
      people.signed('policy', { policy }),
      ...people.simplePlant('p1'),
    );
    await seal(pool, rig, 0);
    expect(await rig.ledger.enterState()).toBe(true);
    const { count } = await countOf(pool);
    // One refuses that size alone, as an auditor does that misses a `void`; one is away all the time.
    one.lie = refusing(count);
    three.lie = away;
    expect(await rig.ledger.step()).toMatchObject({ treeSize: count, publishedSize: count - 1 });
    await rig.enter(people.account('a1'));
    const passed = await rig.ledger.step();
    expect(passed).toMatchObject({ treeSize: count + 1, publishedSize: count + 1 });
    expect(await lifeOf(rig, policy)).toContain(mayBeVoid);
    one.lie = undefined;
    await rig.stepAt(testStartS + hour + 80);
    expect(await lifeOf(rig, policy)).toContain(onlyAuditors);
    // And no more of them: that one was published by itself.
    const { treeSize } = await rig.stepAt(testStartS + hour + 200);
    expect(treeSize).toBe(passed.treeSize + 1);
  });

  test('is waited for by newer ones, which no witness sees that may still cosign it', async () => {
    const [one, two, three] = await witnesses('one', 'two', 'three');
    const pool = await database();
    const rig = createTestLedger(pool, { limits: eager });
    const policy = policyText(2, one, two, three);
    await rig.enter(
      people.genesis(),
      people.signed('policy', { policy }),
      ...people.simplePlant('p1'),
    );
    await seal(pool, rig, 0);
    expect(await rig.ledger.enterState()).toBe(true);
    const { count } = await countOf(pool);
    [one.lie, two.lie, three.lie] = [refusing(count), away, away];
    await rig.ledger.step();
    await rig.enter(people.account('a1'));
    // Two is back only once the state has been tried in vain: its first answer is to the newer size.
    let asked = 0;
    two.lie = ({ request, forward }) =>
      request.method === 'POST' && asked++ === 0 ? void request.socket.destroy() : forward();
    expect(await rig.ledger.step()).toMatchObject({ publishedSize: count - 1 });
    three.lie = undefined;
    expect(await rig.ledger.step()).toMatchObject({
      treeSize: count + 1,
      publishedSize: count + 1,
    });
    expect(await sizeOf(rig, 'state/checkpoint')).toBe(count);
  });
});

describe('on a log that never rests', () => {
  afterEach(clear);

  test('every due state has its checkpoint, and proves what was before it', async () => {
    const pool = await database();
    const root = scratchFolder();
    const busy = busyPool(pool);
    const rig = createTestLedger(busy.pool, { folder: root, limits: eager });
    const other = createTestLedger(pool, { folder: root, context: { clock: rig.clock } });
    const { policy, stop } = await startAuditor(rig);
    try {
      await rig.enter(
        people.genesis({ stateEveryS: 60 }),
        people.signed('policy', { policy }),
        ...people.simplePlant('p1'),
      );
      // A `state` falls due once something is published.
      await rig.ledger.step();
      let accounts = 0;
      busy.beforeNextLook(() => other.enter(people.account(`b${accounts++}`)));
      const shown: unknown[] = [];
      for (let n = 0; n < 4; n++) {
        const { treeSize, publishedSize } = await seal(pool, rig, n);
        expect(publishedSize).toBe(treeSize);
        if (n === 0) await rig.enter(cancelFirstHour);
        shown.push(await sizeOf(rig, 'state/checkpoint'));
      }
      const states = await pool.rows<{ size: number }>(
        `select index + 1 as size from log_entry where kind = 'state' order by index`,
      );
      expect(states.length).toBe(4);
      expect(shown).toEqual(states.map(({ size }) => size));
      expect(accounts).toBeGreaterThan(states.length);
      const proofs = await rig.ledger.proofs();
      expect(proofs.size).toBeGreaterThan(states.at(-1)?.size ?? proofs.size);
      const parts = await proofs.collect({ series: 'energy/p1', from: 1, to: 1000 });
      const { steps } = verifyProof(encodeProof(parts), { policy: parsePolicy(policy) });
      expect(steps.map(({ name, result }) => `${name} ${result}`)).toEqual(
        steps.map(({ name }) => `${name} pass`),
      );
    } finally {
      await stop();
    }
  });
});

const cancelFirstHour = people.signedByAccount('cancel', 'p1', {
  beneficiary: 'acme',
  items: [{ from: 1, series: 'energy/p1', to: 1000 }],
  period: { from: testStartS, to: testStartS + hour },
  purpose: 'heat',
});

/** Whatever this ledger sequences, something is entered behind it before it looks at the log again. */
function busyPool(pool: Pool): {
  pool: Pool;
  beforeNextLook: (enter: () => Promise<void>) => void;
} {
  let enter: (() => Promise<void>) | undefined;
  let hasSequenced = false;
  const watched = breakAt(-1, 'before', {
    onOperation: (name) => (hasSequenced ||= name.startsWith('insert into log_entry')),
  }).pool(pool);
  return {
    beforeNextLook: (work) => (enter = work),
    pool: {
      ...watched,
      async row(text, values) {
        if (hasSequenced && text.includes('from log_state')) {
          hasSequenced = false;
          await enter?.();
        }
        return watched.row(text, values);
      },
    },
  };
}

/** A real auditing witness of what the ledger publishes, and the policy that needs it. */
async function startAuditor(
  rig: TestLedger,
): Promise<{ policy: string; stop: () => Promise<void> }> {
  const listen = { host: '127.0.0.1', port: 0 };
  const files = createFileServer({ folder: rig.folder, listen, clock: rig.clock });
  await files.start();
  const signer = testSigner('witness auditor');
  const folder = scratchFolder();
  const logger = createLogger({ name: 'test', level: 'silent' });
  const witness = createWitness({
    ...{ name: 'auditor.example/audit', signer, folder, clock: rig.clock, listen, logger },
    logs: [{ key: parseVkey(people.logVkey), url: files.url() }],
    auditorOf: logAuditors({ signer, folder, clock: rig.clock, logger }),
  });
  await witness.start();
  const line = `witness auditor ${witness.vkey} ${witness.url()}`;
  return {
    policy: `log ${people.logVkey}\n${line}\nquorum auditor\n`,
    async stop() {
      await witness.stop();
      await files.stop();
    },
  };
}

/** Says 403 to a checkpoint of that size alone. */
function refusing(size: number): Lie {
  return ({ body, response, forward }) => {
    const isIt = decodeUtf8(body).includes(`\n${size}\n`);
    if (isIt) response.writeHead(403).end('no\n');
    return isIt ? undefined : forward();
  };
}

async function sizeOf(rig: TestLedger, path: string): Promise<number> {
  const note = await openLogFolder(rig.folder).read(path);
  return note === undefined ? 0 : Number(decodeUtf8(note).split('\n')[1]);
}

async function countOf(pool: Pool): Promise<{ count: number }> {
  return pool.row<{ count: number }>('select next_index as count from log_state');
}
