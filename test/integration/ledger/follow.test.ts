import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { encodeEntry, type SignedDraft } from '#core/certificate/entry.ts';
import { encodeProof } from '#core/certificate/proof/proof.ts';
import type { LogState } from '#core/certificate/state/state.ts';
import { Failed, Fatal, Refused } from '#core/errors.ts';
import { createFollower, type Follower } from '#ledger/follow.ts';
import { appendEntries, readNextIndex } from '#ledger/log-store.ts';
import { createSequencer } from '#ledger/sequence.ts';
import { manualClock } from '#platform/clock.ts';
import { inTransaction, type Pool, type Sql } from '#platform/postgres.ts';
import { openStateStore } from '#platform/state-store.ts';
import { insertMessages } from '#support/insert-messages.ts';
import { snapshot } from '#support/log-builder.ts';
import * as people from '#support/log-people.ts';
import { onEachEngine } from '#support/postgres.ts';
import { createTestLedger, removeTestFolders, scratchFolder } from '#support/test-ledger.ts';
import { testStartS as t0 } from '#support/test-ledger.ts';
import { spoilRows } from '../platform/kept-rows.ts';

removeTestFolders();

const hourS = 3600;
const hours = 6;
const hourly = (i: number) => {
  const readings = [i, i + 1].map((n) => ({
    registers: { exportWh: n * 1000 },
    t: t0 + n * hourS,
  }));
  return { jws: people.message({ plant: 'p1', meter: 'p1-m', seq: i + 1, readings }) };
};
const cancel = (from: number, to: number): SignedDraft =>
  people.signedByAccount('cancel', 'p1', {
    beneficiary: 'acme',
    items: [{ from, series: 'energy/p1', to }],
    period: { from: t0, to: t0 + hourS },
    purpose: 'heat',
  });

/** A log with hours, cancelled units, states in between, and entries that broke a rule. */
async function fillLog(pool: Pool): Promise<number> {
  const { ledger, enter, stepAt } = createTestLedger(pool);
  await enter(people.genesis(), ...people.simplePlant('p1'));
  for (let i = 0; i < hours; i++) {
    await insertMessages(pool, [hourly(i)]);
    await stepAt(t0 + (i + 1) * hourS + 10);
    if (i > 0) await enter(cancel(i * 1000 - 300, i * 1000 + 200));
    if (i % 2 === 1) {
      await ledger.enterState();
      // Published before anything follows it, or another may follow it early.
      await stepAt(t0 + (i + 1) * hourS + 10);
    }
  }
  const time = t0 + hours * hourS + 10;
  const wrong = { kind: 'hour', spec: { plant: 'p1' }, auth: [], time };
  await ledger.appendUnchecked([encodeEntry(wrong)]);
  await stepAt(time + 1);
  const { violations, size } = await createFollower().catchUp(pool, await readNextIndex(pool));
  expect([...violations.values()].map(({ voided }) => voided)).toEqual([true]);
  return size;
}

/** All that a state says, also of the rows that lie in tables which cannot be walked. */
function said(state: LogState): unknown {
  const { tables, plants, stateTree, ...rest } = state;
  const starts = Array.from({ length: hours + 2 }, (_, i) => t0 + i * hourS);
  const tiles = Array.from({ length: 2 }, (_, level) =>
    Array.from({ length: hours }, (_row, i) => tables.tilesOf(level).get(i)),
  );
  return snapshot({
    ...rest,
    plants: [...plants].map(([id, plant]) => [
      id,
      {
        ...plant,
        emissions: plant.emissions.get(t0) ?? null,
        hours: starts.map((start) => plant.hours.get(start) ?? null),
      },
    ]),
    stateTree: { ...stateTree, tiles },
  });
}

/** A database that counts the entries which are read from it to be folded. */
function counting(pool: Pool): { readonly sql: Sql; readonly read: () => number } {
  let read = 0;
  const sql: Sql = {
    ...pool,
    async rows<Row extends object>(...query: Parameters<Sql['rows']>) {
      const rows = await pool.rows<Row>(...query);
      for (const row of rows) if ('indexes' in row) read += (row.indexes as number[]).length;
      return rows;
    },
  };
  return { sql, read: () => read };
}

const followerOn = (folder: string): Follower => createFollower(() => openStateStore(folder));
const storeFolder = (): string => join(scratchFolder(), 'state');
const action = (draft: SignedDraft) => ({ type: 'action', ...draft }) as const;

/** Follows as far as `size`, keeps that, and ends. */
async function followTo(pool: Pool, folder: string, size: number): Promise<void> {
  const follower = followerOn(folder);
  await follower.catchUp(pool, size);
  await follower.close(pool);
}

const fresh = async (pool: Pool, size: number): Promise<unknown> =>
  said(await createFollower().catchUp(pool, size));

onEachEngine('following a log', (start) => {
  test('goes on at every size where another stopped, to the same state', async () => {
    const { pool } = await start();
    const size = await fillLog(pool);
    const folder = storeFolder();
    for (let to = 0; to <= size; to++) {
      const { sql, read } = counting(pool);
      const follower = followerOn(folder);
      expect(said(await follower.catchUp(sql, to))).toEqual(await fresh(pool, to));
      expect(read()).toBe(Math.min(to, 1));
      await follower.close(pool);
    }
    for (const from of [1, 5, size - 1, size]) {
      const other = storeFolder();
      await followTo(pool, other, from);
      const { sql, read } = counting(pool);
      const follower = followerOn(other);
      expect(said(await follower.catchUp(sql, size))).toEqual(await fresh(pool, size));
      expect(read()).toBe(size - from);
      await follower.close(pool);
    }
  });

  test('is asked again after it was closed, and may be closed at any time', async () => {
    const { pool } = await start();
    const size = await fillLog(pool);
    const follower = followerOn(storeFolder());
    await follower.close(pool);
    for (const to of [3, 3, size]) {
      expect(said(await follower.catchUp(pool, to))).toEqual(await fresh(pool, to));
      await follower.close(pool);
      await follower.close(pool);
    }
    const kept = await follower.catchUp(pool, size);
    await follower.close(pool);
    expect(() => kept.tables.nonces.has('x')).toThrow(Failed);
  });

  test('does not believe what was kept of more entries than there are', async () => {
    const { pool } = await start();
    const size = await fillLog(pool);
    const folder = storeFolder();
    await followTo(pool, folder, size);
    const { sql, read } = counting(pool);
    const follower = followerOn(folder);
    expect(said(await follower.catchUp(sql, size - 3))).toEqual(await fresh(pool, size - 3));
    expect(read()).toBe(size - 3);
    // In one process that is a table which lost what it had.
    await expect(follower.catchUp(pool, size - 4)).rejects.toMatchObject({ code: 'log-shrunk' });
    await follower.close(pool);
    expect(said(await follower.catchUp(pool, size))).toEqual(await fresh(pool, size));
    await follower.close(pool);
  });

  test('does not believe what was kept of another log, of whatever size', async () => {
    const [{ pool }, other] = [await start(), await start()];
    const size = await fillLog(pool);
    expect(await fillLog(other.pool)).toBe(size);
    for (const kept of [1, 5, size - 1, size]) {
      const folder = storeFolder();
      await followTo(other.pool, folder, kept);
      const { sql, read } = counting(pool);
      const follower = followerOn(folder);
      expect(said(await follower.catchUp(sql, size))).toEqual(await fresh(pool, size));
      expect(read()).toBe(size);
      await follower.close(pool);
    }
  });

  test('leaves no trace of what was rolled back', async () => {
    const { pool } = await start();
    await fillLog(pool);
    const folder = storeFolder();
    const clock = manualClock((t0 + hours * hourS + 60) * 1000);
    const sequencer = createSequencer({ pool, clock, follower: followerOn(folder) });
    const draft = [cancel(1300, 1400), cancel(2500, 2600)].map(action);
    const alongside = (): Promise<void> => Promise.reject(new Failed('test', 'not this time'));
    for (const isKept of [false, true]) {
      if (isKept) await sequencer.close();
      await expect(sequencer.sequence(draft, { alongside })).rejects.toThrow('not this time');
      await expect(sequencer.sequence(draft, { alongside })).rejects.toThrow('not this time');
      const [outcome] = await sequencer.sequence([action(people.account(`other-${isKept}`))]);
      expect(outcome).toMatchObject({ result: 'sequenced' });
    }
    const size = await readNextIndex(pool);
    expect(said(await sequencer.state())).toEqual(await fresh(pool, size));
    // Nor of their nonces: the very same drafts may be entered, and once only.
    for (const code of [undefined, 'nonce']) {
      const results = await sequencer.sequence(draft);
      expect(results.map((one) => ('code' in one ? one.code : undefined))).toEqual([code, code]);
      await sequencer.close();
    }
    expect(said(await sequencer.state())).toEqual(await fresh(pool, size + 2));
    await sequencer.close();
  });

  test('is Fatal at an entry that is not what its hash says, however often it is asked', async () => {
    const { pool } = await start();
    const size = await fillLog(pool);
    const folder = storeFolder();
    await followTo(pool, folder, size - 2);
    await inTransaction(pool, async (sql) => {
      const entry = {
        ...{ index: size, leafHash: new Uint8Array(32), data: new TextEncoder().encode('{}') },
        ...{ kind: 'void', time: t0 + hours * hourS },
      };
      await appendEntries(sql, size, { entries: [entry], time: entry.time });
    });
    const bad = { name: Fatal.name, code: 'leaf-hash' };
    for (let run = 0; run < 2; run++) {
      const follower = followerOn(folder);
      for (let again = 0; again < 3; again++) {
        await expect(follower.catchUp(pool, size + 1)).rejects.toMatchObject(bad);
      }
      await follower.close(pool);
    }
    const follower = followerOn(folder);
    expect(said(await follower.catchUp(pool, size))).toEqual(await fresh(pool, size));
    await follower.close(pool);
  });

  test('gets over a store that is damaged, and learns all of it again', async () => {
    const { pool } = await start();
    const size = await fillLog(pool);
    const folder = storeFolder();
    await followTo(pool, folder, size - 3);
    const places = Array.from({ length: hours }, (_, i) => String(i).padStart(12, '0'));
    await spoilRows(folder, [...places.map((place) => `range/${place}`), 'node/0 0']);
    const follower = followerOn(folder);
    const failures: unknown[] = [];
    let state: LogState | undefined;
    for (let tries = 0; tries < 3 && state === undefined; tries++) {
      state = await follower.catchUp(pool, size).catch((error: unknown) => {
        failures.push(error);
        return undefined;
      });
    }
    expect(failures.map((error) => error instanceof Failed && error.code)).toEqual(['state-store']);
    expect(state && said(state)).toEqual(await fresh(pool, size));
    await follower.close(pool);
    // Nor does it stay with what it cannot make anything of.
    const store = await openStateStore(folder);
    await store.keep(new TextEncoder().encode('{}'));
    await store.close();
    await expect(follower.catchUp(pool, size)).rejects.toThrow(TypeError);
    expect(said(await follower.catchUp(pool, size))).toEqual(await fresh(pool, size));
    await follower.close(pool);
    rmSync(folder, { recursive: true });
    expect(said(await follower.catchUp(pool, size))).toEqual(await fresh(pool, size));
    await follower.close(pool);
  });
});

onEachEngine('a ledger with a folder for its state', (start) => {
  test('seals, corrects and proves over restarts what one in memory does', async () => {
    const { pool } = await start();
    const root = scratchFolder();
    const stateFolder = join(root, 'state');
    const begun = createTestLedger(pool, { folder: root, context: { stateFolder } });
    await begun.enter(people.genesis(), ...people.simplePlant('p1'));
    await begun.ledger.close();
    for (let i = 0; i < hours; i++) {
      const at = t0 + (i + 1) * hourS + 10;
      const options = { folder: root, startS: at, context: { stateFolder } };
      const { ledger, enter, stepAt } = createTestLedger(pool, options);
      // The first two in the wrong order: what is interpolated first is measured later.
      await insertMessages(pool, i === 0 ? [] : i === 1 ? [hourly(1), hourly(0)] : [hourly(i)]);
      await stepAt(at);
      if (i > 2) await enter(cancel(i * 1000 - 1300, i * 1000 - 1100));
      if (i % 2 === 1) {
        await ledger.enterState();
        // Published before anything follows it, or another may follow it early.
        await stepAt(t0 + (i + 1) * hourS + 10);
      }
      await stepAt(at + 1);
      const other = createTestLedger(pool, options).ledger;
      await expect(other.isEmpty()).rejects.toMatchObject({
        ...{ name: Refused.name, code: 'folder-in-use' },
      });
      await ledger.close();
    }
    const size = await readNextIndex(pool);
    const bundles = [1, 2, 3, 4].map((i) => ({
      ...{ series: 'energy/p1', from: i * 1000 + 1, to: i * 1000 + 1000 },
    }));
    const proofs: Uint8Array[][] = [];
    for (const context of [{ stateFolder }, {}]) {
      const { ledger } = createTestLedger(pool, { folder: root, context });
      const source = await ledger.proofs();
      expect(source.size).toBe(size);
      const files: Uint8Array[] = [];
      for (const bundle of bundles) files.push(encodeProof(await source.collect(bundle)));
      proofs.push(files);
      await ledger.close();
    }
    expect(proofs[0]).toEqual(proofs[1]);
    const follower = followerOn(stateFolder);
    expect(said(await follower.catchUp(pool, size))).toEqual(await fresh(pool, size));
    await follower.close(pool);
  });
});
