import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createCounter } from '#devices/plants/counter.ts';
import { unitAt } from '#devices/plants/noise.ts';

const startS = 1_780_000_020 - (1_780_000_020 % 60);
const ragged = (tS: number): number => Math.floor(unitAt(9, tS / 60) * 50_000_000);

function counter(rate: (tS: number) => number = ragged, partsPerUnit = 3600) {
  return createCounter({ startS, initial: 17, partsPerUnit, rate });
}

describe('a register', () => {
  it('counts exactly: 1,000 W over an hour is 1,000 Wh', () => {
    expect(counter(() => 1000).valueAt(startS + 3600)).toBe(1017);
  });

  it('has the same value whatever the steps in which it was reached', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 5000 }), { maxLength: 40 }), (steps) => {
        const stepped = counter();
        let tS = startS;
        for (const step of steps) {
          tS += step;
          stepped.valueAt(tS);
        }
        expect(stepped.valueAt(tS)).toBe(counter().valueAt(tS));
      }),
    );
  });

  it('does not drift: the sum of the hours is the sum of the watt-seconds', () => {
    let wattSeconds = 0n;
    for (let tS = startS; tS < startS + 30 * 86400; tS += 60)
      wattSeconds += 60n * BigInt(ragged(tS));
    expect(BigInt(counter().valueAt(startS + 30 * 86400))).toBe(17n + wattSeconds / 3600n);
  });

  it('never falls', () => {
    const register = counter();
    let previous = 0;
    for (let tS = startS; tS < startS + 7200; tS += 7) {
      const value = register.valueAt(tS);
      expect(value).toBeGreaterThanOrEqual(previous);
      previous = value;
    }
  });

  it('counts other units by their own parts', () => {
    expect(counter(() => 1, 1).valueAt(startS + 3600)).toBe(3617);
    expect(counter(() => 2500, 1000).valueAt(startS + 3)).toBe(17 + 7);
  });

  it('refuses to go back, to start off the grid, and rates that are no whole number', () => {
    const register = counter();
    register.valueAt(startS + 10);
    expect(() => register.valueAt(startS + 9)).toThrow(RangeError);
    expect(() => counter().valueAt(startS + 0.5)).toThrow(RangeError);
    expect(() => counter(() => 0.5).valueAt(startS + 60)).toThrow(RangeError);
    expect(() => counter(() => -1).valueAt(startS + 60)).toThrow(RangeError);
    const off = { startS: startS + 1, initial: 0, partsPerUnit: 1, rate: ragged };
    expect(() => createCounter(off)).toThrow(RangeError);
  });

  it('stops rather than say a number that JSON cannot carry', () => {
    const full = createCounter({
      startS,
      initial: Number.MAX_SAFE_INTEGER,
      partsPerUnit: 1,
      rate: () => 1,
    });
    expect(() => full.valueAt(startS + 2)).toThrow('full');
  });
});
