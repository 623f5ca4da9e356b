import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { isMeterComplete } from '#core/energy/completeness.ts';
import { computePlantHour } from '#core/energy/plant-hour.ts';
import { validInstants, type MeterSpec, type Role } from '#core/energy/register.ts';
import type { HeldReading } from '#core/energy/timeline.ts';
import { evidenceOf, exchange, importWh, start, values } from './evidence.ts';

interface Case {
  name: string;
  meters: {
    meter: string;
    role: Role;
    registers: Record<string, { digits?: number; multiplier?: number }>;
  }[];
  readings: {
    meter: string;
    t: number;
    registers: Record<string, number>;
    key?: number;
    clock?: 'unsynced';
    status?: 'tamper' | 'power-fail';
  }[];
  capacityW: number;
  events?: {
    kind: string;
    meter: string;
    t: number;
    closing: Record<string, number>;
    opening: Record<string, number>;
  }[];
  expect: { generationWh?: number; quality: string; issues: boolean; complete: boolean };
}
interface Consumption {
  name: string;
  readings: [number, number][];
  claimableWh: number;
  reportedWh: number;
  substituted: boolean;
}

const vectors = JSON.parse(
  readFileSync(new URL('../../../vectors/energy.json', import.meta.url), 'utf8'),
) as { hours: Case[]; consumption: Consumption[] };

function specOf({ meter, role, registers }: Case['meters'][number]): MeterSpec {
  const named = Object.entries(registers).map(([name, register]) => {
    const direction = name === 'exportWh' ? ('export' as const) : ('import' as const);
    return [name, { ...register, unit: 'Wh' as const, direction }] as const;
  });
  return { meter, role, registers: Object.fromEntries(named) };
}

/** Every reading a message of its own, numbered within its key. */
function readingsOf(vector: Case, meter: string): HeldReading[] {
  const seqs = new Map<string, number>();
  return vector.readings
    .filter((reading) => reading.meter === meter)
    .map(({ t, key = 1, meter: _, ...reading }) => {
      const kid = `key-${key}`;
      const seq = (seqs.get(kid) ?? 0) + 1;
      seqs.set(kid, seq);
      return { ...reading, t: start + t, kid, seq };
    });
}

function isComplete(vector: Case): boolean {
  return vector.meters.every((meter) => {
    const readings = readingsOf(vector, meter.meter);
    const kids = [...new Set(['key-1', ...readings.map(({ kid }) => kid)])];
    return isMeterComplete({
      start,
      keys: kids.map((kid, i) => ({
        kid,
        lastSeq: i + 1 < kids.length ? readings.filter((r) => r.kid === kid).length : undefined,
      })),
      seen: readings.map((reading) => ({
        kid: reading.kid,
        seq: reading.seq,
        tFirst: reading.t,
        tLast: reading.t,
        counts: true,
        validAt: validInstants(specOf(meter), [reading]),
      })),
    });
  });
}

describe('the hours of energy.json', () => {
  it('are all there', () => {
    expect(vectors.hours).toHaveLength(26);
    expect(vectors.consumption).toHaveLength(2);
  });

  it.each(vectors.hours)('$name: $why', (vector) => {
    const hour = computePlantHour({
      start,
      capacityW: vector.capacityW,
      meters: vector.meters.map((meter) => ({
        spec: specOf(meter),
        readings: readingsOf(vector, meter.meter),
        exchanges: (vector.events ?? [])
          .filter((event) => event.meter === meter.meter)
          .map((event) => exchange(event.t, event.closing, event.opening)),
        breaks: [],
      })),
    });
    const { generationWh, quality, issues } = hour;
    expect({ generationWh, quality, issues, complete: isComplete(vector) }).toEqual({
      generationWh: 0,
      ...vector.expect,
    });
  });

  it.each(vectors.consumption)('$name', ({ readings, claimableWh, reportedWh, substituted }) => {
    const registers = { importWh };
    const meter = evidenceOf({ role: 'consumption', registers }, values('importWh', readings));
    const hour = computePlantHour({ start, capacityW: 10_000_000, meters: [meter] });
    expect(hour.consumptionWh).toBe(claimableWh);
    expect(hour.reportedConsumptionWh).toBe(substituted ? undefined : reportedWh);
    expect(hour.generationWh).toBe(0);
  });
});
