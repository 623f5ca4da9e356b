import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Reading } from '#core/energy/message.ts';
import type { HourContext, MeterQuestion } from '#core/energy/validation/question.ts';
import type { Finding } from '#core/energy/validation/findings.ts';
import { defaultThresholds } from '#core/energy/validation/thresholds.ts';
import { validateHour } from '#core/energy/validation/validate.ts';
import { createFleet, type FleetMeter, type FleetPlant } from '#devices/fleet.ts';
import { createCounters } from '#devices/schedule.ts';

/** Days of the simulated fleet, and what becomes of them when something is wrong with a meter. */
const runs = { numRuns: 8 };
const dayS = 86_400;
const plantIds = ['solar-gonghe', 'wind-guazhou', 'hydro-bapan', 'works-lanzhou'];

interface SimulatedMeter {
  readonly meter: FleetMeter;
  /** By second of the day, every `everyS` from 0 to 86,400. */
  readonly readings: readonly Reading[];
}

interface SimulatedDay {
  readonly plant: FleetPlant;
  readonly startS: number;
  readonly meters: readonly SimulatedMeter[];
}

const aDay = fc
  .record({
    seed: fc.integer({ min: 1, max: 1_000 }),
    day: fc.integer({ min: 0, max: 364 }),
    everyS: fc.constantFrom(60, 300, 900, 3600),
    id: fc.constantFrom(...plantIds),
  })
  .map(({ seed, day, everyS, id }): SimulatedDay => {
    const startS = Date.UTC(2025, 0, 1 + day) / 1000;
    const plant = createFleet(seed).find((one) => one.id === id);
    if (plant === undefined) throw new Error(`no plant ${id}`);
    const meters = plant.meters.map((meter) => {
      const values = createCounters(meter.registers, {
        startS,
        readingEveryS: everyS,
        messageEveryS: 3600,
      });
      const readings = Array.from({ length: dayS / everyS + 1 }, (_, i) => {
        const t = startS + i * everyS;
        return { t, registers: values(t) };
      });
      return { meter, readings };
    });
    return { plant, startS, meters };
  });

/** What the ledger would have sealed of each hour, every reading there: register differences. */
function energyOf(readings: readonly Reading[]): Readonly<Record<string, number>> {
  const [first, last] = [readings[0], readings.at(-1)];
  return Object.fromEntries(
    Object.entries(last?.registers ?? {}).map(([name, value]) => [
      name,
      value - (first?.registers[name] ?? 0),
    ]),
  );
}

function questionOf(
  { meter, readings }: SimulatedMeter,
  { startS, start }: { startS: number; start: number },
): MeterQuestion {
  const within = (from: number): readonly Reading[] =>
    readings.filter(({ t }) => t >= from && t <= from + 3600);
  const record = (from: number) => ({
    energy: energyOf(within(from)),
    quality: 'measured' as const,
    verdicts: [],
  });
  const registers = Object.fromEntries(meter.registers.map((one) => [one.name, one]));
  const [first, last] = [readings[0], readings.at(-1)];
  const isLast = start === startS + dayS - 3600 && first !== undefined && last !== undefined;
  const hours = Array.from({ length: 24 }, (_, i) => record(startS + i * 3600));
  return {
    spec: { meter: meter.id, role: meter.role, registers },
    record: record(start),
    readings: within(start),
    quarantined: 0,
    before: { stuck: readings.findLast(({ t }) => t <= start + 3600 - dayS) },
    ...(isLast && { day: { first, last, hours } }),
  };
}

function judge(day: SimulatedDay): readonly Finding[] {
  const { plant, startS } = day;
  const place = { latitude: plant.latitudeE7 / 1e7, longitude: plant.longitudeE7 / 1e7 };
  return Array.from({ length: 24 }, (_, i) => startS + i * 3600).flatMap((start) => {
    const context: HourContext = {
      start,
      capacityW: plant.capacityW,
      isSolar: plant.source === 'solar',
      place,
      thresholds: defaultThresholds,
    };
    const meters = day.meters.map((meter) => questionOf(meter, { startS, start }));
    return [...validateHour(meters, context).values()].flat();
  });
}

/** The day as one of its meters tells it wrongly. */
function withReadings(
  day: SimulatedDay,
  change: (readings: readonly Reading[]) => readonly Reading[],
): SimulatedDay {
  const [first, ...others] = day.meters;
  if (first === undefined) throw new Error('no meter');
  return { ...day, meters: [{ ...first, readings: change(first.readings) }, ...others] };
}

const codesOf = (findings: readonly Finding[]): string[] => findings.map(({ code }) => code);

describe('a day of the simulated fleet', () => {
  it('is clean', () => {
    fc.assert(
      fc.property(aDay, (day) => {
        expect(judge(day)).toEqual([]);
      }),
      runs,
    );
  });

  it('is found stuck when no register moves', () => {
    fc.assert(
      fc.property(aDay, (day) => {
        const stuck = withReadings(day, (readings) =>
          readings.map(({ t }) => ({ t, registers: readings[0]?.registers ?? {} })),
        );
        expect(codesOf(judge(stuck))).toContain('stuck');
      }),
      runs,
    );
  });

  it('has a gap where readings are missing amid an hour', () => {
    const often = aDay.filter(({ meters }) => (meters[0]?.readings.length ?? 0) > 200);
    fc.assert(
      fc.property(often, fc.integer({ min: 0, max: 23 }), (day, hour) => {
        const from = day.startS + hour * 3600;
        const cut = withReadings(day, (readings) =>
          readings.filter(({ t }) => t <= from + 600 || t >= from + 600 + 1800),
        );
        expect(codesOf(judge(cut))).toContain('gap');
      }),
      runs,
    );
  });

  it('shows more power than there is where a register jumps', () => {
    fc.assert(
      fc.property(aDay, fc.integer({ min: 1, max: 1_000 }), (day, at) => {
        const jumped = withReadings(day, (readings) => {
          const from = at % (readings.length - 1);
          const jumpWh = day.plant.capacityW * 2;
          return readings.map(({ t, registers }, i) => ({
            t,
            registers: Object.fromEntries(
              Object.entries(registers).map(([name, value]) => [
                name,
                i > from ? value + jumpWh : value,
              ]),
            ),
          }));
        });
        expect(codesOf(judge(jumped))).toContain('power');
      }),
      runs,
    );
  });

  it('does not add up where an hour is left out of it', () => {
    const dayLong = aDay.filter(({ plant }) => plant.id === 'hydro-bapan');
    fc.assert(
      fc.property(dayLong, fc.integer({ min: 1, max: 22 }), (day, hour) => {
        const from = day.startS + hour * 3600;
        const readings = day.meters[0]?.readings ?? [];
        const lost = energyOf(readings.filter(({ t }) => t >= from && t <= from + 3600));
        fc.pre((lost.exportWh ?? 0) > 1_000 + (energyOf(readings).exportWh ?? 0) / 100);
        const cut = withReadings(day, (all) => all.filter(({ t }) => t < from || t > from + 3600));
        expect(codesOf(judge(cut))).toContain('daily');
      }),
      runs,
    );
  });

  it('is found out when the sun shines at night: its readings half a day off', () => {
    const sunny = aDay.filter(({ plant }) => plant.id === 'solar-gonghe');
    fc.assert(
      fc.property(sunny, (day) => {
        // Energy of noon, told of midnight; and none told of noon.
        const shifted = withReadings(day, (readings) => {
          const half = (readings.length - 1) / 2;
          const middle = readings[half]?.registers ?? {};
          const [end, begin] = [readings.at(-1)?.registers ?? {}, readings[0]?.registers ?? {}];
          return readings.map(({ t }, i) => {
            const source = readings[i <= half ? i + half : i - half]?.registers ?? {};
            const registers = Object.fromEntries(
              Object.entries(source).map(([name, value]) => {
                const wrapped = (end[name] ?? 0) - (begin[name] ?? 0);
                const base = i <= half ? 0 : wrapped;
                return [name, value - (middle[name] ?? 0) + base];
              }),
            );
            return { t, registers };
          });
        });
        const codes = codesOf(judge(shifted));
        expect(codes).toContain('night');
        expect(codes).toContain('zero');
      }),
      runs,
    );
  });
});
