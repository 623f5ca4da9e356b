import { add } from '../exact.ts';
import { fillBuckets, type Bucket, type Line, type Lot, type Overclaimed } from './bucket.ts';
import { filterOf, followRule } from './follow-rule.ts';
import { requireHours, type Question } from './question.ts';
import { reasonsOf, type ExcessReason, type UnmatchedReason } from './reasons.ts';

/** Units that are to stand for what `point` took in `hour`: `to - from + 1` = `wh`. */
export interface Allocation {
  readonly from: number;
  /** The hour that generated the units; on basis `hourly` the same as `hour`. */
  readonly generationHour: number;
  readonly hour: number;
  readonly point: string;
  /** The rule that gave them. */
  readonly rule: string;
  readonly series: string;
  readonly to: number;
  readonly wh: number;
  readonly zone: string;
}

export interface Unmatched {
  readonly hour: number;
  readonly point: string;
  readonly reason: UnmatchedReason;
  readonly wh: number;
  readonly zone: string;
}

/** Units that nothing needs. */
export interface Excess {
  readonly from: number;
  /** The hour that generated them. */
  readonly hour: number;
  readonly reason: ExcessReason;
  readonly series: string;
  readonly to: number;
  readonly wh: number;
  readonly zone: string;
}

/**
 * What an hour of a zone comes to. `consumptionWh` = `madeWh` + `matchedWh` + `unmatchedWh`, by the hour
 * of consumption; `availableWh`, what was free before, and `excessWh` by the hour of generation.
 */
export interface HourOfPlan {
  readonly availableWh: number;
  readonly consumptionWh: number;
  readonly excessWh: number;
  readonly hour: number;
  readonly madeWh: number;
  readonly matchedWh: number;
  readonly unmatchedWh: number;
  readonly zone: string;
}

export interface Plan {
  readonly allocations: readonly Allocation[];
  readonly excess: readonly Excess[];
  /** By zone in ASCII order, then by hour. */
  readonly hours: readonly HourOfPlan[];
  readonly overclaimed: readonly Overclaimed[];
  readonly unmatched: readonly Unmatched[];
}

/**
 * Plans which of a buyer's certificates stand for which of its consumption (D4.4). It commits to nothing:
 * each allocation becomes a cancellation and a claim. Always, whatever the question and the order of its
 * lists: no unit twice and none that was used before, never more than a point took, never another zone,
 * and on basis `hourly` never another hour. A plan of what is left after a plan allocates nothing.
 *
 * Refused with `overlap` (a unit twice), `range` (an empty one), `double` (two values for a point and
 * hour), `hour`, `period`, `overflow` (a bucket with more than 2^53 Wh).
 */
export function planMatching(question: Question): Plan {
  requireHours(question.consumption, question.period);
  requireHours(question.bundles, question.period);
  const filters = question.rules.map(filterOf);
  const { inOrder, overclaimed } = fillBuckets(question);
  const suppliedZones = new Set(question.bundles.map(({ zone }) => zone));
  const allocations: Allocation[] = [];
  const unmatched: Unmatched[] = [];
  const excess: Excess[] = [];
  const hours: HourOfPlan[] = [];
  for (const bucket of inOrder) {
    const tally = tallyOf(bucket);
    for (const filter of filters) {
      followRule(bucket, filter, (lot, line, wh) => {
        allocations.push(allocationOf({ lot, line, wh, rule: filter.rule.id }));
      });
    }
    const reasons = reasonsOf(bucket, filters, suppliedZones.has(bucket.zone));
    for (const line of bucket.lines.sort((a, b) => a.hour - b.hour || a.rank - b.rank)) {
      const { hour, point, zone, left: wh } = line;
      if (wh > 0) unmatched.push({ hour, point, reason: reasons.ofLine(line), wh, zone });
      tally.closeLine(line);
    }
    for (const lot of bucket.lots.sort(
      (a, b) => a.bundle.hour - b.bundle.hour || a.rank - b.rank || a.next - b.next,
    )) {
      if (lot.left > 0) excess.push(excessOf(lot, reasons.ofLot(lot)));
      tally.closeLot(lot);
    }
    for (const hour of tally.hours()) hours.push(hour);
  }
  return { allocations, excess, hours, overclaimed, unmatched };
}

function allocationOf(of: {
  readonly lot: Lot;
  readonly line: Line;
  readonly wh: number;
  readonly rule: string;
}): Allocation {
  const { bundle, next } = of.lot;
  return {
    from: next,
    generationHour: bundle.hour,
    hour: of.line.hour,
    point: of.line.point,
    rule: of.rule,
    series: bundle.series,
    to: next + of.wh - 1,
    wh: of.wh,
    zone: bundle.zone,
  };
}

function excessOf({ bundle, next, left }: Lot, reason: ExcessReason): Excess {
  const { hour, series, zone } = bundle;
  return { from: next, hour, reason, series, to: next + left - 1, wh: left, zone };
}

/** Adds up the hours of a bucket: what there is now, and, once they are closed, what is left. */
function tallyOf(bucket: Bucket): {
  readonly closeLine: (line: Line) => void;
  readonly closeLot: (lot: Lot) => void;
  readonly hours: () => readonly HourOfPlan[];
} {
  const { zone } = bucket;
  const sums = new Map<number, { -readonly [Name in keyof HourOfPlan]: HourOfPlan[Name] }>();
  const sumOf = (hour: number) => {
    const found = sums.get(hour) ?? {
      availableWh: 0,
      consumptionWh: 0,
      excessWh: 0,
      hour,
      madeWh: 0,
      matchedWh: 0,
      unmatchedWh: 0,
      zone,
    };
    sums.set(hour, found);
    return found;
  };
  for (const { bundle, left } of bucket.lots) {
    const sum = sumOf(bundle.hour);
    sum.availableWh = add(sum.availableWh, left);
  }
  for (const { hour, wh, madeWh } of bucket.lines) {
    const sum = sumOf(hour);
    sum.consumptionWh = add(sum.consumptionWh, wh);
    sum.madeWh += madeWh;
  }
  return {
    closeLine({ hour, wh, madeWh, left }) {
      const sum = sumOf(hour);
      sum.unmatchedWh += left;
      sum.matchedWh += wh - madeWh - left;
    },
    closeLot({ bundle, left }) {
      sumOf(bundle.hour).excessWh += left;
    },
    hours: () => [...sums.values()].sort((a, b) => a.hour - b.hour),
  };
}
