import { layeredNormal, normalShare, seedOf, unitAt } from './noise.ts';
import { localHour, type Rate } from './plant.ts';

export interface CoalUnit {
  readonly capacityW: number;
  /** The least stable power as a share of capacity. */
  readonly leastShare: number;
  /** Grams of CO2 per kWh at full and at least power: part load burns more coal per kWh. */
  readonly fullGramsPerKwh: number;
  readonly leastGramsPerKwh: number;
  /** What the unit draws from the grid while it stands. */
  readonly standbyW: number;
  readonly utcOffsetS: number;
}

const loadOctaves = [
  { periodS: 6 * 3600, variance: 0.7 },
  { periodS: 1200, variance: 0.3 },
];
/** One day in twelve begins an outage of a day: a tube leak, a dispatcher's wish. */
const outageShare = 1 / 12;
/** The emission monitor is calibrated once a day, 20 minutes from 04:00 local time. */
const calibrationHour = 4;
const calibrationHours = 1 / 3;

/** Whether the unit is on the grid. */
export function coalRuns(seed: number, tS: number, unit: CoalUnit): boolean {
  const day = Math.floor((tS + unit.utcOffsetS) / 86400);
  return unitAt(seedOf(seed, 'outage'), day) >= outageShare;
}

/** Net power in whole W: follows the evening peak, never below the least stable power. */
export function coalExport(seed: number, unit: CoalUnit): Rate {
  const stream = seedOf(seed, 'load');
  return (tS) => {
    if (!coalRuns(seed, tS, unit)) return 0;
    const evening = Math.cos((2 * Math.PI * (localHour(tS, unit.utcOffsetS) - 19)) / 24);
    const wish = 0.25 * evening + 0.55 * normalShare(layeredNormal(stream, tS, loadOctaves)) + 0.2;
    const share = unit.leastShare + (1 - unit.leastShare) * Math.min(1, Math.max(0, wish));
    return Math.floor(unit.capacityW * share);
  };
}

export function coalImport(seed: number, unit: CoalUnit): Rate {
  return (tS) => (coalRuns(seed, tS, unit) ? 0 : unit.standbyW);
}

/** CO2 at the stack in whole milligrams per second, as its continuous emission monitor sees it. */
export function coalCo2(seed: number, unit: CoalUnit): Rate {
  const power = coalExport(seed, unit);
  return (tS) => {
    const powerW = power(tS);
    const load = (powerW / unit.capacityW - unit.leastShare) / (1 - unit.leastShare);
    const gramsPerKwh =
      unit.leastGramsPerKwh + (unit.fullGramsPerKwh - unit.leastGramsPerKwh) * load;
    return Math.floor((powerW * gramsPerKwh) / 3600);
  };
}

/** 1 while the unit operates: the seconds that `operatingS` counts. */
export function coalOperating(seed: number, unit: CoalUnit): Rate {
  return (tS) => (coalRuns(seed, tS, unit) ? 1 : 0);
}

/** 1 while it operates and the monitor's data are valid: the seconds that `validS` counts. */
export function coalValid(seed: number, unit: CoalUnit): Rate {
  return (tS) => {
    const hour = localHour(tS, unit.utcOffsetS);
    const calibrating = hour >= calibrationHour && hour < calibrationHour + calibrationHours;
    return coalRuns(seed, tS, unit) && !calibrating ? 1 : 0;
  };
}
