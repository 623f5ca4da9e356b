import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { AuditReport } from '#core/certificate/audit/audit-log.ts';
import { encodeEntry, type SignedDraft } from '#core/certificate/entry.ts';
import type { Reading } from '#core/energy/message.ts';
import { formatNote, noteSigner, parseNote, signNote } from '#core/tlog/note.ts';
import { parsePolicy, type Policy } from '#core/tlog/policy.ts';
import { auditLog } from '#support/audit-log.ts';
import { insertFork, insertMessages } from '#support/insert-messages.ts';
import * as people from '#support/log-people.ts';
import {
  onEachEngine,
  quickEngine,
  startTestPostgres,
  type TestPostgres,
} from '#support/postgres.ts';
import { testLog, testSigner } from '#support/register.ts';
import { witnessVkey } from '#support/test-policy.ts';
import {
  createTestLedger,
  removeTestFolders,
  scratchFolder,
  testStartS,
} from '#support/test-ledger.ts';

removeTestFolders();

const hour = 3600;
const t0 = testStartS;

const at = (t: number, exportWh: number): Reading => ({ registers: { exportWh }, t });

const message = (seq: number, readings: Reading[], signer?: string): string =>
  people.message({
    plant: 'p1',
    meter: 'p1-m',
    seq,
    readings,
    ...(signer !== undefined && { signer }),
  });

const hourly = (count: number): string[] =>
  Array.from({ length: count }, (_, i) =>
    message(i + 1, [at(t0 + i * hour, i * 1000), at(t0 + (i + 1) * hour, (i + 1) * 1000)]),
  );

onEachEngine('auditing', (start) => {
  test('a log with a fork, a void and a decrease passes, and says what is void', async () => {
    const { pool } = await start();
    const { enter, stepAt, ledger, folder, clock } = createTestLedger(pool);
    await enter(people.genesis(), ...people.simplePlant('p1'));
    await insertMessages(
      pool,
      hourly(4).map((jws) => ({ jws })),
    );
    await stepAt(t0 + 3 * hour + 10);
    await enter(
      people.signedByAccount('cancel', 'p1', {
        beneficiary: 'acme',
        items: [{ from: 1, series: 'energy/p1', to: 1500 }],
        period: { from: t0, to: t0 + hour },
        purpose: 'heat',
      }),
    );
    // A decision sets hour 0's only message aside: its units are cancelled, so a deficit remains.
    await enter(
      people.signed('decision', {
        effect: 'set-aside',
        evidence: [],
        from: 1,
        kid: people.meterSigner('p1-m').kid,
        reason: 'a test',
        to: 1,
      }),
    );
    await stepAt(t0 + 3 * hour + 20);
    const [latest] = await pool.rows<{ generation_wh: number; certified_wh: number }>(
      `select generation_wh, certified_wh from hour_value where start = $1 order by version desc limit 1`,
      [t0],
    );
    expect(latest).toEqual({ generation_wh: 0, certified_wh: 0 });
    await insertFork(pool, { jws: message(4, [at(t0 + 3 * hour, 1)]) });
    const wrong: SignedDraft = people.account('p1');
    const bytes = encodeEntry({ ...wrong, time: clock.nowS() });
    expect(await ledger.appendUnchecked([bytes])).toMatchObject([{ result: 'sequenced' }]);
    const step = await stepAt(t0 + 4 * hour + 10);
    expect(step.reported).toBe(2);
    const report = await auditLog(folder);
    expect(report.findings).toEqual([]);
    expect(report).toMatchObject({ voided: 1, openChains: 0, withheld: 0, size: step.treeSize });
    const deficits = await pool.rows<{ kind: string; data: Uint8Array }>(
      `select kind, convert_from(data, 'utf8') as data from log_entry where kind like 'hour%' order by index`,
    );
    expect(JSON.parse(String(deficits[3]?.data))).toMatchObject({
      kind: 'hour-correction',
      spec: { certificates: { deficit: 1000, withdrawn: [] } },
    });
  });
});

describe('what an audit finds in a tampered folder', () => {
  let database: TestPostgres;
  let good: string;
  beforeAll(async () => {
    database = await startTestPostgres(quickEngine);
    const { enter, stepAt, folder } = createTestLedger(database.pool);
    // Without `state`, which a ledger enters by itself: the paths of the files are those of size 7.
    const kinds = people.rulesOfTest.kinds.filter((kind) => kind !== 'state');
    await enter(people.genesis({ kinds }), ...people.simplePlant('p1'));
    await insertMessages(
      database.pool,
      hourly(3).map((jws) => ({ jws })),
    );
    await stepAt(t0 + 2 * hour + 10);
    good = folder;
    await database.stop();
  });

  const tampered = async (
    change: (folder: string) => void,
    options: { policy?: Policy } = {},
  ): Promise<AuditReport> => {
    const folder = join(scratchFolder(), 'log');
    cpSync(good, folder, { recursive: true });
    change(folder);
    return auditLog(folder, options);
  };
  const flip = (path: string, position: number): void => {
    const bytes = readFileSync(path);
    bytes[position] = (bytes[position] ?? 0) ^ 1;
    writeFileSync(path, bytes);
  };

  test('nothing, when nothing was changed', async () => {
    expect((await tampered(() => undefined)).findings).toEqual([]);
  });

  test('a byte of a batch file', async () => {
    const report = await tampered((folder) => {
      const [name = ''] = readdirSync(join(folder, 'batch'));
      flip(join(folder, 'batch', name), 100);
    });
    // The first one is the cause: an hour that is void issues nothing, and the next does not fit.
    expect(report.findings[0]).toMatchObject({ code: 'batch' });
    expect(report.findings[0]?.index).toBeGreaterThan(4);
  });

  test('a batch file that is gone', async () => {
    const report = await tampered((folder) => {
      const [name = ''] = readdirSync(join(folder, 'batch'));
      rmSync(join(folder, 'batch', name));
    });
    expect(report.findings[0]).toMatchObject({ code: 'batch' });
  });

  test('meter records that are gone, from the first entry on', async () => {
    const report = await tampered((folder) => rmSync(join(folder, 'meters', '000.p', '7')));
    expect(report.findings[0]).toMatchObject({ index: undefined, code: 'root' });
    expect(report.findings[1]).toMatchObject({ index: 0, code: 'evidence-missing' });
    expect(report.entries).toBe(0);
  });

  test('a byte of a meter record', async () => {
    const report = await tampered((folder) => {
      const path = join(folder, 'meters', '000.p', '7');
      const bytes = readFileSync(path);
      flip(path, bytes.lastIndexOf('"throughSeq":') + '"throughSeq":'.length);
    });
    expect(report.findings).toMatchObject([{ index: 6, code: 'records' }]);
  });

  test('a byte of an entry, by the tile and the root', async () => {
    const report = await tampered((folder) => {
      const path = join(folder, 'tile', 'entries', '000.p', '7');
      const bytes = readFileSync(path);
      flip(path, bytes.lastIndexOf('"generation":') + '"generation":'.length + 1);
    });
    expect(report.findings.map(({ code }) => code)).toEqual(
      expect.arrayContaining(['tile', 'root', 'issued']),
    );
  });

  test('a byte of a tile', async () => {
    const report = await tampered((folder) => flip(join(folder, 'tile', '0', '000.p', '7'), 40));
    expect(report.findings).toMatchObject([{ code: 'tile' }]);
  });

  test('a checkpoint with a signature that does not fit is a finding', async () => {
    const report = await tampered((folder) => {
      const path = join(folder, 'checkpoint');
      const note = readFileSync(path, 'latin1');
      // Still base64, of another signature.
      const other = note.at(-20) === 'A' ? 'B' : 'A';
      writeFileSync(path, `${note.slice(0, -20)}${other}${note.slice(-19)}`, 'latin1');
    });
    expect(report.findings).toMatchObject([{ index: undefined, code: 'note-signature' }]);
  });

  test('a checkpoint that only somebody else has signed is a finding', async () => {
    const report = await tampered((folder) => {
      const path = join(folder, 'checkpoint');
      const { text } = parseNote(readFileSync(path));
      const stranger = noteSigner(testLog, testSigner('a stranger'));
      writeFileSync(path, formatNote(signNote({ text }, [stranger])));
    });
    expect(report.findings).toMatchObject([{ index: undefined, code: 'checkpoint-unsigned' }]);
  });

  test('a checkpoint without the quorum of the auditor is a finding', async () => {
    const policy = parsePolicy(
      `log ${people.logVkey}\nwitness one ${witnessVkey('one')}\nquorum one\n`,
    );
    const report = await tampered(() => undefined, { policy });
    expect(report.findings).toMatchObject([{ index: undefined, code: 'quorum' }]);
  });
});
