import { compareAscii } from '../../bytes.ts';
import { Refused } from '../../errors.ts';
import { chinaCalendar, dateAt, dateText, startOfDate } from '../calendar.ts';
import { add, total } from '../exact.ts';
import { distinct } from '../matching/bucket.ts';
import type { Bundle } from '../matching/question.ts';
import { grouped } from '../grouped.ts';
import { energyOf } from './claim.ts';

/**
 * Lots ready for Chinese green electricity certificates (GECs), which only the national authority
 * issues: one for 1,000 kWh of a plant's month, months by the clocks of China (D4.5).
 */
const gecWh = 1_000_000;
/** Calendar months, the one of production included. */
const validMonths = 24;

export interface GecPlant {
  /** Whether the certificate may be sold; it is the authority that decides. */
  readonly class: 'non-tradable' | 'tradable';
  /** Storage that stands alone generates nothing of its own, and gets none. */
  readonly isStandAloneStorage: boolean;
}

interface Units {
  readonly from: number;
  readonly to: number;
}

/** A plant's month. `carriedInWh` + `generatedWh` = `gecs` · 1,000,000 + `carriedOutWh`. */
export interface GecLot {
  readonly carriedInWh: number;
  /** Below 1,000,000; it counts as generation of the next month. */
  readonly carriedOutWh: number;
  readonly class: GecPlant['class'];
  readonly gecs: number;
  readonly generatedWh: number;
  /** `2026-03`, in China's zone. */
  readonly month: string;
  readonly series: string;
  /** The units that the GECs stand for, those of the earliest hour first. */
  readonly units: readonly Units[];
  /** The first second at which they are no longer valid. */
  readonly validUntil: number;
}

export interface GecLots {
  /** Energy of stand-alone storage, by series. */
  readonly excluded: readonly {
    readonly reason: 'storage';
    readonly series: string;
    readonly wh: number;
  }[];
  /** By series, then by month; months without generation are left out. */
  readonly lots: readonly GecLot[];
}

/** The end of validity of what is generated in the month of `hour`, Unix seconds. */
export function gecValidUntil(hour: number): number {
  const { year, month } = dateAt(chinaCalendar, hour);
  return startOfDate(chinaCalendar, { year, month: month + validMonths, day: 1 });
}

/**
 * What is moved into a later month is generation of that month, with its validity. Refused('plant') for
 * a series whose plant is not described, `overlap` for a unit that is there twice.
 */
export function gecLots(
  bundles: readonly Bundle[],
  plants: ReadonlyMap<string, GecPlant>,
): GecLots {
  const lots: GecLot[] = [];
  const excluded: GecLots['excluded'][number][] = [];
  const bySeries = grouped(bundles, ({ series }) => series);
  for (const [series, own] of [...bySeries].sort(([a], [b]) => compareAscii(a, b))) {
    const plant = plants.get(series);
    if (plant === undefined) throw new Refused('plant', `nothing is known of ${series}`);
    distinct(own);
    if (plant.isStandAloneStorage) {
      excluded.push({ reason: 'storage', series, wh: total(own, energyOf) });
    } else lots.push(...lotsOf(series, plant, own));
  }
  return { excluded, lots };
}

function lotsOf(series: string, plant: GecPlant, bundles: readonly Bundle[]): readonly GecLot[] {
  const sorted = bundles.toSorted((a, b) => a.hour - b.hour || a.from - b.from);
  const months = grouped(sorted, ({ hour }) => dateText(dateAt(chinaCalendar, hour), 'month'));
  let carried: readonly Units[] = [];
  return [...months].map(([month, own]) => {
    const carriedInWh = total(carried, energyOf);
    const generatedWh = total(own, energyOf);
    const all = add(carriedInWh, generatedWh);
    const carriedOutWh = all % gecWh;
    const { first, rest } = cutAt([...carried, ...own], all - carriedOutWh);
    carried = rest;
    return {
      carriedInWh,
      carriedOutWh,
      class: plant.class,
      gecs: (all - carriedOutWh) / gecWh,
      generatedWh,
      month,
      series,
      units: first,
      validUntil: gecValidUntil(own[0]?.hour ?? 0),
    };
  });
}

/** The first `wh` units, and the rest; ranges that follow one another are made one. */
function cutAt(
  ranges: readonly Units[],
  wh: number,
): { readonly first: readonly Units[]; readonly rest: readonly Units[] } {
  const first: Units[] = [];
  const rest: Units[] = [];
  let left = wh;
  for (const { from, to } of ranges) {
    const taken = Math.min(left, to - from + 1);
    left -= taken;
    if (taken > 0) append(first, { from, to: from + taken - 1 });
    if (from + taken <= to) append(rest, { from: from + taken, to });
  }
  return { first, rest };
}

function append(ranges: Units[], { from, to }: Units): void {
  const last = ranges.at(-1);
  if (last !== undefined && last.to + 1 === from)
    ranges[ranges.length - 1] = { from: last.from, to };
  else ranges.push({ from, to });
}
