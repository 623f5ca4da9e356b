import { compareAscii } from '../bytes.ts';
import { hourSeconds } from '../energy/hours.ts';
import type { PublicKey } from '../keys.ts';
import type { EntryRef } from './entry.ts';
import type { Quality, Range, Rules, SpecOf } from './kinds.ts';
import type { Series } from './series.ts';

/**
 * Everything that the log's entries say, folded in order (fold.ts). Only `advance` changes it. All
 * of it follows from the entries, so it can be thrown away and rebuilt at any time.
 */
export interface LogState {
  /** Entries folded so far; the next index in a whole log. */
  size: number;
  time: number;
  /** Set by entry 0; nothing else can be judged before it. */
  genesis: Genesis | undefined;
  /** True for a verifier that holds only the entries of one certificate (D3.5). */
  readonly partial: boolean;
  readonly accounts: Map<string, AccountState>;
  readonly plants: Map<string, PlantState>;
  readonly meters: Map<string, MeterState>;
  readonly keys: Map<string, KeyState>;
  readonly series: Map<string, Series>;
  /** `${kid} ${nonce}` of every signature that was ever used, and the issuing body's as one (D3.3). */
  readonly usedNonces: Set<string>;
  /** Thumbprints of every log, issuing, ingestion, account and meter key. */
  readonly usedKeys: Set<string>;
  /** Meter serials and official ids, each at one plant at a time. */
  readonly serials: Map<string, string>;
  readonly officialIds: Map<string, string>;
  /** Every entry that broke a rule: what it broke, and whether a `void` says so yet. */
  readonly violations: Map<number, Violation>;
}

export interface Violation {
  readonly code: string;
  readonly message: string;
  readonly leafHash: string;
  voided: boolean;
}

export interface Genesis {
  readonly spec: SpecOf<'genesis'>;
  readonly origin: string;
  readonly issuers: readonly PublicKey[];
  readonly threshold: number;
  rules: Rules;
  /** Indexes of `genesis` and every `rules`. */
  readonly entries: number[];
}

export interface AccountState {
  readonly spec: SpecOf<'account'>;
  /** Indexes of the entries about it, ascending: what a proof file shows of it (D3.5). */
  readonly entries: number[];
  readonly key: PublicKey;
  frozen: boolean;
}

export interface PlantState {
  spec: SpecOf<'plant'>;
  /** Indexes of the entries about it, its meters and their keys, ascending; not its hours. */
  readonly entries: number[];
  readonly index: number;
  /** Start of the first hour that is sealed: the first whole one after commissioning and entry. */
  readonly sealFrom: number;
  /** The latest `hour` or `hour-correction` that names this plant, void or not: its hash chain. */
  latest: EntryRef | undefined;
  readonly hours: Map<number, HourState>;
  /** Ids of its meters, in the order of their entries. */
  readonly meters: string[];
  frozen: boolean;
  /** Wh; after every entry issued - withdrawn - deficit = certified (D4.3). */
  issuedWh: number;
  withdrawnWh: number;
  deficitWh: number;
  certifiedWh: number;
}

/** The latest version of one sealed hour. */
export interface HourState {
  readonly ref: EntryRef;
  readonly quality: Quality | undefined;
  /** What of the hour's generation is certified: zero where nothing may be issued. Wh. */
  readonly certifiedWh: number;
  /** Every range that this hour's versions issued. */
  readonly issued: readonly Range[];
  /** Indexes of all versions, ascending. */
  readonly versions: readonly number[];
}

export interface MeterState {
  readonly spec: SpecOf<'meter'>;
  readonly index: number;
  /** Time of its entry: it counts from the hour that this lies in. */
  readonly sinceS: number;
  readonly exchanges: { readonly spec: SpecOf<'exchange'>; readonly ref: EntryRef }[];
  readonly breaks: { readonly t: number; readonly ref: EntryRef }[];
  /** Keys in the order of their entries. */
  readonly kids: string[];
  frozen: boolean;
}

export interface KeyState {
  readonly spec: SpecOf<'key'>;
  readonly key: PublicKey;
  end: { readonly lastSeq: number; readonly lastT: number } | undefined;
  /** Frozen by a fork or a `freeze`; what it touches is disputed until a decision and `unfreeze`. */
  frozen: boolean;
  readonly forks: Map<number, { readonly evidence: string; keep: string | undefined }>;
  readonly acceptedLate: Range[];
  readonly setAside: Range[];
}

export function emptyState({ partial = false }: { partial?: boolean } = {}): LogState {
  return {
    size: 0,
    time: 0,
    genesis: undefined,
    partial,
    accounts: new Map(),
    plants: new Map(),
    meters: new Map(),
    keys: new Map(),
    series: new Map(),
    usedNonces: new Set(),
    usedKeys: new Set(),
    serials: new Map(),
    officialIds: new Map(),
    violations: new Map(),
  };
}

export function seriesOfPlant(plant: string): string {
  return `energy/${plant}`;
}

/**
 * The meters that an hour of a plant has records of, by id: all that were entered before the hour
 * ended. A meter entered later says nothing of it, and must not hold it up.
 */
export function metersOfHour(
  state: LogState,
  plant: string,
  start: number,
): readonly (readonly [string, MeterState])[] {
  const ids = state.plants.get(plant)?.meters ?? [];
  return ids
    .flatMap((id) => {
      const meter = state.meters.get(id);
      return meter === undefined || meter.sinceS >= start + hourSeconds
        ? []
        : [[id, meter] as const];
    })
    .sort(([a], [b]) => compareAscii(a, b));
}
