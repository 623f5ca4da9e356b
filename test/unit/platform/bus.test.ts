import { expect, test } from 'vitest';
import { utf8 } from '#core/bytes.ts';
import { Failed } from '#core/errors.ts';
import { inProcessBus, type News } from '#platform/bus.ts';
import { systemClock } from '#platform/clock.ts';

const limits = { maxWaiting: 3, maxAttempts: 3, retryDelayMs: 1 };
const value = utf8('news');

function gate(): { open: () => void; passed: Promise<void> } {
  let open: () => void = () => undefined;
  const passed = new Promise<void>((resolve) => (open = resolve));
  return { open, passed };
}

test('publishing resolves after every subscriber has handled it, in order', async () => {
  const bus = inProcessBus(systemClock);
  const seen: string[] = [];
  const subscriber =
    (name: string) =>
    async ({ key }: News): Promise<void> => {
      await systemClock.sleep(key === 'a' ? 5 : 0);
      seen.push(`${name} ${key}`);
    };
  bus.subscribe('hours', subscriber('one'));
  bus.subscribe('hours', subscriber('two'));
  bus.subscribe('else', subscriber('three'));
  await Promise.all([bus.publish('hours', 'a', value), bus.publish('hours', 'b', value)]);
  expect(seen.filter((line) => line.startsWith('one'))).toEqual(['one a', 'one b']);
  expect(seen.filter((line) => line.startsWith('two'))).toEqual(['two a', 'two b']);
  expect(seen).toHaveLength(4);
  await bus.publish('nobody listens', 'a', value);
});

test('what fails is tried again, and then counts as handled', async () => {
  const bus = inProcessBus(systemClock, limits);
  let attempts = 0;
  bus.subscribe('hours', () => {
    attempts++;
    return attempts < 3 ? Promise.reject(new Error('not yet')) : Promise.resolve();
  });
  await bus.publish('hours', 'a', value);
  expect(attempts).toBe(3);
});

test('what fails for good takes along what waits under its key, and nothing else', async () => {
  const bus = inProcessBus(systemClock, limits);
  const handled: string[] = [];
  bus.subscribe('hours', ({ key }) => {
    if (key === 'bad') return Promise.reject(new Error('never'));
    handled.push(key);
    return Promise.resolve();
  });
  const ends = await Promise.allSettled([
    bus.publish('hours', 'bad', value),
    bus.publish('hours', 'good', value),
    bus.publish('hours', 'bad', value),
  ]);
  expect(ends.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'rejected']);
  expect(ends[0]).toMatchObject({ reason: { code: 'bus-delivery' } });
  expect(handled).toEqual(['good']);
});

test('a subscriber with too much waiting refuses more', async () => {
  const bus = inProcessBus(systemClock, limits);
  const { open, passed } = gate();
  bus.subscribe('hours', () => passed);
  const taken = Array.from({ length: 4 }, () => bus.publish('hours', 'a', value));
  await expect(bus.publish('hours', 'a', value)).rejects.toMatchObject({ code: 'bus-full' });
  open();
  await Promise.all(taken);
});

test('closing waits for what runs, fails what waits, and takes no more', async () => {
  const bus = inProcessBus(systemClock, limits);
  const { open, passed } = gate();
  const { close } = bus.subscribe('hours', () => passed);
  const ends = Promise.allSettled([
    bus.publish('hours', 'a', value),
    bus.publish('hours', 'b', value),
  ]);
  const closing = close();
  open();
  await closing;
  expect((await ends).map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
  await bus.publish('hours', 'c', value);
});

test('closing ends a wait for the next attempt', async () => {
  const bus = inProcessBus(systemClock, { ...limits, retryDelayMs: 2 ** 40 });
  const { close } = bus.subscribe('hours', () => Promise.reject(new Error('no')));
  const refused = expect(bus.publish('hours', 'a', value)).rejects.toBeInstanceOf(Failed);
  await close();
  await refused;
});
