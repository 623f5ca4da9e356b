import { describe, expect, it } from 'vitest';
import { Failed } from '#core/errors.ts';
import { createBatcher, type BatchLimits } from '#ingestion/batcher.ts';

const limits: BatchLimits = {
  batchMessages: 4,
  batchBytes: 100,
  gatherMs: 1,
  queueMessages: 8,
  queueBytes: 1_000,
};

/** A commit that its test lets through, one batch at a time. */
function heldCommit(): {
  batches: number[][];
  commit: (items: readonly number[]) => Promise<void>;
  release: (error?: Error) => void;
} {
  const batches: number[][] = [];
  let held: { resolve: () => void; reject: (error: Error) => void } | undefined;
  return {
    batches,
    commit: (items) => {
      batches.push([...items]);
      return new Promise((resolve, reject) => {
        held = { resolve, reject };
      });
    },
    release: (error) => {
      const now = held;
      held = undefined;
      if (error === undefined) now?.resolve();
      else now?.reject(error);
    },
  };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}

describe('the batcher', () => {
  it('settles nothing before its batch is committed, and gathers the next one meanwhile', async () => {
    const { batches, commit, release } = heldCommit();
    const batcher = createBatcher<number>(limits, commit);
    const settled: number[] = [];
    const submit = (item: number): Promise<void> =>
      batcher.submit(item, 1).then(() => void settled.push(item));
    const all = [submit(1)];
    await until(() => batches.length === 1);
    all.push(submit(2), submit(3));
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(settled).toEqual([]);
    expect(batches).toEqual([[1]]);
    release();
    await until(() => batches.length === 2);
    expect(settled).toEqual([1]);
    release();
    await Promise.all(all);
    expect(batches).toEqual([[1], [2, 3]]);
    expect(settled).toEqual([1, 2, 3]);
  });

  it('keeps the order of arrival and both limits of a batch', async () => {
    const batches: number[][] = [];
    const batcher = createBatcher<number>(limits, async (items) => void batches.push([...items]));
    await Promise.all([1, 2, 3, 4, 5, 6].map((item) => batcher.submit(item, item === 5 ? 99 : 1)));
    expect(batches).toEqual([
      [1, 2, 3, 4],
      [5, 6],
    ]);
    await Promise.all([7, 8].map((item) => batcher.submit(item, 60)));
    expect(batches.slice(2)).toEqual([[7], [8]]);
  });

  it('refuses to hold more than its queue may, by count and by bytes', async () => {
    const { commit, release, batches } = heldCommit();
    const batcher = createBatcher<number>(limits, commit);
    const first = batcher.submit(0, 1);
    await until(() => batches.length === 1);
    const waiting = [1, 2, 3].map((item) => batcher.submit(item, 300));
    await expect(batcher.submit(4, 300)).rejects.toMatchObject({ code: 'busy' });
    waiting.push(...[5, 6, 7, 8, 9].map((item) => batcher.submit(item, 1)));
    await expect(batcher.submit(10, 1)).rejects.toMatchObject({ code: 'busy' });
    const freed = setInterval(() => {
      release();
    }, 1);
    await Promise.all([first, ...waiting]);
    clearInterval(freed);
  });

  it('gives a batch back as a whole when the database fails, and goes on', async () => {
    const { batches, commit, release } = heldCommit();
    const batcher = createBatcher<number>(limits, commit);
    const lost = Promise.allSettled([batcher.submit(1, 1), batcher.submit(2, 1)]);
    await until(() => batches.length === 1);
    release(new Failed('database-down', 'gone'));
    expect((await lost).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    const next = batcher.submit(3, 1);
    await until(() => batches.length === 2);
    release();
    await next;
    expect(batches).toEqual([[1, 2], [3]]);
  });

  it('finds the one item that cannot be stored and stores the others', async () => {
    const stored: number[] = [];
    const batcher = createBatcher<number>(limits, async (items) => {
      if (items.includes(3)) throw new RangeError('a message that no table takes');
      stored.push(...items);
    });
    const all = await Promise.allSettled([1, 2, 3, 4].map((item) => batcher.submit(item, 1)));
    expect(all.map(({ status }) => status)).toEqual([
      'fulfilled',
      'fulfilled',
      'rejected',
      'fulfilled',
    ]);
    expect(stored).toEqual([1, 2, 4]);
  });

  it('is idle when everything has settled, what came meanwhile too', async () => {
    const { batches, commit, release } = heldCommit();
    const batcher = createBatcher<number>(limits, commit);
    await batcher.idle();
    let idle = false;
    const all = [batcher.submit(1, 1)];
    await until(() => batches.length === 1);
    const waited = batcher.idle().then(() => {
      idle = true;
    });
    all.push(batcher.submit(2, 1));
    release();
    await until(() => batches.length === 2);
    expect(idle).toBe(false);
    release();
    await Promise.all([...all, waited]);
    expect(batcher.size()).toBe(0);
  });
});
