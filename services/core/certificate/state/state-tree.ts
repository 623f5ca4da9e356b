import { toHex, utf8 } from '../../bytes.ts';
import { firstIndex } from '../../first-index.ts';
import type { HashReader } from '../../tlog/proof.ts';
import {
  emptyRoot,
  leafHash,
  nodeHash,
  rootOfSubtrees,
  subtreesOf,
  treeRoot,
  type Coordinates,
} from '../../tlog/tree.ts';
import type { Range } from '../specs/parts.ts';
import { changedPieces, issuedRangesOf, noSeries } from './series.ts';
import type { IssuedRange, Piece, Series, UnitChange } from './series.ts';
import { rowsAt, rowsOf, type GrowingRows, type Rows } from './rows.ts';
import { isWhole, openTiles } from './state-tiles.ts';
import type { LogTables } from './tables.ts';

/**
 * The tree behind `state` entries (D3.3): leaf i is the i-th range that the log ever issued, with the
 * root over its pieces. A `state` entry speaks of a size at or before its own index, while the log
 * goes on, so what a range was like is kept until no state can ask for it any more. Work is in
 * proportion to what changed since the state before.
 */
export interface StateTree {
  /** In the order of issue. */
  readonly ranges: GrowingRows<IssuedRange>;
  /** Roots of the perfect subtrees over the leaves as of `asOf` (state-tiles.ts). */
  readonly tilesOf: LogTables['tilesOf'];
  /** The tree size that the tiles hold; 0 before the first state. */
  asOf: number;
  /** Leaves in the tiles: the ranges that the first `asOf` entries issued. */
  count: number;
  /** What the tiles held as of the state before, by `${level} ${index}`, where it has changed since. */
  previous: {
    readonly asOf: number;
    readonly count: number;
    readonly nodes: Map<string, Uint8Array>;
  };
  /** By position: what a range that has changed was like, and became, since the state before `asOf`. */
  readonly versions: Map<number, Versions>;
}

/**
 * What was done to a range, and not each time what came of it: a range may have been cut into very many
 * pieces, by very many entries.
 */
interface Versions {
  /** Before the first of the changes. */
  readonly base: readonly Piece[];
  /** In the order of their entries. */
  readonly changes: Changed[];
}

interface Changed {
  readonly ranges: readonly Range[];
  readonly change: UnitChange;
}

export function emptyStateTree(tables: Pick<LogTables, 'ranges' | 'tilesOf'>): StateTree {
  return {
    ranges: rowsOf(tables.ranges),
    tilesOf: tables.tilesOf,
    asOf: 0,
    count: 0,
    previous: { asOf: 0, count: 0, nodes: new Map() },
    versions: new Map(),
  };
}

/** The parts of a log's state that hold certificates. */
interface Holdings {
  readonly series: Map<string, KeptSeries>;
  readonly stateTree: StateTree;
  readonly tables: Pick<LogTables, 'placesOf'>;
}

/** A series with the places of its ranges among all that the log ever issued. */
export interface KeptSeries extends Series {
  readonly places: GrowingRows<number>;
}

/** The series whose first `count` ranges are in the tables. */
export function keptSeries(
  { stateTree, tables }: Pick<Holdings, 'stateTree' | 'tables'>,
  name: string,
  count = 0,
): KeptSeries {
  const places = rowsOf(tables.placesOf(name), count);
  return { places, ranges: rowsAt(places, stateTree.ranges) };
}

export interface Issue {
  readonly series: string;
  readonly range: Range;
  readonly index: number;
  readonly hourStart: number;
  readonly owner: string;
}

/** Books a range that the entry at `index` issues to `owner`. */
export function issueUnits(
  holdings: Holdings,
  { series: name, range, index, hourStart, owner }: Issue,
): void {
  const { series, stateTree } = holdings;
  const found = series.get(name) ?? keptSeries(holdings, name);
  series.set(name, found);
  const { from, to } = range;
  const pieces: readonly Piece[] = [{ from, to, owner, state: 'active', lastIndex: index }];
  const position = stateTree.ranges.length;
  const issued: IssuedRange = { series: name, position, from, to, index, hourStart, pieces };
  stateTree.ranges.push(issued);
  found.places.push(position);
}

/**
 * Gives every unit of `ranges`, which do not overlap, a new owner or state. Refused('range') where one
 * was never issued.
 */
export function changeUnits(
  { series, stateTree: { ranges: rows, versions } }: Holdings,
  { series: name, ranges }: { readonly series: string; readonly ranges: readonly Range[] },
  change: UnitChange,
): void {
  const touched = new Map<number, { issued: IssuedRange; ranges: Range[] }>();
  for (const range of ranges) {
    for (const issued of issuedRangesOf(series.get(name) ?? noSeries, range)) {
      const found = touched.get(issued.position) ?? { issued, ranges: [] };
      touched.set(issued.position, found);
      const from = Math.max(issued.from, range.from);
      found.ranges.push({ from, to: Math.min(issued.to, range.to) });
    }
  }
  for (const [position, { issued, ranges: own }] of touched) {
    const known = versions.get(position) ?? { base: issued.pieces, changes: [] };
    rows.replace(position, { ...issued, pieces: changedPieces(issued.pieces, own, change) });
    known.changes.push({ ranges: own, change });
    versions.set(position, known);
  }
}

/** The pieces as the first `asOf` entries left them. */
export function piecesAsOf(
  { versions }: Pick<StateTree, 'versions'>,
  { position, pieces }: Pick<IssuedRange, 'position' | 'pieces'>,
  asOf: number,
): readonly Piece[] {
  const known = versions.get(position);
  if (known === undefined) return pieces;
  const before = changesBefore(known, asOf);
  return before === known.changes.length ? pieces : piecesAfter(known, before);
}

/** How many of the changes are by the first `asOf` entries. */
function changesBefore({ changes }: Versions, asOf: number): number {
  return firstIndex(changes.length, (i) => (changes[i]?.change.lastIndex ?? 0) >= asOf);
}

function piecesAfter({ base, changes }: Versions, count: number): readonly Piece[] {
  return changes
    .slice(0, count)
    .reduce((pieces, { ranges, change }) => changedPieces(pieces, ranges, change), base);
}

/** The bytes of a piece as a leaf of the tree over a range's pieces: JCS, for an id has nothing to escape. */
export function encodePiece({ from, to, owner, state, lastIndex }: Piece): Uint8Array {
  return utf8(
    `{"from":${from},"lastIndex":${lastIndex},"owner":"${owner}","state":"${state}","to":${to}}`,
  );
}

/** The bytes of a range as a leaf of the state tree; `pieces` is the root over its pieces. */
export function encodeStateLeaf(
  { series, from, to, index }: Pick<IssuedRange, 'series' | 'from' | 'to' | 'index'>,
  pieces: Uint8Array,
): Uint8Array {
  const root = toHex(pieces);
  return utf8(
    `{"from":${from},"index":${index},"pieces":"${root}","series":"${series}","to":${to}}`,
  );
}

function hashOfRange(issued: IssuedRange, pieces: readonly Piece[]): Uint8Array {
  const root = treeRoot(pieces.map((piece) => leafHash(encodePiece(piece))));
  return leafHash(encodeStateLeaf(issued, root));
}

/**
 * Brings the tiles to what the first `asOf` entries left, hashing only what changed. What they were
 * before stays readable until the next call. RangeError when that is not ahead of them: states are
 * computed in their order.
 */
export function advanceStateTree(tree: StateTree, asOf: number): void {
  if (asOf === tree.asOf) return;
  if (asOf < tree.asOf) throw new RangeError(`asOf: ${asOf} is before ${tree.asOf}`);
  const { ranges } = tree;
  const count = countAsOf(ranges, asOf);
  const tiles = openTiles(tree.tilesOf, tree.count);
  const nodes = new Map<string, Uint8Array>();
  const set = (at: Coordinates, hash: Uint8Array): void => {
    if (isWhole(at, tree.count)) nodes.set(nodeKey(at), tiles.get(at));
    tiles.set(at, hash);
  };
  let changed = changedBefore(tree, { asOf, count });
  for (const position of changed) {
    const issued = ranges.at(position);
    if (issued === undefined) throw new RangeError(`state tree: no range ${position}`);
    set({ level: 0, index: position }, hashOfRange(issued, piecesAsOf(tree, issued, asOf)));
  }
  for (let level = 0; changed.length > 0; level++) {
    changed = wholeParents(changed, { level: level + 1, count });
    for (const index of changed) {
      const [left, right] = [2 * index, 2 * index + 1];
      const hash = nodeHash(tiles.get({ level, index: left }), tiles.get({ level, index: right }));
      set({ level: level + 1, index }, hash);
    }
  }
  tiles.write();
  tree.previous = { asOf: tree.asOf, count: tree.count, nodes };
  tree.asOf = asOf;
  tree.count = count;
  forgetVersions(tree);
}

/** The ranges that were issued or changed from the tiles' size on and before `asOf`, each once. */
function changedBefore(
  tree: StateTree,
  { asOf, count }: { readonly asOf: number; readonly count: number },
): number[] {
  const issued = Array.from({ length: count - tree.count }, (_, i) => tree.count + i);
  const changed = [...tree.versions].flatMap(([position, known]) => {
    const latest = known.changes[changesBefore(known, asOf) - 1]?.change.lastIndex ?? -1;
    return position < tree.count && latest >= tree.asOf ? [position] : [];
  });
  return [...changed, ...issued];
}

/** The hashes at `level` that lie above `children` in a tree of `count` leaves, each once. */
function wholeParents(
  children: readonly number[],
  { level, count }: { readonly level: number; readonly count: number },
): number[] {
  const parents = new Set<number>();
  for (const index of children) parents.add(Math.floor(index / 2));
  return [...parents].filter((index) => isWhole({ level, index }, count));
}

function nodeKey({ level, index }: Coordinates): string {
  return `${level} ${index}`;
}

/** How many ranges the first `asOf` entries issued; ranges ascend by the entry that issued them. */
export function countAsOf(ranges: Rows<Pick<IssuedRange, 'index'>>, asOf: number): number {
  return firstIndex(ranges.length, (i) => (ranges.at(i)?.index ?? 0) >= asOf);
}

/** Keeps what a proof by the state before, or any later state, can still ask for. */
function forgetVersions({ versions, previous }: StateTree): void {
  for (const [position, known] of versions) {
    const settled = changesBefore(known, previous.asOf);
    if (settled === known.changes.length) versions.delete(position);
    else if (settled > 0) {
      const changes = known.changes.slice(settled);
      versions.set(position, { base: piecesAfter(known, settled), changes });
    }
  }
}

/** The root over the ranges as of `tree.asOf`: what a `state` entry states. */
export function stateRoot({ tilesOf, count }: StateTree): Uint8Array {
  if (count === 0) return emptyRoot;
  return rootOfSubtrees(subtreesOf({ from: 0, to: count }).map(openTiles(tilesOf, count).get));
}

/**
 * The hashes of the state as of `asOf`: the one in the tiles, or the one before it. RangeError when it
 * is not kept, also where the tree has been brought further since the reader was made.
 */
export function stateHashReader(tree: StateTree, asOf: number): HashReader {
  const hashesAt = (coordinates: readonly Coordinates[]): Uint8Array[] => {
    const { asOf: current, previous, tilesOf } = tree;
    if (asOf !== current && asOf !== previous.asOf) {
      throw new RangeError(`asOf: the state of ${asOf} is not kept`);
    }
    const { count, nodes } = asOf === current ? { ...tree, nodes: undefined } : previous;
    const tiles = openTiles(tilesOf, tree.count);
    return coordinates.map((at) => {
      if (!isWhole(at, count)) throw new RangeError('state tree: no such hash');
      return nodes?.get(nodeKey(at)) ?? tiles.get(at);
    });
  };
  return (coordinates) =>
    new Promise((resolve) => {
      resolve(hashesAt(coordinates));
    });
}
