import { Refused } from '../../errors.ts';
import { firstIndex } from '../../first-index.ts';
import { withdrawnRangesLimit } from '../specs/hours.ts';
import type { Range } from '../specs/parts.ts';
import type { stateNames } from '../specs/state.ts';
import type { Rows } from './rows.ts';

/**
 * What entries made of a watt-hour (D4.4). What time alone makes of it, such as an offer that is over,
 * is no state here: rules/units.ts.
 */
export type UnitState = (typeof stateNames)[number];

/** A contiguous part of an issued range whose units have one owner and one state. */
export interface Piece {
  readonly from: number;
  readonly to: number;
  readonly owner: string;
  readonly state: UnitState;
  /** The entry that last changed it. */
  readonly lastIndex: number;
  /** Index of the `offer` that an offered piece rests on, of the `accept` that a reserved one does. */
  readonly basis?: number;
  /** What a locked piece was before, and is again when it is unlocked. */
  readonly held?: { readonly state: UnitState; readonly basis?: number };
}

/** A range as an hour issued it. `pieces` cover it without gap or overlap, ascending. */
export interface IssuedRange {
  readonly series: string;
  /** Its place among all ranges that the log ever issued, from 0. */
  readonly position: number;
  readonly from: number;
  readonly to: number;
  readonly index: number;
  readonly hourStart: number;
  readonly pieces: readonly Piece[];
}

/**
 * The units 1, 2, 3 … of one series in the order of issue. Ranges are appended in ascending order
 * and never move. A verifier that has only some of the log's entries has gaps between ranges.
 */
export interface Series {
  readonly ranges: Rows<IssuedRange>;
}

export const noSeries: Series = { ranges: [] };

export function quantity({ from, to }: Range): number {
  return to - from + 1;
}

export function requireRange(range: Range): void {
  if (range.to < range.from) throw new Refused('range', `${range.from} to ${range.to} is empty`);
}

/** The highest unit ever issued, 0 when none was. */
export function lastUnit(series: Series): number {
  return series.ranges.at(-1)?.to ?? 0;
}

/** Index of the issued range that holds `unit`, or -1. */
function positionOf(series: Series, unit: number): number {
  let low = 0;
  let high = series.ranges.length - 1;
  while (low <= high) {
    const middle = (low + high) >>> 1;
    const range = series.ranges.at(middle);
    if (range === undefined) return -1;
    if (unit < range.from) high = middle - 1;
    else if (unit > range.to) low = middle + 1;
    else return middle;
  }
  return -1;
}

/** The issued ranges that `range` touches, ascending; Refused('range') where a unit was never issued. */
export function issuedRangesOf(series: Series, range: Range): readonly IssuedRange[] {
  requireRange(range);
  const found: IssuedRange[] = [];
  let next = range.from;
  for (let at = positionOf(series, next); next <= range.to; at++) {
    const issued = at < 0 ? undefined : series.ranges.at(at);
    if (issued === undefined || next < issued.from) {
      throw new Refused('range', `unit ${next} was never issued`);
    }
    found.push(issued);
    next = issued.to + 1;
  }
  return found;
}

/**
 * The parts of `range` that are known to have been issued, ascending: for a verifier who has some of
 * a log's entries, and whose `range` may name units that are none of its business.
 */
export function knownParts(series: Series, range: Range): readonly Range[] {
  const { ranges } = series;
  const parts: Range[] = [];
  const first = firstIndex(ranges.length, (i) => (ranges.at(i)?.to ?? 0) >= range.from);
  for (let i = first; i < ranges.length; i++) {
    const { from, to } = ranges.at(i) ?? range;
    if (from > range.to) break;
    parts.push({ from: Math.max(from, range.from), to: Math.min(to, range.to) });
  }
  return parts;
}

/** Index of the piece that holds `unit`; 0 or the last one where it lies before or behind them all. */
function pieceAt(pieces: readonly Piece[], unit: number): number {
  const last = Math.max(0, pieces.length - 1);
  return firstIndex(last, (i) => (pieces[i]?.to ?? 0) >= unit);
}

/** The parts of an issued range's pieces that lie inside `range`, ascending. */
export function piecesOf({ pieces }: IssuedRange, range: Range): readonly Piece[] {
  return pieces.slice(pieceAt(pieces, range.from), pieceAt(pieces, range.to) + 1).map((piece) => ({
    ...piece,
    from: Math.max(piece.from, range.from),
    to: Math.min(piece.to, range.to),
  }));
}

/** The parts of pieces that lie inside `range`, ascending. */
export function piecesWithin(series: Series, range: Range): readonly Piece[] {
  return issuedRangesOf(series, range).flatMap((issued) => piecesOf(issued, range));
}

/** What an entry does to units: a new owner, a new state, or both. It is plain data: it is kept. */
export interface UnitChange {
  readonly owner?: string;
  /** A piece that becomes `locked` holds what it was. */
  readonly state?: UnitState;
  readonly basis?: number;
  /** Gives a locked piece back what it held, instead of a state. */
  readonly unlock?: true;
  /** The entry that does it. */
  readonly lastIndex: number;
}

/**
 * The pieces with the new owner or state for every unit of `ranges`, which do not overlap, split at their
 * ends. All ranges in one go, and pieces outside are not looked at: an hour may have been cut into very
 * many, and one entry may name hundreds of them.
 */
export function changedPieces(
  pieces: readonly Piece[],
  ranges: readonly Range[],
  change: UnitChange,
): readonly Piece[] {
  const ascending = ranges.toSorted((a, b) => a.from - b.from);
  const [lowest, highest] = [ascending[0], ascending.at(-1)];
  if (lowest === undefined || highest === undefined) return pieces;
  const first = pieceAt(pieces, lowest.from);
  const behind = pieceAt(pieces, highest.to) + 1;
  let next = 0;
  const changed = pieces.slice(first, behind).flatMap((piece) => {
    const own: Range[] = [];
    for (let range = ascending[next]; range !== undefined; range = ascending[next]) {
      if (range.from > piece.to) break;
      if (range.to >= piece.from) own.push(range);
      // One that goes on is met again in the next piece.
      if (range.to > piece.to) break;
      next++;
    }
    return splitAndChange(piece, own, change);
  });
  return pieces.slice(0, first).concat(changed, pieces.slice(behind));
}

function splitAndChange(piece: Piece, ranges: readonly Range[], change: UnitChange): Piece[] {
  const parts: Piece[] = [];
  let { from } = piece;
  for (const range of ranges) {
    if (from < range.from) parts.push({ ...piece, from, to: range.from - 1 });
    const to = Math.min(piece.to, range.to);
    parts.push({ ...changedPiece(piece, change), from: Math.max(from, range.from), to });
    from = to + 1;
  }
  if (from <= piece.to) parts.push(from === piece.from ? piece : { ...piece, from });
  return parts;
}

function changedPiece(piece: Piece, { unlock, ...change }: UnitChange): Piece {
  if (change.state === undefined && unlock === undefined) return { ...piece, ...change };
  const { basis, held, ...rest } = piece;
  if (unlock !== undefined) return { ...rest, ...held, ...change };
  if (change.state !== 'locked') return { ...rest, ...change };
  const before = basis === undefined ? { state: piece.state } : { state: piece.state, basis };
  return { ...rest, ...change, held: before };
}

/**
 * The units that a decrease of `amount` withdraws (D4.3): those in `issued` that `isOwnActive` names,
 * highest number first. Returned ascending, neighbours merged; fewer units when there are no more,
 * or when they lie in more ranges than an entry can hold: else whoever cuts its units small enough
 * could keep a decrease out of the log.
 */
export function unitsToWithdraw(
  issued: readonly IssuedRange[],
  { isOwnActive, amount }: { isOwnActive: (piece: Piece) => boolean; amount: number },
): readonly Range[] {
  const taken: { from: number; to: number }[] = [];
  let left = amount;
  const pieces = issued.flatMap(({ pieces: parts }) => parts).toSorted((a, b) => b.from - a.from);
  for (const piece of pieces) {
    if (left === 0) break;
    if (!isOwnActive(piece)) continue;
    const count = Math.min(left, quantity(piece));
    const range = { from: piece.to - count + 1, to: piece.to };
    const above = taken.at(-1);
    if (above?.from === range.to + 1) above.from = range.from;
    else if (taken.length === withdrawnRangesLimit) break;
    else taken.push(range);
    left -= count;
  }
  return taken.reverse();
}
