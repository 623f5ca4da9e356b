import type { FactorRow } from '../../energy/emissions/factor-set.ts';
import type { KnownHour } from '../../energy/emissions/hour.ts';
import type { EntryRef } from '../entry.ts';
import type { Quality } from '../specs/hours.ts';
import type { Item, Range } from '../specs/parts.ts';
import type { Terms } from '../specs/trade.ts';
import type { Table } from './rows.ts';
import type { IssuedRange } from './series.ts';

/**
 * What of a log's state grows with every hour and every certificate, so that it may lie on a disk. All
 * else (accounts, plants, meters, keys) grows with the register alone and is kept in memory.
 */
export interface LogTables {
  /** The sealed hours of a plant, by their start (Unix seconds). */
  readonly hoursOf: (plant: string) => Table<number, HourState>;
  /** Emission records of a plant, by the start of their day (Unix seconds). */
  readonly emissionsOf: (plant: string) => Table<number, EmissionState>;
  /** Rows of factor sets, by the index of their entry. */
  readonly factorRows: Table<number, readonly FactorRow[]>;
  /** `${kid} ${nonce}` of every signature that was ever used, and the issuing body's as one (D3.3). */
  readonly nonces: Table<string, true>;
  /** Every `offer`, and every `accept` of one that has to be paid, by the entry's index. */
  readonly offers: Table<number, OfferState>;
  readonly accepts: Table<number, AcceptState>;
  /** Every range that was ever issued, by its place among all of them. */
  readonly ranges: Table<number, IssuedRange>;
  /** The places of a series' ranges, in their order. */
  readonly placesOf: (series: string) => Table<number, number>;
  /** Hashes of the tree behind `state` entries: the tiles of one level, by their index (state-tiles.ts). */
  readonly tilesOf: (level: number) => Table<number, Uint8Array>;
}

/** The latest version of one sealed hour. */
export interface HourState {
  readonly ref: EntryRef;
  readonly quality: Quality | undefined;
  /** What of the hour's generation is certified: zero where nothing may be issued. Wh. */
  readonly certifiedWh: number;
  /** What of that has been taken away by `withdraw` entries, and not by a decrease since. Wh. */
  readonly revokedWh: number;
  /** Every range that this hour's versions issued. */
  readonly issued: readonly Range[];
  /** Indexes of all versions, ascending. */
  readonly versions: readonly number[];
  /** What an emission record rests on; not of a committed hour. */
  readonly known?: KnownHour;
}

/** The latest version of a plant's emission record of one day. */
export interface EmissionState {
  readonly ref: EntryRef;
  readonly totalG: number;
  /** SHA-256 over what it says, lowercase hex: a correction says something else. */
  readonly said: string;
  /** Indexes of all versions, ascending. */
  readonly versions: readonly number[];
}

/** What was offered; which of it still is, its pieces say. */
export interface OfferState {
  readonly leafHash: string;
  readonly account: string;
  readonly counterparty?: string | undefined;
  readonly items: readonly Item[];
  readonly terms?: Terms | undefined;
}

/** What was accepted at a price; which of it is still reserved, its pieces say. */
export interface AcceptState {
  readonly leafHash: string;
  readonly account: string;
  /** Index of the `offer`. */
  readonly offer: number;
  readonly items: readonly Item[];
  readonly payBy: number;
}

export function memoryTables(): LogTables {
  const tiles = new Map<number, Map<number, Uint8Array>>();
  return {
    hoursOf: () => new Map(),
    emissionsOf: () => new Map(),
    factorRows: new Map(),
    nonces: new Map(),
    offers: new Map(),
    accepts: new Map(),
    ranges: new Map(),
    placesOf: () => new Map(),
    tilesOf(level) {
      const found = tiles.get(level) ?? new Map<number, Uint8Array>();
      tiles.set(level, found);
      return found;
    },
  };
}
