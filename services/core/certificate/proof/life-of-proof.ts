import { fromBase64, fromHex } from '../../bytes.ts';
import { Refused, within } from '../../errors.ts';
import { instantText } from '../../energy/hours.ts';
import { parseCanonical } from '../../jcs.ts';
import { verifyInclusion } from '../../tlog/proof.ts';
import { leafHash } from '../../tlog/tree.ts';
import type { Judgement } from '../fold.ts';
import { specOf, type SpecOf } from '../kinds.ts';
import type { Item } from '../specs/parts.ts';
import { stateLeafShape, statePieceShape } from '../specs/state.ts';
import type { Finding } from './ladder.ts';
import { decodePath, type Proof, type ProofState } from './proof.ts';
import type { Quorum } from './quorum-of-proof.ts';
import { issuedRangesOf, noSeries, type Piece, piecesWithin } from '../state/series.ts';
import type { LogState } from '../state/state.ts';
import { unitsText } from './units-text.ts';

/**
 * Step 9: the life of the bundle. What the entries of the file say of its units is compared with what
 * a `state` entry of the log says of them, which auditing witnesses have recomputed: so no entry about
 * them was left out, up to the size that the state speaks of.
 *
 * They cosign a wrong state too, once a later `void` says so, and a file can leave that out. So only the
 * last entry under the checkpoint is believed: had it been wrong, nobody would have cosigned that size.
 */
export function verifyLife(
  { bundle, hour, state: shown }: Proof,
  { judgements, state, size }: { judgements: readonly Judgement[]; state: LogState; size: number },
  quorum: () => Quorum,
): Finding<undefined> {
  const own = piecesWithin(state.series.get(bundle.series) ?? noSeries, bundle);
  const told = merged(own);
  const custody = [...own.map(({ owner }) => owner), ...actorsOf(judgements)]
    .filter((account) => state.accounts.get(account)?.spec.custody === 'operator')
    .map((account) => `the operator keeps the key of ${account}`)
    .slice(0, 1);
  const unknown = (why: string): Finding<undefined> => ({
    value: undefined,
    result: 'unknown',
    reason: [unitsText(state, bundle, 'were'), why, ...custody].join('; '),
  });
  if (shown === undefined)
    return unknown('what else the log says of them only a state proof can tell');
  const spec = specOfState(shown, judgements);
  const pieces = within('state proof', () => provedPieces(shown, { spec, bundle, hour, state }));
  const later = told.find(({ lastIndex }) => lastIndex >= spec.asOf);
  if (later !== undefined) {
    return unknown(`entry ${later.lastIndex} is newer than the state as of ${spec.asOf} entries`);
  }
  requireSame(told, pieces, spec.asOf);
  if (shown.entry + 1 !== size) {
    return unknown(`entries from ${shown.entry + 1} to ${size - 1} may say that the state is void`);
  }
  const { isAudited, timeS } = quorum();
  if (!isAudited)
    return unknown('that the state is right, only an auditing witness of your policy can say');
  if (custody.length > 0) return unknown('nobody but the operator can have signed for it');
  const seen = `state as of ${spec.asOf} entries, seen by a quorum at ${instantText(timeS)}`;
  return { value: undefined, reason: `${unitsText(state, bundle, 'are')}; ${seen}` };
}

/** Who signed for units: whoever keeps one of their keys could have made up the life from there on. */
function actorsOf(judgements: readonly Judgement[]): readonly string[] {
  return judgements.flatMap(({ entry, violation, moved = [] }) => {
    const isSound = entry !== undefined && violation === undefined;
    if (!isSound || moved.length === 0) return [];
    const { account } = entry.spec as { readonly account?: unknown };
    return typeof account === 'string' ? [account] : [];
  });
}

function specOfState({ entry: at }: ProofState, judgements: readonly Judgement[]): SpecOf<'state'> {
  const found = judgements.find(({ ref }) => ref.index === at);
  if (found?.entry?.kind !== 'state') throw new Refused('state', `entry ${at} is not a state`);
  return specOf.state.parse(found.entry.spec, 'spec');
}

/** The pieces that cover the bundle, each proved to be in the range's leaf, and that in the state. */
function provedPieces(
  { leaf, pieces, size }: ProofState,
  {
    spec,
    bundle,
    hour,
    state,
  }: { spec: SpecOf<'state'>; bundle: Item; hour: number; state: LogState },
): readonly Piece[] {
  const leafBytes = fromBase64(leaf.data);
  verifyInclusion({
    leafHash: leafHash(leafBytes),
    index: leaf.index,
    size: spec.count,
    path: decodePath(leaf.path),
    root: fromHex(spec.root),
  });
  const range = stateLeafShape.parse(parseCanonical(leafBytes), 'leaf');
  const [issued] = issuedRangesOf(state.series.get(bundle.series) ?? noSeries, bundle);
  const isIts =
    range.series === bundle.series && range.from === issued?.from && range.to === issued.to;
  if (!isIts) throw new Refused('state', 'the leaf is not that of the range that holds the bundle');
  if (range.index !== hour) {
    throw new Refused('state', `entry ${range.index} issued these units, and not entry ${hour}`);
  }
  const root = fromHex(range.pieces);
  const proved = pieces.map(({ data, index, path }) => {
    const bytes = fromBase64(data);
    verifyInclusion({ leafHash: leafHash(bytes), index, size, path: decodePath(path), root });
    return statePieceShape.parse(parseCanonical(bytes), 'piece');
  });
  requireCover(proved, bundle);
  return merged(proved.map((piece) => clipped(piece, bundle)));
}

/** Without gap or overlap from the first unit of the bundle to its last. */
function requireCover(pieces: readonly Piece[], { from, to }: Item): void {
  const isJoined = pieces.every(
    (piece, i) => i === 0 || piece.from === (pieces[i - 1]?.to ?? 0) + 1,
  );
  const [first, last] = [pieces[0], pieces.at(-1)];
  const isIts = first !== undefined && last !== undefined;
  if (
    !isIts ||
    !isJoined ||
    from < first.from ||
    from > first.to ||
    to < last.from ||
    to > last.to
  ) {
    throw new Refused('state', 'its pieces are not those of the bundle');
  }
}

function clipped(piece: Piece, { from, to }: Item): Piece {
  return { ...piece, from: Math.max(piece.from, from), to: Math.min(piece.to, to) };
}

/** Neighbours of one owner, state and last entry as one: where they were cut says nothing. */
function merged(pieces: readonly Piece[]): readonly Piece[] {
  const runs: Piece[] = [];
  for (const piece of pieces) {
    const last = runs.at(-1);
    if (last !== undefined && isAlike(last, piece))
      runs[runs.length - 1] = { ...last, to: piece.to };
    else runs.push(piece);
  }
  return runs;
}

function isAlike(one: Piece, other: Piece): boolean {
  return (
    one.owner === other.owner && one.state === other.state && one.lastIndex === other.lastIndex
  );
}

/** Both cover the bundle, so they are the same when every proved piece is part of a told one. */
function requireSame(told: readonly Piece[], proved: readonly Piece[], asOf: number): void {
  for (const piece of proved) {
    const isTold = told.some(
      (run) => run.from <= piece.from && run.to >= piece.to && isAlike(run, piece),
    );
    if (isTold) continue;
    const { from, to, state, owner } = piece;
    const what = `units ${from} to ${to} were ${state}, owned by ${owner} since entry ${piece.lastIndex}`;
    throw new Refused('life', `as of ${asOf} entries ${what}: the file leaves something out`);
  }
}
