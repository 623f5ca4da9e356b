import { describe, expect, it } from 'vitest';
import { takeInOrder } from '#platform/kafka/progress.ts';

const longMs = 60_000;

/** Items that end when and how the test says. */
function rig(count: number, inFlight: number) {
  const begun: number[] = [];
  const ends = new Map<number, { done: (is: boolean) => void; fail: (error: Error) => void }>();
  const giveUp = new AbortController();
  const items = Array.from({ length: count }, (_, i) => i);
  const progress = takeInOrder(items, {
    take: (item) =>
      new Promise<boolean>((done, fail) => {
        begun.push(item);
        ends.set(item, { done, fail });
      }),
    inFlight,
    giveUp: giveUp.signal,
  });
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  const end = async (item: number, is = true): Promise<void> => {
    ends.get(item)?.done(is);
    await turn();
  };
  return { progress, begun, end, giveUp, ends, turn };
}

describe('records taken many at once', () => {
  it('begin in order, and never more than may be under way', async () => {
    const { begun, end } = rig(5, 2);
    expect(begun).toEqual([0, 1]);
    await end(1);
    expect(begun).toEqual([0, 1, 2]);
    await end(0);
    await end(2);
    expect(begun).toEqual([0, 1, 2, 3, 4]);
  });

  it('are done as far as there is no gap', async () => {
    const { progress, end } = rig(4, 4);
    await end(1);
    await end(3);
    expect(progress.done()).toBe(0);
    await end(0);
    expect(progress.done()).toBe(2);
    expect(await progress.ended(1)).toBe(false);
    await end(2);
    expect(progress.done()).toBe(4);
    expect(await progress.ended(longMs)).toBe(true);
  });

  it('end early when given up: nothing more begins, what is under way is waited for', async () => {
    const { progress, begun, end, giveUp } = rig(4, 2);
    giveUp.abort();
    await end(0);
    expect(begun).toEqual([0, 1]);
    expect(await progress.ended(1)).toBe(false);
    await end(1, false);
    expect(await progress.ended(longMs)).toBe(true);
    expect(progress.done()).toBe(1);
  });

  it('tell at once what one of them rejects with, and begin no other', async () => {
    const { progress, begun, ends, turn } = rig(4, 2);
    const waiting = progress.ended(longMs);
    ends.get(1)?.fail(new Error('never'));
    await expect(waiting).rejects.toThrow('never');
    await turn();
    expect(begun).toEqual([0, 1]);
    expect(progress.done()).toBe(0);
  });
});
