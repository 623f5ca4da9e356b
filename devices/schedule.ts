import type { Reading } from '#core/energy/message.ts';
import { createCounter, gridS } from './plants/counter.ts';
import type { RegisterModel } from './plants/plant.ts';

export interface MeterSchedule {
  /** Where the registers begin to count and the first reading is taken: a whole UTC hour. */
  readonly startS: number;
  /** Between two readings; a divisor of the hour and a multiple of the 60 s grid, or of it. */
  readonly readingEveryS: number;
  /** Between two messages; a multiple of `readingEveryS` and a divisor of the hour. */
  readonly messageEveryS: number;
  /** Register values at `startS`; 0 for those not named. */
  readonly initial?: Readonly<Record<string, number>>;
}

export const demoSchedule = { readingEveryS: 60, messageEveryS: 900 } as const;

/** What a meter says at one instant: the readings of one message, the last of them taken at `atS`. */
export interface ReadingBatch {
  readonly atS: number;
  readonly readings: readonly Reading[];
}

/** The readings of one meter, message by message, without end. */
export interface ReadingSource {
  /** When the next message falls due, Unix seconds. */
  readonly nextAtS: () => number;
  readonly take: () => ReadingBatch;
}

/**
 * The first message is a single reading at `startS`, then come those of
 * `(k * messageEveryS, (k + 1) * messageEveryS]`. The reading at the turn of the hour is therefore the
 * last of an hour's last message, within that closed hour, and proves both hours (D3.2).
 *
 * After a crash `afterS` is the instant of the last reading that the gateway's store holds: the
 * source goes on behind it with the values it would have had anyway.
 */
export function createReadingSource(
  registers: readonly RegisterModel[],
  schedule: MeterSchedule,
  afterS = schedule.startS - 1,
): ReadingSource {
  const { startS, readingEveryS, messageEveryS } = checked(schedule);
  const values = createCounters(registers, schedule);
  const begunS = startS + messageEveryS * Math.floor((afterS - startS) / messageEveryS);
  let fromS = afterS < startS ? startS : begunS + readingEveryS;
  let atS = afterS < startS ? startS : begunS + messageEveryS;
  return { nextAtS: () => atS, take };

  function take(): ReadingBatch {
    const readings: Reading[] = [];
    for (let t = fromS; t <= atS; t += readingEveryS) {
      if (t > afterS) readings.push({ t, registers: values(t) });
    }
    const batch = { atS, readings };
    fromS = atS + readingEveryS;
    atS += messageEveryS;
    return batch;
  }
}

/** All registers of a meter at an instant; instants must not fall from call to call. */
export function createCounters(
  registers: readonly RegisterModel[],
  schedule: MeterSchedule,
): (tS: number) => Readonly<Record<string, number>> {
  const { startS, initial = {} } = schedule;
  const counters = registers.map(({ name, partsPerUnit, rate }) => ({
    name,
    counter: createCounter({ startS, initial: initial[name] ?? 0, partsPerUnit, rate }),
  }));
  return (tS) =>
    Object.fromEntries(counters.map(({ name, counter }) => [name, counter.valueAt(tS)]));
}

function checked(schedule: MeterSchedule): MeterSchedule {
  const { startS, readingEveryS, messageEveryS } = schedule;
  if (startS % 3600 !== 0) throw new RangeError(`startS: ${startS} is not a whole hour`);
  if (gridS % readingEveryS !== 0 && readingEveryS % gridS !== 0) {
    throw new RangeError(`readingEveryS: ${readingEveryS} does not fit the ${gridS} s grid`);
  }
  if (messageEveryS % readingEveryS !== 0 || 3600 % messageEveryS !== 0) {
    throw new RangeError(`messageEveryS: ${messageEveryS} does not divide the hour`);
  }
  if (messageEveryS / readingEveryS > 1000) {
    throw new RangeError('a message holds at most 1,000 readings');
  }
  return schedule;
}
