import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, describe, test } from 'vitest';
import { toHex, utf8 } from '#core/bytes.ts';
import { batchPath, parseBatchFile } from '#core/energy/batch.ts';
import { encodeFramed } from '#core/energy/evidence-file.ts';
import { sha256 } from '#crypto';
import * as people from '#support/log-people.ts';
import { removeTestFolders } from '#support/test-ledger.ts';
import { cancel, firstHour, hours, hourS, lastHour } from './audit-rig.ts';
import { sealedAt, t0, useHostileLog } from './audit-rig.ts';

removeTestFolders();
const rig = useHostileLog();

describe('a log that breaks a rule', () => {
  /** Refused without a void, agreed to once it has one, whether or not the auditor saw it before. */
  const expectVoidable = async (index: number, code: string, reason: RegExp): Promise<void> => {
    await rig.expectRefused(code, reason);
    rig.log.void(index, code);
    await rig.expectAgreed();
  };
  const last = (): number => rig.log.entries.length - 1;

  test('seals an hour twice', async () => {
    rig.log.append({
      kind: 'hour',
      spec: { ...rig.log.spec(lastHour), prev: rig.log.ref(lastHour) },
    });
    await expectVoidable(last(), 'sealed', /^entry 10: that hour is sealed already/);
  });

  test('moves a bundle without its owner', async () => {
    const { kind, spec } = cancel('p1', 1501, 1600);
    const { auth } = cancel('p2', 1501, 1600);
    rig.log.append({ kind, spec, auth });
    await expectVoidable(last(), 'auth', /^entry 10: /);
  });

  test('issues beyond what was generated', async () => {
    rig.log.cut(lastHour + 1);
    rig.log.change(lastHour, (spec) => ({
      ...spec,
      generation: 1001,
      certificates: { deficit: 0, netted: 0, issued: { from: 3001, to: 4001 } },
    }));
    await expectVoidable(lastHour, 'energy', /^entry 8: .* prove 1000 Wh .* stated are 1001 Wh/);
  });

  test('breaks the chain of a plant', async () => {
    rig.log.cut(lastHour + 1);
    rig.log.change(lastHour, (spec) => ({ ...spec, prev: rig.log.ref(firstHour) }));
    await expectVoidable(lastHour, 'prev', /^entry 8: not the plant's latest entry/);
  });

  test('issues numbers a second time', async () => {
    rig.log.cut(lastHour + 1);
    rig.log.change(lastHour, (spec) => ({
      ...spec,
      certificates: { deficit: 0, netted: 0, issued: { from: 2001, to: 3000 } },
    }));
    await expectVoidable(lastHour, 'issued', /^entry 8: unit 2001 was issued before/);
  });

  test('uses a key beyond its span', async () => {
    rig.log.cut(lastHour + 1);
    const { kid } = people.meterSigner('p1-m');
    const end = { kid, lastSeq: hours - 1, lastT: t0 + (hours - 1) * hourS };
    rig.log.insert(lastHour, people.signed('key-end', end, [people.accountSigner('p1')]));
    await expectVoidable(lastHour + 1, 'message', /^entry 9: leaf \d: it does not count: span/);
  });

  test('states another receipt chain, until a correction states the right one', async () => {
    const right = rig.log.records[lastHour] ?? [];
    const { metersRoot, ...spec } = rig.log.spec(lastHour);
    rig.log.cut(lastHour + 1);
    rig.log.changeRecords(lastHour, (record) => ({
      ...record,
      keys: record.keys.map((key) => ({ ...key, chain: toHex(sha256(utf8('another'))) })),
    }));
    await rig.expectRefused('chain', /^entry 8: the receipt chain of /);
    const wrong = rig.log.ref(lastHour);
    const certificates = { deficit: 0, netted: 0, withdrawn: [] };
    const correction = { ...spec, metersRoot, certificates, amends: wrong, prev: wrong };
    rig.log.append({ kind: 'hour-correction', spec: correction }, right);
    await rig.expectAgreed();
  });

  test('appends bytes that are no entry', async () => {
    rig.log.entries.push(utf8('not an entry'));
    rig.log.records.push([]);
    await rig.expectRefused('json', /^entry 10: /);
    // An honest ledger's next entry is a void; the newest readable one is at hand for its time.
    rig.log.append({ kind: 'void', spec: { ...rig.log.ref(10), code: 'json' }, time: sealedAt });
    await rig.expectAgreed();
  });

  test('says of a sound entry that it is void, and a second time of one that was not', async () => {
    rig.log.void(lastHour, 'energy');
    await rig.expectRefused('void', /^entry 10: entry 8 broke no rule/);
    rig.log.void(10, 'void');
    await rig.expectAgreed();
    rig.log.void(10, 'void');
    await rig.expectRefused('void', /^entry 12: entry 10 is void already/);
    rig.log.void(12, 'void');
    await rig.expectAgreed();
  });

  test('gives another reason than that of the violation', async () => {
    rig.log.append({
      kind: 'hour',
      spec: { ...rig.log.spec(lastHour), prev: rig.log.ref(lastHour) },
    });
    rig.log.void(10, 'energy');
    const error = await rig.refusal();
    expect(error).toMatchObject({ code: 'sealed' });
    rig.log.void(11, 'void');
    await rig.expectRefused('sealed', /^entry 10: /);
    rig.log.void(10, 'sealed');
    await rig.expectAgreed();
  });

  test('names evidence that nobody has: no, until it takes the entry back itself', async () => {
    rig.log.cut(lastHour + 1);
    rig.log.change(lastHour, (spec) => ({ ...spec, batchRoot: toHex(sha256(utf8('nothing'))) }));
    await expect(rig.judge()).rejects.toMatchObject({ code: 'evidence-missing' });
    rig.log.void(lastHour, 'energy');
    await expect(rig.judge()).rejects.toMatchObject({ code: 'evidence-missing' });
    rig.log.cut(lastHour + 1);
    rig.log.void(lastHour, 'batch');
    await rig.expectAgreed();
  });

  test('reports a fork that is none', async () => {
    const { kid } = people.meterSigner('p1-m');
    const batch = batchPath(String(rig.log.spec(firstHour).batchRoot));
    const { leaves } = parseBatchFile(readFileSync(join(rig.folder, batch)));
    const [leaf = new Uint8Array()] = leaves;
    const evidence = encodeFramed([leaf, leaf]);
    const spec = { evidence: toHex(sha256(evidence)), kid, seq: 1 };
    rig.log.overlay.set(`evidence/${spec.evidence}`, evidence);
    rig.log.append({ kind: 'fork', spec });
    await expectVoidable(last(), 'evidence', /^entry 10: the same message twice/);
  });

  test('states who holds what, and it is not so', async () => {
    const spec = { asOf: 9, count: hours, root: toHex(sha256(utf8('another'))) };
    rig.log.append(people.signed('rules', { ...people.rulesOfTest, version: 2 }));
    rig.log.append({ kind: 'state', spec });
    await expectVoidable(last(), 'root', /^entry 11: not the root of the ranges as of 9/);
  });

  test('is ahead of the clock by more than 60 s, as long as it is', async () => {
    rig.log.append({ ...people.account('p2'), time: sealedAt + 60 });
    await rig.expectAgreed();
    rig.log.append({ ...people.account('p3'), time: sealedAt + 61 });
    await rig.expectRefused('time-ahead', /^entry 11: its time is 61 s ahead/);
    await rig.clock.advance((sealedAt + 1) * 1000);
    await rig.expectAgreed();
  });

  test('uses a kind in force that this program does not know', async () => {
    const kinds = [...people.rulesOfTest.kinds, 'mystery'].sort();
    const rules = people.signed('rules', { ...people.rulesOfTest, kinds, version: 2 });
    rig.log.append(rules);
    await rig.expectAgreed();
    rig.log.append({ kind: 'mystery', spec: {} });
    await rig.expectRefused('unknown-kind', /^entry 11: .*mystery/);
    rig.log.void(11, 'kind');
    await rig.expectRefused('unknown-kind', /^entry 11: /);
  });
});
