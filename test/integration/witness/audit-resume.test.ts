import { cpSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { toHex, utf8 } from '#core/bytes.ts';
import { createAuditor } from '#core/certificate/audit/audit.ts';
import { openingPath } from '#core/certificate/commitment.ts';
import { advanceStateTree, stateRoot } from '#core/certificate/state/state-tree.ts';
import type { Reading } from '#core/energy/message.ts';
import { batchPath } from '#core/energy/batch.ts';
import type { Checkpoint } from '#core/tlog/checkpoint.ts';
import { sha256 } from '#crypto';
import { httpLogReader } from '#platform/log-reader.ts';
import { createLogger } from '#platform/logger.ts';
import { createSignatureCheck } from '#platform/signature-check.ts';
import { openStateStore } from '#platform/state-store.ts';
import { createLogAuditor, logAuditors, type LogAuditor } from '#witness/audit.ts';
import { startHostileLog, type HostileLog } from '#support/hostile-log.ts';
import { insertMessages } from '#support/insert-messages.ts';
import * as people from '#support/log-people.ts';
import { quickEngine, startTestPostgres } from '#support/postgres.ts';
import { testLog, testSigner } from '#support/register.ts';
import { createTestLedger, removeTestFolders, scratchFolder } from '#support/test-ledger.ts';
import { spoilRows } from '../platform/kept-rows.ts';
import { cancel, firstHour, hours, hourS, kinds, lastHour } from './audit-rig.ts';
import { limitBytes, newAuditor, sealedAt, t0, useHostileLog } from './audit-rig.ts';

removeTestFolders();
const rig = useHostileLog();
const never = new AbortController().signal;
const logger = createLogger({ name: 'test', level: 'silent' });

const onStore = async (log: HostileLog, folder: string): Promise<LogAuditor> =>
  createLogAuditor({
    read: httpLogReader(log.url, { timeoutMs: 5_000, limitBytes }),
    signatures: createSignatureCheck(),
    clock: rig.clock,
    origin: testLog,
    logger,
    store: await openStateStore(folder),
  });

/** What it says, in one line. */
async function verdict(auditor: Pick<LogAuditor, 'judge'>, to: Checkpoint): Promise<string> {
  try {
    await auditor.judge(to, never);
    return 'agreed';
  } catch (error) {
    if (error instanceof Error && 'code' in error) return `${String(error.code)}: ${error.message}`;
    throw error;
  }
}

/** Judges in a process of its own, as it were, which says the same as one that replays all. */
async function judgeAnew(folder: string, log = rig.log): Promise<string> {
  const auditor = await onStore(log, folder);
  const said = await verdict(auditor, log.checkpoint());
  expect(await verdict(auditor, log.checkpoint())).toBe(said);
  await auditor.close?.();
  const fresh = newAuditor(log.url, rig.clock);
  expect(await verdict(fresh, log.checkpoint())).toBe(said);
  return said;
}

const newFolder = (): string => join(scratchFolder(), 'audit');
const batchOf = (index: number): string => batchPath(String(rig.log.spec(index).batchRoot));

describe('an auditor that is opened again', () => {
  test('judges what is new, from every size, and reads no evidence twice', async () => {
    const { log } = rig;
    const folder = newFolder();
    for (let size = 1; size <= log.entries.length; size++) {
      const auditor = await onStore(log, folder);
      log.asked.length = 0;
      expect(await verdict(auditor, log.checkpoint(size))).toBe('agreed');
      const batches = log.asked.filter((path) => path.startsWith('batch/'));
      const isHour = size - 1 >= firstHour && size - 1 <= lastHour;
      expect(batches).toEqual(isHour ? [batchOf(size - 1)] : []);
      log.asked.length = 0;
      expect(await verdict(auditor, log.checkpoint(size))).toBe('agreed');
      expect(log.asked).toEqual([]);
      await auditor.close?.();
    }
    expect(await judgeAnew(folder)).toBe('agreed');
  });

  test('reads no bundle that it had read to its end', async () => {
    const { log } = rig;
    const folder = newFolder();
    const grow = (count: number): void => {
      for (let i = 0; i < count; i++) log.append(people.account(`a${log.entries.length}`));
    };
    grow(260);
    expect(await judgeAnew(folder)).toBe('agreed');
    grow(20);
    log.asked.length = 0;
    const auditor = await onStore(log, folder);
    expect(await verdict(auditor, log.checkpoint())).toBe('agreed');
    const edge = log.entries.length - 256;
    expect(log.asked).toEqual([`tile/entries/001.p/${edge}`, `meters/001.p/${edge}`]);
    expect((await verdict(auditor, log.checkpoint(5))).split(':')[0]).toBe('audit-size');
    await auditor.close?.();
  });

  test('remembers what broke a rule until it has its void', async () => {
    const { log } = rig;
    const folder = newFolder();
    const again = { ...log.spec(lastHour), prev: log.ref(lastHour) };
    const { index } = log.append({ kind: 'hour', spec: again });
    log.entries.push(utf8('not an entry'));
    log.records.push([]);
    for (let times = 0; times < 2; times++) {
      expect(await judgeAnew(folder)).toMatch(/^sealed: entry 10: that hour is sealed already/);
    }
    const voided = { kind: 'void', time: sealedAt };
    log.append({ ...voided, spec: { ...log.ref(index), code: 'sealed' } });
    expect(await judgeAnew(folder)).toMatch(/^json: entry 11: /);
    log.append({ ...voided, spec: { ...log.ref(index + 1), code: 'json' } });
    expect(await judgeAnew(folder)).toBe('agreed');
    log.append({ ...voided, spec: { ...log.ref(index), code: 'sealed' } });
    expect(await judgeAnew(folder)).toMatch(/^void: entry 14: entry 10 is void already/);
  });

  test('remembers a wrong receipt chain until a correction states the right one', async () => {
    const { log } = rig;
    const folder = newFolder();
    const right = log.records[lastHour] ?? [];
    const { metersRoot, ...spec } = log.spec(lastHour);
    log.cut(lastHour + 1);
    log.changeRecords(lastHour, (record) => ({
      ...record,
      keys: record.keys.map((key) => ({ ...key, chain: toHex(sha256(utf8('another'))) })),
    }));
    for (let times = 0; times < 2; times++) {
      expect(await judgeAnew(folder)).toMatch(/^chain: entry 8: the receipt chain of /);
      if (times === 0) log.append(people.account('a'));
    }
    const amends = log.ref(lastHour);
    const certificates = { deficit: 0, netted: 0, withdrawn: [] };
    const correction = { ...spec, metersRoot, certificates, amends, prev: amends };
    log.append({ kind: 'hour-correction', spec: correction }, right);
    expect(await judgeAnew(folder)).toBe('agreed');
  });

  test('follows a receipt chain from where it was', async () => {
    const { log } = rig;
    const folder = newFolder();
    log.changeRecords(lastHour, (record) => ({
      ...record,
      keys: record.keys.map((key) => ({ ...key, chain: toHex(sha256(utf8('another'))) })),
    }));
    const auditor = await onStore(log, folder);
    expect(await verdict(auditor, log.checkpoint(lastHour))).toBe('agreed');
    await auditor.close?.();
    expect(await judgeAnew(folder)).toMatch(/^chain: entry 8: the receipt chain of /);
  });

  test('knows every range, for the states that the log enters', async () => {
    const { log } = rig;
    const folder = newFolder();
    const state = async (): Promise<object> => {
      const read = httpLogReader(log.url);
      const core = createAuditor({ read, signatures: createSignatureCheck() });
      await core.judge(log.checkpoint());
      const asOf = core.state.size;
      advanceStateTree(core.state.stateTree, asOf);
      const { count } = core.state.stateTree;
      return { asOf, count, root: toHex(stateRoot(core.state.stateTree)) };
    };
    log.append(people.signed('rules', { ...people.rulesOfTest, version: 2 }));
    for (const from of [1600, 2100, 2300]) {
      log.append({ kind: 'state', spec: await state() });
      expect(await judgeAnew(folder)).toBe('agreed');
      log.append(cancel('p1', from, from + 99));
      expect(await judgeAnew(folder)).toBe('agreed');
    }
    const wrong = { ...(await state()), root: toHex(sha256(utf8('another'))) };
    log.append({ kind: 'state', spec: wrong });
    expect(await judgeAnew(folder)).toMatch(/^root: entry 17: not the root of the ranges/);
    // Nor may what was cancelled, or signed, before be so again.
    const { auth, ...used } = cancel('p1', 2600, 2650);
    log.append({ ...used, auth });
    log.void(17, 'root');
    expect(await judgeAnew(folder)).toBe('agreed');
    log.append({ ...used, auth });
    expect(await judgeAnew(folder)).toMatch(/^nonce: entry 20: /);
    log.void(20, 'nonce');
    log.append(cancel('p1', 1650, 1660));
    expect(await judgeAnew(folder)).toMatch(/^state: entry 22: /);
  });
});

describe('an auditor that was killed', () => {
  test('replays from what it had kept last, and agrees', async () => {
    const { log } = rig;
    const folder = newFolder();
    const first = await onStore(log, folder);
    expect(await verdict(first, log.checkpoint(firstHour + 1))).toBe('agreed');
    await first.close?.();
    const killed = await onStore(log, folder);
    expect(await verdict(killed, log.checkpoint(lastHour + 1))).toBe('agreed');
    const left = newFolder();
    cpSync(folder, left, { recursive: true });
    await killed.close?.();
    log.asked.length = 0;
    const next = await onStore(log, left);
    expect(await verdict(next, log.checkpoint())).toBe('agreed');
    const batches = log.asked.filter((path) => path.startsWith('batch/'));
    expect(batches).toEqual([1, 2, 3].map((i) => batchOf(firstHour + i)));
    await next.close?.();
    expect(await judgeAnew(left)).toBe('agreed');
  });

  test('before it had kept anything, replays all', async () => {
    const { log } = rig;
    const killed = await onStore(log, newFolder());
    const folder = newFolder();
    await killed.judge(log.checkpoint(), never);
    await killed.close?.();
    const begun = await onStore(log, folder);
    expect(await verdict(begun, log.checkpoint(3))).toBe('agreed');
    const left = newFolder();
    cpSync(folder, left, { recursive: true });
    await begun.close?.();
    log.asked.length = 0;
    expect(await judgeAnew(left)).toBe('agreed');
    expect(log.asked.filter((path) => path.startsWith('batch/')).length).toBe(2 * hours);
  });
});

describe('an auditor whose store', () => {
  const spoiled = async (...keys: string[]): Promise<string> => {
    const folder = newFolder();
    const auditor = await onStore(rig.log, folder);
    expect(await verdict(auditor, rig.log.checkpoint())).toBe('agreed');
    await auditor.close?.();
    await spoilRows(folder, keys);
    return folder;
  };

  test('is damaged fails once, and then has learnt all of it again', async () => {
    const { log } = rig;
    const folder = await spoiled('range/000000000002');
    log.append(cancel('p1', 2500, 2600));
    const auditor = await onStore(log, folder);
    expect(await verdict(auditor, log.checkpoint())).toMatch(/^state-store: /);
    expect(await verdict(auditor, log.checkpoint())).toBe('agreed');
    await auditor.close?.();
    expect(await judgeAnew(folder)).toBe('agreed');
  });

  test('is damaged and that is not got over in this process, is empty for the next', async () => {
    const { log } = rig;
    const folder = await spoiled('range/000000000002');
    log.append(cancel('p1', 2500, 2600));
    const auditor = await onStore(log, folder);
    expect(await verdict(auditor, log.checkpoint())).toMatch(/^state-store: /);
    await auditor.close?.();
    expect(await judgeAnew(folder)).toBe('agreed');
  });

  test('lacks rows breaks, and is empty for the next', async () => {
    const { log } = rig;
    const folder = newFolder();
    const store = await openStateStore(folder);
    const auditor = createLogAuditor({
      read: httpLogReader(log.url),
      signatures: createSignatureCheck(),
      ...{ clock: rig.clock, origin: testLog, logger },
      // As though the database had lost them without knowing it.
      store: { ...store, tables: { ...store.tables, ranges: new Map() } },
    });
    expect(await verdict(auditor, log.checkpoint())).toBe('agreed');
    await auditor.close?.();
    log.append(cancel('p1', 2500, 2600));
    const broken = await onStore(log, folder);
    expect(await verdict(broken, log.checkpoint())).toMatch(/^audit: /);
    expect(await verdict(broken, log.checkpoint())).toMatch(/^audit: /);
    await broken.close?.();
    expect(await judgeAnew(folder)).toBe('agreed');
  });
});

describe('with a committed site', () => {
  const stops: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const stop of stops.splice(0)) await stop();
  });

  test('an auditor that is opened again needs none of the openings before', async () => {
    const database = await startTestPostgres(quickEngine);
    stops.push(database.stop);
    const { enter, stepAt, folder: files } = createTestLedger(database.pool);
    const registers = { importWh: { direction: 'import', unit: 'Wh' } };
    const of = (t: number, importWh: number): Reading => ({ registers: { importWh }, t });
    const by = { at: 'c1', owner: 'c1' };
    await enter(
      people.genesis({ kinds }),
      people.account('c1'),
      people.plant('c1', 'c1', { disclosure: 'committed', type: 'consumption' }),
      people.meter('c1-m', { ...by, registers, role: 'consumption' }),
      people.key('c1-m', by),
    );
    for (const i of [0, 1, 2]) {
      const readings = [of(t0 + i * hourS, i * 700), of(t0 + (i + 1) * hourS, (i + 1) * 700)];
      const jws = people.message({ plant: 'c1', meter: 'c1-m', seq: i + 1, readings });
      await insertMessages(database.pool, [{ jws }]);
      await stepAt(t0 + (i + 1) * hourS + 10);
    }
    const log = await startHostileLog(files);
    stops.push(log.stop);
    const opening = (index: number): string => openingPath(String(log.spec(index).commitment));
    const folder = newFolder();
    const first = await onStore(log, folder);
    expect(await verdict(first, log.checkpoint(7))).toBe('agreed');
    await first.close?.();
    log.asked.length = 0;
    const second = await onStore(log, folder);
    log.overlay.set(opening(7), 404);
    expect(await verdict(second, log.checkpoint())).toMatch(/^evidence-missing: /);
    await second.close?.();
    log.overlay.clear();
    const third = await onStore(log, folder);
    expect(await verdict(third, log.checkpoint())).toBe('agreed');
    await third.close?.();
    const asked = log.asked.filter((path) => path.includes('opening'));
    expect(new Set(asked)).toEqual(new Set([opening(7)]));
    expect(await judgeAnew(folder, log)).toBe('agreed');
  });
});

test('two logs of one witness have a store each, and find it again', async () => {
  const { log, clock } = rig;
  const folder = scratchFolder();
  const origins = [testLog, 'another.example/log'];
  const open = () => {
    const of = logAuditors({ signer: testSigner('witness'), folder, clock, logger });
    return Promise.all(origins.map((origin) => of({ origin, keys: [], url: log.url })));
  };
  const other = { ...log.checkpoint(), origin: 'another.example/log' };
  for (let times = 0; times < 2; times++) {
    const [own, another] = await open();
    if (own === undefined || another === undefined) throw new Error('no auditors');
    log.asked.length = 0;
    expect(await verdict(own, log.checkpoint())).toBe('agreed');
    const isFirst = times === 0;
    expect(log.asked.some((path) => path.startsWith('batch/'))).toBe(isFirst);
    expect(await verdict(another, other)).toMatch(/^origin: /);
    await own.close?.();
    await another.close?.();
  }
  expect(readdirSync(join(folder, 'audit'))).toHaveLength(2);
});
