import type { Reading } from '#core/energy/message.ts';
import type { MeterEvidence } from '#core/energy/meter-hour.ts';
import type { MeterSpec, RegisterSpec } from '#core/energy/register.ts';
import type { HeldReading } from '#core/energy/timeline.ts';

/** A UTC hour that all these tests speak of; their times are relative to it. */
export const start = 1_750_003_200;
export const end = start + 3600;

export const exportWh = { unit: 'Wh', direction: 'export' } as const satisfies RegisterSpec;
export const importWh = { unit: 'Wh', direction: 'import' } as const satisfies RegisterSpec;
export const co2G = { unit: 'g', direction: 'none' } as const satisfies RegisterSpec;

/** Each reading a message of its own; `t` relative to the start of the hour. */
export function held(
  readings: readonly (Omit<Reading, 't'> & { t: number; key?: string })[],
): HeldReading[] {
  const seqs = new Map<string, number>();
  return readings.map(({ t, key = 'a', ...reading }) => {
    const kid = key.padEnd(43, 'k');
    const seq = (seqs.get(kid) ?? 0) + 1;
    seqs.set(kid, seq);
    return { ...reading, t: start + t, kid, seq };
  });
}

/** `[t, value]` of one register. */
export function values(
  name: string,
  pairs: readonly (readonly [number, number])[],
  key = 'a',
): HeldReading[] {
  return held(pairs.map(([t, value]) => ({ t, registers: { [name]: value }, key })));
}

export function evidenceOf(
  spec: Omit<MeterSpec, 'meter'> & { meter?: string },
  readings: readonly HeldReading[],
  more: Partial<MeterEvidence> = {},
): MeterEvidence {
  return { spec: { meter: 'M', ...spec }, readings, exchanges: [], breaks: [], ...more };
}

export function production(
  readings: readonly HeldReading[],
  more: Partial<MeterEvidence> = {},
): MeterEvidence {
  return evidenceOf({ role: 'production', registers: { exportWh } }, readings, more);
}

export function auxiliary(
  readings: readonly HeldReading[],
  more: Partial<MeterEvidence> = {},
): MeterEvidence {
  return evidenceOf({ meter: 'X', role: 'auxiliary', registers: { importWh } }, readings, more);
}

export function exchange(
  t: number,
  closing: Record<string, number>,
  opening: Record<string, number>,
): MeterEvidence['exchanges'][number] {
  return { t: start + t, closing, opening, entry: { index: 7, leafHash: 'e'.repeat(64) } };
}
