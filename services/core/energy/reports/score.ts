import { Refused } from '../../errors.ts';
import { shareDown, toNumber, wholePpm } from '../exact.ts';

/** Consumption C_h of a zone and hour, and what of it is matched in that very hour, m_h (D4.5). */
export interface MatchedHour {
  readonly consumptionWh: number;
  readonly hour: number;
  readonly matchedWh: number;
  readonly zone: string;
}

export interface Score {
  readonly consumptionWh: number;
  readonly matchedWh: number;
  /** Absent where nothing was consumed. */
  readonly scorePpm?: number;
}

export interface GridScore extends Score {
  /** Hours with something unmatched whose grid share is not known; it counts as none. */
  readonly hoursWithoutShare: number;
}

/** m_h = min(C_h, G_h): what generation can match at most (D4.5). */
export function matchedWhOf(consumptionWh: number, generationWh: number): number {
  return Math.min(consumptionWh, generationWh);
}

/** sum(m_h) / sum(C_h), rounded down. Refused('matched') where more is matched than consumed. */
export function hourlyScore(hours: readonly MatchedHour[]): Score {
  const { consumption, matched } = sums(hours);
  return scoreOf({ consumption, matched, counted: matched * BigInt(wholePpm) });
}

/**
 * sum(m_h + (C_h - m_h) * g_h) / sum(C_h), rounded down once. `gridShareOf` gives g_h, the share of
 * carbon-free power in the grid, in ppm.
 */
export function hourlyScoreWithGrid(
  hours: readonly MatchedHour[],
  gridShareOf: (hour: MatchedHour) => number | undefined,
): GridScore {
  const { consumption, matched } = sums(hours);
  let counted = matched * BigInt(wholePpm);
  let hoursWithoutShare = 0;
  for (const hour of hours) {
    const unmatched = hour.consumptionWh - hour.matchedWh;
    if (unmatched === 0) continue;
    const sharePpm = gridShareOf(hour);
    if (sharePpm === undefined) hoursWithoutShare++;
    else if (sharePpm < 0 || sharePpm > wholePpm)
      throw new Refused('grid-share', `${sharePpm} ppm`);
    counted += BigInt(unmatched) * BigInt(sharePpm ?? 0);
  }
  return { ...scoreOf({ consumption, matched, counted }), hoursWithoutShare };
}

function sums(hours: readonly MatchedHour[]): {
  readonly consumption: bigint;
  readonly matched: bigint;
} {
  let [consumption, matched] = [0n, 0n];
  for (const { consumptionWh, hour, matchedWh, zone } of hours) {
    if (matchedWh > consumptionWh) {
      throw new Refused('matched', `${zone}, ${hour}: ${matchedWh} Wh of ${consumptionWh}`);
    }
    consumption += BigInt(consumptionWh);
    matched += BigInt(matchedWh);
  }
  return { consumption, matched };
}

/** `counted` is in Wh times ppm. */
function scoreOf(of: {
  readonly consumption: bigint;
  readonly matched: bigint;
  readonly counted: bigint;
}): Score {
  const scorePpm = shareDown(of.counted, of.consumption * BigInt(wholePpm));
  return {
    consumptionWh: toNumber(of.consumption),
    matchedWh: toNumber(of.matched),
    ...(scorePpm !== undefined && { scorePpm }),
  };
}
