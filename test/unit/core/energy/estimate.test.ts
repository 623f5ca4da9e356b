import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { estimateHour, type Turn } from '#core/energy/estimate.ts';

const hourS = 3600;
const start = 1_767_225_600;
const exact = (t: number, value: number): Turn => ({
  before: { t, value },
  after: { t, value },
});
const around = (from: readonly [number, number], to: readonly [number, number]): Turn => ({
  before: { t: from[0], value: from[1] },
  after: { t: to[0], value: to[1] },
});

describe('an estimated hour', () => {
  it('lies on the line between the readings around it', () => {
    const turn = around([start - 1800, 1_000], [start + 2 * hourS, 6_000]);
    // 5,000 in 9,000 s: 2,000 in the hour.
    expect(estimateHour(start, { turns: [turn, turn], profile: [7n] })).toEqual({
      steps: 2_000n,
      method: 'linear',
    });
    const [from, to] = [exact(start, 10), around([start, 10], [start + 2 * hourS, 21])];
    expect(estimateHour(start, { turns: [from, to], profile: [] })?.steps).toBe(5n);
  });

  it('is that of days before while nothing has come since, floored', () => {
    const open: Turn = { before: { t: start, value: 5 }, after: undefined };
    const turns = [exact(start, 5), open] as const;
    expect(estimateHour(start, { turns, profile: [10n, 11n] })).toEqual({
      steps: 10n,
      method: 'profile',
    });
    expect(estimateHour(start, { turns, profile: [] })).toBeUndefined();
  });

  it('is not there across a fall, nor before the first reading', () => {
    const fall = around([start - 60, 1_000], [start + hourS + 60, 10]);
    expect(estimateHour(start, { turns: [fall, fall], profile: [1n] })).toBeUndefined();
    const first: Turn = { before: undefined, after: { t: start + 60, value: 0 } };
    const turns = [first, exact(start + hourS, 4)] as const;
    expect(estimateHour(start, { turns, profile: [1n] })).toBeUndefined();
  });

  it('adds up, with the others of its gap, to what the register ran', () => {
    const value = fc.integer({ min: 0, max: 2 ** 52 });
    fc.assert(
      fc.property(value, value, fc.integer({ min: 1, max: 200 }), (one, other, hours) => {
        const [low, high] = [Math.min(one, other), Math.max(one, other)];
        const end = start + hours * hourS;
        const gap = around([start, low], [end, high]);
        const turnAt = (t: number): Turn =>
          t === start ? exact(t, low) : t === end ? exact(t, high) : gap;
        let sum = 0n;
        for (let at = start; at < end; at += hourS) {
          const turns = [turnAt(at), turnAt(at + hourS)] as const;
          sum += estimateHour(at, { turns, profile: [] })?.steps ?? -1n;
        }
        expect(sum).toBe(BigInt(high - low));
      }),
    );
  });
});
