import { describe, expect, it } from 'vitest';
import { mapBounded, readAhead } from '#core/certificate/audit/read-ahead.ts';

/** Work that ends when, and as, the test says. */
function controlled() {
  const begun: number[] = [];
  const ends = new Map<number, { resolve: () => void; reject: (error: Error) => void }>();
  const work = (item: number): Promise<number> => {
    begun.push(item);
    return new Promise((resolve, reject) => {
      ends.set(item, {
        resolve: () => {
          resolve(item * 10);
        },
        reject,
      });
    });
  };
  const end = (item: number): void => ends.get(item)?.resolve();
  const fail = (item: number): void => ends.get(item)?.reject(new Error(`item ${item}`));
  return { begun, work, end, fail };
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const items = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

describe('reading ahead', () => {
  it.each([0, 1, 3, 9])('begins %d beyond the one that is waited for', async (depth) => {
    const { begun, work, end } = controlled();
    const outcomes = readAhead(items(6), depth, work);
    for (let at = 0; at < 6; at++) {
      const next = outcomes.next();
      await settle();
      expect(begun).toEqual(items(Math.min(6, at + 1 + depth)));
      // What comes later may be there first.
      for (const item of begun.toReversed()) end(item);
      expect(await next).toEqual({ done: false, value: at * 10 });
    }
    expect((await outcomes.next()).done).toBe(true);
  });

  it('throws what the first in order rejects with, in its turn, and no other failure', async () => {
    const { work, end, fail } = controlled();
    const outcomes = readAhead(items(4), 3, work);
    const first = outcomes.next();
    fail(2);
    await settle();
    fail(1);
    end(0);
    expect((await first).value).toBe(0);
    await expect(outcomes.next()).rejects.toThrow('item 1');
    expect((await outcomes.next()).done).toBe(true);
    // The rest fails unheard; an unhandled rejection would end the test run.
    fail(3);
    await settle();
  });

  it('of nothing is nothing', async () => {
    expect((await readAhead([], 3, controlled().work).next()).done).toBe(true);
  });
});

describe('work on several things', () => {
  it('has so many under way, and outcomes in their order', async () => {
    const { begun, work, end } = controlled();
    const all = mapBounded(items(5), 2, work);
    for (const item of [1, 2, 0, 4, 3]) {
      await settle();
      expect(begun).toContain(item);
      expect(begun.length).toBeLessThanOrEqual(5);
      end(item);
    }
    expect(await all).toEqual([0, 10, 20, 30, 40]);
  });

  it('begins nothing more after a failure, and throws the first in order', async () => {
    const { begun, work, end, fail } = controlled();
    const all = mapBounded(items(9), 3, work);
    const failed = expect(all).rejects.toThrow('item 1');
    fail(2);
    await settle();
    end(0);
    await settle();
    expect(begun).toEqual([0, 1, 2]);
    fail(1);
    await failed;
    expect(begun).toEqual([0, 1, 2]);
  });

  it('begins no more than there is room for', async () => {
    const { begun, work, end } = controlled();
    const all = mapBounded(items(3), 2, work);
    await settle();
    expect(begun).toEqual([0, 1]);
    for (const item of items(3)) {
      end(item);
      await settle();
    }
    await all;
    expect(await mapBounded([], 2, work)).toEqual([]);
  });
});
