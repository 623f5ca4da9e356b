import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { planMatching, type Plan } from '#core/energy/matching/plan.ts';
import { questionShape, type Question } from '#core/energy/matching/question.ts';

const start = 1_767_225_600;
const period = { from: start, to: start + 4 * 3600 };
const hours = fc.integer({ min: 0, max: 3 }).map((n) => start + n * 3600);
const zones = fc.constantFrom('DE', 'NL');
const points = ['p', 'q', 'r', 's'];
const plants = ['a', 'b', 'c'];
const wh = fc.oneof(fc.nat(5), fc.nat(90));

const bundlesAndMade = fc
  .array(
    fc.record({
      plant: fc.constantFrom(...plants),
      wh: fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 60 })),
      gap: fc.nat(2),
      hour: hours,
      zone: zones,
      since: fc.nat(3),
      made: fc.option(
        fc.record({ point: fc.constantFrom(...points), hour: hours, percent: fc.nat(99) }),
      ),
    }),
    { maxLength: 16 },
  )
  .map((drawn) => {
    const last = new Map<string, number>();
    const bundles: Question['bundles'][number][] = [];
    const made: Question['made'][number][] = [];
    for (const each of drawn) {
      const series = `energy/${each.plant}`;
      const from = (last.get(series) ?? 0) + 1 + each.gap;
      const to = from + each.wh - 1;
      last.set(series, to);
      const { hour, zone, since, plant } = each;
      bundles.push({ attributes: { plant }, from, hour, series, since, to, zone });
      if (each.made !== null) {
        const { point, hour: at, percent } = each.made;
        const first = from + Math.floor((each.wh * percent) / 100);
        made.push({ from: first, hour: at, point, series, to });
      }
    }
    return { bundles, made };
  });

const consumption = fc.uniqueArray(
  fc.record({ hour: hours, point: fc.constantFrom(...points), wh, zone: zones }),
  { maxLength: 16, selector: ({ hour, point }) => `${point} ${hour}` },
);

const rule = fc.record(
  {
    attributes: fc.record({ plant: fc.subarray(plants, { minLength: 1 }) }),
    id: fc.constantFrom('one', 'two'),
    points: fc.subarray(points, { minLength: 1 }),
    split: fc.constantFrom('fifo' as const, 'pro-rata' as const),
    upToWh: fc.integer({ min: 1, max: 400 }),
  },
  { requiredKeys: ['id', 'split'] },
);

const questions: fc.Arbitrary<Question> = fc
  .record({
    basis: fc.constantFrom('annual' as const, 'hourly' as const),
    consumption,
    rules: fc.array(rule, { minLength: 1, maxLength: 4 }),
    stock: bundlesAndMade,
  })
  .map(({ stock, ...question }) => questionShape.parse({ ...question, ...stock, period }));

const sum = <T>(items: readonly T[], of: (item: T) => number) =>
  items.reduce((all, item) => all + of(item), 0);

function unitsOf(ranges: readonly { series: string; from: number; to: number }[]): string[] {
  return ranges.flatMap(({ series, from, to }) =>
    Array.from({ length: to - from + 1 }, (_, i) => `${series} ${from + i}`),
  );
}

function again(question: Question, plan: Plan): Question {
  const made = plan.allocations.map(({ from, hour, point, series, to }) => {
    return { from, hour, point, series, to };
  });
  return { ...question, made: [...question.made, ...made] };
}

describe('whatever is asked, a plan', () => {
  it('gives no unit twice, none that was used, and only units that there are', () => {
    fc.assert(
      fc.property(questions, (question) => {
        const plan = planMatching(question);
        const used = new Set(unitsOf(question.made));
        const free = unitsOf(question.bundles).filter((unit) => !used.has(unit));
        // Allocated and excess are all that was free, each unit once.
        expect(unitsOf([...plan.allocations, ...plan.excess]).sort()).toEqual(free.sort());
      }),
      { numRuns: 200 },
    );
  });

  it('gives no point more than it took, and accounts for all that it took', () => {
    fc.assert(
      fc.property(questions, (question) => {
        const plan = planMatching(question);
        for (const line of question.consumption) {
          const own = (each: { point: string; hour: number }) =>
            each.point === line.point && each.hour === line.hour;
          const before = sum(question.made.filter(own), ({ from, to }) => to - from + 1);
          const given = sum(plan.allocations.filter(own), (each) => each.wh);
          const open = sum(plan.unmatched.filter(own), (each) => each.wh);
          expect(given + open).toBe(Math.max(0, line.wh - before));
          const over = sum(plan.overclaimed.filter(own), (each) => each.wh);
          expect(over).toBe(Math.max(0, before - line.wh));
        }
        expect(plan.allocations.every(({ from, to, wh: energy }) => energy === to - from + 1)).toBe(
          true,
        );
      }),
      { numRuns: 200 },
    );
  });

  it('stays within the zone, on basis hourly within the hour, and within the rule', () => {
    fc.assert(
      fc.property(questions, (question) => {
        for (const each of planMatching(question).allocations) {
          const from = question.bundles.find(
            ({ series, from: first, to: last }) =>
              series === each.series && first <= each.from && each.to <= last,
          );
          const to = question.consumption.find(
            ({ point, hour }) => point === each.point && hour === each.hour,
          );
          expect([from?.zone, to?.zone]).toEqual([each.zone, each.zone]);
          expect(from?.hour).toBe(each.generationHour);
          if (question.basis === 'hourly') expect(each.hour).toBe(each.generationHour);
          const allowed = question.rules.some(
            ({ id, attributes, points: of }) =>
              id === each.rule &&
              (attributes?.plant?.includes(from?.attributes.plant ?? '') ?? true) &&
              (of?.includes(each.point) ?? true),
          );
          expect(allowed).toBe(true);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('has hours that add up', () => {
    fc.assert(
      fc.property(questions, (question) => {
        const plan = planMatching(question);
        for (const each of plan.hours) {
          expect(each.madeWh + each.matchedWh + each.unmatchedWh).toBe(each.consumptionWh);
          if (question.basis === 'hourly') {
            expect(each.matchedWh + each.excessWh).toBe(each.availableWh);
          }
        }
        expect(sum(plan.hours, (each) => each.matchedWh)).toBe(
          sum(plan.allocations, (each) => each.wh),
        );
        expect(sum(plan.hours, (each) => each.availableWh - each.excessWh)).toBe(
          sum(plan.allocations, (each) => each.wh),
        );
      }),
      { numRuns: 200 },
    );
  });

  it('is the same in whatever order the question lists things', () => {
    fc.assert(
      fc.property(
        questions,
        fc.array(fc.nat(), { minLength: 64, maxLength: 64 }),
        (question, places) => {
          const shuffled = <T>(items: readonly T[]): T[] =>
            items
              .map((item, i) => ({ item, place: places[i] ?? 0 }))
              .sort((a, b) => a.place - b.place)
              .map(({ item }) => item);
          const other: Question = {
            ...question,
            bundles: shuffled(question.bundles),
            consumption: shuffled(question.consumption),
            made: shuffled(question.made),
          };
          expect(planMatching(other)).toEqual(planMatching(question));
        },
      ),
      { numRuns: 200 },
    );
  });

  it('leaves nothing for a second plan', () => {
    let given = 0;
    fc.assert(
      fc.property(questions, (question) => {
        const plan = planMatching(question);
        given += plan.allocations.length;
        expect(planMatching(again(question, plan)).allocations).toEqual([]);
      }),
      { numRuns: 200 },
    );
    expect(given).toBeGreaterThan(50);
  });

  it('shares pro rata within one watt-hour', () => {
    fc.assert(
      fc.property(questions, (question) => {
        const plan = planMatching({
          ...question,
          basis: 'hourly',
          made: [],
          rules: [{ id: 'all', split: 'pro-rata' }],
        });
        for (const { zone, hour, consumptionWh, matchedWh } of plan.hours) {
          for (const line of question.consumption) {
            if (line.zone !== zone || line.hour !== hour) continue;
            const own = plan.allocations.filter(
              (each) => each.point === line.point && each.hour === hour,
            );
            const exact = consumptionWh === 0 ? 0 : (matchedWh * line.wh) / consumptionWh;
            expect(Math.abs(sum(own, (each) => each.wh) - exact)).toBeLessThan(1);
          }
        }
      }),
      { numRuns: 200 },
    );
  });
});
