import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeMeterRecord, meterRecordOf, parseMeterRecord } from '#core/energy/meter-record.ts';
import { combineMeters, computePlantHour, type PlantHour } from '#core/energy/plant-hour.ts';
import { checkMeterRecord } from '#core/energy/record-proof.ts';
import type { Reading } from '#core/energy/message.ts';
import { start } from './evidence.ts';
import { truePlant, type TruePlant } from './true-plant.ts';

const runs = { numRuns: 1500 } as const;

/** Some of all messages, by their place in the plant. */
type Arrived = (meter: number, message: number) => boolean;

function computed(plant: TruePlant, arrived: Arrived): PlantHour {
  return computePlantHour({
    start,
    capacityW: plant.capacityW,
    meters: plant.meters.map(({ messages, ...meter }, m) => ({
      ...meter,
      readings: messages.filter((_, i) => arrived(m, i)).flat(),
    })),
  });
}

/** A plant, and two sets of its messages, the first within the second. */
const scenes = fc.gen().map((g) => {
  const plant = truePlant(g);
  const lost = plant.meters.map(({ messages }) =>
    messages.map(() => g(fc.constantFrom, 'never', 'late', 'early', 'early', 'early', 'early')),
  );
  const fate = (m: number, i: number): string => lost[m]?.[i] ?? 'never';
  return {
    plant,
    first: (m: number, i: number) => fate(m, i) === 'early',
    later: (m: number, i: number) => fate(m, i) !== 'never',
  };
});

describe('whatever is missing, dropped, delayed or reordered', () => {
  it('the result never exceeds the true energy, and grows only towards it', () => {
    const seen = { issuing: 0, exact: 0, partial: 0, grown: 0 };
    fc.assert(
      fc.property(scenes, ({ plant, first, later }) => {
        const [some, more, all] = [first, later, () => true].map((set) => computed(plant, set));
        if (some === undefined || more === undefined || all === undefined) throw new Error('three');
        for (const hour of [some, more, all]) {
          expect(hour.generationWh).toBeLessThanOrEqual(plant.generationWh);
          // What is true contradicts nothing, however little of it is known.
          expect(hour.quality).not.toBe('disputed');
          if (hour.quality === 'measured' && !plant.turns) {
            expect(hour.generationWh).toBe(plant.generationWh);
          }
        }
        expect(some.generationWh).toBeLessThanOrEqual(more.generationWh);
        expect(more.generationWh).toBeLessThanOrEqual(all.generationWh);
        seen.issuing += Number(some.issues);
        seen.exact += Number(some.quality === 'measured' && some.issues);
        seen.partial += Number(some.quality === 'partial' && some.issues);
        seen.grown += Number(some.generationWh < more.generationWh);
      }),
      runs,
    );
    // The property says nothing unless energy was at stake in many of the runs.
    for (const count of Object.values(seen)) expect(count).toBeGreaterThan(runs.numRuns / 50);
  });

  it('the order of arrival has no influence on anything', () => {
    fc.assert(
      fc.property(scenes, fc.infiniteStream(fc.nat()), ({ plant, first }, random) => {
        const shuffled: TruePlant = {
          ...plant,
          meters: plant.meters.map((meter) => ({
            ...meter,
            messages: meter.messages
              .filter((_, i) => first(plant.meters.indexOf(meter), i))
              .map((message) => ({ message, place: random.next().value as number }))
              .sort((a, b) => a.place - b.place)
              .map(({ message }) => message),
            exchanges: meter.exchanges.toReversed(),
          })),
        };
        expect(computed(shuffled, () => true)).toEqual(computed(plant, first));
      }),
      { numRuns: 300 },
    );
  });

  it('a record proves its energy by the ends of its segments alone', () => {
    fc.assert(
      fc.property(scenes, ({ plant, first }) => {
        const hour = computed(plant, first);
        const records = hour.meters.map((meterHour, m) => {
          const messages = (plant.meters[m]?.messages ?? []).flat();
          const leaves = [...new Set(messages.map(({ kid, seq }) => `${kid}/${seq}`))];
          const kid = (key: string): string => key.padEnd(43, '_');
          const meterRecord = meterRecordOf(
            JSON.parse(JSON.stringify(meterHour), (name, value: unknown) =>
              name === 'kid' ? kid(String(value)) : value,
            ) as typeof meterHour,
            {
              start,
              keys: [],
              leafOf: (message) =>
                leaves.findIndex((leaf) => {
                  const [key = '', seq] = leaf.split('/');
                  return kid(key) === message.kid && Number(seq) === message.seq;
                }),
            },
          );
          const parsed = parseMeterRecord(encodeMeterRecord(meterRecord));
          expect(parsed).toEqual(meterRecord);
          const spec = plant.meters[m]?.spec;
          if (spec === undefined) throw new Error('a meter');
          checkMeterRecord(parsed, {
            capacityW: plant.capacityW,
            spec,
            readingAt(at, side): Reading {
              if ('entry' in at) {
                const event = plant.meters[m]?.exchanges[at.entry.index];
                const registers = side === 'first' ? event?.opening : event?.closing;
                return { t: event?.t ?? 0, registers: registers ?? {} };
              }
              const found = messages.find(
                (r) => r.t === at.t && `${r.kid}/${r.seq}` === leaves[at.leaf],
              );
              if (found === undefined) throw new Error('no such reading');
              return found;
            },
          });
          return parsed;
        });
        const specs = plant.meters.map(({ spec }) => spec);
        const combined = combineMeters(records, specs, { capacityW: plant.capacityW });
        const { generationWh, quality, issues } = hour;
        expect(combined).toMatchObject({ generationWh, quality, issues });
      }),
      { numRuns: 300 },
    );
  });
});
