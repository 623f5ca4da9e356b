import { compareAscii } from '../../bytes.ts';
import { Refused } from '../../errors.ts';
import { add } from '../exact.ts';
import { grouped } from '../grouped.ts';
import type { Bundle, Consumption, Made, Question } from './question.ts';

interface Range {
  readonly from: number;
  readonly series: string;
  readonly to: number;
}

/** Units of one bundle that nobody has used yet, contiguous: `next` … `next + left - 1`. */
export interface Lot {
  readonly bundle: Bundle;
  /** Place of the series among all of them in ASCII order. */
  readonly rank: number;
  next: number;
  left: number;
}

/** What of a point's consumption in an hour has no certificate yet. */
export interface Line extends Consumption {
  /** Place of the point among all of them in ASCII order. */
  readonly rank: number;
  /** Wh that have one already; at most `wh`. */
  readonly madeWh: number;
  left: number;
}

/** Units of a bundle that are used already, and for which point. */
interface Used {
  readonly bundle: Bundle;
  readonly point: string;
  readonly wh: number;
}

/** Everything that may be matched with one another: one zone and hour, or one zone. */
export interface Bucket {
  readonly zone: string;
  /** Whether it had bundles, before what is used was cut off. */
  isSupplied: boolean;
  readonly lots: Lot[];
  readonly lines: Line[];
  readonly used: Used[];
}

/** Consumption in an hour that has more certificates than it has Wh: corrected since (D4.3). */
export interface Overclaimed {
  readonly hour: number;
  readonly point: string;
  readonly wh: number;
}

export interface Buckets {
  /** By zone in ASCII order, then by hour. */
  readonly inOrder: readonly Bucket[];
  /** By point, then by hour. */
  readonly overclaimed: readonly Overclaimed[];
}

/** Cuts off what is used already, on both sides, and sorts the rest into buckets. */
export function fillBuckets(question: Question): Buckets {
  const zones = new Map<string, Map<number, Bucket>>();
  const bucketOf = (zone: string, hour: number): Bucket => {
    const hours = getOrMake(zones, zone, () => new Map<number, Bucket>());
    // On basis `annual` a zone is one bucket.
    const key = question.basis === 'hourly' ? hour : 0;
    return getOrMake(hours, key, () => ({
      zone,
      isSupplied: false,
      lots: [],
      lines: [],
      used: [],
    }));
  };
  for (const { zone, hour } of question.bundles) bucketOf(zone, hour).isSupplied = true;
  const { lots, used } = freeUnits(question);
  for (const lot of lots) bucketOf(lot.bundle.zone, lot.bundle.hour).lots.push(lot);
  for (const { hour, ...each } of used) bucketOf(each.bundle.zone, hour).used.push(each);
  const { lines, overclaimed } = openLines(question);
  for (const line of lines) bucketOf(line.zone, line.hour).lines.push(line);
  const inOrder = [...zones.keys()]
    .sort(compareAscii)
    .flatMap((zone) =>
      [...(zones.get(zone) ?? [])].sort(([a], [b]) => a - b).map(([, bucket]) => bucket),
    );
  return { inOrder, overclaimed };
}

function getOrMake<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  const found = map.get(key);
  if (found !== undefined) return found;
  const made = make();
  map.set(key, made);
  return made;
}

/** The place of each id in ASCII order. */
function ranksOf(ids: Iterable<string>): ReadonlyMap<string, number> {
  return new Map([...new Set(ids)].sort(compareAscii).map((id, rank) => [id, rank]));
}

/** Refused as `distinct`: a unit is in one bundle, and used once. */
function freeUnits({ bundles, made }: Question): {
  readonly lots: readonly Lot[];
  readonly used: readonly (Used & { readonly hour: number })[];
} {
  const offered = bySeries(bundles);
  const taken = bySeries(made);
  const lots: Lot[] = [];
  const used: (Used & { hour: number })[] = [];
  for (const [series, rank] of ranksOf(offered.keys())) {
    const gone = taken.get(series) ?? [];
    let at = 0;
    for (const bundle of offered.get(series) ?? []) {
      let next = bundle.from;
      while ((gone[at]?.to ?? Infinity) < next) at++;
      // A range that is used may reach into the next bundle, so it is passed only once it ends here.
      for (let i = at; i < gone.length; i++) {
        const range = gone[i];
        if (range === undefined || range.from > bundle.to) break;
        const [from, to] = [Math.max(range.from, next), Math.min(range.to, bundle.to)];
        if (from > next) lots.push({ bundle, rank, next, left: from - next });
        used.push({ bundle, hour: range.hour, point: range.point, wh: to - from + 1 });
        next = to + 1;
      }
      if (next <= bundle.to) lots.push({ bundle, rank, next, left: bundle.to - next + 1 });
    }
  }
  return { lots, used };
}

function bySeries<T extends Bundle | Made>(
  ranges: readonly T[],
): ReadonlyMap<string, readonly T[]> {
  return new Map(
    [...grouped(ranges, ({ series }) => series)].map(([series, own]) => [series, distinct(own)]),
  );
}

/** Ascending; Refused('overlap') where a unit is there twice, Refused('range') of an empty range. */
export function distinct<T extends Range>(ranges: readonly T[]): readonly T[] {
  let last = 0;
  return ranges
    .toSorted((a, b) => a.from - b.from)
    .map((range) => {
      const { from, series, to } = range;
      if (to < from) throw new Refused('range', `${series} ${from} to ${to} is empty`);
      if (from <= last) throw new Refused('overlap', `${series} ${from} is there twice`);
      last = to;
      return range;
    });
}

/** Refused('double') where a point has two values for one hour. */
function openLines({ consumption, made }: Question): {
  readonly lines: readonly Line[];
  readonly overclaimed: readonly Overclaimed[];
} {
  const madeWh = new Map<string, Map<number, number>>();
  for (const { point, hour, from, to } of made) {
    const hours = getOrMake(madeWh, point, () => new Map<number, number>());
    hours.set(hour, add(hours.get(hour) ?? 0, to - from + 1));
  }
  const ranks = ranksOf(consumption.map(({ point }) => point));
  const seen = new Map<string, Set<number>>();
  const overclaimed: Overclaimed[] = [];
  const lines = consumption.map((each): Line => {
    const { hour, point, wh, zone } = each;
    const hours = getOrMake(seen, point, () => new Set<number>());
    if (hours.has(hour))
      throw new Refused('double', `${point} has two values for the hour ${hour}`);
    hours.add(hour);
    const has = madeWh.get(point)?.get(hour) ?? 0;
    if (has > wh) overclaimed.push({ hour, point, wh: has - wh });
    const left = Math.max(0, wh - has);
    return { hour, point, wh, zone, rank: ranks.get(point) ?? 0, madeWh: wh - left, left };
  });
  overclaimed.sort((a, b) => compareAscii(a.point, b.point) || a.hour - b.hour);
  return { lines, overclaimed };
}
