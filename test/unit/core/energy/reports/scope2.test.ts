import { describe, expect, it } from 'vitest';
import { residualFactor } from '#core/energy/reports/residual.ts';
import { scope2, type FactorQuestion } from '#core/energy/reports/scope2.ts';
import { claim, load, nextHour, refusing } from './claims.ts';

const set = { set: 'grid', version: '2023' };
const factorOf = (question: FactorQuestion) => {
  switch (question.scope) {
    case 'location':
      return { ...set, mgPerKwh: 530_600 };
    case 'residual':
      return { set: 'mix', version: '2023', mgPerKwh: 609_600 };
    case 'certificate': {
      const mgPerKwh = question.series === 'energy/biogas' ? 1000 : 0;
      return { set: 'plants', version: '1', mgPerKwh };
    }
  }
};
const consumption = [load(1000), load(1000, { hour: nextHour })];
const claims = [claim('wind', 600), claim('biogas', 500, { hour: nextHour })];

describe('Scope 2', () => {
  it('is told both ways, and by the factors that it used', () => {
    expect(scope2({ claims, consumption, factorOf, matching: 'annual' })).toEqual({
      consumptionWh: 2000,
      factors: [
        { set: 'grid', version: '2023' },
        { set: 'mix', version: '2023' },
        { set: 'plants', version: '1' },
      ],
      locationBasedG: 1062, // 2 kWh at 530.6 g: 1061.2
      marketBasedG: 550, // 500 Wh at 1 g/kWh, 900 Wh at 609.6: 0.5 + 548.64
      matchedWh: 1100,
    });
  });

  it('hour by hour takes nothing that another hour generated', () => {
    const hourly = scope2({ claims, consumption, factorOf, matching: 'hourly' });
    // 1,400 Wh at 609.6 g/kWh: 853.44 g.
    expect(hourly).toMatchObject({ locationBasedG: 1062, marketBasedG: 854, matchedWh: 600 });
    const elsewhere = [claim('wind', 600, { generationZone: 'NL' })];
    const none = scope2({ claims: elsewhere, consumption, factorOf, matching: 'hourly' });
    expect(none.matchedWh).toBe(0);
  });

  it('asks for no factor of nothing', () => {
    const full = { claims: [claim('wind', 1000)], consumption: [load(1000)] };
    const known = (question: FactorQuestion) =>
      question.scope === 'residual' ? undefined : factorOf(question);
    expect(scope2({ ...full, factorOf: known, matching: 'hourly' }).marketBasedG).toBe(0);
  });

  it('refuses unknown factors, and claims beyond what was consumed', () => {
    const ask = { claims, consumption, factorOf, matching: 'annual' as const };
    expect(() => scope2({ ...ask, factorOf: () => undefined })).toThrow(refusing('factor'));
    expect(() => scope2({ ...ask, consumption: [load(1000)] })).toThrow(refusing('claimed'));
    expect(() => scope2({ ...ask, claims: [claim('wind', 1001)] })).toThrow(refusing('claimed'));
    expect(() => scope2({ ...ask, consumption: [load(1), load(1)] })).toThrow(refusing('double'));
  });
});

describe('the residual factor of a zone', () => {
  const zone = {
    claimedEmissionsG: 0,
    claimedWh: 250_000,
    emissionsG: 500_000,
    generationKwh: 1000,
  };

  it('is what is left of emissions by what is left of generation, rounded up', () => {
    // 500 kg over 750 kWh: 666.6667 g/kWh.
    expect(residualFactor(zone)).toBe(666_667);
    expect(residualFactor({ ...zone, claimedEmissionsG: 500_000 })).toBe(0);
  });

  it('takes a year of a large country', () => {
    const year = { claimedEmissionsG: 0, claimedWh: 0, emissionsG: 5_500_000_000_000_000 };
    expect(residualFactor({ ...year, generationKwh: 10_000_000_000_000 })).toBe(550_000);
  });

  it('is refused where more is claimed than there is, or all of it', () => {
    for (const more of [{ claimedEmissionsG: 500_001 }, { claimedWh: 1_000_000 }]) {
      expect(() => residualFactor({ ...zone, ...more })).toThrow(refusing('residual'));
    }
  });
});
