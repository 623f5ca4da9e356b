import { describe, expect, it } from 'vitest';
import { createTurns } from '#witness/turns.ts';

function held(): { readonly until: Promise<void>; readonly release: () => void } {
  let release: () => void = () => undefined;
  const until = new Promise<void>((resolve) => (release = resolve));
  return { until, release: () => release() };
}

describe('turns', () => {
  it('go one after the other for one thing, in the order of asking, and side by side for two', async () => {
    const turns = createTurns({ waitingPerThing: 10 });
    const [first, other] = [held(), held()];
    const seen: string[] = [];
    const take = (thing: string, name: string, until: Promise<void>): Promise<void> =>
      turns.take(thing, async () => {
        seen.push(`${name} begins`);
        await until;
        seen.push(`${name} ends`);
      });
    const all = [
      take('x', 'x1', first.until),
      take('x', 'x2', Promise.resolve()),
      take('y', 'y1', other.until),
    ];
    other.release();
    await all[2];
    expect(seen).toEqual(['x1 begins', 'y1 begins', 'y1 ends']);
    first.release();
    await Promise.all(all);
    expect(seen.slice(3)).toEqual(['x1 ends', 'x2 begins', 'x2 ends']);
  });

  it('hand on what work gives or throws, and a failure holds up nobody', async () => {
    const turns = createTurns({ waitingPerThing: 10 });
    const failing = turns.take('x', () => Promise.reject(new Error('mine')));
    const next = turns.take('x', () => Promise.resolve(7));
    await expect(failing).rejects.toThrow('mine');
    expect(await next).toBe(7);
  });

  it('are refused beyond the line of one thing, and free again afterwards', async () => {
    const turns = createTurns({ waitingPerThing: 2 });
    const { until, release } = held();
    const three = [1, 2, 3].map((n) => turns.take('x', () => until.then(() => n)));
    await expect(turns.take('x', () => Promise.resolve(4))).rejects.toMatchObject({ code: 'busy' });
    expect(await turns.take('y', () => Promise.resolve(5))).toBe(5);
    let idle = false;
    const whenIdle = turns.whenIdle().then(() => (idle = true));
    await new Promise(setImmediate);
    expect(idle).toBe(false);
    release();
    expect(await Promise.all(three)).toEqual([1, 2, 3]);
    await whenIdle;
    expect(await turns.take('x', () => Promise.resolve(6))).toBe(6);
    await turns.whenIdle();
  });
});
