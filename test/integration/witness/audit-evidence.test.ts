import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createAuditor, type Auditor } from '#core/certificate/audit/audit.ts';
import { encodeEntry } from '#core/certificate/entry.ts';
import { utf8 } from '#core/bytes.ts';
import { Failed } from '#core/errors.ts';
import { batchPath, encodeBatchFile, parseBatchFile } from '#core/energy/batch.ts';
import { encodeFramed } from '#core/energy/evidence-file.ts';
import { encodeBundle } from '#core/tlog/tile.ts';
import { emptyRoot } from '#core/tlog/tree.ts';
import { httpLogReader } from '#platform/log-reader.ts';
import { createSignatureCheck } from '#platform/signature-check.ts';
import * as people from '#support/log-people.ts';
import { removeTestFolders } from '#support/test-ledger.ts';
import { firstHour, hours, lastHour, limitBytes, t0, useHostileLog } from './audit-rig.ts';

removeTestFolders();
const rig = useHostileLog();

const batchOf = (index: number): string => batchPath(String(rig.log.spec(index).batchRoot));
const batchBytes = (index: number): Uint8Array => readFileSync(join(rig.folder, batchOf(index)));

describe('an honest log', () => {
  test('is agreed to at every size, and the second time without another look', async () => {
    for (let size = 1; size <= rig.log.entries.length; size++) {
      await rig.judge(rig.log.checkpoint(size));
      rig.log.asked.length = 0;
      await rig.judge(rig.log.checkpoint(size));
      expect(rig.log.asked).toEqual([]);
    }
  });

  test('is not judged at a smaller size than before', async () => {
    await rig.judge();
    expect((await rig.refusal(rig.log.checkpoint(3))).code).toBe('audit-size');
    await rig.judge();
  });
});

describe('a log that serves something else than it signed', () => {
  const expectMended = async (code: string, reason: RegExp): Promise<void> => {
    await rig.judge(rig.log.checkpoint(firstHour));
    await rig.expectRefused(code, reason);
    rig.log.overlay.clear();
    await rig.expectAgreed();
  };

  test('altering one register in a batch file', async () => {
    const { leaves, quarantined } = parseBatchFile(batchBytes(firstHour));
    const [leaf = new Uint8Array()] = leaves;
    // It still has the form of a message; a register is one higher than what was signed.
    const text = new TextDecoder().decode(leaf);
    const [head = '', payload = '', tail = ''] = text.split('.');
    const altered = Buffer.from(payload, 'base64url')
      .toString()
      .replace('"exportWh":1000', '"exportWh":1001');
    expect(altered).toContain('1001');
    const forged = utf8(`${head}.${Buffer.from(altered).toString('base64url')}.${tail}`);
    const bytes = encodeBatchFile({ leaves: [forged, ...leaves.slice(1)], quarantined });
    rig.log.overlay.set(batchOf(firstHour), bytes);
    await expectMended('batch', /^entry 5: it has the root/);
  });

  const otherFiles = [
    {
      name: 'garbage for a batch file',
      path: () => batchOf(lastHour),
      bytes: () => utf8('no batch'),
      code: 'batch',
      reason: /^entry 8: /,
    },
    {
      name: 'the batch of another hour',
      path: () => batchOf(lastHour),
      bytes: () => batchBytes(firstHour),
      code: 'batch',
      reason: /^entry 8: it has the root/,
    },
    {
      name: 'garbage for entries',
      path: () => 'tile/entries/000.p/10',
      bytes: () => utf8('?'),
      code: 'bundle',
      reason: /^the bundle ends/,
    },
    {
      name: 'garbage for meter records',
      path: () => 'meters/000.p/10',
      bytes: () => utf8('?'),
      code: 'records',
      reason: /cut off/,
    },
  ];
  test.each(otherFiles)('$name', async ({ path, bytes, code, reason }) => {
    rig.log.overlay.set(path(), bytes());
    await expectMended(code, reason);
  });

  test('records of another hour', async () => {
    const records = [...rig.log.records];
    records[lastHour] = records[firstHour] ?? [];
    const bytes = encodeFramed(records.map((own) => encodeFramed(own)));
    rig.log.overlay.set('meters/000.p/10', bytes);
    await expectMended('records', /^entry 8: the meter records have another root/);
  });

  test('entries that are in no signed tree, and folds none of them', async () => {
    const read = httpLogReader(rig.log.url);
    const core = createAuditor({ read, signatures: createSignatureCheck() });
    const forged = people.account('mallory');
    const entries = [
      ...rig.log.entries.slice(0, firstHour),
      encodeEntry({ ...forged, time: t0 }),
      ...rig.log.entries.slice(firstHour + 1),
    ];
    rig.log.overlay.set('tile/entries/000.p/10', encodeBundle(entries));
    expect(await core.judge(rig.log.checkpoint())).toMatchObject([
      { index: undefined, code: 'root' },
    ]);
    expect(core.report().entries).toBe(0);
    expect(core.state.accounts.size).toBe(0);
    rig.log.overlay.clear();
    expect(await core.judge(rig.log.checkpoint())).toEqual([]);
    expect(core.report()).toMatchObject({ entries: 10, hours, openChains: 0 });
  });

  test('under a checkpoint with another root, also at the size that was judged', async () => {
    await rig.judge(rig.log.checkpoint(firstHour));
    for (const size of [firstHour, rig.log.entries.length]) {
      const other = { ...rig.log.checkpoint(size), root: emptyRoot };
      expect((await rig.refusal(other)).code).toBe('root');
    }
    await rig.expectAgreed();
  });
});

describe('a log that omits evidence', () => {
  const expectMissing = async (reason: RegExp): Promise<void> => {
    await rig.judge(rig.log.checkpoint(firstHour));
    const error: unknown = await rig.judge().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(Failed);
    expect(error).toMatchObject({
      code: 'evidence-missing',
      message: expect.stringMatching(reason) as string,
    });
    rig.log.overlay.clear();
    await rig.expectAgreed();
  };

  const bundle = (): string => 'tile/entries/000.p/10';
  const records = (): string => 'meters/000.p/10';
  const batch = (): string => batchOf(lastHour);
  const absent = [
    {
      name: 'a batch file',
      path: batch,
      answer: 404,
      reason: /^entry 8: batch\/\w{64} is missing/,
    },
    {
      name: 'a bundle',
      path: bundle,
      answer: 404,
      reason: /^tile\/entries\/000\.p\/10 is missing/,
    },
    { name: 'meter records', path: records, answer: 404, reason: /^meters\/000\.p\/10 is missing/ },
    { name: 'an answer', path: batch, answer: 500, reason: /status 500/ },
    { name: 'the place', path: batch, answer: '/checkpoint', reason: /status 302/ },
    {
      name: 'the end',
      path: batch,
      answer: new Uint8Array(limitBytes + 1),
      reason: /above 1000000 bytes/,
    },
  ];
  test.each(absent)('$name', async ({ path, answer, reason }) => {
    rig.log.overlay.set(path(), answer);
    await expectMissing(reason);
  });
});

test('a judgement that is cut short goes on where it stood', async () => {
  const aborted = AbortSignal.abort(new Error('too long'));
  await expect(rig.auditor.judge(rig.log.checkpoint(), aborted)).rejects.toThrow('too long');
  await rig.expectAgreed();
});

describe('a log of more entries than are kept', () => {
  const grow = (): void => {
    for (let i = 0; i < 260; i++)
      rig.log.append({ kind: 'void', spec: { ...rig.log.ref(0), code: 'x' } });
  };
  const keepNothing = (): Auditor => {
    const read = httpLogReader(rig.log.url);
    return createAuditor({ read, signatures: createSignatureCheck(), keptLimitBytes: 0 });
  };

  test('is judged bundle by bundle, to the same end', async () => {
    grow();
    const core = keepNothing();
    const findings = await core.judge(rig.log.checkpoint());
    expect(findings).toHaveLength(260);
    expect(await core.judge(rig.log.checkpoint())).toEqual(findings);
    expect(core.report()).toMatchObject({ entries: 270, hours });
  });

  test('that change between two looks are not folded', async () => {
    grow();
    const core = keepNothing();
    const steps = core.advance(rig.log.checkpoint());
    // All is hashed by now, and nothing is folded.
    expect((await steps.next()).value).toMatchObject({ entries: 0 });
    const checkpoint = rig.log.checkpoint();
    rig.log.change(lastHour, (spec) => ({ ...spec, generation: 999 }));
    expect((await steps.next()).value).toMatchObject({ code: 'root' });
    expect(core.report().entries).toBe(0);
    expect(await core.judge(checkpoint)).toMatchObject([{ code: 'root' }]);
  });
});
