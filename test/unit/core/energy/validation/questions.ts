import type { Reading } from '#core/energy/message.ts';
import { joinFindings, type Finding } from '#core/energy/validation/findings.ts';
import type { HourContext, MeterQuestion, RecordSaid } from '#core/energy/validation/question.ts';
import { defaultThresholds } from '#core/energy/validation/thresholds.ts';
import { validateHour } from '#core/energy/validation/validate.ts';

/** Questions to validation in which nothing is wrong, for tests to make something wrong in. */

/** 21 June 2025, noon and midnight at Gonghe (100.62° east), whole UTC hours. */
export const noonHour = Date.parse('2025-06-21T05:00:00Z') / 1000;
export const nightHour = Date.parse('2025-06-21T17:00:00Z') / 1000;
/** The last hour of a UTC day. */
export const lastHour = Date.parse('2025-06-21T23:00:00Z') / 1000;

export const solar: HourContext = {
  start: noonHour,
  capacityW: 1_000_000,
  isSolar: true,
  place: { latitude: 36.28, longitude: 100.62 },
  thresholds: defaultThresholds,
};
export const hydro: HourContext = { ...solar, isSolar: false };

export const measured: RecordSaid = { energy: {}, quality: 'measured', verdicts: [] };

export const exportWh = { direction: 'export', unit: 'Wh' } as const;
export const importWh = { direction: 'import', unit: 'Wh' } as const;

/** Readings of `exportWh` at these seconds of the hour. */
export function series(
  start: number,
  values: readonly (readonly [offsetS: number, exportWh: number, more?: Partial<Reading>])[],
): Reading[] {
  return values.map(([offsetS, value, more]) => ({
    t: start + offsetS,
    registers: { exportWh: value },
    ...more,
  }));
}

/** A quarter-hourly hour that runs `stepWh` in each quarter, from 5,000. */
export function quarters(start: number, stepWh: number): Reading[] {
  return series(
    start,
    [0, 1, 2, 3, 4].map((i) => [i * 900, 5_000 + i * stepWh] as const),
  );
}

export function meter(changes: Partial<MeterQuestion> = {}): MeterQuestion {
  return {
    spec: { meter: 'M', role: 'production', registers: { exportWh } },
    record: measured,
    readings: quarters(noonHour, 100),
    quarantined: 0,
    before: {},
    ...changes,
  };
}

export const found = (question: MeterQuestion, context: HourContext = hydro): readonly Finding[] =>
  validateHour([question], context).get(question.spec.meter) ?? joinFindings([], []);
