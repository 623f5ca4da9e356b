import { describe, expect, it } from 'vitest';
import { createLine } from '#broker/line.ts';

/** Work that ends when it is told to. */
function worker(): { work: () => Promise<void>; begun: () => boolean; end: () => void } {
  let end: () => void = () => undefined;
  let begun = false;
  const work = (): Promise<void> => {
    begun = true;
    return new Promise((resolve) => {
      end = resolve;
    });
  };
  return { work, begun: () => begun, end: () => end() };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const isHere = (): boolean => false;

describe('the line of those who connect', () => {
  it('does so many at a time, in the order of their coming', async () => {
    const line = createLine({ connecting: 2, connectWaitMs: 60_000 });
    const all = [worker(), worker(), worker(), worker()];
    const done = all.map(({ work }) => line.inTurn(work, isHere));
    await turn();
    expect(all.map(({ begun }) => begun())).toEqual([true, true, false, false]);
    expect(line.waiting()).toBe(2);
    all[1]?.end();
    await done[1];
    await turn();
    expect(all.map(({ begun }) => begun())).toEqual([true, true, true, false]);
    for (const one of all) one.end();
    await turn();
    all[3]?.end();
    await Promise.all(done);
    expect(line.waiting()).toBe(0);
  });

  it('gives the place of one that fails to the next', async () => {
    const line = createLine({ connecting: 1, connectWaitMs: 60_000 });
    await expect(line.inTurn(() => Promise.reject(new Error('no')), isHere)).rejects.toThrow('no');
    expect(await line.inTurn(() => Promise.resolve('yes'), isHere)).toBe('yes');
  });

  it('passes over who has gone, and who has waited too long', async () => {
    const line = createLine({ connecting: 1, connectWaitMs: 20 });
    const first = worker();
    const begun = line.inTurn(first.work, isHere);
    const gone = line.inTurn(
      () => Promise.resolve(),
      () => true,
    );
    const late = line.inTurn(() => Promise.resolve(), isHere);
    const failures = Promise.allSettled([gone, late]);
    await new Promise((resolve) => setTimeout(resolve, 50));
    first.end();
    await begun;
    expect(await failures).toMatchObject([
      { reason: { code: 'busy', message: 'it has gone' } },
      { reason: { code: 'busy', message: 'too many connect at once' } },
    ]);
    // With nobody before it nobody waits.
    expect(await line.inTurn(() => Promise.resolve('in'), isHere)).toBe('in');
  });
});
