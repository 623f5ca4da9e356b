import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { toHex, utf8 } from '#core/bytes.ts';
import { createAuditor } from '#core/certificate/audit/audit.ts';
import { auditWholeLog, type AuditReport } from '#core/certificate/audit/audit-log.ts';
import type { HourProver, HourQuestion } from '#core/certificate/audit/hour-proof.ts';
import { batchPath, encodeBatchFile, encodeMessageLeaf } from '#core/energy/batch.ts';
import { parseBatchFile } from '#core/energy/batch.ts';
import { Failed, Fatal, Refused } from '#core/errors.ts';
import { leafHash, treeRoot } from '#core/tlog/tree.ts';
import { createHourThreads, type HourSource, type HourThreads } from '#platform/hour-threads.ts';
import { folderLogReader, httpLogReader } from '#platform/log-reader.ts';
import { createSignatureCheck } from '#platform/signature-check.ts';
import * as people from '#support/log-people.ts';
import { removeTestFolders, scratchFolder } from '#support/test-ledger.ts';
import { at, firstHour, hourly, hours, hourS, lastHour } from './audit-rig.ts';
import { newAuditor, t0, useHostileLog } from './audit-rig.ts';

/** Audits whose hours are judged by threads: real ones, which say what the audit without them says. */

removeTestFolders();
const rig = useHostileLog();
const never = new AbortController().signal;

const batchOf = (index: number): string => batchPath(String(rig.log.spec(index).batchRoot));
const batchBytes = (index: number): Uint8Array => readFileSync(join(rig.folder, batchOf(index)));

/** Threads that say how many hours they could and could not speak for. */
function counted(threads: Pick<HourThreads, 'proverOf'>, change = same) {
  const said = { proved: 0, left: 0, ahead: [] as boolean[] };
  const proverOf: HourThreads['proverOf'] = (source, signatures) => {
    const inner = threads.proverOf(source, signatures);
    return {
      isWorth: inner.isWorth,
      async prove(question) {
        const shown = await inner.prove(change(question));
        said[shown === undefined ? 'left' : 'proved'] += 1;
        return shown;
      },
      async ahead(question) {
        const isSaid = await inner.ahead(question);
        said.ahead.push(isSaid);
        return isSaid;
      },
    };
  };
  return { said, threads: { proverOf } };
}
const same = (question: HourQuestion): HourQuestion => question;

async function report(folder: string, prover?: HourProver): Promise<AuditReport> {
  const signatures = createSignatureCheck();
  const steps = auditWholeLog({ read: folderLogReader(folder), signatures, prover });
  for (;;) {
    const step = await steps.next();
    if (step.done === true) return step.value;
  }
}

/** Each source that threads can have, of the same files. */
const sources: readonly (readonly [string, (folder: string) => HourSource])[] = [
  ['a folder', (folder) => ({ folder })],
  ['what is read for them', (folder) => ({ read: folderLogReader(folder) })],
];

describe.each(sources)('threads that judge the hours of %s', (_name, sourceOf) => {
  const reports = async (folder: string): Promise<{ report: AuditReport; proved: number }> => {
    const { said, threads } = counted(rig.threads);
    const found = await report(folder, threads.proverOf(sourceOf(folder)));
    expect(found).toEqual(await report(folder));
    return { report: found, proved: said.proved };
  };
  const copied = (): string => {
    const folder = scratchFolder();
    cpSync(rig.folder, folder, { recursive: true });
    return folder;
  };

  test('prove them all where all is right', async () => {
    const { report: found, proved } = await reports(rig.folder);
    expect(found).toMatchObject({ findings: [], hours, openChains: 0 });
    expect(proved).toBe(hours);
  });

  test('leave those to the audit whose files are not as they should be', async () => {
    const folder = copied();
    writeFileSync(join(folder, batchOf(firstHour)), 'garbage');
    rmSync(join(folder, batchOf(firstHour + 1)));
    writeFileSync(join(folder, batchOf(firstHour + 2)), batchBytes(lastHour));
    const { report: found, proved } = await reports(folder);
    // What rests on them is wrong too, where they count for nothing.
    const wrong = found.findings.map(({ index }) => index);
    expect(wrong.slice(0, 3)).toEqual([0, 1, 2].map((i) => firstHour + i));
    expect(proved).toBe(1);
  });
});

describe('an auditor with threads', () => {
  test('refuses a message that its meter did not sign, in the same words', async () => {
    const { leaves, quarantined } = parseBatchFile(batchBytes(lastHour));
    const last = leaves.at(-1)?.slice() ?? new Uint8Array();
    const forged = people.message({
      ...{ plant: 'p1', meter: 'p1-m', seq: hours },
      readings: [at(t0 + 3 * hourS, 3000), at(t0 + 4 * hourS, 4000)],
      signer: 'somebody else',
    });
    const [head = '', payload = ''] = new TextDecoder().decode(last).split('.');
    const bent = utf8(`${head}.${payload}.${forged.split('.')[2] ?? ''}`);
    const changed = [...leaves.slice(0, -1), bent];
    const batchRoot = toHex(treeRoot(changed.map(leafHash)));
    rig.log.overlay.set(batchPath(batchRoot), encodeBatchFile({ leaves: changed, quarantined }));
    rig.log.cut(lastHour + 1);
    rig.log.change(lastHour, (spec) => ({ ...spec, batchRoot }));
    await rig.expectRefused('message', /^entry 8: leaf \d: the signature does not fit$/);
    rig.log.void(lastHour, 'message');
    await rig.expectAgreed();
  });

  test('judges each hour by the register that it finds, not by one of before', async () => {
    const { kid } = people.meterSigner('p1-m');
    rig.log.cut(lastHour + 1);
    const frozen = { evidence: [], id: 'p1-m', reason: 'a test', what: 'meter' };
    rig.log.insert(firstHour + 1, people.signed('freeze', frozen));
    rig.log.insert(firstHour + 3, people.signed('unfreeze', frozen));
    const setAside = { effect: 'set-aside', evidence: [], from: hours, kid, reason: 'a test' };
    rig.log.insert(firstHour + 5, people.signed('decision', { ...setAside, to: hours }));
    const asked: string[] = [];
    const { said, threads } = counted(rig.threads, (question) => {
      asked.push(question.register);
      return question;
    });
    const verdict = (auditor: ReturnType<typeof newAuditor>): Promise<string> =>
      auditor.judge(rig.log.checkpoint(), never).then(() => 'agreed', String);
    const found = await verdict(newAuditor(rig.log.url, rig.clock, threads));
    expect(found).toBe(await verdict(newAuditor(rig.log.url, rig.clock)));
    // While the meter is frozen its hours are disputed, and the hour after the decision lost its message.
    expect(found).toMatch(/^Refused: entry 7: /);
    expect(new Set(asked).size).toBeGreaterThan(1);
    expect(said.proved).toBeGreaterThan(0);
  });

  test('verifies what it reads ahead there, and says itself what is wrong with it', async () => {
    const { said, threads } = counted(rig.threads);
    const read = httpLogReader(rig.log.url);
    const signatures = createSignatureCheck();
    const core = createAuditor({ read, signatures, prover: threads.proverOf({ read }) });
    const leafOf = (jws: string): Uint8Array =>
      encodeMessageLeaf({ receivedAt: t0, bytes: utf8(jws) });
    const coming = [hours, hours + 1].map((i) => leafOf(hourly(i)));
    // Nobody is known yet: such leaves are passed over.
    await core.ahead(coming);
    expect(said.ahead).toEqual([]);
    expect(await core.judge(rig.log.checkpoint())).toEqual([]);
    await core.ahead(coming);
    expect(said.ahead).toEqual([true]);
    expect(signatures.verified()).toBe(0);
    const readings = [at(t0 + 9 * hourS, 9000)];
    const own = { plant: 'p1', meter: 'p1-m', seq: 9, readings };
    const [head = '', payload = ''] = people.message(own).split('.');
    const tail = people.message({ ...own, signer: 'somebody else' }).split('.')[2] ?? '';
    await expect(core.ahead([leafOf(`${head}.${payload}.${tail}`)])).rejects.toThrow(Refused);
    expect(said.ahead).toEqual([true, false]);
  });
});

describe('a thread that dies', () => {
  const running: HourThreads[] = [];
  afterAll(async () => {
    for (const threads of running) await threads.close();
  });
  const start = (): HourThreads => {
    const threads = createHourThreads({ count: 2, worthEntries: 0 });
    running.push(threads);
    return threads;
  };
  /** What no program of ours makes: parsing it ends the thread. */
  const fatalAt = (place: number): ((question: HourQuestion) => HourQuestion) => {
    let asked = 0;
    return (question) => (asked++ === place ? { ...question, register: '{' } : question);
  };
  const caught = async (work: Promise<unknown>): Promise<unknown> =>
    work.then(
      () => 'agreed',
      (error: unknown) => error,
    );

  test.each([0, 1, hours - 1])('at hour %d ends an audit without a report', async (place) => {
    const threads = start();
    const { proverOf } = counted(threads, fatalAt(place)).threads;
    const error = await caught(report(rig.folder, proverOf({ folder: rig.folder })));
    expect(error).toBeInstanceOf(Fatal);
    expect(error).toMatchObject({ code: 'audit-thread' });
    // Whoever shares it learns of it, whatever he asks.
    const again = await caught(report(rig.folder, threads.proverOf({ folder: rig.folder })));
    expect(again).toBeInstanceOf(Fatal);
  });

  test('is fatal to a witness, which agrees to nothing from there on', async () => {
    const { threads } = counted(start(), fatalAt(2));
    const auditor = newAuditor(rig.log.url, rig.clock, threads);
    for (let times = 0; times < 2; times++) {
      const error = await caught(auditor.judge(rig.log.checkpoint(), never));
      expect(error).toBeInstanceOf(Fatal);
      expect(error).toMatchObject({ code: 'audit' });
    }
  });

  test('because it is ended leaves an audit without a report too', async () => {
    const threads = start();
    const inner = threads.proverOf({ folder: rig.folder });
    let asked = 0;
    const prover: HourProver = {
      ...inner,
      prove(question) {
        const shown = inner.prove(question);
        asked += 1;
        if (asked === hours) void threads.close();
        return shown;
      },
    };
    const error = await caught(report(rig.folder, prover));
    expect(error).toBeInstanceOf(Failed);
    expect(error).toMatchObject({ code: 'audit-thread' });
    expect(await caught(report(rig.folder, inner))).toMatchObject({ code: 'audit-thread' });
  });
});
