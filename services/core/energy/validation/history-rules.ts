import { hourSeconds } from '../hours.ts';
import type { Reading } from '../message.ts';
import { ownValue } from '../register.ts';
import type { Found } from './findings.ts';
import { energyRegisters, grown, isCut, shareOf, shown } from './question.ts';
import { trustedReadings, type HourContext, type MeterQuestion } from './question.ts';
import type { NamedRegister } from './question.ts';
import { sunElevation } from './sun.ts';

/** Rules that look further back than the hour. */

/** For how long these registers have not moved, by a reading before and the hour's last; 0 if they have. */
function stillS(
  { readings }: MeterQuestion,
  before: Reading | undefined,
  registers: readonly NamedRegister[],
): number {
  const last = trustedReadings(readings, registers).at(-1);
  if (before === undefined || last === undefined || registers.length === 0) return 0;
  const isStill = registers.every(
    ({ name }) => ownValue(before.registers, name) === ownValue(last.registers, name),
  );
  return isStill ? last.t - before.t : 0;
}

/** A meter of which no register of energy moves is broken, or what it measures stands still. */
export function findStuck(
  question: MeterQuestion,
  { thresholds: { stuckS: limit } }: HourContext,
): Found | undefined {
  const value = stillS(question, question.before.stuck, energyRegisters(question.spec));
  return value >= limit ? { code: 'stuck', value, limit } : undefined;
}

/**
 * Of a solar plant a whole hour of high sun without output is odd; others may rest longer.
 */
export function findZero(
  question: MeterQuestion,
  { start, isSolar, place, thresholds }: HourContext,
): Found | undefined {
  const { spec, readings, before } = question;
  const registers = energyRegisters(spec, 'export');
  if (spec.role !== 'production' || registers.length === 0) return undefined;
  if (!isSolar) {
    const value = stillS(question, before.zero, registers);
    return value >= thresholds.zeroS ? { code: 'zero', value, limit: thresholds.zeroS } : undefined;
  }
  const [first] = trustedReadings(readings, registers);
  const value = stillS(question, first, registers);
  const turns = [start, start + hourSeconds];
  const isHigh = turns.every(
    (t) => sunElevation(t, place) * 1000 >= thresholds.zeroSunMilliDegrees,
  );
  return isHigh && value === hourSeconds ? { code: 'zero', value, limit: hourSeconds } : undefined;
}

/**
 * The hours of a day against the registers at its turns: what flowed while nothing was proved is in
 * no hour, and what was subtracted from two hours is in both.
 */
export function findDaily(
  { spec, day }: MeterQuestion,
  { thresholds: { dailyFloorWh, dailyPpm } }: HourContext,
): Found | undefined {
  if (day === undefined || day.hours.some(isCut)) return undefined;
  for (const register of energyRegisters(spec)) {
    const whole = grown(day.first, day.last, register);
    if (whole === undefined) continue;
    const known = day.hours.map(({ energy }) => ownValue(energy, register.name));
    // A register that does not count is in no hour at all.
    if (known.every((units) => units === undefined)) continue;
    const sum = known.reduce((total, units) => total + BigInt(units ?? 0), 0n);
    const value = sum > whole ? sum - whole : whole - sum;
    const limit = BigInt(dailyFloorWh) + shareOf(whole, dailyPpm);
    if (value > limit) return { code: 'daily', value: shown(value), limit: shown(limit) };
  }
  return undefined;
}
