import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sha256 } from '#crypto';
import { concat, toHex, utf8 } from '#core/bytes.ts';
import type { Judgement } from '#core/certificate/fold.ts';
import { specOf, type SpecOf } from '#core/certificate/kinds.ts';
import { stateLeafShape, statePieceShape } from '#core/certificate/specs/state.ts';
import { judgeStateEvidence } from '#core/certificate/rules/state.ts';
import type { Piece } from '#core/certificate/state/series.ts';
import {
  advanceStateTree,
  changeUnits,
  countAsOf,
  emptyStateTree,
  encodePiece,
  encodeStateLeaf,
  issueUnits,
  piecesAsOf,
  stateHashReader,
  stateRoot,
  type KeptSeries,
  type StateTree,
} from '#core/certificate/state/state-tree.ts';
import { isWhole, openTiles } from '#core/certificate/state/state-tiles.ts';
import { memoryTables } from '#core/certificate/state/tables.ts';
import { Refused } from '#core/errors.ts';
import { canonicalBytes, parseCanonical } from '#core/jcs.ts';
import { proveInclusion, rootAt, verifyInclusion } from '#core/tlog/proof.ts';
import { inclusionPath, leafHash } from '#core/tlog/tree.ts';
import { createBusyLog, soundPart, testHash, testKey } from '#support/log-builder.ts';
import { testStartS, type LogBuilder } from '#support/log-builder.ts';

/** A range as somebody sees it who copies everything after every entry. */
interface Seen {
  readonly series: string;
  readonly from: number;
  readonly to: number;
  readonly index: number;
  readonly pieces: readonly Piece[];
}

/** RFC 6962, section 2.1, word by word. */
function naiveRoot(leaves: readonly Uint8Array[]): Uint8Array {
  const [only] = leaves;
  if (only === undefined) return sha256(new Uint8Array(0));
  if (leaves.length === 1) return sha256(concat(Uint8Array.of(0), only));
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  const halves = [naiveRoot(leaves.slice(0, k)), naiveRoot(leaves.slice(k))];
  return sha256(concat(Uint8Array.of(1), ...halves));
}

function naiveLeaf({ series, from, to, index, pieces }: Seen): Uint8Array {
  const inner = pieces.map(({ from: first, to: last, owner, state, lastIndex }) =>
    canonicalBytes({ from: first, lastIndex, owner, state, to: last }),
  );
  return canonicalBytes({ from, index, pieces: toHex(naiveRoot(inner)), series, to });
}

const naiveState = (ranges: readonly Seen[]): string => toHex(naiveRoot(ranges.map(naiveLeaf)));

/** A log of certificates without anything else: every call is an entry. */
function createHistory({ copies = true } = {}) {
  const tables = memoryTables();
  const stateTree = emptyStateTree(tables);
  const holdings = { series: new Map<string, KeptSeries>(), stateTree, tables };
  /** By tree size: all ranges in the order of issue. */
  const seen: (readonly Seen[])[] = [[]];
  const size = (): number => seen.length - 1;
  const look = (): void => {
    const ranges = copies ? [...stateTree.ranges] : [];
    seen.push(ranges.map((range) => ({ ...range })));
  };
  const history = {
    stateTree,
    seen,
    size,
    issue(plant: string, wh: number): void {
      const series = `energy/${plant}`;
      const last = holdings.series.get(series)?.ranges.at(-1)?.to ?? 0;
      const range = { from: last + 1, to: last + wh };
      issueUnits(holdings, { series, range, index: size(), hourStart: 0, owner: plant });
      look();
    },
    change(plant: string, range: { from: number; to: number }, change: Partial<Piece>): void {
      const { owner, state } = change;
      const to = { ...(owner !== undefined && { owner }), ...(state !== undefined && { state }) };
      changeUnits(
        holdings,
        { series: `energy/${plant}`, ranges: [range] },
        { ...to, lastIndex: size() },
      );
      look();
    },
    /** An entry that touches no certificate. */
    pass: look,
    lastUnit: (plant: string): number =>
      holdings.series.get(`energy/${plant}`)?.ranges.at(-1)?.to ?? 0,
  };
  history.pass(); // Entry 0 is the genesis: no unit changes there.
  return history;
}
type History = ReturnType<typeof createHistory>;

type Step =
  | { readonly do: 'issue'; readonly plant: string; readonly wh: number }
  | { readonly do: 'change'; readonly plant: string; readonly at: number; readonly wh: number }
  | { readonly do: 'pass' }
  /** A state of a size so many entries back, if that is above the one before. */
  | { readonly do: 'state'; readonly back: number };

const plant = fc.constantFrom('solar', 'wind', 'a');
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant('issue' as const), plant, wh: wh(9) }) },
    {
      weight: 5,
      arbitrary: fc.record({
        do: fc.constant('change' as const),
        plant,
        at: fc.nat(99),
        wh: wh(20),
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('pass' as const) }) },
    {
      weight: 2,
      arbitrary: fc.record({ do: fc.constant('state' as const), back: fc.nat(12) }),
    },
  ),
  { minLength: 30, maxLength: 70, size: 'max' },
);

function wh(max: number): fc.Arbitrary<number> {
  return fc.integer({ min: 1, max });
}

function take(history: History, step: Exclude<Step, { do: 'state' }>): void {
  if (step.do === 'pass') history.pass();
  else if (step.do === 'issue') history.issue(step.plant, step.wh);
  else {
    const last = history.lastUnit(step.plant);
    if (last === 0) return;
    const from = (step.at % last) + 1;
    const change = step.at % 2 === 0 ? ({ state: 'cancelled' } as const) : { owner: 'other' };
    history.change(step.plant, { from, to: Math.min(last, from + step.wh - 1) }, change);
  }
}

/** Proves every leaf and every piece of one generation, and that its root is the one given. */
async function proveAll(tree: StateTree, asOf: number, seen: readonly Seen[]): Promise<void> {
  const read = stateHashReader(tree, asOf);
  const root = await rootAt(seen.length, read);
  expect(toHex(root)).toBe(naiveState(seen));
  for (const [index, range] of seen.entries()) {
    const issued = tree.ranges.at(index);
    if (issued === undefined) throw new Error('a range is missing');
    const pieces = piecesAsOf(tree, issued, asOf);
    expect(pieces).toEqual(range.pieces);
    const hashes = pieces.map((piece) => leafHash(encodePiece(piece)));
    const inner = naiveRoot(pieces.map(encodePiece));
    for (const [at, hash] of hashes.entries()) {
      const claim = { leafHash: hash, index: at, size: hashes.length, root: inner };
      verifyInclusion({ ...claim, path: inclusionPath(hashes, at) });
    }
    const path = await proveInclusion({ index, size: seen.length }, read);
    const leaf = leafHash(encodeStateLeaf(issued, inner));
    verifyInclusion({ leafHash: leaf, index, size: seen.length, path, root });
    const stolen = encodeStateLeaf({ ...issued, to: issued.to + 1 }, inner);
    expect(() => {
      const claim = { leafHash: leafHash(stolen), index, size: seen.length, path, root };
      verifyInclusion(claim);
    }).toThrow(expect.objectContaining({ code: 'inclusion' }));
  }
}

describe('the state tree', () => {
  it('is that of the ranges and pieces from scratch, at every size, whatever happened since', async () => {
    let proved = 0;
    await fc.assert(
      fc.asyncProperty(steps, async (list) => {
        const history = createHistory();
        const { stateTree: tree, seen } = history;
        for (const step of list) {
          if (step.do !== 'state') {
            take(history, step);
            continue;
          }
          const asOf = Math.max(tree.asOf + 1, history.size() - step.back);
          if (asOf > history.size()) continue;
          const before = tree.asOf;
          advanceStateTree(tree, asOf);
          expect([tree.asOf, tree.count]).toEqual([asOf, seen[asOf]?.length]);
          expect(toHex(stateRoot(tree))).toBe(naiveState(seen[asOf] ?? []));
          await proveAll(tree, asOf, seen[asOf] ?? []);
          await proveAll(tree, before, seen[before] ?? []);
          proved += tree.count;
          for (let size = before; size <= history.size(); size++) {
            const count = countAsOf(tree.ranges, size);
            expect(count).toBe(seen[size]?.length);
            const issued = [...tree.ranges].slice(0, count);
            const pieces = issued.map((one) => piecesAsOf(tree, one, size));
            expect(pieces).toEqual(seen[size]?.map((one) => one.pieces));
          }
        }
      }),
      { numRuns: 50 },
    );
    expect(proved).toBeGreaterThan(1000);
  });

  it('is the same at every size of one history, however the states before it lay', () => {
    const history = createHistory();
    for (let i = 0; i < 40; i++) {
      take(history, { do: 'issue', plant: i % 3 === 0 ? 'solar' : 'wind', wh: 1 + (i % 5) });
      take(history, { do: 'change', plant: 'wind', at: i * 7, wh: 3 });
    }
    const { ranges, versions } = history.stateTree;
    for (const n of [1, 2, 3, 7, 80]) {
      const tree = { ...emptyStateTree(memoryTables()), ranges, versions: new Map(versions) };
      for (let asOf = n; asOf <= history.size(); asOf += n) {
        advanceStateTree(tree, asOf);
        expect(toHex(stateRoot(tree))).toBe(naiveState(history.seen[asOf] ?? []));
      }
    }
  });

  it('has the root of an empty tree before the first issue', () => {
    const tree = emptyStateTree(memoryTables());
    advanceStateTree(tree, 5);
    expect(toHex(stateRoot(tree))).toBe(toHex(sha256(new Uint8Array(0))));
  });

  it('has leaves of the forms on FORMATS.md, in JCS', () => {
    const piece: Piece = { from: 1, to: 9, owner: 'solar', state: 'withdrawn', lastIndex: 7 };
    expect(statePieceShape.parse(parseCanonical(encodePiece(piece)))).toEqual(piece);
    const range = { series: 'energy/A.b_c-1', from: 1, to: 9, index: 4 };
    const leaf = encodeStateLeaf(range, sha256(utf8('x')));
    const parsed = { ...range, pieces: testHash('x') };
    expect(stateLeafShape.parse(parseCanonical(leaf))).toEqual(parsed);
  });

  it('is computed in the order of the states alone', () => {
    const history = createHistory();
    history.issue('solar', 5);
    history.issue('solar', 5);
    advanceStateTree(history.stateTree, 3);
    expect(() => {
      advanceStateTree(history.stateTree, 2);
    }).toThrow(RangeError);
    const root = toHex(stateRoot(history.stateTree));
    advanceStateTree(history.stateTree, 3);
    expect(toHex(stateRoot(history.stateTree))).toBe(root);
    expect(history.stateTree.previous.asOf).toBe(0);
  });

  it('keeps two generations, and its readers refuse any other', async () => {
    const history = createHistory();
    const { stateTree: tree } = history;
    for (let i = 0; i < 8; i++) history.issue('solar', 2);
    advanceStateTree(tree, 4);
    const early = stateHashReader(tree, 4);
    advanceStateTree(tree, 6);
    expect(toHex(await rootAt(3, early))).toBe(naiveState(history.seen[4] ?? []));
    advanceStateTree(tree, 8);
    // Not even a reader from when it was kept may answer with hashes of another state.
    for (const read of [early, stateHashReader(tree, 4), stateHashReader(tree, 7)]) {
      await expect(rootAt(3, read)).rejects.toThrow(RangeError);
    }
    await expect(rootAt(9, stateHashReader(tree, 8))).rejects.toThrow('no such hash');
  });
});

describe('the work of a state', () => {
  /** Every hash of the tree. */
  function copyOf({ tilesOf, count }: StateTree): ReadonlyMap<string, string> {
    const tiles = openTiles(tilesOf, count);
    const hashes = new Map<string, string>();
    for (let level = 0; 2 ** level <= count; level++) {
      for (let index = 0; isWhole({ level, index }, count); index++) {
        hashes.set(`${level} ${index}`, toHex(tiles.get({ level, index })));
      }
    }
    return hashes;
  }
  /** How many of them are others than they were before. */
  const changedSince = (tree: StateTree, before: ReadonlyMap<string, string>): number =>
    [...copyOf(tree)].filter(([at, hash]) => hash !== before.get(at)).length;
  const ranges = 4096;
  const depth = 12;

  function filled(): History {
    const history = createHistory({ copies: false });
    for (let i = 0; i < ranges; i++) history.issue('solar', 10);
    advanceStateTree(history.stateTree, history.size());
    return history;
  }

  it('is one path for one unit that changed, in a tree of any size', () => {
    const history = filled();
    const { stateTree: tree } = history;
    expect(changedSince(tree, new Map())).toBe(2 * ranges - 1);
    for (const unit of [1, 20_000, 10 * ranges]) {
      history.change('solar', { from: unit, to: unit }, { owner: 'other' });
      const before = copyOf(tree);
      advanceStateTree(tree, history.size());
      expect(changedSince(tree, before)).toBe(depth + 1);
      expect(tree.previous.nodes.size).toBe(depth + 1);
    }
  });

  it('is one hash for each node over what changed, however often', () => {
    const history = filled();
    const { stateTree: tree } = history;
    for (let i = 0; i < 50; i++) {
      history.change('solar', { from: 1, to: 20 }, { owner: `owner-${i}` });
    }
    const before = copyOf(tree);
    advanceStateTree(tree, history.size());
    expect(changedSince(tree, before)).toBe(2 + depth);
    expect(tree.previous.nodes.size).toBe(2 + depth);
  });

  it('looks at nothing that did not change', () => {
    const history = filled();
    const { stateTree: tree } = history;
    history.pass();
    advanceStateTree(tree, history.size());
    // Both generations are the same by now, so nothing of the past is kept.
    expect(tree.versions.size).toBe(0);
    const untouched = (): never => {
      throw new Error('looked at');
    };
    const trap = new Proxy<readonly Piece[]>([], { get: untouched, has: untouched });
    for (const range of tree.ranges) {
      if (range.position !== 7) tree.ranges.replace(range.position, { ...range, pieces: trap });
    }
    expect(() => tree.ranges.at(8)?.pieces.length).toThrow('looked at');
    history.change('solar', { from: 71, to: 75 }, { state: 'cancelled' });
    advanceStateTree(tree, history.size());
    expect(tree.versions.size).toBe(1);
  });

  it('forgets what no state can ask for any more', () => {
    const history = createHistory();
    const { stateTree: tree } = history;
    for (let i = 0; i < 200; i++) {
      history.issue('solar', 10);
      history.change('solar', { from: 10 * i + 1, to: 10 * i + 3 }, { state: 'cancelled' });
      if (i % 10 === 9) advanceStateTree(tree, history.size());
      const kept = [...tree.versions.values()].reduce(
        (sum, { changes }) => sum + changes.length,
        0,
      );
      expect(kept).toBeLessThanOrEqual(2 * 20);
    }
  });
});

/** As somebody enters it who holds every range: the evidence is the root that he computes. */
function enterState(log: LogBuilder, change: object = {}): Judgement {
  const { state } = log;
  const asOf = 'asOf' in change ? Number(change.asOf) : state.size;
  const { ranges } = state.stateTree;
  const seen = [...ranges].slice(0, countAsOf(ranges, asOf));
  const root = naiveState(
    seen.map((one) => ({ ...one, pieces: piecesAsOf(state.stateTree, one, asOf) })),
  );
  const spec = { asOf, count: seen.length, root, ...change };
  const evidence = isSpec(spec) ? judgeStateEvidence(state, spec) : undefined;
  return log.enter('state', spec, { evidence });
}

function isSpec(value: unknown): value is SpecOf<'state'> {
  try {
    specOf.state.parse(value);
    return true;
  } catch (error) {
    if (error instanceof Refused) return false;
    throw error;
  }
}

describe('a state entry', () => {
  const energy = 'energy/solar';
  const issuing = (): LogBuilder => {
    const log = createBusyLog();
    log.hour('solar', testStartS, 1000);
    log.time += 3600;
    log.hour('solar', testStartS + 3600, 500);
    log.cancel('solar', [{ series: energy, from: 400, to: 600 }]);
    expect(log.state.violations.size).toBe(0);
    return log;
  };

  it('is sound for every size up to its own index', () => {
    const size = issuing().state.size;
    for (let asOf = 1; asOf <= size; asOf++) {
      const log = issuing();
      const entered = enterState(log, { asOf });
      expect(entered.violation).toBeUndefined();
      expect(log.state.latestState).toMatchObject({ asOf, ref: entered.ref, time: log.time });
      expect(log.state.stateAsOf).toBe(asOf);
    }
  });

  it('says what a withdrawal and a cancellation left, and to whom', () => {
    const log = issuing();
    log.correct('solar', testStartS, 900);
    expect(enterState(log).violation).toBeUndefined();
    const [first] = log.state.stateTree.ranges;
    const told = first?.pieces.map(({ from, to, owner, state }) => [from, to, owner, state]);
    expect(told).toEqual([
      [1, 399, 'solar', 'active'],
      [400, 600, 'solar', 'cancelled'],
      [601, 900, 'solar', 'active'],
      [901, 1000, 'solar', 'withdrawn'],
    ]);
  });

  it.each([
    ['another root', 'root', { root: testHash('another') }],
    ['the root of the state before the last entry', 'root', 'stale'],
    ['one range more', 'count', { count: 3 }],
    ['one range less', 'count', { count: 1 }],
    ['a size above its index', 'as-of', 'ahead'],
    ['no size', 'form', { asOf: 0 }],
    ['a root in a second spelling', 'form', { root: testHash('x').toUpperCase() }],
    ['a member more', 'form', { extra: 1 }],
  ])('is void with %s (%s)', (_name, code, change) => {
    const log = issuing();
    enterState(log, { asOf: log.state.size - 1 });
    const { size } = log.state;
    const said =
      change === 'ahead'
        ? { asOf: size + 1, count: 2 }
        : change === 'stale'
          ? { asOf: size, root: toHex(stateRoot(log.state.stateTree)) }
          : (change as object);
    if (change === 'stale') log.cancel('solar', [{ series: energy, from: 1, to: 1 }]);
    const asOf = log.state.size;
    const entered = enterState(log, change === 'stale' ? { ...said, asOf } : said);
    expect(entered.violation?.code).toBe(code);
    expect(log.state.latestState?.asOf).toBe(size - 2);
    expect(log.void(entered).violation).toBeUndefined();
    expect(enterState(log).violation).toBeUndefined();
  });

  it('is signed by nobody', () => {
    const log = issuing();
    const { size } = log.state;
    const spec = { asOf: size, count: 2, root: testHash('x') };
    const entered = log.enter('state', spec, { signedBy: [testKey('issuing body')] });
    expect(entered.violation?.code).toBe('auth');
  });

  it('never goes back, nor stays', () => {
    const log = issuing();
    const { size } = log.state;
    enterState(log, { asOf: size - 1 });
    for (const asOf of [size - 1, size - 2, 1]) {
      const before = JSON.stringify(soundPart(log.state));
      const entered = enterState(log, { asOf });
      expect(entered.violation?.code).toBe('as-of');
      expect(JSON.stringify(soundPart(log.state))).toBe(before);
    }
    expect(enterState(log, { asOf: size }).violation).toBeUndefined();
  });

  it('does not go back behind a void one either, whatever that one broke', () => {
    const breaches = [{ root: testHash('x') }, { count: 9 }, { extra: 1 }];
    for (const breach of breaches) {
      const log = issuing();
      const { size } = log.state;
      expect(enterState(log, { ...breach, asOf: size - 1 }).violation).toBeDefined();
      expect(log.state.stateAsOf).toBe(size - 1);
      expect(log.state.latestState).toBeUndefined();
      expect(enterState(log, { asOf: size - 1 }).violation?.code).toBe('as-of');
      expect(enterState(log, { asOf: size - 2 }).violation?.code).toBe('as-of');
      expect(enterState(log, { asOf: size }).violation).toBeUndefined();
    }
  });

  it('cannot be kept from the log by one that claims a size of the future', () => {
    const log = issuing();
    for (const asOf of [log.state.size + 1, 2 ** 53 - 1]) {
      const entered = log.enter('state', { asOf, count: 2, root: testHash('x') });
      expect(entered.violation?.code).toBe('as-of');
      expect(log.state.stateAsOf).toBe(0);
    }
    expect(enterState(log).violation).toBeUndefined();
  });

  it('counts no range that a void hour claims to issue', () => {
    const log = issuing();
    const twice = log.hour('solar', testStartS, 100);
    expect(twice.violation?.code).toBe('sealed');
    expect(enterState(log, { count: 3 }).violation?.code).toBe('count');
    expect(enterState(log).violation).toBeUndefined();
    expect(log.state.latestState?.asOf).toBe(log.state.size - 1);
  });

  it('is believed as stated by somebody with a part of the log', () => {
    const log = createBusyLog({ partial: true });
    const { size } = log.state;
    const spec = { asOf: size, count: 77, root: testHash('x') };
    expect(log.enter('state', spec).violation).toBeUndefined();
    expect(log.enter('state', spec).violation?.code).toBe('as-of');
  });
});
