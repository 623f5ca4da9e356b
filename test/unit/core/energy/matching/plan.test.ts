import { describe, expect, it } from 'vitest';
import { planMatching } from '#core/energy/matching/plan.ts';
import { firstInFirstOut, proRata, questionShape } from '#core/energy/matching/question.ts';
import type { Bundle, Consumption, Question, Rule } from '#core/energy/matching/question.ts';

const hour = 1_767_225_600;
const next = hour + 3600;
const period = { from: hour, to: hour + 86_400 };

function bundle(plant: string, wh: number, more: Partial<Bundle> = {}): Bundle {
  return {
    attributes: { plant },
    from: 1,
    hour,
    series: `energy/${plant}`,
    to: wh,
    zone: 'DE',
    ...more,
  };
}
function load(point: string, wh: number, more: Partial<Consumption> = {}): Consumption {
  return { hour, point, wh, zone: 'DE', ...more };
}
function plan(more: Partial<Question>) {
  const question = {
    basis: 'hourly',
    bundles: [],
    consumption: [],
    made: [],
    period,
    rules: proRata,
  };
  return planMatching(questionShape.parse({ ...question, ...more }));
}
const given = (planned: ReturnType<typeof plan>) =>
  planned.allocations.map(({ series, from, to, point, wh }) => [
    series.slice(7),
    from,
    to,
    point,
    wh,
  ]);
const refusing = (code: string) => expect.objectContaining({ code }) as unknown;

describe('a plan', () => {
  it('shares pro rata to points, and takes pro rata from bundles', () => {
    const planned = plan({
      bundles: [bundle('wind', 60), bundle('solar', 30)],
      consumption: [load('mill', 100), load('bakery', 50)],
    });
    expect(given(planned)).toEqual([
      ['solar', 1, 30, 'bakery', 30],
      ['wind', 1, 60, 'mill', 60],
    ]);
    expect(planned.unmatched).toEqual([
      { hour, point: 'bakery', reason: 'used-up', wh: 20, zone: 'DE' },
      { hour, point: 'mill', reason: 'used-up', wh: 40, zone: 'DE' },
    ]);
    const half = plan({
      bundles: [bundle('wind', 60), bundle('solar', 30)],
      consumption: [load('mill', 45)],
    });
    expect(half.excess.map(({ series, from, to, reason }) => [series, from, to, reason])).toEqual([
      ['energy/solar', 16, 30, 'consumption-met'],
      ['energy/wind', 31, 60, 'consumption-met'],
    ]);
  });

  it('uses first what was in first', () => {
    const planned = plan({
      bundles: [bundle('a', 50, { since: 9 }), bundle('b', 50, { since: 3 })],
      consumption: [load('y', 40), load('x', 40)],
      rules: firstInFirstOut,
    });
    expect(given(planned)).toEqual([
      ['b', 1, 40, 'x', 40],
      ['b', 41, 50, 'y', 10],
      ['a', 1, 30, 'y', 30],
    ]);
  });

  it('follows rules in their order, each up to its limit', () => {
    const rules: readonly Rule[] = [
      { attributes: { plant: ['solar'] }, id: 'sun', points: ['mill'], split: 'fifo', upToWh: 100 },
      { id: 'wind', points: ['mill'], series: ['energy/wind'], split: 'fifo', upToWh: 200 },
    ];
    const ask = {
      bundles: [bundle('solar', 400), bundle('wind', 700)],
      consumption: [load('mill', 300), load('office', 5)],
      rules,
    };
    const planned = plan(ask);
    expect(planned.allocations.map(({ rule, wh }) => [rule, wh])).toEqual([
      ['sun', 100],
      ['wind', 200],
    ]);
    // The worked case: what is left is 300 and 500.
    expect(planned.excess.map(({ series, wh, reason }) => [series, wh, reason])).toEqual([
      ['energy/solar', 300, 'no-rule'],
      ['energy/wind', 500, 'no-rule'],
    ]);
    expect(planned.unmatched).toEqual([
      { hour, point: 'office', reason: 'no-rule', wh: 5, zone: 'DE' },
    ]);
    const more = plan({ ...ask, consumption: [load('mill', 1000)] });
    expect(more.unmatched.map(({ reason, wh }) => [reason, wh])).toEqual([['rule-limit', 700]]);
    expect(new Set(more.excess.map(({ reason }) => reason))).toEqual(new Set(['rule-limit']));
    // What was made along the same way counts against the limit.
    expect(plan({ ...ask, made: planned.allocations.map(made) }).allocations).toEqual([]);
  });

  it('says why nothing matches', () => {
    const planned = plan({
      bundles: [
        bundle('dutch', 10, { zone: 'NL' }),
        bundle('early', 10),
        bundle('danish', 10, { zone: 'DK' }),
      ],
      consumption: [
        load('late', 5, { hour: next }),
        load('polar', 5, { zone: 'NO' }),
        load('still', 0, { zone: 'DK' }),
      ],
    });
    expect(planned.allocations).toEqual([]);
    expect(planned.unmatched.map(({ point, reason }) => [point, reason])).toEqual([
      ['late', 'other-hours'],
      ['polar', 'no-certificates'],
    ]);
    expect(planned.excess.map(({ reason }) => reason)).toEqual(Array(3).fill('no-consumption'));
  });

  it('matches any hour of the period on basis annual, and the same zone alone', () => {
    const planned = plan({
      basis: 'annual',
      bundles: [bundle('solar', 150), bundle('dutch', 50, { zone: 'NL' })],
      consumption: [load('mill', 100, { hour: next }), load('mill', 100)],
      rules: firstInFirstOut,
    });
    expect(planned.allocations.map((each) => [each.generationHour, each.hour, each.wh])).toEqual([
      [hour, hour, 100],
      [hour, next, 50],
    ]);
    expect(planned.hours).toEqual([
      {
        availableWh: 150,
        consumptionWh: 100,
        excessWh: 0,
        hour,
        madeWh: 0,
        matchedWh: 100,
        unmatchedWh: 0,
        zone: 'DE',
      },
      {
        availableWh: 0,
        consumptionWh: 100,
        excessWh: 0,
        hour: next,
        madeWh: 0,
        matchedWh: 50,
        unmatchedWh: 50,
        zone: 'DE',
      },
      {
        availableWh: 50,
        consumptionWh: 0,
        excessWh: 50,
        hour,
        madeWh: 0,
        matchedWh: 0,
        unmatchedWh: 0,
        zone: 'NL',
      },
    ]);
  });

  it('takes off what is made, in the middle of a bundle and across two', () => {
    const planned = plan({
      bundles: [bundle('solar', 100), bundle('solar', 100, { from: 101, to: 150 })],
      consumption: [load('mill', 300)],
      made: [
        { from: 91, hour, point: 'mill', series: 'energy/solar', to: 110 },
        { from: 11, hour: next, point: 'elsewhere', series: 'energy/solar', to: 20 },
      ],
    });
    expect(given(planned)).toEqual([
      ['solar', 1, 10, 'mill', 10],
      ['solar', 21, 90, 'mill', 70],
      ['solar', 111, 150, 'mill', 40],
    ]);
    expect(planned.hours).toMatchObject([{ consumptionWh: 300, madeWh: 20, unmatchedWh: 160 }]);
  });

  it('tells where more was claimed than was consumed', () => {
    const planned = plan({
      bundles: [bundle('solar', 100)],
      consumption: [load('mill', 30)],
      made: [{ from: 1, hour, point: 'mill', series: 'energy/solar', to: 40 }],
    });
    expect(planned.overclaimed).toEqual([{ hour, point: 'mill', wh: 10 }]);
    expect(planned.allocations).toEqual([]);
    const used = plan({
      bundles: [bundle('solar', 40)],
      consumption: [load('mill', 50)],
      made: [{ from: 1, hour: next, point: 'mill', series: 'energy/solar', to: 40 }],
    });
    expect(used.unmatched.map(({ reason }) => reason)).toEqual(['used-up']);
  });

  it.each<[string, Partial<Question>]>([
    ['overlap', { bundles: [bundle('a', 9), bundle('a', 9, { from: 9, to: 12 })] }],
    ['range', { bundles: [bundle('a', 9, { from: 10 })] }],
    ['double', { consumption: [load('x', 1), load('x', 1, { zone: 'NL' })] }],
    ['hour', { consumption: [load('x', 1, { hour: hour + 1 })] }],
    ['period', { bundles: [bundle('a', 1, { hour: period.to })] }],
    ['period', { consumption: [load('x', 1, { hour: hour - 3600 })] }],
    ['overflow', { consumption: [load('x', 2 ** 53 - 1), load('y', 2 ** 53 - 1)] }],
    ['form', { rules: [] }],
    ['form', { consumption: [load('x', -1)] }],
  ])('refuses, with %s', (code, question) => {
    expect(() => plan(question)).toThrow(refusing(code));
  });

  it('refuses a unit that is used twice', () => {
    const twice = { from: 1, hour, point: 'x', series: 'energy/a', to: 2 };
    expect(() => plan({ made: [twice, twice] })).toThrow(refusing('overlap'));
  });
});

function made({
  from,
  hour: at,
  point,
  series,
  to,
}: ReturnType<typeof plan>['allocations'][number]) {
  return { from, hour: at, point, series, to };
}
