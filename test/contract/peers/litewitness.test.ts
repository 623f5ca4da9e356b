import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sha256 } from '#crypto';
import { utf8 } from '#core/bytes.ts';
import { formatAddCheckpoint } from '#core/tlog/add-checkpoint.ts';
import { verifyCheckpoint } from '#core/tlog/checkpoint.ts';
import { formatVkey, parseVkey } from '#core/tlog/note.ts';
import { parsePolicy } from '#core/tlog/policy.ts';
import { proveConsistency } from '#core/tlog/proof.ts';
import { tileHashReader } from '#core/tlog/tile.ts';
import { openLogFolder } from '#ledger/log-folder.ts';
import { addCheckpoint, type CosignAnswer } from '#platform/witness-client.ts';
import { auditLog } from '#support/audit-log.ts';
import { startLitewitness, type Litewitness } from '#support/c2sp/litewitness.ts';
import { cases, logOf } from '#support/c2sp/requests.ts';
import { buildC2sp, buildLimitMs, c2spModules, type C2spPrograms } from '#support/c2sp/programs.ts';
import { eager, genesisWith } from '#support/cosigning.ts';
import * as people from '#support/log-people.ts';
import { describeWith } from '#support/needs.ts';
import { quickEngine, startTestPostgres, type TestPostgres } from '#support/postgres.ts';
import { testLog } from '#support/register.ts';
import { createTestLedger, removeTestFolders, type TestLedger } from '#support/test-ledger.ts';
import { createRig } from '../../integration/witness/rig.ts';

removeTestFolders();

describeWith([c2spModules], 'litewitness', () => {
  let programs: C2spPrograms;
  let folder = '';
  beforeAll(() => {
    programs = buildC2sp(c2spModules, { withLitewitness: true });
    folder = mkdtempSync(join(tmpdir(), 'hourseal-litewitness-'));
  }, buildLimitMs);
  afterAll(() => {
    for (const made of [programs.folder, folder]) rmSync(made, { recursive: true, force: true });
  });

  describe('as the witness of a log that our ledger writes', () => {
    const name = 'lite.example/witness';
    let witness: Litewitness;
    let policy = '';
    const databases: TestPostgres[] = [];
    const startLedger = async (): Promise<TestLedger> => {
      const database = await startTestPostgres(quickEngine);
      databases.push(database);
      const rig = createTestLedger(database.pool, { limits: eager });
      await rig.enter(genesisWith(policy));
      return rig;
    };
    let rig: TestLedger;
    beforeAll(async () => {
      witness = await startLitewitness(programs, {
        name,
        seed: sha256(utf8('litewitness of the ledger')),
        folder: mkdtempSync(join(folder, 'w')),
        logs: { [testLog]: people.logVkey },
      });
      const lines = [`log ${people.logVkey}`, `witness lite ${witness.vkey} ${witness.url}`];
      policy = [...lines, 'group all all lite', 'quorum all', ''].join('\n');
      rig = await startLedger();
    });
    afterAll(async () => {
      await witness.stop();
      await Promise.all(databases.map(({ stop }) => stop()));
    });

    const published = async () => {
      const note = await openLogFolder(rig.folder).read('checkpoint');
      if (note === undefined) throw new Error('nothing is published');
      return {
        note,
        ...verifyCheckpoint(note, {
          log: parseVkey(people.logVkey),
          cosigners: [parseVkey(witness.vkey)],
        }),
      };
    };
    const pathFrom = (from: number, to: number) => {
      const { read } = openLogFolder(rig.folder);
      return proveConsistency({ from, to }, tileHashReader(read, to));
    };
    let accounts = 0;
    const account = () => people.account(`lite${(accounts += 1)}`);

    it('cosigns every size, one by one and in strides over a tile, also when it was killed between', async () => {
      const strides = [...Array.from({ length: 12 }, () => 1), 90, 90, 90, 1];
      let size = 1;
      expect(await rig.ledger.step()).toMatchObject({ treeSize: 1, publishedSize: 1 });
      for (const [i, stride] of strides.entries()) {
        if (i === 6) await witness.restart();
        size += stride;
        await rig.enter(...Array.from({ length: stride }, account));
        expect(await rig.ledger.step()).toMatchObject({ treeSize: size, publishedSize: size });
        expect(await published()).toMatchObject({ size, cosignatures: [{ name }] });
      }
      const audit = { policy: parsePolicy(policy) };
      expect(await auditLog(rig.folder, audit)).toMatchObject({ size, findings: [] });
    });

    it('answers 409 with its size to whoever thinks that it is elsewhere', async () => {
      const { size, note } = await published();
      const ask = (oldSize: number, proof: readonly Uint8Array[]) =>
        addCheckpoint(witness.url, { oldSize, proof, note }, { timeoutMs: 10_000 });
      const conflict: CosignAnswer = { result: 'conflict', size };
      expect(await ask(0, [])).toEqual(conflict);
      expect(await ask(size - 1, await pathFrom(size - 1, size))).toEqual(conflict);
      expect(await ask(size, [])).toMatchObject({ result: 'cosigned' });
    });

    it('cosigns no second history, be it shorter, as long, or longer', async () => {
      const { size } = await published();
      const fork = await startLedger();
      await fork.enter(people.account('forked'));
      // Its 409 names a size above the fork's, and a number alone is no evidence of anything.
      expect(await fork.ledger.step()).toMatchObject({ treeSize: 2, publishedSize: 0 });
      for (const more of [size - 2, 1]) {
        await fork.enter(...Array.from({ length: more }, account));
        expect(await fork.ledger.step()).toMatchObject({ publishedSize: 0 });
      }
      expect(await openLogFolder(fork.folder).read('checkpoint')).toBeUndefined();
      await rig.enter(account());
      expect(await rig.ledger.step()).toMatchObject({ publishedSize: size + 1 });
    });
  });

  describe('beside our own witness', () => {
    const ours = createRig();
    let answers: (body: Uint8Array | string) => Promise<readonly [Answer, Answer]>;
    let litewitness: Litewitness;
    beforeAll(async () => {
      const logs = cases.map((_, i) => logOf(i));
      const vkeys = logs.map(({ log, key }) => [log, formatVkey(key)] as const);
      litewitness = await startLitewitness(programs, {
        name: 'lite.example/beside',
        seed: sha256(utf8('litewitness beside ours')),
        folder: mkdtempSync(join(folder, 'w')),
        logs: Object.fromEntries(vkeys),
      });
      const witness = await ours.start({ logs: logs.map(({ key }) => ({ key })) });
      answers = async (body) => [
        await answerOf(witness.url(), body),
        await answerOf(litewitness.url, body),
      ];
    });
    afterAll(async () => {
      await litewitness.stop();
      await ours.clear();
    });

    it.each(cases)('answers $what: $statuses', async ({ what, from, body, statuses }) => {
      const log = logOf(cases.findIndex((one) => one.what === what));
      if (from > 0) {
        const first = formatAddCheckpoint(await log.history.request(0, from));
        expect((await answers(first)).map(({ status }) => status)).toEqual([200, 200]);
      }
      const both = await answers(await body(log));
      expect(both.map(({ status }) => status)).toEqual(statuses);
      for (const { status, type, text } of both) {
        if (status !== 409) continue;
        expect([type, text]).toEqual(['text/x.tlog.size', `${from}\n`]);
      }
    });
  });
});

interface Answer {
  readonly status: number;
  readonly type: string | null;
  readonly text: string;
}

async function answerOf(url: string, body: Uint8Array | string): Promise<Answer> {
  const bytes = typeof body === 'string' ? body : Uint8Array.from(body);
  const response = await fetch(`${url}/add-checkpoint`, { method: 'POST', body: bytes });
  const { status, headers } = response;
  return { status, type: headers.get('content-type'), text: await response.text() };
}
