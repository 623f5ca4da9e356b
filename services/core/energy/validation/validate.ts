import { ownValue } from '../register.ts';
import { joinFindings, type Finding, type Found } from './findings.ts';
import { findDaily, findStuck, findZero } from './history-rules.ts';
import { findClock, findGap, findNight, findPower, findStatus } from './hour-rules.ts';
import { energyRegisters, shareOf, shown } from './question.ts';
import type { HourContext, MeterQuestion } from './question.ts';

const ofOneMeter = [
  findClock,
  findDaily,
  findGap,
  findNight,
  findPower,
  findStatus,
  findStuck,
  findZero,
] as const;

/**
 * What validation says of each meter of a plant for one sealed hour (D4.2), by meter id: the verdicts of
 * its record, and what the rules find that inform people. Pure, and nothing certified depends on it.
 */
export function validateHour(
  meters: readonly MeterQuestion[],
  context: HourContext,
): ReadonlyMap<string, readonly Finding[]> {
  return new Map(
    meters.map((meter) => {
      const found = ofOneMeter.map((rule) => rule(meter, context));
      found.push(findCheck(meter, meters, context));
      return [meter.spec.meter, joinFindings(meter.record.verdicts, found)];
    }),
  );
}

/**
 * A check meter against the meters of its metering point or, where it names none, against all that
 * produce: by direction, once both are measured in full.
 */
function findCheck(
  check: MeterQuestion,
  meters: readonly MeterQuestion[],
  { thresholds: { checkFloorWh, checkPpm } }: HourContext,
): Found | undefined {
  const { role, point } = check.spec;
  if (role !== 'check') return undefined;
  const mains = meters.filter(({ spec }) =>
    point === undefined
      ? spec.role === 'production'
      : spec.role !== 'check' && spec.point === point,
  );
  if ([check, ...mains].some(({ record }) => record.quality !== 'measured')) return undefined;
  for (const direction of ['export', 'import'] as const) {
    const own = energyOf([check], direction);
    const others = energyOf(mains, direction);
    if (own === undefined || others === undefined) continue;
    const value = own > others ? own - others : others - own;
    const limit = BigInt(checkFloorWh) + shareOf(own > others ? own : others, checkPpm);
    if (value > limit) return { code: 'check', value: shown(value), limit: shown(limit) };
  }
  return undefined;
}

/** Wh of the hour in one direction; undefined where none of the meters counts it. */
function energyOf(
  meters: readonly MeterQuestion[],
  direction: 'export' | 'import',
): bigint | undefined {
  const known = meters.flatMap(({ spec, record }) =>
    energyRegisters(spec, direction).flatMap(({ name }) => ownValue(record.energy, name) ?? []),
  );
  return known.length === 0 ? undefined : known.reduce((sum, wh) => sum + BigInt(wh), 0n);
}
