import { expect, it } from 'vitest';
import { sparingLog } from '#broker/sparing-log.ts';

it('says so many lines a second, and how many it did not say', () => {
  const lines: unknown[] = [];
  let nowMs = 10_000;
  const logger = { info: (facts: unknown, text?: string) => void lines.push([facts, text]) };
  const say = sparingLog(logger, { linesPerSecond: 2, nowMs: () => nowMs });
  for (let i = 0; i < 5; i++) say({ i }, 'refused');
  nowMs += 1_000;
  for (let i = 5; i < 7; i++) say({ i }, 'refused');
  expect(lines).toEqual([
    [{ i: 0 }, 'refused'],
    [{ i: 1 }, 'refused'],
    [{ i: 5, unsaid: 3 }, 'refused'],
    [{ i: 6 }, 'refused'],
  ]);
});
