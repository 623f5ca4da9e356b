import { layeredNormal, normalShare, seedOf } from './noise.ts';
import type { Rate } from './plant.ts';

export interface WindFarm {
  readonly capacityW: number;
  /** Weibull distribution of the wind speed at hub height: scale in m/s, and shape. */
  readonly scaleMps: number;
  readonly shape: number;
  readonly cutInMps: number;
  readonly ratedMps: number;
  readonly cutOutMps: number;
  /** What the farm draws for yaw, pitch and heating when it stands still. */
  readonly standbyW: number;
}

/** Weather fronts, the hours between, gusts: the wind of the next minute resembles this one's. */
const windOctaves = [
  { periodS: 14 * 3600, variance: 0.7 },
  { periodS: 2 * 3600, variance: 0.22 },
  { periodS: 600, variance: 0.08 },
];

/** Wind speed at hub height in m/s: exactly Weibull at any instant, correlated between instants. */
export function windSpeed(seed: number, tS: number, farm: WindFarm): number {
  const share = normalShare(layeredNormal(seedOf(seed, 'wind'), tS, windOctaves));
  const exceeded = Math.max(1e-9, 1 - share);
  return farm.scaleMps * (-Math.log(exceeded)) ** (1 / farm.shape);
}

/** Whole W at a wind speed: nothing below cut-in, cubic to rated, full to cut-out, nothing beyond. */
export function powerCurve(speedMps: number, farm: WindFarm): number {
  const { capacityW, cutInMps, ratedMps, cutOutMps } = farm;
  if (speedMps < cutInMps || speedMps >= cutOutMps) return 0;
  if (speedMps >= ratedMps) return capacityW;
  const share = (speedMps ** 3 - cutInMps ** 3) / (ratedMps ** 3 - cutInMps ** 3);
  return Math.floor(capacityW * share);
}

export function windExport(seed: number, farm: WindFarm): Rate {
  return (tS) => powerCurve(windSpeed(seed, tS, farm), farm);
}

export function windImport(seed: number, farm: WindFarm): Rate {
  const delivered = windExport(seed, farm);
  return (tS) => (delivered(tS) > 0 ? 0 : farm.standbyW);
}
