import { Refused } from '../../errors.ts';
import { hourSeconds } from '../../energy/hours.ts';
import type { Item } from '../specs/parts.ts';
import { issuedRangesOf, knownParts, piecesOf } from '../state/series.ts';
import type { IssuedRange, Piece, Series, UnitChange, UnitState } from '../state/series.ts';
import { changeUnits } from '../state/state-tree.ts';
import type { LogState } from '../state/state.ts';
import { genesisOf, type Effect, type Place } from './rule.ts';

/** What all actions on certificates share: which units they name, and what those are by then (D4.4). */

function seriesOf({ state }: Place, name: string): Series {
  const found = state.series.get(name);
  if (found === undefined) throw new Refused('series', `no series ${name}`);
  return found;
}

/** The items as far as they can be judged: all of them, but for a verifier with part of the log. */
export function judged(items: readonly Item[], { state }: Place): readonly Item[] {
  if (!state.partial) return items;
  return items.flatMap(({ series, ...range }) => {
    const known = state.series.get(series);
    return known === undefined ? [] : knownParts(known, range).map((part) => ({ series, ...part }));
  });
}

function bySeries(items: readonly Item[]): ReadonlyMap<string, readonly Item[]> {
  const grouped = new Map<string, Item[]>();
  for (const item of items) {
    const others = grouped.get(item.series) ?? [];
    grouped.set(item.series, others);
    others.push(item);
  }
  return grouped;
}

/** A piece inside the units that are looked at, and the range that was issued with it. */
export interface Held {
  readonly series: string;
  readonly issued: IssuedRange;
  readonly piece: Piece;
}

export function heldBy(item: Item, place: Place): readonly Held[] {
  const { series } = item;
  return issuedRangesOf(seriesOf(place, series), item).flatMap((issued) =>
    piecesOf(issued, item).map((piece) => ({ series, issued, piece })),
  );
}

/** Asks `check` of every piece of every item, in their order. No unit may be named twice. */
export function requireEach(
  items: readonly Item[],
  place: Place,
  check: (held: Held) => void,
): void {
  const named = new Map<string, Item[]>();
  for (const item of items) {
    const others = named.get(item.series) ?? [];
    if (others.some(({ from, to }) => item.from <= to && from <= item.to)) {
      throw new Refused('range', `${item.series} ${item.from} to ${item.to} is named twice`);
    }
    named.set(item.series, [...others, item]);
    heldBy(item, place).forEach(check);
  }
}

export function refuseState({ series, piece }: Held, state: string): never {
  throw new Refused('state', `${series} ${piece.from} is ${state}`);
}

/** Every unit of every item belongs to the account and can be used; no unit is named twice. */
export function requireOwnActive(items: readonly Item[], account: string, place: Place): void {
  requireEach(items, place, (held) => {
    const { series, piece } = held;
    if (piece.owner !== account) {
      throw new Refused('owner', `${series} ${piece.from} belongs to ${piece.owner}`);
    }
    const state = stateAt(held, place);
    if (state !== 'active') refuseState(held, state);
  });
}

export function changeItems(
  items: readonly Item[],
  { state, ref }: Place,
  change: Omit<UnitChange, 'lastIndex'>,
): Effect {
  return (tell) => {
    for (const [series, ranges] of bySeries(items)) {
      tell({ series, ranges: ranges.map(({ from, to }) => ({ from, to })), isIssue: false });
      changeUnits(state, { series, ranges }, { ...change, lastIndex: ref.index });
    }
  };
}

type TimedPiece = Pick<Piece, 'state' | 'basis'>;
type When = Pick<Place, 'state' | 'time'>;

/** Entry time after which an offered or reserved piece is the seller's and active again. */
export function payByOf({ state, basis }: TimedPiece, { tables }: LogState): number | undefined {
  if (basis === undefined) return undefined;
  const offered = state === 'offered';
  return offered ? tables.offers.get(basis)?.terms?.payBy : tables.accepts.get(basis)?.payBy;
}

/** Entry time after which a unit of that hour can no longer be used; undefined where it always can. */
export function expiryOf(
  { hourStart }: IssuedRange,
  when: Pick<Place, 'state'>,
): number | undefined {
  const { expireAfterS } = genesisOf(when).rules;
  return expireAfterS === undefined ? undefined : hourStart + hourSeconds + expireAfterS;
}

/** What time makes of a piece but for its expiry: offered and reserved units are free after `payBy`. */
export function timedState(piece: TimedPiece, { state: log, time }: When): UnitState {
  const { state } = piece;
  const payBy = payByOf(piece, log);
  return payBy !== undefined && time > payBy ? 'active' : state;
}

/**
 * What a unit is at an entry's time. Active and offered ones expire; what was reserved in time can
 * still be settled, and what is locked is so whatever its time.
 */
export function stateAt(
  { issued, piece }: Pick<Held, 'issued' | 'piece'>,
  when: When,
): UnitState | 'expired' {
  const state = timedState(piece, when);
  if (state !== 'active' && state !== 'offered') return state;
  const expiresAt = expiryOf(issued, when);
  return expiresAt !== undefined && when.time > expiresAt ? 'expired' : state;
}
