import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { toHex, utf8 } from '#core/bytes.ts';
import { buildMessage, parseMessage } from '#core/energy/message.ts';
import { buildReceipt, emptyChain, extendChain, type Receipt } from '#core/energy/receipt.ts';
import { signerFromSeed } from '#core/signer.node.ts';
import { openFileStore, receiptInFile } from '#devices/file-store.ts';
import {
  createMemoryJournal,
  type StoreJournal,
  type StoreRecord,
} from '#devices/store-journal.ts';
import { defaultStoreLimits, openStore, type MessageStore } from '#devices/store.ts';

const signer = signerFromSeed(new Uint8Array(32).fill(7));
const ingestion = signerFromSeed(new Uint8Array(32).fill(9));
const owner = { meter: 'M-1', kid: signer.kid };
const startS = 1_780_002_000;

function signed(seq: number, value = seq * 10): string {
  const readings = [{ t: startS + seq * 60, registers: { exportWh: value } }];
  return buildMessage(signer, { v: 1, log: 'l.example', plant: 'p', meter: 'M-1', seq, readings });
}

function chainOf(through: number): Uint8Array {
  let chain: Uint8Array = emptyChain;
  for (let seq = 1; seq <= through; seq++) {
    chain = extendChain(chain, parseMessage(utf8(signed(seq))).hash);
  }
  return chain;
}

function receipt(throughSeq: number, changes: Partial<Receipt> = {}): Receipt {
  const chain = toHex(chainOf(throughSeq));
  return { kid: signer.kid, throughSeq, chain, missing: [], refused: [], ...changes };
}

const jwsOf = (given: Receipt): string => buildReceipt(ingestion, given);

function settle(store: MessageStore, given: Receipt): ReturnType<MessageStore['settle']> {
  return store.settle(given, jwsOf(given));
}

async function fill(store: MessageStore, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await store.append((seq) => signed(seq));
}

/** A journal in memory that outlives its store, and fails on request, having persisted or not. */
function faultyJournal(): StoreJournal & {
  records: StoreRecord[];
  fail: 'never' | 'and-persisted' | 'and-not-persisted';
  replaced: number;
} {
  const journal = {
    records: [] as StoreRecord[],
    fail: 'never' as 'never' | 'and-persisted' | 'and-not-persisted',
    replaced: 0,
    read: async () => [...journal.records],
    append: async (record: StoreRecord) => {
      if (journal.fail !== 'and-not-persisted') journal.records.push(record);
      if (journal.fail !== 'never') throw new Error('the disk is gone');
    },
    replace: async (records: readonly StoreRecord[]) => {
      journal.records = [...records];
      journal.replaced++;
    },
    close: async () => undefined,
  };
  return journal;
}

describe.each(['memory', 'file'] as const)('a store in %s', (kind) => {
  let folder = '';
  let store: MessageStore;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hourseal-store-'));
    store =
      kind === 'memory'
        ? await openStore(createMemoryJournal(), owner)
        : await openFileStore(join(folder, 'store'), owner);
  });
  afterEach(async () => {
    await store.close();
    await rm(folder, { recursive: true });
  });

  it('numbers messages from 1 without gaps, also when many ask at once', async () => {
    const stored = await Promise.all(
      Array.from({ length: 20 }, () => store.append((seq) => signed(seq))),
    );
    expect(stored.map(({ seq }) => seq)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
    expect(store.state()).toMatchObject({ lastSeq: 20, count: 20, lastT: startS + 1200 });
    expect(store.get(20)?.jws).toBe(signed(20));
  });

  it('uses a number again when signing failed', async () => {
    await expect(
      store.append(() => {
        throw new Error('no key');
      }),
    ).rejects.toThrow('no key');
    expect((await store.append((seq) => signed(seq))).seq).toBe(1);
    await expect(store.append((seq) => signed(seq + 1))).rejects.toThrow('signed as seq 3');
  });

  it('drops what a receipt covers, and goes on from its chain', async () => {
    await fill(store, 5);
    expect(await settle(store, receipt(0))).toEqual({ kind: 'kept', dropped: 0, resend: [] });
    expect(await settle(store, receipt(3))).toMatchObject({ dropped: 3 });
    expect(store.get(3)).toBeUndefined();
    expect(store.get(4)?.seq).toBe(4);
    expect(await settle(store, receipt(2))).toEqual({ kind: 'stale' });
    expect(await settle(store, receipt(5))).toMatchObject({ dropped: 2 });
    expect(store.state()).toMatchObject({ count: 0, sizeBytes: 0, throughSeq: 5, lastSeq: 5 });
  });

  it('drops nothing on a receipt with another chain or for another key', async () => {
    await fill(store, 3);
    const wrong = receipt(3, { chain: toHex(chainOf(2)) });
    await expect(settle(store, wrong)).rejects.toMatchObject({ code: 'chain' });
    const other = receipt(3, { kid: 'A'.repeat(43) });
    await expect(settle(store, other)).rejects.toMatchObject({ code: 'key' });
    expect(store.state().count).toBe(3);
    await settle(store, receipt(3));
    const again = receipt(3, { chain: toHex(chainOf(2)) });
    await expect(settle(store, again)).rejects.toMatchObject({ code: 'chain' });
  });

  it('keeps the newest receipt as it came, and no older or wrong one in its place', async () => {
    await fill(store, 5);
    expect(store.receipt()).toBeUndefined();
    await settle(store, receipt(0));
    expect(store.receipt()).toBeUndefined();
    await settle(store, receipt(3));
    const kept = { jws: jwsOf(receipt(3)), seq: 3 };
    expect(store.receipt()).toEqual(kept);
    await settle(store, receipt(2));
    await settle(store, receipt(3, { missing: [{ from: 5, to: 5 }] }));
    const wrong = receipt(4, { chain: toHex(chainOf(3)) });
    await expect(settle(store, wrong)).rejects.toMatchObject({ code: 'chain' });
    await expect(settle(store, receipt(6))).rejects.toMatchObject({ code: 'store-rolled-back' });
    expect(store.receipt()).toEqual(kept);
    await settle(store, receipt(4));
    expect(store.receipt()).toEqual({ jws: jwsOf(receipt(4)), seq: 4 });
  });

  it('takes a receipt for what was given up for its age, which has none yet', async () => {
    await fill(store, 2);
    await store.expire(startS + 121 + defaultStoreLimits.keepS);
    expect(store.receipt()).toBeUndefined();
    expect(await settle(store, receipt(2))).toMatchObject({ kind: 'kept', dropped: 0 });
    expect(store.receipt()).toEqual({ jws: jwsOf(receipt(2)), seq: 2 });
  });

  it('stops when the other side knows more than it has sent: its own disk was rolled back', async () => {
    await fill(store, 2);
    await expect(settle(store, receipt(3))).rejects.toMatchObject({
      name: 'Fatal',
      code: 'store-rolled-back',
    });
  });

  it('puts refused messages aside, and takes them back on request', async () => {
    await fill(store, 3);
    const sentHash = store.get(2)?.sentHash ?? '';
    expect(await store.setAside(sentHash, 'future')).toBe(2);
    expect(await store.setAside('0'.repeat(64), 'future')).toBeUndefined();
    expect([...store.state().aside]).toEqual([[2, 'future']]);
    expect(await store.retryAside()).toEqual([2]);
    expect(store.state().aside.size).toBe(0);
  });

  it('gives up the oldest after 45 days, and can still follow the chain', async () => {
    await fill(store, 4);
    const keepS = defaultStoreLimits.keepS;
    expect(await store.expire(startS + 60 + keepS)).toBeUndefined();
    expect(await store.expire(startS + 121 + keepS)).toEqual({ from: 1, to: 2 });
    expect(store.state()).toMatchObject({ count: 2, throughSeq: 2 });
    expect(await settle(store, receipt(4))).toMatchObject({ dropped: 2 });
  });
});

describe('a full store', () => {
  it('refuses new readings and keeps the old ones, by count and by size', async () => {
    const sizeBytes = signed(1).length;
    for (const limits of [{ countLimit: 2 }, { sizeLimitBytes: 2 * sizeBytes - 1 }]) {
      const store = await openStore(createMemoryJournal(), owner, {
        ...defaultStoreLimits,
        ...limits,
      });
      await fill(store, 2);
      const more = store.append((seq) => signed(seq));
      await expect(more).rejects.toMatchObject({ name: 'Failed', code: 'store-full' });
      expect(store.get(1)?.seq).toBe(1);
      await settle(store, receipt(2));
      expect((await store.append((seq) => signed(seq))).seq).toBe(3);
    }
  });
});

describe('a store over a failing disk', () => {
  it.each(['and-persisted', 'and-not-persisted'] as const)(
    'never signs one number twice: the write failed, %s',
    async (fail) => {
      const journal = faultyJournal();
      const store = await openStore(journal, owner);
      await fill(store, 2);
      journal.fail = fail;
      const lost = store.append((seq) => signed(seq));
      await expect(lost).rejects.toMatchObject({ name: 'Failed', code: 'store-broken' });
      journal.fail = 'never';
      const shut = store.append((seq) => signed(seq, 999));
      await expect(shut).rejects.toMatchObject({ code: 'store-broken' });

      const again = await openStore(journal, owner);
      expect(again.state().lastSeq).toBe(fail === 'and-persisted' ? 3 : 2);
      const next = await again.append((seq) => signed(seq));
      expect(next.seq).toBe(fail === 'and-persisted' ? 4 : 3);
      const seqs = journal.records.flatMap((record) =>
        record.kind === 'message' ? [parseMessage(utf8(record.jws)).message.seq] : [],
      );
      expect(seqs).toEqual([...new Set(seqs)]);
    },
  );

  it('writes its journal anew when most of it no longer matters, and reads the same from it', async () => {
    const journal = faultyJournal();
    const store = await openStore(journal, owner);
    let chain: Uint8Array = emptyChain;
    for (let i = 1; i <= 1100; i++) {
      const { hash, seq } = await store.append((next) => signed(next));
      chain = extendChain(chain, hash);
      await settle(store, receipt(0, { throughSeq: seq, chain: toHex(chain) }));
    }
    await fill(store, 2);
    await store.setAside(store.get(1102)?.sentHash ?? '', 'form');
    expect(journal.replaced).toBeGreaterThan(0);
    expect(journal.records.length).toBeLessThan(2100);
    const again = await openStore(journal, owner);
    expect(again.state()).toEqual(store.state());
    expect(again.receipt()).toEqual(store.receipt());
    expect(again.receipt()?.seq).toBe(1100);
    const third = await again.append((seq) => signed(seq));
    expect(third.seq).toBe(1103);
  });

  it('refuses a journal of another meter, and one that contradicts itself', async () => {
    const journal = faultyJournal();
    await fill(await openStore(journal, owner), 2);
    const other = openStore(journal, { ...owner, meter: 'M-2' });
    await expect(other).rejects.toMatchObject({ name: 'Refused', code: 'store' });
    const [first] = journal.records;
    if (first === undefined) throw new Error('nothing was written');
    journal.records.splice(1, 1);
    await expect(openStore(journal, owner)).rejects.toMatchObject({ name: 'Fatal' });
    journal.records = journal.records.slice(1);
    await expect(openStore(journal, owner)).rejects.toMatchObject({ name: 'Fatal' });
    journal.records = [first, { kind: 'through', seq: 1, chain: '0'.repeat(64) }];
    await expect(openStore(journal, owner)).rejects.toMatchObject({ name: 'Fatal' });
  });
});

describe('a store in a file', () => {
  let folder = '';
  const path = (): string => join(folder, 'messages');

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hourseal-store-'));
  });
  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  it('finds everything again: messages, what is settled, what is aside', async () => {
    const store = await openFileStore(folder, owner);
    await fill(store, 4);
    await settle(store, receipt(2));
    await store.setAside(store.get(4)?.sentHash ?? '', 'future');
    const before = store.state();
    await store.close();
    const again = await openFileStore(folder, owner);
    expect(again.state()).toEqual(before);
    expect(again.get(3)?.jws).toBe(signed(3));
    expect(await settle(again, receipt(4))).toMatchObject({ dropped: 2 });
    await again.close();
  });

  it('belongs to one process at a time', async () => {
    const store = await openFileStore(folder, owner);
    await expect(openFileStore(folder, owner)).rejects.toMatchObject({ code: 'folder-in-use' });
    await store.close();
    await (await openFileStore(folder, owner)).close();
  });

  it('loses only the torn message when it crashed while writing it, wherever the tear is', async () => {
    const store = await openFileStore(folder, owner);
    await fill(store, 2);
    const whole = await readFile(path());
    await store.append((seq) => signed(seq));
    const full = await readFile(path());
    await store.close();
    for (let size = whole.length; size < full.length; size += 13) {
      await writeFile(path(), full);
      await truncate(path(), size);
      const again = await openFileStore(folder, owner);
      expect(again.state().lastSeq).toBe(2);
      // Nobody has seen the torn message: the number is signed again, with what is measured now.
      expect((await again.append((seq) => signed(seq, 777))).seq).toBe(3);
      await again.close();
    }
  });

  it('drops messages and keeps their receipt in one write, wherever it is torn', async () => {
    const store = await openFileStore(folder, owner);
    await fill(store, 4);
    await settle(store, receipt(2));
    const before = await readFile(path());
    await settle(store, receipt(4));
    await store.close();
    const full = await readFile(path());
    for (let size = before.length; size <= full.length; size++) {
      const file = full.subarray(0, size);
      const seq = size === full.length ? 4 : 2;
      expect(receiptInFile(file)).toEqual({ jws: jwsOf(receipt(seq)), seq });
      if (size % 41 !== 0 && size < full.length) continue;
      await writeFile(path(), file);
      const again = await openFileStore(folder, owner);
      expect(again.receipt()?.seq).toBe(seq);
      expect(again.state()).toMatchObject({ throughSeq: seq, count: 4 - seq });
      await again.close();
    }
  });

  it('opens what an earlier version wrote, which kept no receipt', async () => {
    const journal = faultyJournal();
    const old = await openStore(journal, owner);
    await fill(old, 3);
    journal.records.push({ kind: 'through', seq: 2, chain: toHex(chainOf(2)) });
    const store = await openStore(journal, owner);
    expect(store.receipt()).toBeUndefined();
    await settle(store, receipt(2));
    expect(store.receipt()?.seq).toBe(2);
    expect((await openStore(journal, owner)).receipt()?.seq).toBe(2);
  });

  it('refuses a file damaged in its middle, and leaves it as it is', async () => {
    const store = await openFileStore(folder, owner);
    await fill(store, 3);
    await store.close();
    const bytes = await readFile(path());
    const middle = Math.floor(bytes.length / 2);
    bytes[middle] = (bytes[middle] ?? 0) ^ 1;
    await writeFile(path(), bytes);
    await expect(openFileStore(folder, owner)).rejects.toMatchObject({ name: 'Refused' });
    expect(await readFile(path())).toEqual(bytes);
  });
});
