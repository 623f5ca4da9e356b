import { describe, expect, it } from 'vitest';
import { combineMeters, computePlantHour } from '#core/energy/plant-hour.ts';
import type { MeterEvidence } from '#core/energy/meter-hour.ts';
import { auxiliary, co2G, evidenceOf, exportWh, importWh, production } from './evidence.ts';
import { held, start, values } from './evidence.ts';

const plantHour = (meters: readonly MeterEvidence[], capacityW = 10_000) =>
  computePlantHour({ start, capacityW, meters });
const ran = (name: string, units: number) =>
  values(name, [
    [0, 5],
    [3600, 5 + units],
  ]);
const named = (meter: string, evidence: MeterEvidence): MeterEvidence => ({
  ...evidence,
  spec: { ...evidence.spec, meter },
});

describe("a plant's hour", () => {
  it('holds the sum of its meters to its capacity, not only each of them', () => {
    const two = [production(ran('exportWh', 6000)), named('N', production(ran('exportWh', 6000)))];
    expect(plantHour(two, 10_909)).toMatchObject({ generationWh: 0, quality: 'disputed' });
    expect(plantHour(two, 10_909).verdicts).toEqual(['capacity']);
    expect(plantHour(two, 10_910)).toMatchObject({ generationWh: 12_000, issues: true });
    expect(
      computePlantHour({ start, capacityW: 10_000, capacityPpm: 1_200_000, meters: two }).issues,
    ).toBe(true);
  });

  it('neither counts check meters nor waits for them', () => {
    const check = { meter: 'C', role: 'check', registers: { exportWh } } as const;
    const silent = evidenceOf(check, []);
    const broken = evidenceOf(
      check,
      values('exportWh', [
        [0, 9],
        [3600, 1],
      ]),
    );
    for (const one of [silent, broken]) {
      const hour = plantHour([production(ran('exportWh', 50)), one]);
      expect(hour).toMatchObject({ generationWh: 50, quality: 'measured', verdicts: [] });
    }
    const [, record] = plantHour([production([]), evidenceOf(check, ran('exportWh', 48))]).meters;
    expect(record?.energy).toEqual({ exportWh: 48 });
  });

  it('issues nothing from the meters of storage', () => {
    const storage = { meter: 'S', role: 'storage', registers: { exportWh } } as const;
    const hour = plantHour([
      production(ran('exportWh', 50)),
      evidenceOf(storage, ran('exportWh', 9)),
    ]);
    expect(hour).toMatchObject({ generationWh: 0, issues: false, verdicts: ['storage'] });
    expect(hour.meters[1]?.energy).toEqual({ exportWh: 9 });
  });

  it('issues nothing where an auxiliary meter has no register to subtract', () => {
    const spec = { meter: 'X', role: 'auxiliary', registers: { exportWh } } as const;
    const hour = plantHour([production(ran('exportWh', 50)), evidenceOf(spec, ran('exportWh', 1))]);
    expect(hour).toMatchObject({ generationWh: 0, issues: false });
    expect(hour.verdicts).toContain('unbounded');
  });

  it('is disputed with any of its meters', () => {
    const disputed = auxiliary(
      values('importWh', [
        [0, 9],
        [3600, 1],
      ]),
    );
    const hour = plantHour([production(ran('exportWh', 50)), disputed]);
    expect(hour).toMatchObject({ generationWh: 0, quality: 'disputed', issues: false });
  });

  it('without meters has measured nothing', () => {
    expect(plantHour([])).toMatchObject({ generationWh: 0, quality: 'partial', issues: false });
  });

  it('weighs the gas of emission and production meters, once all of it is known', () => {
    const emission = { meter: 'E', role: 'emission', registers: { co2G } } as const;
    const stack = evidenceOf(emission, ran('co2G', 700));
    expect(plantHour([production(ran('exportWh', 50)), stack])).toMatchObject({
      co2G: 700,
      generationWh: 50,
      quality: 'measured',
    });
    const silent = plantHour([production(ran('exportWh', 50)), evidenceOf(emission, [])]);
    expect(silent).toMatchObject({ generationWh: 50, quality: 'partial', issues: true });
    expect(silent).not.toHaveProperty('co2G');
    expect(plantHour([production([])])).not.toHaveProperty('co2G');
  });

  const seconds = { unit: 's', direction: 'none' } as const;
  const stackOf = (meter: string, shown: Readonly<Record<string, number>>) => {
    const registers = { co2G, operatingS: seconds, validS: seconds };
    const readings = [0, 1].map((last) => ({
      t: last * 3600,
      registers: Object.fromEntries(Object.entries(shown).map(([name, of]) => [name, last * of])),
    }));
    return evidenceOf({ meter, role: 'emission', registers }, held(readings));
  };

  it('says of several monitors what the least of them says', () => {
    const one = stackOf('E1', { co2G: 10, operatingS: 3500, validS: 3600 });
    const two = stackOf('E2', { co2G: 20, operatingS: 3600, validS: 1000 });
    expect(plantHour([one, two])).toMatchObject({ co2G: 30, operatingS: 3600, validS: 1000 });
    expect(plantHour([two, one])).toMatchObject({ co2G: 30, operatingS: 3600, validS: 1000 });
  });

  it('says nothing of monitors where one of them does not, nor without what they weigh', () => {
    const one = stackOf('E1', { co2G: 10, operatingS: 3600, validS: 3600 });
    const dumb = stackOf('E2', { co2G: 1, operatingS: 3600 });
    const mute = evidenceOf({ meter: 'E2', role: 'emission', registers: { co2G } }, ran('co2G', 1));
    for (const other of [dumb, mute]) {
      const hour = plantHour([one, other]);
      expect(hour.co2G).toBe(11);
      expect(hour).not.toHaveProperty('operatingS');
      expect(hour).not.toHaveProperty('validS');
    }
    const open = plantHour([stackOf('E1', { operatingS: 3600, validS: 3600 })]);
    expect(open).not.toHaveProperty('operatingS');
    const energy = { unit: 'Wh', direction: 'none' } as const;
    const registers = { co2G, operatingS: energy, validS: seconds };
    const wrong = { ...one, spec: { ...one.spec, registers } };
    expect(plantHour([wrong])).not.toHaveProperty('validS');
  });
});

describe('a consumption site', () => {
  const site = { role: 'consumption', registers: { importWh } } as const;

  it('reports nothing while a side is missing, and claims what lies inside', () => {
    const hour = plantHour([
      evidenceOf(
        site,
        values('importWh', [
          [0, 5],
          [1800, 9],
        ]),
      ),
    ]);
    expect(hour).toMatchObject({ consumptionWh: 4, quality: 'partial' });
    expect(hour).not.toHaveProperty('reportedConsumptionWh');
  });

  it('reports an outage that swallows the hour, and claims nothing of it', () => {
    const hour = plantHour([
      evidenceOf(
        site,
        values('importWh', [
          [-60, 5],
          [3660, 9],
        ]),
      ),
    ]);
    expect(hour).toMatchObject({ consumptionWh: 0, reportedConsumptionWh: 4 });
  });

  it('beyond its capacity has nothing to claim upon', () => {
    const hour = plantHour([evidenceOf(site, ran('importWh', 20_000))]);
    expect(hour).toMatchObject({ consumptionWh: 0, quality: 'disputed' });
    expect(hour).not.toHaveProperty('reportedConsumptionWh');
  });

  it('reports no figure beyond what an integer holds', () => {
    const huge = values('importWh', [
      [-60, 0],
      [3660, Number.MAX_SAFE_INTEGER],
    ]);
    const two = [evidenceOf(site, huge), named('N', evidenceOf(site, huge))];
    expect(plantHour(two)).not.toHaveProperty('reportedConsumptionWh');
  });
});

describe('combining meters', () => {
  const { meters } = plantHour([production(ran('exportWh', 50))]);
  const spec = production([]).spec;
  const capacity = { capacityW: 10_000 };

  it('refuses meters that are not the plant’s, or not all of them', () => {
    const other = { ...spec, meter: 'N' };
    expect(() => combineMeters(meters, [other], capacity)).toThrow('nothing of meter N');
    expect(() => combineMeters(meters, [spec, other], capacity)).toThrow('1 meters where');
    expect(() => combineMeters([...meters, ...meters], [spec, other], capacity)).toThrow(
      '2 meters',
    );
  });
});
