import { describe, expect, test } from 'vitest';
import { Failed } from '#core/errors.ts';
import { createHourThreads } from '#platform/hour-threads.ts';

const hex = (digit: string): string => digit.repeat(64);
/** An hour of a committed site has two files: its batch and its opening. */
const hour = {
  plant: 'c1',
  register: '{}',
  entry: {
    kind: 'hour',
    spec: {
      batchRoot: hex('a'),
      commitment: hex('b'),
      interval: { seconds: 3600, start: 1_767_225_600 },
      metersRoot: hex('c'),
      plant: 'c1',
    },
  },
  records: [],
} as const;
/** A few of these are all that may wait to be judged. */
const batch = new Uint8Array(24 * 1024 * 1024);
const rounds = 40;

describe('evidence of which only a part is there', () => {
  const others: [string, () => Promise<undefined>][] = [
    ['missing', () => Promise.resolve(undefined)],
    ['out of reach', () => Promise.reject(new Failed('log-file', 'away'))],
  ];
  test.each(others)('takes no room from the hours behind it: %s', async (_what, other) => {
    let asked = 0;
    const threads = createHourThreads({ count: 1 });
    const { prove } = threads.proverOf({
      read: () => (++asked % 2 === 1 ? Promise.resolve(batch) : other()),
    });
    for (let i = 0; i < rounds; i++) {
      expect(await prove(hour).catch((error: unknown) => error)).not.toBeTypeOf('string');
    }
    expect(asked).toBe(2 * rounds);
    await threads.close();
  });
});
