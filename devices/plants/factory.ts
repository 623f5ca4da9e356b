import { layeredNormal, seedOf } from './noise.ts';
import { localHour, localWeekday, type Rate } from './plant.ts';

export interface Factory {
  /** Power with all lines running, and what is never switched off. */
  readonly fullW: number;
  readonly baseW: number;
  readonly utcOffsetS: number;
}

const wobbleOctaves = [
  { periodS: 1800, variance: 0.6 },
  { periodS: 300, variance: 0.4 },
];

/** Share of the lines that run: two shifts from 06:00 to 22:00, a short Saturday, breaks at noon. */
export function shiftShare(hour: number, weekday: number): number {
  if (weekday === 6) return 0;
  const end = weekday === 5 ? 14 : 22;
  if (hour < 6 || hour >= end) return 0;
  if (hour < 6.5) return (hour - 6) * 2;
  if (hour >= 12 && hour < 12.5) return 0.55;
  return hour < 14 ? 1 : 0.85;
}

/** Power drawn from the grid in whole W. */
export function factoryImport(seed: number, factory: Factory): Rate {
  const stream = seedOf(seed, 'machines');
  return (tS) => {
    const { baseW, fullW, utcOffsetS } = factory;
    const share = shiftShare(localHour(tS, utcOffsetS), localWeekday(tS, utcOffsetS));
    const wobble = 1 + 0.06 * layeredNormal(stream, tS, wobbleOctaves);
    return Math.max(0, Math.floor((baseW + (fullW - baseW) * share) * wobble));
  };
}
