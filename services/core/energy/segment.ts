import { mayHideTurn, stepsBetween, type Capacity, type CountingRegister } from './register.ts';
import { compareSources, type EntryRef, type Point, type Source } from './timeline.ts';

/** The hour in question, both boundaries included: a reading at the turn proves both hours. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** An end of a segment: values that a message of the meter, or the entry of an exchange, bears. */
export type SegmentEnd = MessageEnd | ExchangeEnd;
export interface MessageEnd {
  readonly kid: string;
  readonly seq: number;
  readonly t: number;
  readonly registers: Readonly<Record<string, number>>;
}
export interface ExchangeEnd {
  readonly entry: EntryRef;
  readonly t: number;
  readonly registers: Readonly<Record<string, number>>;
}

/**
 * Two values of the same registers without an exchange, a reset or a decision between them. With
 * `rollover` the registers turn over once between the ends; else they do not.
 */
export interface Segment {
  readonly first: SegmentEnd;
  readonly last: SegmentEnd;
  readonly rollover?: true;
}

/** A segment of one register. */
export interface Piece {
  readonly first: Point;
  readonly last: Point;
  readonly rollover: boolean;
}

/** What the evidence proves of one register for an hour. */
export interface Measured {
  readonly pieces: readonly Piece[];
  /** Steps of the register within the hour, where the register counts inside it. */
  readonly insideSteps?: bigint;
  /** Steps over the widened interval; absent while one of its sides is. */
  readonly widenedSteps?: bigint;
  /** Values at both boundaries, and the register followed from one to the other. */
  readonly exact: boolean;
  readonly notes: ReadonlySet<'rollover' | 'exchange' | 'break' | 'turns'>;
}

/** Indexes into the points of a timeline, both inclusive. */
interface Stretch {
  readonly from: number;
  readonly to: number;
}

export function measure(
  points: readonly Point[],
  span: Span,
  rule: { register: CountingRegister; capacity: Capacity },
): Measured {
  const { interval } = rule.register;
  const notes = new Set<'rollover' | 'exchange' | 'break' | 'turns'>();
  const inside = insideOf(points, span);
  let widened: Stretch | undefined;
  if (interval !== 'inside') {
    widened = widenedOf(points, span);
    if (widened !== undefined && linksIn(points, widened).includes('none')) {
      notes.add('break');
      widened = undefined;
    }
    if (widened !== undefined && hidesTurn(points, widened, rule)) {
      notes.add('turns');
      widened = undefined;
    }
  }
  const chosen = widened ?? (interval === 'widened' ? undefined : inside);
  const pieces = chosen === undefined ? [] : cut(points, chosen, inside);
  if (pieces.some((piece) => piece.rollover)) notes.add('rollover');
  const links = linksIn(points, chosen ?? inside);
  if (links.includes('exchange')) notes.add('exchange');
  if (links.includes('none')) notes.add('break');
  const total = (some: readonly Piece[]): bigint =>
    some.reduce(
      (sum, { first, last }) => sum + BigInt(stepsBetween(first, last, rule.register)),
      0n,
    );
  return {
    pieces,
    exact:
      isExact(points, inside, span) &&
      !notes.has('break') &&
      (interval !== 'widened' || widened !== undefined),
    notes,
    ...(interval !== 'widened' && { insideSteps: total(pieces.filter((p) => isWithin(p, span))) }),
    ...(widened !== undefined && { widenedSteps: total(pieces) }),
  };
}

export function isWithin(
  { first, last }: { first: { t: number }; last: { t: number } },
  { start, end }: Span,
): boolean {
  return first.t >= start && last.t <= end;
}

/** The points of the hour, in part or as a whole; `from` exceeds `to` when there is none. */
function insideOf(points: readonly Point[], { start, end }: Span): Stretch {
  const from = points.findIndex((point) => point.t >= start);
  return { from: from < 0 ? points.length : from, to: lastAtOrBefore(points, end) };
}

function isExact(points: readonly Point[], { from, to }: Stretch, { start, end }: Span): boolean {
  return points[from]?.t === start && points[to]?.t === end;
}

/** From the last point at or before the start to the first at or after the end (D4.2). */
function widenedOf(points: readonly Point[], { start, end }: Span): Stretch | undefined {
  const from = lastAtOrBefore(points, start);
  const to = points.findIndex((point) => point.t >= end);
  return from < 0 || to < 0 ? undefined : { from, to };
}

function lastAtOrBefore(points: readonly Point[], t: number): number {
  return points.findLastIndex((point) => point.t <= t);
}

/** How the points of a stretch hang together: one link less than it has points. */
function linksIn(points: readonly Point[], { from, to }: Stretch): Point['link'][] {
  return points.slice(from + 1, to + 1).map((point) => point.link);
}

function hidesTurn(
  points: readonly Point[],
  { from, to }: Stretch,
  rule: { register: CountingRegister; capacity: Capacity },
): boolean {
  if (rule.register.digits === undefined) return false;
  for (let i = from + 1; i <= to; i++) {
    const before = points[i - 1];
    const point = points[i];
    if (before === undefined || point?.link !== 'step') continue;
    if (mayHideTurn(before, point, rule)) return true;
  }
  return false;
}

/**
 * Cuts a stretch where the meter was exchanged, where nothing is known, around a rollover, and where
 * the points of the hour begin and end, so that one list of pieces serves both intervals.
 */
function cut(points: readonly Point[], { from, to }: Stretch, inside: Stretch): Piece[] {
  const pieces: Piece[] = [];
  let open = points[from];
  const close = (last: Point | undefined): void => {
    if (open === undefined || last === undefined || open.t === last.t) return;
    pieces.push({ first: open, last, rollover: last.value < open.value });
  };
  for (let i = from + 1; i <= to; i++) {
    const before = points[i - 1];
    const point = points[i];
    if (before === undefined || point === undefined) break;
    if (point.link !== 'step') {
      close(before);
      open = point;
    } else if (point.value < before.value) {
      close(before);
      open = before;
      close(point);
      open = point;
    }
    const atEdge = i === to || i === inside.from || i === inside.to;
    if (atEdge) {
      close(point);
      open = point;
    }
  }
  return pieces;
}

/**
 * The pieces of all registers as segments, in the order of time: what begins and ends in the same
 * messages is one. `measured` is by register name; its order has no influence.
 */
export function segmentsOf(measured: ReadonlyMap<string, Measured>): Segment[] {
  const groups = new Map<string, Group>();
  for (const [name, { pieces }] of measured) {
    for (const piece of pieces) {
      const key = [keyOf(piece.first.first), keyOf(piece.last.last), piece.first.t, piece.last.t];
      const identity = `${key.join(' ')} ${piece.rollover}`;
      const group = groups.get(identity) ?? { piece, first: {}, last: {} };
      group.first[name] = piece.first.value;
      group.last[name] = piece.last.value;
      groups.set(identity, group);
    }
  }
  return [...groups.values()].sort(compareGroups).map(({ piece, first, last }) => ({
    first: { ...piece.first.first, t: piece.first.t, registers: first },
    last: { ...piece.last.last, t: piece.last.t, registers: last },
    ...(piece.rollover && { rollover: true as const }),
  }));
}

interface Group {
  readonly piece: Piece;
  readonly first: Record<string, number>;
  readonly last: Record<string, number>;
}

function keyOf(source: Source): string {
  return 'entry' in source ? `entry ${source.entry.index}` : `${source.kid} ${source.seq}`;
}

/** No two groups are equal in all of these. */
function compareGroups({ piece: a }: Group, { piece: b }: Group): number {
  return (
    a.first.t - b.first.t ||
    a.last.t - b.last.t ||
    compareSources(a.first.first, b.first.first) ||
    compareSources(a.last.last, b.last.last) ||
    Number(a.rollover) - Number(b.rollover)
  );
}
