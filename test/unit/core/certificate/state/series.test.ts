import { describe, expect, it } from 'vitest';
import type { Range } from '#core/certificate/specs/parts.ts';
import {
  issuedRangesOf,
  lastUnit,
  noSeries,
  piecesWithin,
  quantity,
  unitsToWithdraw,
  type Piece,
  type Series,
  type UnitChange,
} from '#core/certificate/state/series.ts';
import {
  changeUnits,
  emptyStateTree,
  issueUnits,
  piecesAsOf,
} from '#core/certificate/state/state-tree.ts';
import type { KeptSeries } from '#core/certificate/state/state-tree.ts';
import { memoryTables } from '#core/certificate/state/tables.ts';

/** Three hours: 1 to 10, 11 to 30, and, for a verifier that lacks some, 41 to 50. */
function issued() {
  const tables = memoryTables();
  const stateTree = emptyStateTree(tables);
  const holdings = { series: new Map<string, KeptSeries>(), stateTree, tables };
  const ranges = [
    { from: 1, to: 10 },
    { from: 11, to: 30 },
    { from: 41, to: 50 },
  ];
  for (const [i, range] of ranges.entries()) {
    const place = { series: 'energy/solar', index: i + 1, hourStart: 3600 * i, owner: 'solar' };
    issueUnits(holdings, { ...place, range });
  }
  return holdings;
}
type Holdings = ReturnType<typeof issued>;

const seriesOf = (holdings: Holdings): Series => holdings.series.get('energy/solar') ?? noSeries;
const series = (): Series => seriesOf(issued());

/** As an entry would change them; the ranges are those of one log. */
function changePieces(made: Holdings, range: Range, change: UnitChange): void {
  changeUnits(made, { series: 'energy/solar', ranges: [range] }, change);
}

const spans = (list: readonly { from: number; to: number }[]) =>
  list.map(({ from, to }) => [from, to]);

describe('finding units', () => {
  it.each([
    [1, 1, [[1, 10]]],
    [
      10,
      11,
      [
        [1, 10],
        [11, 30],
      ],
    ],
    [30, 30, [[11, 30]]],
    [41, 50, [[41, 50]]],
  ])('%d to %d', (from, to, expected) => {
    expect(spans(issuedRangesOf(series(), { from, to }))).toEqual(expected);
  });

  it.each([
    [0, 1],
    [31, 31],
    [30, 41],
    [40, 41],
    [50, 51],
    [51, 52],
    [5, 4],
    [1, Number.MAX_SAFE_INTEGER],
  ])('refuses %d to %d, not all of which was issued', (from, to) => {
    expect(() => issuedRangesOf(series(), { from, to })).toThrow(
      expect.objectContaining({ code: 'range' }),
    );
  });

  it('knows the last unit, and none of an empty series', () => {
    expect(lastUnit(series())).toBe(50);
    expect(lastUnit(noSeries)).toBe(0);
    expect(() => piecesWithin(noSeries, { from: 1, to: 1 })).toThrow();
    expect(quantity({ from: 3, to: 3 })).toBe(1);
  });
});

describe('splitting', () => {
  it('{from, to} at n gives {from, from+n-1} and {from+n, to}', () => {
    const made = issued();
    changePieces(made, { from: 12, to: 15 }, { state: 'cancelled', lastIndex: 9 });
    expect(spans(seriesOf(made).ranges.at(1)?.pieces ?? [])).toEqual([
      [11, 11],
      [12, 15],
      [16, 30],
    ]);
    expect(spans(piecesWithin(seriesOf(made), { from: 14, to: 17 }))).toEqual([
      [14, 15],
      [16, 17],
    ]);
  });

  it('at many places at once is the same as one after the other, in whatever order', () => {
    const parts = [
      [44, 44],
      [2, 3],
      [4, 4],
      [9, 12],
      [30, 30],
      [14, 20],
      [46, 50],
    ].map(([from = 0, to = 0]) => ({ from, to }));
    const before = { from: 3, to: 17 };
    const oneByOne = issued();
    changePieces(oneByOne, before, { owner: 'buyer', lastIndex: 8 });
    for (const part of parts) changePieces(oneByOne, part, { state: 'cancelled', lastIndex: 9 });
    for (const ranges of [parts, parts.toReversed()]) {
      const atOnce = issued();
      changePieces(atOnce, before, { owner: 'buyer', lastIndex: 8 });
      const change = { state: 'cancelled', lastIndex: 9 } as const;
      changeUnits(atOnce, { series: 'energy/solar', ranges }, change);
      expect([...seriesOf(atOnce).ranges]).toEqual([...seriesOf(oneByOne).ranges]);
      for (const asOf of [8, 9, 10]) {
        const piecesOf = ({ stateTree }: Holdings) =>
          [...stateTree.ranges].map((range) => piecesAsOf(stateTree, range, asOf));
        expect(piecesOf(atOnce)).toEqual(piecesOf(oneByOne));
      }
    }
  });

  it('an hour into very many pieces keeps what was done to it, and not each time what came of it', () => {
    const tables = memoryTables();
    const made = {
      series: new Map<string, KeptSeries>(),
      stateTree: emptyStateTree(tables),
      tables,
    };
    const place = { series: 'energy/solar', index: 1, hourStart: 0, owner: 'solar' };
    issueUnits(made, { ...place, range: { from: 1, to: 100_000 } });
    for (let entry = 0; entry < 40; entry++) {
      const ranges = Array.from({ length: 500 }, (_, i) => {
        const unit = 2 * (500 * entry + i) + 1;
        return { from: unit, to: unit };
      });
      const change = { state: 'cancelled', lastIndex: entry + 2 } as const;
      changeUnits(made, { series: 'energy/solar', ranges }, change);
    }
    expect(made.stateTree.ranges.at(0)?.pieces).toHaveLength(40_000);
    const [known] = made.stateTree.versions.values();
    expect(known?.base).toHaveLength(1);
    expect(known?.changes).toHaveLength(40);
  });

  it('leaves what is outside as it was', () => {
    const made = issued();
    changePieces(made, { from: 9, to: 12 }, { owner: 'buyer', lastIndex: 9 });
    expect(
      [...seriesOf(made).ranges]
        .flatMap(({ pieces }) => pieces)
        .map(({ owner, lastIndex }) => [owner, lastIndex]),
    ).toEqual([
      ['solar', 1],
      ['buyer', 9],
      ['buyer', 9],
      ['solar', 2],
      ['solar', 3],
    ]);
  });
});

describe('withdrawing', () => {
  const due = (made: Series, amount: number) =>
    spans(unitsToWithdraw([...made.ranges], { isOwnActive, amount }));
  const isOwnActive = ({ owner, state }: Piece) => owner === 'solar' && state === 'active';

  it('takes the highest first and says them in ascending order, neighbours joined', () => {
    expect(due(series(), 0)).toEqual([]);
    expect(due(series(), 1)).toEqual([[50, 50]]);
    expect(due(series(), 12)).toEqual([
      [29, 30],
      [41, 50],
    ]);
    expect(due(series(), 32)).toEqual([
      [9, 30],
      [41, 50],
    ]);
    expect(due(series(), 1000)).toEqual([
      [1, 30],
      [41, 50],
    ]);
  });

  it('passes over what others hold and what is no longer active', () => {
    const made = issued();
    changePieces(made, { from: 45, to: 50 }, { owner: 'buyer', lastIndex: 9 });
    changePieces(made, { from: 25, to: 30 }, { state: 'cancelled', lastIndex: 9 });
    expect(due(seriesOf(made), 5)).toEqual([
      [24, 24],
      [41, 44],
    ]);
  });
});
