import { seedOf, unitAt } from './noise.ts';
import { localHour, type Rate } from './plant.ts';

export interface ChargingPark {
  readonly points: number;
  /** The most that one point delivers. */
  readonly pointW: number;
  /** Light, cooling, screens. */
  readonly baseW: number;
  readonly utcOffsetS: number;
}

/** Each point has at most one session that begins in a window of this length, and it ends in it. */
const windowS = 5400;
const taperShare = 0.35;

/** How likely a session is to begin around an hour of the local day. */
export function arrivalShare(hour: number): number {
  if (hour < 6) return 0.08;
  if (hour < 10) return 0.45;
  if (hour < 16) return 0.55;
  return hour < 22 ? 0.75 : 0.25;
}

/** Power of one session in W: full at first, tapering in its last third as the battery fills. */
function sessionPower(share: number, pointW: number): number {
  if (share < 0 || share >= 1) return 0;
  return share < 1 - taperShare ? pointW : pointW * ((1 - share) / taperShare);
}

function pointPower(seed: number, tS: number, park: ChargingPark): number {
  const window = Math.floor(tS / windowS);
  const arrival = arrivalShare(localHour(window * windowS, park.utcOffsetS));
  if (unitAt(seedOf(seed, 'arrives'), window) >= arrival) return 0;
  const lengthS = windowS * (0.2 + 0.6 * unitAt(seedOf(seed, 'length'), window));
  const beginS = (windowS - lengthS) * unitAt(seedOf(seed, 'begin'), window);
  const carShare = 0.35 + 0.65 * unitAt(seedOf(seed, 'car'), window);
  return sessionPower((tS - window * windowS - beginS) / lengthS, park.pointW * carShare);
}

/** Power drawn from the grid in whole W. */
export function chargingImport(seed: number, park: ChargingPark): Rate {
  return (tS) => {
    let sumW = park.baseW;
    for (let point = 0; point < park.points; point++) {
      sumW += pointPower(seedOf(seed, `point ${point}`), tS, park);
    }
    return Math.floor(sumW);
  };
}
