import { Refused } from '../../errors.ts';
import type { Item } from '../specs/parts.ts';
import { knownParts, piecesWithin, type Series } from '../state/series.ts';
import { changeUnits } from '../state/state-tree.ts';
import { accountOf, accountSigns, type Place, type Rule } from './rule.ts';

/** The rules of certificates as property (D4.4). Every action is signed by the account that acts. */

function seriesOf({ state }: Place, name: string): Series {
  const found = state.series.get(name);
  if (found === undefined) throw new Refused('series', `no series ${name}`);
  return found;
}

/** The items as far as they can be judged: all of them, but for a verifier with part of the log. */
function judged(items: readonly Item[], { state }: Place): readonly Item[] {
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

/** Every unit of every item belongs to the account and is active; no unit is named twice. */
function requireOwnActive(items: readonly Item[], account: string, place: Place): void {
  const named = new Map<string, Item[]>();
  for (const item of items) {
    const others = named.get(item.series) ?? [];
    if (others.some(({ from, to }) => item.from <= to && from <= item.to)) {
      throw new Refused('range', `${item.series} ${item.from} to ${item.to} is named twice`);
    }
    named.set(item.series, [...others, item]);
    for (const piece of piecesWithin(seriesOf(place, item.series), item)) {
      if (piece.owner !== account) {
        throw new Refused('owner', `${item.series} ${piece.from} belongs to ${piece.owner}`);
      }
      if (piece.state !== 'active') {
        throw new Refused('state', `${item.series} ${piece.from} is ${piece.state}`);
      }
    }
  }
}

export const cancel: Rule<'cancel'> = {
  signers: (spec, place) => [accountSigns(place, spec.account)],
  plan(spec, place) {
    if (accountOf(place, spec.account).frozen) throw new Refused('frozen', 'a frozen account');
    if (spec.period.to < spec.period.from) throw new Refused('range', 'an empty period');
    const items = judged(spec.items, place);
    requireOwnActive(items, spec.account, place);
    return () => {
      const change = { state: 'cancelled', lastIndex: place.ref.index } as const;
      for (const [series, ranges] of bySeries(items)) {
        changeUnits(place.state, { series, ranges }, change);
      }
    };
  },
};
