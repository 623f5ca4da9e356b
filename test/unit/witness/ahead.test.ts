import { describe, expect, it } from 'vitest';
import type { OpenLeaves, OpenQuery } from '#core/energy/open-leaves.ts';
import { Failed, Refused } from '#core/errors.ts';
import { createAhead, defaultAheadLimits, type AheadLimits } from '#witness/ahead.ts';

const never = new AbortController().signal;
const { leastWaitMs, mostWaitMs, mostHoldMs, answersPerTurn } = defaultAheadLimits;
const leaf = Uint8Array.of(1);

interface World {
  nowMs: number;
  plants: string[];
  busy: boolean;
  answer: (query: OpenQuery) => OpenLeaves | undefined | Promise<OpenLeaves | undefined>;
  readonly asked: string[];
  readonly verified: number[];
  readonly look: (signal?: AbortSignal) => Promise<void>;
}

function newWorld(plants: string[], limits: Partial<AheadLimits> = {}): World {
  const world: World = {
    nowMs: 0,
    plants,
    busy: false,
    answer: () => ({ leaves: [], next: '', more: false }),
    asked: [],
    verified: [],
    look: (signal = never) => ahead(signal),
  };
  const ahead = createAhead({
    source: {
      plants: () => world.plants.map((plant) => ({ plant, isPrivate: plant.startsWith('c') })),
      ahead: async (leaves) => {
        world.verified.push(leaves.length);
      },
    },
    read: async (query) => {
      world.asked.push(`${query.plant} ${query.after}`);
      return world.answer(query);
    },
    isBusy: () => world.busy,
    nowMs: () => world.nowMs,
    random: () => 0,
    limits,
  });
  return world;
}

/** When each of the next `count` requests is made, looking every second. */
async function timesOf(world: World, count: number): Promise<number[]> {
  const times: number[] = [];
  while (times.length < count) {
    world.asked.length = 0;
    await world.look();
    for (const _ of world.asked) times.push(world.nowMs);
    world.nowMs += 1_000;
  }
  return times;
}

describe('reading ahead', () => {
  it('asks again soon where something came, and ever later where nothing does', async () => {
    const world = newWorld(['p']);
    let turn = 0;
    world.answer = () => ({ leaves: turn++ < 2 ? [leaf] : [], next: 'x', more: false });
    const times = await timesOf(world, 12);
    const waits = times.slice(1).map((at, i) => at - (times[i] ?? 0));
    expect(waits.slice(0, 2)).toEqual([leastWaitMs, leastWaitMs]);
    expect(waits.slice(2, 5)).toEqual([2 * leastWaitMs, 4 * leastWaitMs, 8 * leastWaitMs]);
    expect(waits.at(-1)).toBe(mostWaitMs);
  });

  it('goes on from where the last answer ended, until there is no more', async () => {
    const world = newWorld(['p']);
    world.answer = ({ after }) => ({
      leaves: [leaf],
      next: `${after}1`,
      more: after.length < 3,
    });
    await world.look();
    expect(world.asked).toEqual(['p ', 'p 1', 'p 11', 'p 111']);
    expect(world.verified).toEqual([1, 1, 1, 1]);
    world.nowMs += leastWaitMs;
    await world.look();
    expect(world.asked.at(-1)).toBe('p 1111');
  });

  it('takes a number of answers at a time, however much there is', async () => {
    const world = newWorld(['p']);
    world.answer = ({ after }) => ({ leaves: [leaf], next: `${after}1`, more: true });
    await world.look();
    expect(world.asked).toHaveLength(answersPerTurn);
  });

  it('leaves the whole log alone after a failure, longer with each', async () => {
    for (const failure of [new Failed('open', 'no answer'), new Refused('form', 'noise')]) {
      const world = newWorld(['p', 'q'], { concurrentRequests: 1 });
      world.answer = () => Promise.reject(failure);
      const times = await timesOf(world, 10);
      const waits = times.slice(1).map((at, i) => at - (times[i] ?? 0));
      for (const [i, factor] of [1, 2, 4, 8, 16, 32, 64].entries()) {
        expect(waits[i]).toBeGreaterThanOrEqual(factor * leastWaitMs);
      }
      expect(waits.at(-1)).toBe(mostHoldMs);
      world.answer = () => ({ leaves: [leaf], next: '', more: false });
      world.nowMs += mostHoldMs;
      await world.look();
      expect(world.verified.length).toBeGreaterThan(0);
    }
  });

  it('gives every plant its turn, though one always fails', async () => {
    const world = newWorld(['good', 'bad'], { concurrentRequests: 1 });
    world.answer = ({ plant }) => {
      if (plant === 'bad') throw new Refused('signature', 'wrong');
      return { leaves: [leaf], next: '', more: false };
    };
    for (let i = 0; i < 100; i++) {
      await world.look();
      world.nowMs += 1_000;
    }
    expect(world.verified.length).toBeGreaterThan(2);
  });

  it('begins anew after a failure, since the cursor may be why', async () => {
    const world = newWorld(['p']);
    world.answer = () => ({ leaves: [leaf], next: 'x', more: false });
    await world.look();
    world.nowMs += leastWaitMs;
    world.answer = () => Promise.reject(new Failed('open', 'status 400'));
    await world.look();
    world.nowMs += mostHoldMs;
    await world.look();
    expect(world.asked).toEqual(['p ', 'p x', 'p ']);
  });

  it('refuses an answer that leads nowhere', async () => {
    const world = newWorld(['p']);
    world.answer = () => ({ leaves: [leaf], next: '', more: true });
    await world.look();
    expect(world.asked).toHaveLength(1);
    expect(world.verified).toEqual([]);
  });

  it('asks for few plants at a time', async () => {
    const plants = Array.from({ length: 50 }, (_, i) => `p${i}`);
    const world = newWorld(plants);
    let [underWay, most] = [0, 0];
    world.answer = async () => {
      most = Math.max(most, ++underWay);
      await new Promise(setImmediate);
      underWay--;
      return { leaves: [], next: '', more: false };
    };
    await world.look();
    expect(world.asked).toHaveLength(50);
    expect(most).toBe(defaultAheadLimits.concurrentRequests);
  });

  it('stops where a judgement is under way, and when it is told to', async () => {
    const world = newWorld(['p', 'q', 'r']);
    const stopping = new AbortController();
    world.answer = () => {
      world.busy = true;
      return { leaves: [leaf], next: 'x', more: true };
    };
    await world.look();
    expect(world.asked.length).toBeLessThanOrEqual(defaultAheadLimits.concurrentRequests);
    world.busy = false;
    stopping.abort();
    world.asked.length = 0;
    await world.look(stopping.signal);
    expect(world.asked).toEqual([]);
  });

  it('keeps of each plant that there is one cursor, and of all together a bounded length', async () => {
    const world = newWorld(['p', 'q'], { cursorsLimitCharacters: 1_000, concurrentRequests: 1 });
    world.answer = () => ({ leaves: [leaf], next: 'x'.repeat(400), more: false });
    const lengths = async (): Promise<number[]> => {
      world.asked.length = 0;
      world.nowMs += leastWaitMs;
      await world.look();
      return world.asked.map((asked) => asked.split(' ')[1]?.length ?? 0);
    };
    await world.look();
    expect(await lengths()).toEqual([400, 400]);
    world.answer = () => ({ leaves: [leaf], next: 'x'.repeat(600), more: false });
    await lengths();
    expect(await lengths()).toEqual([0, 0]);
    world.plants = ['q'];
    await lengths();
    world.plants = ['p', 'q'];
    expect(await lengths()).toContain(0);
  });

  it('hides no mistake of its own', async () => {
    const world = newWorld(['p']);
    world.answer = () => Promise.reject(new TypeError('a mistake'));
    await expect(world.look()).rejects.toThrow('a mistake');
  });
});
