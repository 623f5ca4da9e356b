import { describe, expect, it } from 'vitest';
import { createPace } from '#ingestion/pace.ts';

const limits = { messagesPerSecond: 10, burstMessages: 3, longestWaitMs: 500, sendersLimit: 2 };

describe('the quota of a sender', () => {
  it('lets a burst through, then holds each message longer, then takes no more', () => {
    const pace = createPace(limits, () => 0);
    const waits = Array.from({ length: 8 }, () => pace.waitMs('a'));
    expect(waits).toEqual([0, 0, 0, 100, 200, 300, 400, 500]);
    expect(() => pace.waitMs('a')).toThrow(expect.objectContaining({ code: 'quota' }));
    expect(pace.waitMs('b')).toBe(0);
  });

  it('recovers with time', () => {
    let now = 0;
    const pace = createPace(limits, () => now);
    for (let i = 0; i < 8; i++) pace.waitMs('a');
    now = 800;
    expect([pace.waitMs('a'), pace.waitMs('a'), pace.waitMs('a')]).toEqual([0, 0, 0]);
    expect(pace.waitMs('a')).toBe(100);
  });

  it('remembers no more senders than it may', () => {
    const pace = createPace(limits, () => 0);
    for (let i = 0; i < 4; i++) pace.waitMs('a');
    pace.waitMs('b');
    pace.waitMs('c');
    expect(pace.waitMs('a')).toBe(0);
  });
});
