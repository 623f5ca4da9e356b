import { describe, expect, it } from 'vitest';
import { annualShare } from '#core/energy/reports/annual-share.ts';
import type { AnnualTerms, PlantFacts } from '#core/energy/reports/annual-share.ts';
import type { Claim } from '#core/energy/reports/claim.ts';
import type { Consumption } from '#core/energy/matching/question.ts';
import { yearsLater } from '#core/energy/calendar.ts';
import { claim, hour, load, nextHour, refusing } from './claims.ts';

const terms: AnnualTerms = {
  ageYears: 15,
  marketOf: new Map([
    ['DE', 'europe'],
    ['NL', 'europe'],
  ]),
  oldSharePpm: 150_000,
  sources: new Set(['solar', 'wind']),
  vintage: { from: hour, to: hour + 7200 },
};
const young: PlantFacts = { commissionedAt: hour - 86_400, source: 'wind' };
/** Exactly 15 years old at the end of `hour`. */
const turning: PlantFacts = { commissionedAt: yearsLater(nextHour, -15), source: 'wind' };
const old: PlantFacts = { commissionedAt: turning.commissionedAt - 1, source: 'wind' };
const plants = new Map<string, PlantFacts>([
  ['energy/young', young],
  ['energy/turning', turning],
  ['energy/old', old],
  ['energy/repowered', { ...old, repoweredAt: young.commissionedAt }],
  ['energy/coal', { ...young, source: 'coal' }],
]);

function share(consumption: readonly Consumption[], claims: readonly Claim[]) {
  return annualShare({ claims, consumption, plants, terms });
}
const excluded = (of: ReturnType<typeof share>) =>
  of.exclusions.map(({ reason, wh }) => [reason, wh]);

describe('the annual share', () => {
  it('of load 100, 100 against generation 150, 0 is 75 %', () => {
    const consumption = [load(100), load(100, { hour: nextHour })];
    const claims = [claim('young', 100), claim('young', 150, { from: 101, hour: nextHour })];
    expect(share(consumption, claims)).toEqual({
      claimedWh: 150,
      consumptionWh: 200,
      countedOldWh: 0,
      countedWh: 150,
      exclusions: [],
      sharePpm: 750_000,
    });
  });

  it('is at most the whole, market by market', () => {
    const consumption = [load(100), load(100, { point: 'far', zone: 'NO' })];
    const all = share(consumption, [claim('young', 120)]);
    expect(all.sharePpm).toBe(500_000);
    expect(excluded(all)).toEqual([['beyond-consumption', 20]]);
    expect(share([load(5)], [claim('young', 9)]).sharePpm).toBe(1_000_000);
    expect(share([load(0)], [])).not.toHaveProperty('sharePpm');
  });

  it('leaves out, with the reason, what is not eligible', () => {
    const claims = [
      claim('young', 1, { cancelledAt: 2000, expiresAt: 2000 }),
      claim('coal', 2),
      claim('young', 5, { from: 3, generationZone: 'NO' }),
      claim('young', 10, { from: 7, generationHour: hour - 3600 }),
      claim('young', 20, { from: 16, generationHour: hour + 7200 }),
    ];
    const result = share([load(100)], claims);
    expect(result).toMatchObject({ claimedWh: 15, countedWh: 0, sharePpm: 0 });
    expect(result.exclusions.map(({ series, reason, wh }) => [series, reason, wh])).toEqual([
      ['energy/coal', 'source', 2],
      ['energy/young', 'expired', 1],
      ['energy/young', 'market', 3],
      ['energy/young', 'vintage', 9],
    ]);
  });

  it('counts what is cancelled in the last second of validity, and from another zone of the market', () => {
    const claims = [
      claim('young', 1, { cancelledAt: 1999, expiresAt: 2000 }),
      claim('young', 2, { from: 2, generationZone: 'NL' }),
    ];
    expect(share([load(2)], claims)).toMatchObject({ countedWh: 2, exclusions: [] });
  });

  it('knows to the second when a plant is older than 15 years', () => {
    const of = (plant: string) => share([load(1000)], [claim(plant, 200)]);
    expect(of('turning')).toMatchObject({ countedWh: 200, countedOldWh: 0 });
    expect(of('repowered')).toMatchObject({ countedWh: 200, countedOldWh: 0 });
    const aged = of('old');
    expect(aged).toMatchObject({ countedWh: 150, countedOldWh: 150, sharePpm: 150_000 });
    expect(excluded(aged)).toEqual([['old-plant', 50]]);
  });

  it.each(['self-generation', 'direct', 'grandfathered'] as const)(
    'does not ask for the age where it is %s',
    (procurement) => {
      const result = share([load(1000)], [claim('old', 200, { procurement })]);
      expect(result).toMatchObject({ countedWh: 200, countedOldWh: 0, exclusions: [] });
    },
  );

  it('counts old plants last, within 15 % and what is left to cover', () => {
    const result = share([load(100)], [claim('old', 20), claim('young', 95)]);
    expect(result).toMatchObject({ countedWh: 100, countedOldWh: 5 });
    expect(excluded(result)).toEqual([['beyond-consumption', 15]]);
    // 15 % of 7 Wh is 1.05 Wh.
    expect(share([load(7)], [claim('old', 7)]).countedOldWh).toBe(1);
  });

  it('does not depend on the order of claims', () => {
    const claims = [claim('old', 20), claim('young', 90), claim('turning', 9), claim('coal', 4)];
    expect(share([load(100)], claims.toReversed())).toEqual(share([load(100)], claims));
  });

  it('refuses a plant that nobody described', () => {
    expect(() => share([load(1)], [claim('nobody', 1)])).toThrow(refusing('plant'));
  });
});
