import suncalc from 'suncalc';
import { layeredNormal, normalShare, seedOf } from './noise.ts';
import type { Place, Rate } from './plant.ts';

export interface SolarFarm {
  readonly place: Place;
  /** Peak power of the modules under 1,000 W/m2. More than the inverters carry: they clip. */
  readonly peakDcW: number;
  /** Capacity of the inverters, which is the farm's capacity. */
  readonly capacityW: number;
  /** What inverters, trackers and transformers draw while the farm produces nothing. */
  readonly standbyW: number;
}

/** From the module's peak to the grid at full sun: heat, dirt, cables, inverters. */
const performanceRatio = 0.84;

const cloudOctaves = [
  { periodS: 9 * 3600, variance: 0.6 },
  { periodS: 2400, variance: 0.3 },
  { periodS: 420, variance: 0.1 },
];

/** Height of the sun above the horizon in radians, without refraction. */
export function sunAltitude(tS: number, place: Place): number {
  return suncalc.getPosition(new Date(tS * 1000), place.latitude, place.longitude).altitude;
}

/** W/m2 on the horizontal under a clear sky (Haurwitz 1945), 0 with the sun below the horizon. */
export function clearSky(altitude: number): number {
  const sine = Math.sin(altitude);
  return sine <= 0 ? 0 : 1098 * sine * Math.exp(-0.057 / sine);
}

/** The share of the clear sky that reaches the ground: 1 on many hours, 0.15 under thick cloud. */
export function cloudTransmission(seed: number, tS: number): number {
  const cover = normalShare(layeredNormal(seedOf(seed, 'clouds'), tS, cloudOctaves));
  const clouds = Math.max(0, (cover - 0.35) / 0.65);
  return 1 - 0.85 * clouds * clouds;
}

/** Power delivered to the grid in whole W. */
export function solarExport(seed: number, farm: SolarFarm): Rate {
  return (tS) => {
    const clear = clearSky(sunAltitude(tS, farm.place));
    if (clear === 0) return 0;
    const sun = (clear * cloudTransmission(seed, tS)) / 1000;
    return Math.min(farm.capacityW, Math.floor(farm.peakDcW * performanceRatio * sun));
  };
}

/** Power drawn from the grid in whole W: the standby while the sun is down. */
export function solarImport(seed: number, farm: SolarFarm): Rate {
  const delivered = solarExport(seed, farm);
  return (tS) => (delivered(tS) > 0 ? 0 : farm.standbyW);
}
