import type { Judgement } from '#core/certificate/fold.ts';
import { emissionRecord, type EmissionRecord } from '#core/certificate/emission-record.ts';
import type { EmissionRule } from '#core/certificate/specs/emissions.ts';
import type { EmissionHour } from '#core/energy/emissions/day.ts';
import { createBusyLog, testStartS, type LogBuilder, type LogOptions } from './log-builder.ts';

/** A log in which the wind farm has an emission monitor, and the solar plant a factor. */

/** The day of `testStartS`: the plants' first hour is the one from 10:00. */
export const emissionDayS = testStartS - 10 * 3600;
export const firstHour = 10;

export const emissionRules: readonly EmissionRule[] = [
  { maxGramsPerHour: 5000, method: 'measured', plant: 'wind', regime: '40-cfr-75' },
  {
    energy: 'generation',
    factor: { scope: 'solar', set: 'lifecycle', zone: '*' },
    method: 'calculated',
    plant: 'solar',
  },
];

export const factorSet = {
  rows: [
    {
      gas: 'CO2e',
      mg: 45_000,
      per: 'kWh',
      scope: 'solar',
      source: 'IPCC 2014 medians',
      year: 2021,
      zone: '*',
    },
  ],
  set: 'lifecycle',
  validity: { from: 1_609_459_200 },
  version: '2021',
} as const;

/** What the hours of the day have in them; by default 1000 g in 3600 valid seconds. */
export type HourOf = (hour: number) => object;
const monitor = { co2G: 1000, operatingS: 3600, validS: 3600 };

export function createEmissionLog(options: LogOptions = {}): LogBuilder {
  const log = createBusyLog({ ...options, rules: { emissions: emissionRules, ...options.rules } });
  log.enter('factors', { ...factorSet, ...log.once() });
  return log;
}

/** Seals every hour of the plant's first day, and of `days` more. */
export function sealDays(
  log: LogBuilder,
  plant: string,
  { hourOf = () => ({}), days = 1 }: { hourOf?: HourOf; days?: number } = {},
): void {
  for (let hour = firstHour; hour < 24 * days; hour++) {
    log.time = Math.max(log.time, emissionDayS + (hour + 1) * 3600);
    const spec = { ...(plant === 'wind' && monitor), ...hourOf(hour) };
    log.hour(plant, emissionDayS + hour * 3600, { generation: 1000, spec });
  }
}

/** What is due of a day by the log as it is. */
export function recordOf(log: LogBuilder, plant: string, day = emissionDayS): EmissionRecord {
  return emissionRecord(log.state, { plant, day, time: log.time });
}

export function enterRecord(log: LogBuilder, plant: string, change: object = {}): Judgement {
  return log.enter('emission', { ...recordOf(log, plant), ...change });
}

export function correctRecord(log: LogBuilder, plant: string, change: object = {}): Judgement {
  const amends = log.state.plants.get(plant)?.emissions.get(emissionDayS)?.ref;
  return log.enter('emission-correction', { amends, ...recordOf(log, plant), ...change });
}

/** The hours of a record with one of them changed. */
export function withHour(
  { hours }: EmissionRecord,
  at: number,
  change: Partial<EmissionHour>,
): readonly EmissionHour[] {
  return hours.map((hour) =>
    hour.start === emissionDayS + at * 3600 ? { ...hour, ...change } : hour,
  );
}
