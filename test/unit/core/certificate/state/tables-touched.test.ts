import { describe, expect, it } from 'vitest';
import { advance } from '#core/certificate/fold.ts';
import { lastUnit, noSeries } from '#core/certificate/state/series.ts';
import {
  advanceStateTree,
  changeUnits,
  emptyStateTree,
  issueUnits,
  stateHashReader,
  stateRoot,
  type KeptSeries,
} from '#core/certificate/state/state-tree.ts';
import { tileHeight } from '#core/certificate/state/state-tiles.ts';
import { emptyState, type LogState } from '#core/certificate/state/state.ts';
import type { Table } from '#core/certificate/state/rows.ts';
import type { LogTables } from '#core/certificate/state/tables.ts';
import { proveInclusion } from '#core/tlog/proof.ts';
import { createBusyLog, snapshot, testStartS, type LogBuilder } from '#support/log-builder.ts';
import { rowsInMemory } from '#support/rows-in-memory.ts';

/** A table that is no Map, so that nobody can walk it, and notes what is done to its rows. */
function watched<Key, Row>(name: string, notes: string[], kept: Map<Key, Row>): Table<Key, Row> {
  const note = (verb: string, key: Key): number => notes.push(`${verb} ${name} ${String(key)}`);
  return {
    get(key) {
      note('get', key);
      return kept.get(key);
    },
    has(key) {
      note('has', key);
      return kept.has(key);
    },
    set(key, row) {
      note('set', key);
      kept.set(key, row);
    },
  };
}

function watchedTables() {
  const notes: string[] = [];
  /** The rows of every table, by the name that the notes have for it. */
  const kept = new Map<string, Map<unknown, unknown>>();
  const table = <Key, Row>(name: string): Table<Key, Row> => {
    const rows = kept.get(name) ?? new Map<unknown, unknown>();
    kept.set(name, rows);
    return watched(name, notes, rows as Map<Key, Row>);
  };
  const tables: LogTables = {
    hoursOf: (plant) => table(`hours of ${plant}`),
    emissionsOf: (plant) => table(`emissions of ${plant}`),
    factorRows: table('factor rows'),
    nonces: table('nonces'),
    offers: table('offers'),
    accepts: table('accepts'),
    ranges: table('ranges'),
    placesOf: (series) => table(`places of ${series}`),
    tilesOf: (level) => table(`tiles of ${level}`),
  };
  /** What is done to the rows in the course of `work`. */
  const notesOf = async (work: () => unknown): Promise<readonly string[]> => {
    notes.length = 0;
    await work();
    return notes.slice();
  };
  return { tables, kept, notesOf };
}

const ofThose = (notes: readonly string[], start: string): readonly string[] =>
  notes.filter((note) => note.startsWith(start));

/** As many ranges of ten units, of two series in turn, and the state of them all. */
function filled(count: number) {
  const { tables, notesOf } = watchedTables();
  const stateTree = emptyStateTree(tables);
  const holdings = { series: new Map<string, KeptSeries>(), stateTree, tables };
  let size = 0;
  const issue = (): void => {
    const series = stateTree.ranges.length % 2 === 0 ? 'energy/solar' : 'energy/wind';
    const from = lastUnit(holdings.series.get(series) ?? noSeries) + 1;
    const range = { from, to: from + 9 };
    issueUnits(holdings, { series, range, index: size, hourStart: 0, owner: 'solar' });
    size++;
  };
  const change = (from: number, to = from): void => {
    const place = { series: 'energy/wind', ranges: [{ from, to }] };
    changeUnits(holdings, place, { owner: 'buyer', lastIndex: size });
    size++;
  };
  const state = (): void => {
    advanceStateTree(stateTree, size);
  };
  for (let i = 0; i < count; i++) issue();
  state();
  // With a second state nothing of the time before the first is kept any more.
  size++;
  state();
  return { stateTree, notesOf, issue, change, state };
}

/** Of the wind, whose ranges are every second one. */
const positionOf = (unit: number): number => 2 * Math.floor((unit - 1) / 10) + 1;

describe.each([64, 512, 4096])('with %d ranges', (count) => {
  const depth = Math.log2(count);
  const lastWind = 10 * (count / 2);
  /** The tiles with the hashes from a range up to the root, in the order of their levels. */
  const tilesOver = (position: number): readonly string[] =>
    Array.from({ length: Math.floor(depth / tileHeight) + 1 }, (_, level) => {
      return `tiles of ${level} ${Math.floor(position / 2 ** (tileHeight * (level + 1)))}`;
    });

  it('issuing one more reads the last of its series, and writes its own rows', async () => {
    const { notesOf, issue } = filled(count);
    expect(await notesOf(issue)).toEqual([
      `get places of energy/solar ${count / 2 - 1}`,
      `get ranges ${count - 2}`,
      `set ranges ${count}`,
      `set places of energy/solar ${count / 2}`,
    ]);
  });

  it.each([1, lastWind / 2, lastWind])(
    'changing unit %d finds its range by halves, and writes that one',
    async (unit) => {
      const { notesOf, change } = filled(count);
      const notes = await notesOf(() => {
        change(unit);
      });
      expect(ofThose(notes, 'set')).toEqual([`set ranges ${positionOf(unit)}`]);
      // A series has half of the ranges; one is looked at by its place, and then itself.
      expect(ofThose(notes, 'get').length).toBeLessThanOrEqual(2 * (depth + 1));
      expect(new Set(notes.map((note) => note.split(' ')[1]))).toEqual(
        new Set(['places', 'ranges']),
      );
    },
  );

  it('a change across ranges writes those, and reads no more than them on top', async () => {
    const { notesOf, change } = filled(count);
    const notes = await notesOf(() => {
      change(15, 85);
    });
    const written = [3, 5, 7, 9, 11, 13, 15, 17].map((position) => `set ranges ${position}`);
    expect(ofThose(notes, 'set')).toEqual(written);
    expect(ofThose(notes, 'get').length).toBeLessThanOrEqual(2 * (depth + 8));
  });

  it('a state writes one path for one range that changed, however often', async () => {
    const { notesOf, change, state } = filled(count);
    for (let i = 0; i < 5; i++) change(25);
    const notes = await notesOf(state);
    const path = tilesOver(positionOf(25));
    expect(ofThose(notes, 'set')).toEqual(path.map((tile) => `set ${tile}`));
    // Each once, however many of its hashes are asked for and made.
    expect(ofThose(notes, 'get tiles')).toEqual(path.map((tile) => `get ${tile}`));
    // The one that changed, and how many there are by now, by halves.
    expect(ofThose(notes, 'get ranges').length).toBeLessThanOrEqual(1 + depth + 1);
    expect(ofThose(notes, 'get ranges').length).toBe(notes.length - 2 * path.length);
  });

  it('a state writes nothing again that the state before it has written', async () => {
    const { notesOf, stateTree, change, state } = filled(count);
    change(25);
    state();
    change(245);
    const notes = await notesOf(state);
    // What the first of them changed is still kept, for proofs by the one before.
    expect([...stateTree.versions.keys()].sort()).toEqual([positionOf(245)]);
    const due = tilesOver(positionOf(245)).map((tile) => `set ${tile}`);
    expect(due[0]).not.toBe(`set tiles of 0 ${Math.floor(positionOf(25) / 2 ** tileHeight)}`);
    expect(ofThose(notes, 'set')).toEqual(due);
  });

  it('a state reads and writes each tile above several changes once', async () => {
    const { notesOf, change, state } = filled(count);
    for (const unit of [1, lastWind / 2, lastWind]) change(unit);
    const notes = await notesOf(state);
    const positions = [1, lastWind / 2, lastWind].map(positionOf);
    const due = new Set(positions.flatMap(tilesOver));
    for (const verb of ['get', 'set']) {
      const tiles = ofThose(notes, `${verb} tiles`);
      expect(tiles.toSorted()).toEqual([...due].map((tile) => `${verb} ${tile}`).toSorted());
    }
    expect(ofThose(notes, 'get ranges').length).toBeLessThanOrEqual(3 + depth + 1);
  });

  it('a state after which nothing was issued or changed touches no tile', async () => {
    const { notesOf, stateTree } = filled(count);
    const notes = await notesOf(() => {
      advanceStateTree(stateTree, stateTree.asOf + 1);
    });
    expect(ofThose(notes, 'get ranges')).toEqual(notes);
    expect(notes.length).toBeLessThanOrEqual(depth + 1);
  });

  it('a root reads the tiles of the perfect subtrees, and a proof those of one path', async () => {
    const { notesOf, stateTree, issue, state } = filled(count);
    const top = `get tiles of ${Math.floor(depth / tileHeight)} 0`;
    expect(await notesOf(() => stateRoot(stateTree))).toEqual([top]);
    for (let i = 0; i < 3; i++) issue();
    state();
    // One for both of the subtrees behind the largest.
    const edge = `get tiles of 0 ${count / 2 ** tileHeight}`;
    expect(await notesOf(() => stateRoot(stateTree))).toEqual([top, edge]);
    const read = stateHashReader(stateTree, stateTree.asOf);
    const notes = await notesOf(() => proveInclusion({ index: 5, size: count + 3 }, read));
    expect(ofThose(notes, 'get tiles')).toEqual(notes);
    expect(new Set(notes).size).toBe(notes.length);
    expect(notes.length).toBe(Math.ceil(depth / tileHeight) + 1);
  });
});

describe('a changed range', () => {
  it('is another row: who holds the one before sees what was', () => {
    const { stateTree, change } = filled(4);
    const before = stateTree.ranges.at(1);
    const was = structuredClone(before);
    change(5, 6);
    expect(before).toEqual(was);
    expect(stateTree.ranges.at(1)?.pieces.map(({ owner }) => owner)).toEqual([
      'solar',
      'buyer',
      'solar',
    ]);
  });
});

/** A log of so many hours of two plants, one of them corrected, and certificates of both cancelled. */
function longLog(hours: number): LogBuilder {
  const log = createBusyLog();
  log.time += hours * 3600;
  for (let hour = 0; hour < hours; hour++) {
    log.hour('solar', testStartS + hour * 3600, 100);
    log.hour('wind', testStartS + hour * 3600, 50);
  }
  log.cancel('solar', [{ series: 'energy/solar', from: 95, to: 205 }]);
  log.correct('solar', testStartS, 40);
  log.cancel('wind', [{ series: 'energy/wind', from: 120, to: 120 }]);
  expect(log.state.violations.size).toBe(0);
  return log;
}

/** An entry says so many ranges of units, and its rule and its effect look for each. */
const searchesOfEntry = 4;

/** Folds what `log` has into tables that cannot be walked; the notes are by entry. */
async function foldedAgain({ entries }: LogBuilder) {
  const { tables, kept, notesOf } = watchedTables();
  const state = emptyState({ tables });
  const notes: (readonly string[])[] = [];
  for (const bytes of entries) {
    notes.push(await notesOf(() => advance(state, bytes, { signatures: 'trust' })));
  }
  return { state, kept, notes };
}

/** What does not lie in the tables. */
function besideTables({ plants, stateTree, ...state }: LogState): unknown {
  const inTables = { emissions: 'in a table', hours: 'in a table' };
  const register = [...plants].map(([name, plant]) => [name, { ...plant, ...inTables }]);
  const tree = { ...stateTree, tilesOf: 'tables' };
  return snapshot({ ...state, plants: register, stateTree: tree, tables: 'these' });
}

describe('a log', () => {
  it('folds into tables that cannot be walked, and has in them what it has in memory', async () => {
    const log = longLog(8);
    const { state, kept } = await foldedAgain(log);
    for (const { stateTree } of [state, log.state]) advanceStateTree(stateTree, log.state.size);
    expect(besideTables(state)).toEqual(besideTables(log.state));
    const { ranges, nonces, tilesOf } = log.state.tables;
    expect(kept.get('ranges')).toEqual(rowsInMemory(ranges));
    expect(kept.get('tiles of 0')).toEqual(rowsInMemory(tilesOf(0)));
    expect(kept.get('tiles of 0')?.size).toBe(1);
    expect(kept.get('nonces')).toEqual(rowsInMemory(nonces));
    expect(kept.get('nonces')?.size).toBeGreaterThan(2);
    for (const [name, { emissions, hours }] of log.state.plants) {
      expect(kept.get(`hours of ${name}`)).toEqual(rowsInMemory(hours));
      expect(kept.get(`emissions of ${name}`)).toEqual(rowsInMemory(emissions));
    }
    expect(kept.get('hours of wind')?.size).toBe(8);
    expect(kept.get('places of energy/wind')).toEqual(
      new Map([1, 3, 5, 7, 9, 11, 13, 15].entries()),
    );
  });

  it('touches of its tables no more for an entry than what the entry says', async () => {
    const [short, long] = [await foldedAgain(longLog(8)), await foldedAgain(longLog(64))];
    const hour = ofThose(long.notes.at(-4) ?? [], '');
    const start = testStartS + 63 * 3600;
    expect(hour).toContain(`set hours of wind ${start}`);
    for (const note of hour.filter((one) => one.includes(' hours '))) {
      expect(note.endsWith(`hours of wind ${start}`)).toBe(true);
    }
    expect(ofThose(hour, 'set').length).toBe(3);
    for (const [i, grown] of [-1, -2, -3, -4].entries()) {
      const [few, many] = [short, long].map(({ notes }) => notes.at(grown) ?? []);
      if (few === undefined || many === undefined) throw new Error(`no entry ${i}`);
      expect(few.length).toBeGreaterThan(0);
      expect(ofThose(many, 'set').length).toBe(ofThose(few, 'set').length);
      // Eight times as many rows are three more halves, each a place and a range, in every search.
      expect(many.length - few.length).toBeLessThanOrEqual(searchesOfEntry * 2 * 3);
    }
  });
});
