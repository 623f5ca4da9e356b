import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sha256 } from '#crypto';
import { utf8 } from '#core/bytes.ts';
import { signerFromSeed } from '#core/signer.node.ts';
import { signCheckpoint } from '#core/tlog/checkpoint.ts';
import { noteSigner } from '#core/tlog/note.ts';
import { lockFolder, type FolderLock } from '#platform/folder-lock.ts';
import { encodeRecord, parseRecord, type Head, type SignedCheckpoint } from '#witness/records.ts';
import { openWitnessStore, type WitnessStore } from '#witness/store.ts';

const signer = signerFromSeed(sha256(utf8('log')));
const limits = { storeBytes: 1_000_000 };
let folder: string;
let lock: FolderLock;
let store: WitnessStore;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'hourseal-heads-'));
  lock = await lockFolder(folder);
  store = await openWitnessStore(lock, limits);
});
afterEach(async () => {
  await store.close();
  await lock.release();
  rmSync(folder, { recursive: true, force: true });
});

function signed(size: number, name = 'a', origin = 'a log'): SignedCheckpoint {
  const checkpoint = { origin, size, root: sha256(utf8(`${name} ${size}`)) };
  return { ...checkpoint, note: signCheckpoint(checkpoint, [noteSigner('signer', signer)]) };
}

function head(size: number, change: Partial<Head> = {}): Head {
  return { record: 'head', checkpoint: signed(size), time: 1_700_000_000, vkey: 'k', ...change };
}

describe('the head of a log', () => {
  it('moves from what it is and from nothing else, and is not seen before it is durable', async () => {
    const [five, six, seven] = [head(5), head(6), head(7)];
    const moving = store.advance(undefined, five);
    expect(store.head('a log')).toBeUndefined();
    await expect(store.advance(undefined, six)).rejects.toMatchObject({ code: 'head-moved' });
    await moving;
    expect(store.head('a log')).toBe(five);
    // Of all that move from one head, one arrives.
    const racing = [six, seven, head(8)].map((to) => store.advance(five, to));
    const ends = (await Promise.allSettled(racing)).map(({ status }) => status);
    expect(ends).toEqual(['fulfilled', 'rejected', 'rejected']);
    expect(store.head('a log')).toBe(six);
    // Equal is not the same: whoever moves the head must have read it.
    await expect(store.advance(head(6), seven)).rejects.toMatchObject({ code: 'head-moved' });
  });

  it('never falls, whoever asks', async () => {
    const five = head(5);
    await store.advance(undefined, five);
    const falls = [
      head(4),
      { ...head(5), checkpoint: signed(5, 'b') },
      head(6, { time: five.time - 1 }),
    ];
    for (const to of falls) {
      await expect(store.advance(five, to)).rejects.toMatchObject({ name: 'Fatal', code: 'head' });
    }
    expect(store.head('a log')).toBe(five);
    await store.advance(five, head(5, { time: five.time + 1 }));
  });

  it('stays where it was when the file did not take the new one', async () => {
    const five = head(5);
    await store.advance(undefined, five);
    await store.close();
    // Had the first attempt left anything behind, the second would find another head.
    for (let attempt = 0; attempt < 2; attempt++) {
      await expect(store.advance(five, head(6))).rejects.toMatchObject({
        name: 'Failed',
        code: 'append-log-closed',
      });
    }
    expect(store.head('a log')).toBe(five);
    expect(store.latestTime()).toBe(five.time);
  });

  it('of every log is kept, with the latest time of all', async () => {
    expect(store.latestTime()).toBe(0);
    await store.advance(undefined, head(5, { time: 9 }));
    await store.advance(undefined, {
      ...head(1, { time: 7 }),
      checkpoint: signed(1, 'a', 'other'),
    });
    expect(store.latestTime()).toBe(9);
    await store.close();
    store = await openWitnessStore(lock, limits);
    expect(store.latestTime()).toBe(9);
    expect(store.head('other')).toEqual({
      ...head(1, { time: 7 }),
      checkpoint: signed(1, 'a', 'other'),
    });
  });
});

describe('what a log did wrong', () => {
  const refusal = { record: 'refusal', time: 7, code: 'gap', reason: 'entry 3: a gap' } as const;

  it('is written once while it stays the same', async () => {
    const bytes = async (): Promise<number> => {
      await store.close();
      const { size } = statSync(join(folder, 'witness'));
      store = await openWitnessStore(lock, limits);
      return size;
    };
    await store.keepRefusal({ ...refusal, checkpoint: signed(5) });
    const once = await bytes();
    for (let time = 8; time < 20; time++) {
      await store.keepRefusal({ ...refusal, time, checkpoint: signed(5) });
    }
    expect(await bytes()).toBe(once);
    expect(store.refusal('a log')?.time).toBe(7);
    await store.keepRefusal({ ...refusal, time: 8, checkpoint: signed(6) });
    expect(store.refusal('a log')).toMatchObject({ time: 8, checkpoint: { size: 6 } });
    expect(await bytes()).toBeGreaterThan(once);
    expect(store.refusal('a log')?.time).toBe(8);
  });

  it('is kept as it was first, when it is a contradiction', async () => {
    const of = (name: string): Parameters<typeof store.keepContradiction>[0] => ({
      record: 'contradiction',
      checkpoint: signed(5),
      other: signed(5, name),
      time: 7,
    });
    await Promise.all([of('b'), of('c')].map(store.keepContradiction));
    expect(store.contradiction('a log')).toEqual(of('b'));
    await store.close();
    store = await openWitnessStore(lock, limits);
    expect(store.contradiction('a log')).toEqual(of('b'));
    expect(store.head('a log')).toBeUndefined();
  });
});

describe('a record', () => {
  it('is read as it was written, and not at all with one byte changed in its form', () => {
    const bytes = encodeRecord(head(5));
    expect(parseRecord(bytes)).toEqual(head(5));
    const text = Buffer.from(bytes).toString();
    for (const bad of [
      text.replace('"head"', '"foot"'),
      text.replace('"time":', '"time": '),
      text.replace('"time":1700000000', '"time":-1'),
      text.replace('"vkey":"k"', '"vkey":"k","more":1'),
      text.replace(/"note":"[^"]*"/, '"note":"AAAA"'),
      text.replace('"note":"', '"note":"='),
      '',
    ]) {
      expect(bad).not.toBe(text);
      expect(() => parseRecord(utf8(bad))).toThrow('a record of the store');
    }
  });
});
