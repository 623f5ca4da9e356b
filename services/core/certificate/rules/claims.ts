import { Refused } from '../../errors.ts';
import { hourSeconds } from '../../energy/hours.ts';
import type { EntryRef } from '../entry.ts';
import type { ClaimItem } from '../specs/claims.ts';
import type { Item } from '../specs/parts.ts';
import { quantity } from '../state/series.ts';
import type { LogState } from '../state/state.ts';
import { bookClaims, claimedWh, claimsOf, claimsPerHour, unbookClaims } from './claimed.ts';
import { dueUnclaim } from './claimed.ts';
import { accountOf, accountSigns, sameRef, type Place, type Rule } from './rule.ts';
import { changeItems, heldBy, judged, refuseState, requireEach, type Held } from './units.ts';

/** Cancelled certificates against metered consumption (D4.4): what a beneficiary claims, and gives back. */

/** The items as far as they can be judged, each with the hour that it stands for. */
function judgedClaims(items: readonly ClaimItem[], place: Place): readonly ClaimItem[] {
  return items.flatMap(({ hour, point, ...item }) =>
    judged([item], place).map((part) => ({ ...part, hour, point })),
  );
}

function itemOf({ series, from, to }: ClaimItem): Item {
  return { series, from, to };
}

/** A site of the beneficiary, whose hour is sealed. A file need not show it to whoever has a part. */
function requirePoint(
  { point, hour }: ClaimItem,
  account: string,
  { state }: Pick<Place, 'state'>,
): void {
  if (hour % hourSeconds !== 0) throw new Refused('interval', 'not the start of an hour');
  const plant = state.plants.get(point);
  if (state.partial && plant === undefined) return;
  if (plant?.spec.type !== 'consumption' || plant.spec.account !== account) {
    throw new Refused('point', `${point} is no site of ${account}`);
  }
  if (!state.partial && !plant.hours.has(hour)) {
    throw new Refused('unsealed', `${point}: the hour ${hour} is not sealed`);
  }
}

/** Cancelled for that account and that time, and generated in that hour where the claim says so. */
function requireCancelledFor(
  held: Held,
  { hour, account, basis }: { hour: number; account: string; basis: 'annual' | 'hourly' },
  { state }: Pick<Place, 'state'>,
): void {
  const { series, issued, piece } = held;
  if (piece.state !== 'cancelled') refuseState(held, piece.state);
  const cancelled = state.tables.cancels.get(piece.basis ?? -1);
  if (cancelled?.beneficiary !== account) {
    throw new Refused('beneficiary', `${series} ${piece.from} was not cancelled for ${account}`);
  }
  if (hour < cancelled.period.from || hour >= cancelled.period.to) {
    throw new Refused('period', `${series} ${piece.from} was cancelled for another time`);
  }
  if (basis === 'hourly' && issued.hourStart !== hour) {
    throw new Refused('hour', `${series} ${piece.from} was generated in another hour`);
  }
}

/** The sum of claims never exceeds what was metered, as far as whoever judges has seen that. */
function requireRoom(items: readonly ClaimItem[], { state }: Pick<Place, 'state'>): void {
  const sums = new Map<string, { of: ClaimItem; wh: number; count: number }>();
  for (const item of items) {
    const name = `${item.point} ${item.hour}`;
    const sum = sums.get(name) ?? { of: item, wh: 0, count: 0 };
    sum.wh += quantity(item);
    sum.count++;
    sums.set(name, sum);
  }
  for (const { of: item, wh, count } of sums.values()) {
    const { point, hour } = item;
    const took = state.plants.get(point)?.hours.get(hour)?.consumptionWh;
    if (took !== undefined && claimedWh(state, item) + wh > took) {
      throw new Refused('consumption', `${point}: more than the ${took} Wh taken in ${hour}`);
    }
    if (claimsOf(state, item).length + count > claimsPerHour) {
      throw new Refused('claims', `${point}: above ${claimsPerHour} claims against ${hour}`);
    }
  }
}

export const claim: Rule<'claim'> = {
  signers: (spec, place) => [accountSigns(place, spec.account)],
  plan(spec, place) {
    const { account, basis } = spec;
    const { state, ref } = place;
    if (accountOf(place, account).frozen) throw new Refused('frozen', 'a frozen account');
    for (const item of spec.items) requirePoint(item, account, place);
    const items = judgedClaims(spec.items, place);
    let next = 0;
    // `requireEach` takes the items in their order, each with all its pieces.
    const asked = items.flatMap((item) => heldBy(itemOf(item), place).map(() => item.hour));
    requireEach(items.map(itemOf), place, (held) => {
      requireCancelledFor(held, { hour: asked[next++] ?? -1, account, basis }, place);
    });
    requireRoom(items, place);
    const change = changeItems(items.map(itemOf), place, { state: 'claimed', claim: ref.index });
    return (tell) => {
      state.tables.claims.set(ref.index, { account, items: spec.items });
      bookClaims(state, items, ref.index);
      change(tell);
    };
  },
};

/** Claimed by that account for that very site and hour. */
function requireClaimed(
  held: Held,
  { series, point, hour }: ClaimItem,
  { state, account }: { state: LogState; account: string | undefined },
): void {
  const { piece } = held;
  if (piece.state !== 'claimed') refuseState(held, piece.state);
  const claimed = state.tables.claims.get(piece.claim ?? -1);
  const isThere = claimed?.items.some(
    (item) =>
      item.series === series &&
      item.point === point &&
      item.hour === hour &&
      item.from <= piece.from &&
      piece.to <= item.to,
  );
  if (isThere !== true || (account !== undefined && claimed?.account !== account)) {
    throw new Refused('claim', `${series} ${piece.from} is not claimed so`);
  }
}

export const unclaim: Rule<'unclaim'> = {
  signers: (spec, place) => ('account' in spec ? [accountSigns(place, spec.account)] : []),
  plan(spec, place) {
    const { state } = place;
    const account = 'account' in spec ? spec.account : undefined;
    const items = judgedClaims(spec.items, place);
    if ('restsOn' in spec) requireDue(spec.items, spec.restsOn, place);
    const asked = items.flatMap((item) => heldBy(itemOf(item), place).map(() => item));
    let next = 0;
    requireEach(items.map(itemOf), place, (held) => {
      const item = asked[next++];
      if (item !== undefined) requireClaimed(held, item, { state, account });
    });
    const change = changeItems(items.map(itemOf), place, { state: 'cancelled' });
    return (tell) => {
      unbookClaims(state, items);
      change(tell);
    };
  },
};

/**
 * One hour of one site, by the correction that made it smaller; whoever knows what was taken also says
 * which claims have to go: the newest.
 */
function requireDue(items: readonly ClaimItem[], restsOn: EntryRef, place: Place): void {
  const { state } = place;
  const [first] = items;
  if (first === undefined) return;
  if (items.some(({ point, hour }) => point !== first.point || hour !== first.hour)) {
    throw new Refused('point', 'more than one hour of one site');
  }
  if (state.partial) return;
  const hour = state.plants.get(first.point)?.hours.get(first.hour);
  if (hour === undefined || hour.versions.length < 2 || !sameRef(hour.ref, restsOn)) {
    throw new Refused('rests-on', 'not the latest correction of that hour');
  }
  if (hour.consumptionWh === undefined) return;
  const due = dueUnclaim(state, first);
  const isDue =
    due.length === items.length &&
    due.every((one, i) => {
      const item = items[i];
      return one.series === item?.series && one.from === item.from && one.to === item.to;
    });
  if (!isDue) throw new Refused('due', 'not the newest claims that have no room');
}
