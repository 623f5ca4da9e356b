import { hourSeconds } from '../hours.ts';
import type { Found } from './findings.ts';
import { energyRegisters, grown, isCut, shareOf, shown, stepOf } from './question.ts';
import { trustedReadings, type HourContext, type MeterQuestion } from './question.ts';
import { isSunBelow } from './sun.ts';

/** Rules that one meter and the readings of the hour decide. */

/** Readings follow one another: none is missing between them that their rhythm promises. */
export function findGap(
  { readings }: MeterQuestion,
  { thresholds }: HourContext,
): Found | undefined {
  const distances = readings.slice(1).map(({ t }, i) => t - (readings[i]?.t ?? t));
  const sorted = distances.toSorted((a, b) => a - b);
  const median = sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
  const value = sorted.at(-1) ?? 0;
  const limit = Math.max(thresholds.gapS, thresholds.gapTimes * median);
  return value > limit ? { code: 'gap', value, limit } : undefined;
}

/** A clock that runs ahead has its messages quarantined, one that jumps back too (D4.1). */
export function findClock({ quarantined: value }: MeterQuestion): Found | undefined {
  return value > 0 ? { code: 'clock', value, limit: 0 } : undefined;
}

/** Power failures count for energy, and say that somebody should look. */
export function findStatus({ readings }: MeterQuestion): Found | undefined {
  const value = readings.filter(({ status }) => status === 'power-fail').length;
  return value > 0 ? { code: 'status', value, limit: 0 } : undefined;
}

/**
 * Power against energy: an hour within capacity may still hold minutes that no plant of that power can
 * have. Messages carry no power, so that between readings is taken, less one step of the register.
 */
export function findPower(
  { spec, record, readings }: MeterQuestion,
  { capacityW, thresholds: { powerPpm, powerSpanS } }: HourContext,
): Found | undefined {
  if (isCut(record)) return undefined;
  const limit = shareOf(BigInt(capacityW), powerPpm);
  let highest = 0n;
  for (const register of energyRegisters(spec)) {
    const trusted = trustedReadings(readings, [register]);
    let next = 0;
    for (const from of trusted) {
      while ((trusted[next]?.t ?? Number.POSITIVE_INFINITY) - from.t < powerSpanS) next++;
      const to = trusted[next];
      if (to === undefined) break;
      const units = (grown(from, to, register) ?? 0n) - stepOf(register);
      const power = (units * BigInt(hourSeconds)) / BigInt(to.t - from.t);
      if (power > highest) highest = power;
    }
  }
  return highest > limit
    ? { code: 'power', value: shown(highest), limit: shown(limit) }
    : undefined;
}

/** A solar plant feeds in nothing while the sun is well below the horizon. */
export function findNight(
  { spec, record, readings }: MeterQuestion,
  { isSolar, place, thresholds: { nightFloorWh, nightSunMilliDegrees } }: HourContext,
): Found | undefined {
  if (!isSolar || spec.role !== 'production' || isCut(record)) return undefined;
  let total = 0n;
  let limit = BigInt(nightFloorWh);
  for (const register of energyRegisters(spec, 'export')) {
    if (stepOf(register) > limit) limit = stepOf(register);
    const trusted = trustedReadings(readings, [register]);
    for (const [i, to] of trusted.entries()) {
      const from = trusted[i - 1];
      const units = from === undefined ? 0n : (grown(from, to, register) ?? 0n);
      if (from === undefined || units === 0n) continue;
      if (isSunBelow(nightSunMilliDegrees / 1000, { fromS: from.t, toS: to.t }, place)) {
        total += units;
      }
    }
  }
  return total > limit ? { code: 'night', value: shown(total), limit: shown(limit) } : undefined;
}
