import { describe, expect, test } from 'vitest';
import { manualClock, systemClock } from '#platform/clock.ts';

const start = 1_700_000_000_000;

describe('the manual clock', () => {
  test('stands still until it is stepped', async () => {
    const clock = manualClock(start + 999);
    expect(clock.nowMs()).toBe(start + 999);
    expect(clock.nowS()).toBe(start / 1000);
    await clock.advance(start + 1000);
    expect(clock.nowS()).toBe(start / 1000 + 1);
  });

  test('wakes sleepers in the order of time, equal ones in the order of arrival, at their time', async () => {
    const clock = manualClock(start);
    const woken: [string, number][] = [];
    const sleeper = async (name: string, ms: number): Promise<void> => {
      await clock.sleep(ms);
      woken.push([name, clock.nowMs() - start]);
    };
    const all = [sleeper('c', 30), sleeper('a', 10), sleeper('b1', 20), sleeper('b2', 20)];
    all.push(sleeper('late', 5000));
    expect(clock.pendingSleepers()).toBe(5);
    expect(clock.nextWakeMs()).toBe(start + 10);
    await clock.advance(start + 100);
    expect(woken).toEqual([
      ['a', 10],
      ['b1', 20],
      ['b2', 20],
      ['c', 30],
    ]);
    expect(clock.nowMs()).toBe(start + 100);
    expect(clock.pendingSleepers()).toBe(1);
    await clock.advance(start + 5000);
    await Promise.all(all);
    expect(clock.nextWakeMs()).toBeUndefined();
  });

  test('a loop that sleeps again and again ticks at every time on the way', async () => {
    const clock = manualClock(start);
    const ticks: number[] = [];
    const stop = new AbortController();
    const loop = (async () => {
      for (;;) {
        await clock.sleep(60_000, stop.signal);
        ticks.push((clock.nowMs() - start) / 60_000);
      }
    })();
    await clock.advance(start + 300_000);
    expect(ticks).toEqual([1, 2, 3, 4, 5]);
    stop.abort(new Error('over'));
    await expect(loop).rejects.toThrow('over');
    expect(clock.pendingSleepers()).toBe(0);
  });

  test('waits for the owner to say that nothing is in flight before it goes on', async () => {
    const told: string[] = [];
    const clock = manualClock(start, {
      settled: async () => {
        await new Promise((resolve) => setTimeout(resolve, 5));
        told.push(`settled at ${clock.nowMs() - start}`);
      },
    });
    const one = clock.sleep(10).then(() => told.push('woken'));
    await clock.advance(start + 20);
    await one;
    expect(told).toEqual(['settled at 0', 'woken', 'settled at 10']);
  });

  test('refuses to go back, to a fraction, or two ways at once', async () => {
    const clock = manualClock(start);
    await expect(clock.advance(start - 1)).rejects.toThrow(RangeError);
    await expect(clock.advance(start + 0.5)).rejects.toThrow(RangeError);
    const step = clock.advance(start + 10);
    await expect(clock.advance(start + 20)).rejects.toThrow('already');
    await step;
    await clock.advance(start + 20);
    expect(() => manualClock(Number.NaN)).toThrow(RangeError);
  });

  test('sleeping no time needs no step, and an aborted sleep never begins', async () => {
    const clock = manualClock(start);
    await clock.sleep(0);
    await clock.sleep(-5);
    const reason = new Error('no');
    await expect(clock.sleep(10, AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(clock.pendingSleepers()).toBe(0);
  });
});

describe('the system clock', () => {
  test('tells the time in whole units', () => {
    expect(Number.isSafeInteger(systemClock.nowMs())).toBe(true);
    expect(systemClock.nowS()).toBe(Math.floor(systemClock.nowS()));
  });

  test('a sleep ends early with the reason of its signal, also one beyond what a timer holds', async () => {
    const stop = new AbortController();
    const reason = new Error('wake up');
    const sleeping = systemClock.sleep(2 ** 40, stop.signal);
    stop.abort(reason);
    await expect(sleeping).rejects.toBe(reason);
    await expect(systemClock.sleep(1, stop.signal)).rejects.toBe(reason);
    await systemClock.sleep(1);
  });
});
