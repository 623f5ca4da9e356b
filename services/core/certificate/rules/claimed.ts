import type { ClaimItem } from '../specs/claims.ts';
import { quantity } from '../state/series.ts';
import type { LogState } from '../state/state.ts';
import type { ClaimedHour } from '../state/tables.ts';

/** The book of what is claimed against each hour of each site. */

/** What stands for one hour of a site lies in so many ranges at most: the whole is one row of a table. */
export const claimsPerHour = 1_000;
/** One entry undoes at most so many, so that it stays below 65,535 bytes; another follows. */
export const unclaimedAtOnce = 500;

type Hour = Pick<ClaimItem, 'point' | 'hour'>;

export function claimsOf({ tables }: LogState, { point, hour }: Hour): ClaimedHour['claims'] {
  return tables.claimedOf(point).get(hour)?.claims ?? [];
}

export function claimedWh(state: LogState, hour: Hour): number {
  return claimsOf(state, hour).reduce((sum, range) => sum + quantity(range), 0);
}

export function bookClaims(state: LogState, items: readonly ClaimItem[], index: number): void {
  for (const { point, hour, series, from, to } of items) {
    const claims = [...claimsOf(state, { point, hour }), { series, from, to, index }];
    state.tables.claimedOf(point).set(hour, { claims });
  }
}

/** Takes units out of the book, wherever in a claim they lie. */
export function unbookClaims(state: LogState, items: readonly ClaimItem[]): void {
  for (const { point, hour, series, from, to } of items) {
    const claims = claimsOf(state, { point, hour }).flatMap((claim) => {
      if (claim.series !== series || claim.to < from || to < claim.from) return [claim];
      return [
        ...(claim.from < from ? [{ ...claim, to: from - 1 }] : []),
        ...(to < claim.to ? [{ ...claim, from: to + 1 }] : []),
      ];
    });
    state.tables.claimedOf(point).set(hour, { claims });
    noteOverclaimed(state, { point, hour });
  }
}

/** Whether an `unclaim` is due, for whoever enters it; only one who has seen the consumption knows. */
export function noteOverclaimed(state: LogState, { point, hour }: Hour): void {
  const took = state.plants.get(point)?.hours.get(hour)?.consumptionWh;
  const name = `${point} ${hour}`;
  if (took !== undefined && claimedWh(state, { point, hour }) > took) {
    state.overclaimed.set(name, { point, hour });
  } else state.overclaimed.delete(name);
}

/**
 * The units that a smaller consumption leaves no room for (D4.4): the newest claims first, and of the one
 * that is undone in part its highest numbers. In this order an `unclaim` names them.
 */
export function dueUnclaim(state: LogState, { point, hour }: Hour): readonly ClaimItem[] {
  const took = state.plants.get(point)?.hours.get(hour)?.consumptionWh ?? 0;
  let leftWh = claimedWh(state, { point, hour }) - took;
  const due: ClaimItem[] = [];
  for (const { series, from, to } of claimsOf(state, { point, hour }).toReversed()) {
    if (leftWh <= 0 || due.length === unclaimedAtOnce) break;
    const first = Math.max(from, to - leftWh + 1);
    due.push({ series, from: first, to, point, hour });
    leftWh -= to - first + 1;
  }
  return due;
}
