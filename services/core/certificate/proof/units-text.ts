import { instantText } from '../../energy/hours.ts';
import { expiryOf, payByOf, stateAt } from '../rules/units.ts';
import type { Item } from '../specs/parts.ts';
import { issuedRangesOf, noSeries, piecesOf } from '../state/series.ts';
import type { IssuedRange, Piece } from '../state/series.ts';
import type { LogState } from '../state/state.ts';

/**
 * What the units of a bundle are, in words: as of the newest entry that was folded, by its time, for
 * offers, reservations and certificates end without an entry.
 */
export function unitsText(state: LogState, bundle: Item, verb: 'are' | 'were'): string {
  const runs: { from: number; to: number; is: string; lastIndex: number }[] = [];
  for (const issued of issuedRangesOf(state.series.get(bundle.series) ?? noSeries, bundle)) {
    for (const piece of piecesOf(issued, bundle)) {
      const { from, to, owner, lastIndex } = piece;
      const is = `${stateText(state, issued, piece)}, owned by ${owner}`;
      const last = runs.at(-1);
      if (last?.is === is && last.lastIndex === lastIndex) last.to = to;
      else runs.push({ from, to, is, lastIndex });
    }
  }
  return runs.map(({ from, to, is }) => `units ${from} to ${to} ${verb} ${is}`).join('; ');
}

function stateText(state: LogState, issued: IssuedRange, piece: Piece): string {
  const now = stateAt({ issued, piece }, { state, time: state.time });
  const until = payByOf(piece, state);
  const expiresAt = expiryOf(issued, { state });
  if (now === 'expired' && expiresAt !== undefined)
    return `expired since ${instantText(expiresAt)}`;
  if (until === undefined) return now;
  const end = instantText(until);
  return now === piece.state ? `${now} until ${end}` : `${now} (${piece.state} until ${end})`;
}
