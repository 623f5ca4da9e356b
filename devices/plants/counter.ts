import type { Rate } from './plant.ts';

/** The grid on which rates are sampled; between two of its instants a rate is constant. */
export const gridS = 60;

/** Registers hold at most this, as every integer in a message does (D3). */
const limit = Number.MAX_SAFE_INTEGER;

export interface CounterOptions {
  /** Where counting begins, Unix seconds, on the grid. */
  readonly startS: number;
  /** The value there, in whole units. */
  readonly initial: number;
  /** How many parts make one whole unit: 3,600 watt-seconds a watt-hour, 1,000 milligrams a gram. */
  readonly partsPerUnit: number;
  /** Parts per second at an instant, whole and not negative. */
  readonly rate: Rate;
}

export interface Counter {
  /** The register at `tS` (Unix seconds), which must not fall from call to call. RangeError otherwise. */
  readonly valueAt: (tS: number) => number;
}

/**
 * A cumulative register. Everything is whole parts, so that nothing drifts, and rates are sampled on
 * a fixed grid, so that the value at `tS` is the same whatever the steps in which it was reached.
 */
export function createCounter(options: CounterOptions): Counter {
  const { startS, initial, partsPerUnit, rate } = options;
  if (startS % gridS !== 0) throw new RangeError(`startS: ${startS} is not on the ${gridS} s grid`);
  let gridT = startS;
  let units = initial;
  let parts = 0;
  let lastS = startS;

  return { valueAt };

  function valueAt(tS: number): number {
    if (!Number.isSafeInteger(tS) || tS < lastS) {
      throw new RangeError(`tS: ${tS} is not a second at or after ${lastS}`);
    }
    lastS = tS;
    while (gridT + gridS <= tS) {
      parts += gridS * rateAt(gridT);
      const whole = Math.floor(parts / partsPerUnit);
      units += whole;
      parts -= whole * partsPerUnit;
      gridT += gridS;
    }
    const open = tS > gridT ? (tS - gridT) * rateAt(gridT) : 0;
    const value = units + Math.floor((parts + open) / partsPerUnit);
    if (value > limit) throw new RangeError('the register is full');
    return value;
  }

  function rateAt(tS: number): number {
    const value = rate(tS);
    if (!Number.isSafeInteger(value) || value < 0) {
      throw new RangeError(`a rate of ${value} parts per second`);
    }
    return value;
  }
}
