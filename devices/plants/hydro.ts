import { layeredNormal, seedOf } from './noise.ts';
import type { Rate } from './plant.ts';

export interface HydroPlant {
  readonly capacityW: number;
  /** What the turbines can take, and the river's mean over the year, in m3/s. */
  readonly designFlow: number;
  readonly meanFlow: number;
  /** Below this the turbines stand still: the flow is left to the fish ladder. */
  readonly leastFlow: number;
  /** Pumps, cranes and light, by a meter of their own: the auxiliary meter. */
  readonly ownUseW: number;
}

const flowOctaves = [
  { periodS: 5 * 86400, variance: 0.7 },
  { periodS: 10 * 3600, variance: 0.25 },
  { periodS: 1800, variance: 0.05 },
];
const yearS = 31_556_952;
/** The flood comes with the rains: late July in most of the northern hemisphere's mountain rivers. */
const floodS = 205 * 86400;

/** The river's flow in m3/s: a season, and slow weather. Run of river: nothing is stored. */
export function riverFlow(seed: number, tS: number, plant: HydroPlant): number {
  const season = 1 + 0.55 * Math.cos((2 * Math.PI * (tS - floodS)) / yearS);
  const weather = Math.exp(0.22 * layeredNormal(seedOf(seed, 'river'), tS, flowOctaves));
  return plant.meanFlow * season * weather;
}

/** Power at the generator's terminals in whole W; the head is constant, so power follows the flow. */
export function hydroExport(seed: number, plant: HydroPlant): Rate {
  return (tS) => {
    const flow = riverFlow(seed, tS, plant);
    if (flow < plant.leastFlow) return 0;
    return Math.floor(plant.capacityW * Math.min(1, flow / plant.designFlow));
  };
}

/** What the auxiliary meter sees, in whole W: subtracted from the generation (D4.2). */
export function hydroOwnUse(seed: number, plant: HydroPlant): Rate {
  const stream = seedOf(seed, 'own use');
  return (tS) => {
    const wobble = layeredNormal(stream, tS, [{ periodS: 1800, variance: 1 }]);
    return Math.max(0, Math.floor(plant.ownUseW * (1 + 0.1 * wobble)));
  };
}
