import type { Bucket, Line, Lot } from './bucket.ts';
import type { Bundle, Rule } from './question.ts';
import { inOrder, sharesOf } from './shares.ts';

/** A rule, ready to be asked. */
export interface Filter {
  readonly rule: Rule;
  readonly takes: (bundle: Bundle) => boolean;
  readonly serves: (point: string) => boolean;
}

export function filterOf(rule: Rule): Filter {
  const series = rule.series && new Set(rule.series);
  const points = rule.points && new Set(rule.points);
  const asked = Object.entries(rule.attributes ?? {}).map(
    ([name, values]) => [name, new Set<string | undefined>(values)] as const,
  );
  return {
    rule,
    takes: (bundle) =>
      (series?.has(bundle.series) ?? true) &&
      asked.every(([name, values]) =>
        values.has(Object.hasOwn(bundle.attributes, name) ? bundle.attributes[name] : undefined),
      ),
    serves: (point) => points?.has(point) ?? true,
  };
}

/**
 * In the order of `fifo` what was in first is used first, and for the earliest hour; in that of
 * `pro-rata` ids decide, and only about what no share decides.
 */
const lotOrder = {
  fifo: (a: Lot, b: Lot) =>
    (a.bundle.since ?? 0) - (b.bundle.since ?? 0) || a.bundle.hour - b.bundle.hour || byUnit(a, b),
  'pro-rata': (a: Lot, b: Lot) => byUnit(a, b),
};
const lineOrder = {
  fifo: (a: Line, b: Line) => a.hour - b.hour || a.rank - b.rank,
  'pro-rata': (a: Line, b: Line) => a.rank - b.rank || a.hour - b.hour,
};
const split = { fifo: inOrder, 'pro-rata': sharesOf };

function byUnit(a: Lot, b: Lot): number {
  return a.rank - b.rank || a.next - b.next;
}

/**
 * Gives units to points by one rule. How much each point gets and how much of each lot is used is split
 * by the rule; which units go where follows from laying both out in their order, side by side, so that
 * there are fewer allocations than lots and lines together. Lots and lines shrink by what `give` is told.
 */
export function followRule(
  bucket: Bucket,
  { rule, takes, serves }: Filter,
  give: (lot: Lot, line: Line, wh: number) => void,
): void {
  const lots = bucket.lots.filter(({ left, bundle }) => left > 0 && takes(bundle));
  const lines = bucket.lines.filter(({ left, point }) => left > 0 && serves(point));
  const amount = Math.min(sumLeft(lots), sumLeft(lines), roomFor(bucket, { rule, takes, serves }));
  if (amount === 0) return;
  lots.sort(lotOrder[rule.split]);
  lines.sort(lineOrder[rule.split]);
  const fromLots = [
    ...split[rule.split](
      amount,
      lots.map(({ left }) => left),
    ),
  ];
  const toLines = split[rule.split](
    amount,
    lines.map(({ left }) => left),
  );
  let l = 0;
  for (const [i, line] of lines.entries()) {
    for (let wanted = toLines[i] ?? 0; wanted > 0;) {
      const lot = lots[l];
      const there = fromLots[l];
      // Both sides add up to `amount`.
      if (lot === undefined || there === undefined) throw new RangeError('followRule: no lot left');
      const wh = Math.min(wanted, there);
      if (wh > 0) give(lot, line, wh);
      lot.next += wh;
      lot.left -= wh;
      line.left -= wh;
      wanted -= wh;
      fromLots[l] = there - wh;
      if (there === wh) l++;
    }
  }
}

/** Stops counting where it is more than any bucket can use. */
function sumLeft(parts: readonly { readonly left: number }[]): number {
  let sum = 0;
  for (const { left } of parts) sum = Math.min(sum + left, Number.MAX_SAFE_INTEGER);
  return sum;
}

/** What `upToWh` leaves, with what was made before along the same way. */
function roomFor({ used }: Bucket, { rule, takes, serves }: Filter): number {
  if (rule.upToWh === undefined) return Number.MAX_SAFE_INTEGER;
  const along = used.filter(({ bundle, point }) => takes(bundle) && serves(point));
  return Math.max(0, rule.upToWh - along.reduce((sum, { wh }) => sum + wh, 0));
}
