import { parsePolicy } from '../../tlog/policy.ts';
import { decodeKept, encodeKept } from './kept-value.ts';
import type { LogState, PlantState } from './state.ts';
import { keptSeries, type StateTree } from './state-tree.ts';
import { rowsOf } from './rows.ts';
import type { LogTables } from './tables.ts';

/** A log's state without what lies in its tables, as bytes and back: no published format. */

/** Raised whenever the state or a table changes its form: what another version kept is learnt again. */
export const stateVersion = 6;

interface Memory {
  readonly state: Omit<LogState, 'tables' | 'plants' | 'series' | 'stateTree'>;
  readonly plants: Map<string, Omit<PlantState, 'hours' | 'emissions'>>;
  /** By series, how many ranges it has. */
  readonly series: Map<string, number>;
  readonly stateTree: Omit<StateTree, 'ranges' | 'tilesOf'> & { readonly ranges: number };
  readonly extra: unknown;
}

/** `extra` is plain data of whoever keeps it (kept-value.ts). */
export function encodeMemory(log: LogState, extra?: unknown): Uint8Array {
  const { tables: _tables, plants, series, stateTree, ...state } = log;
  const { ranges, tilesOf: _tilesOf, ...tree } = stateTree;
  return encodeKept({
    state,
    plants: new Map(
      [...plants].map(([id, { hours: _hours, emissions: _emissions, ...plant }]) => [id, plant]),
    ),
    series: new Map([...series].map(([name, { places }]) => [name, places.length])),
    stateTree: { ...tree, ranges: ranges.length },
    extra,
  } satisfies Memory);
}

/** `tables` must be as they were then, and of this `stateVersion`. */
export function decodeMemory(
  bytes: Uint8Array,
  tables: LogTables,
): { readonly state: LogState; readonly extra: unknown } {
  const memory = decodeKept(bytes) as Memory;
  const { ranges, ...tree } = memory.stateTree;
  const stateTree: StateTree = {
    ...tree,
    ranges: rowsOf(tables.ranges, ranges),
    tilesOf: tables.tilesOf,
  };
  const { genesis } = memory.state;
  const state: LogState = {
    ...memory.state,
    genesis: genesis && {
      ...genesis,
      policies: genesis.policies.map((held) => ({ ...held, policy: parsePolicy(held.text) })),
    },
    plants: new Map(
      [...memory.plants].map(([id, plant]) => [
        id,
        { ...plant, hours: tables.hoursOf(id), emissions: tables.emissionsOf(id) },
      ]),
    ),
    series: new Map(
      [...memory.series].map(([name, count]) => [
        name,
        keptSeries({ stateTree, tables }, name, count),
      ]),
    ),
    stateTree,
    tables,
  };
  return { state, extra: memory.extra };
}
