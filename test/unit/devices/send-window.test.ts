import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createSendWindow, type SendWindow } from '#devices/send-window.ts';

const all = (): boolean => true;

/** A window wide open: `limit` messages sent and acknowledged before `throughSeq` was settled. */
function openWindow(limit: number, throughSeq: number): SendWindow {
  const window = createSendWindow(limit, throughSeq - limit);
  for (let i = 0; i < limit; i++) {
    window.acknowledged(window.take(throughSeq, all) ?? -1);
  }
  window.settled(throughSeq);
  return window;
}

describe('the send window', () => {
  it('sends in order, one more at a time for each acknowledgement, never more than its limit', () => {
    const window = createSendWindow(3, 0);
    const takeAll = (): number[] => {
      const taken: number[] = [];
      for (let seq = window.take(99, all); seq !== undefined; seq = window.take(99, all)) {
        taken.push(seq);
      }
      return taken;
    };
    expect(takeAll()).toEqual([1]);
    window.acknowledged(1);
    expect(takeAll()).toEqual([2, 3]);
    window.acknowledged(2);
    expect(takeAll()).toEqual([4, 5]);
    window.acknowledged(3);
    expect(takeAll()).toEqual([6]);
    expect(window.inFlight()).toBe(3);
    window.lost();
    expect(takeAll()).toEqual([3]);
  });

  it('starts behind what is settled, and passes over what may not be sent', () => {
    const window = openWindow(8, 5);
    expect(window.take(9, (seq) => seq !== 6)).toBe(7);
    window.rewind(6);
    expect(window.take(9, all)).toBe(6);
    expect(window.take(9, all)).toBe(8);
  });

  it('sends what was in flight again after a loss, and the newest acknowledged as a question', () => {
    const window = openWindow(8, 0);
    for (let i = 0; i < 5; i++) window.take(5, all);
    for (const seq of [1, 2, 3]) window.acknowledged(seq);
    window.lost();
    expect(window.inFlight()).toBe(0);
    const taken = [1, 2, 3].map(() => {
      const seq = window.take(5, all);
      window.acknowledged(seq ?? -1);
      return seq;
    });
    expect(taken).toEqual([3, 4, 5]);
  });

  it('ignores an acknowledgement of what is not in flight', () => {
    const window = openWindow(8, 0);
    window.acknowledged(1);
    expect(window.take(1, all)).toBe(1);
    expect(window.probe()).toBe(false);
  });

  it('sends again what the other side misses, but not what is on its way', () => {
    const window = openWindow(8, 0);
    for (let i = 0; i < 6; i++) window.take(6, all);
    for (const seq of [1, 2, 3, 4]) window.acknowledged(seq);
    window.resend([
      { from: 2, to: 2 },
      { from: 4, to: 6 },
    ]);
    expect([1, 2, 3].map(() => window.take(6, all))).toEqual([2, 4, undefined]);
  });

  it('is quiet only when everything that may be sent is acknowledged', () => {
    const window = openWindow(8, 0);
    expect(window.isQuiet(0, all)).toBe(true);
    expect(window.isQuiet(1, all)).toBe(false);
    expect(window.isQuiet(1, () => false)).toBe(true);
    window.take(1, all);
    expect(window.isQuiet(1, all)).toBe(false);
    window.acknowledged(1);
    expect(window.isQuiet(1, all)).toBe(true);
  });

  it('refuses a limit that is none', () => {
    expect(() => createSendWindow(0, 0)).toThrow(RangeError);
  });

  it('gets everything through whatever is lost, acknowledged or settled on the way', () => {
    const step = fc.oneof(
      fc.constant('take' as const),
      fc.constant('ack' as const),
      fc.constant('lost' as const),
      fc.constant('probe' as const),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const window = createSendWindow(4, 0);
        const delivered = new Set<number>();
        let flying: number[] = [];
        const take = (): void => {
          const seq = window.take(12, all);
          if (seq !== undefined) flying.push(seq);
        };
        const acknowledge = (): void => {
          const seq = flying.shift();
          if (seq === undefined) return;
          delivered.add(seq);
          window.acknowledged(seq);
        };
        for (const what of steps) {
          if (what === 'take') take();
          else if (what === 'ack') acknowledge();
          else if (what === 'probe') window.probe();
          else {
            window.lost();
            flying = [];
          }
          expect(window.inFlight()).toBe(flying.length);
          expect(flying.length).toBeLessThanOrEqual(4);
        }
        while (!window.isQuiet(12, all)) {
          take();
          acknowledge();
        }
        expect(delivered.size).toBe(12);
      }),
    );
  });
});
