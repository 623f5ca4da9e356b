import { compareAscii } from '../../bytes.ts';
import type { FactorSet } from '../../energy/emissions/factor-set.ts';
import { hourSeconds } from '../../energy/hours.ts';
import type { PublicKey } from '../../keys.ts';
import type { Policy } from '../../tlog/policy.ts';
import type { EntryRef } from '../entry.ts';
import type { SpecOf } from '../kinds.ts';
import type { Rules } from '../specs/log.ts';
import type { Range } from '../specs/parts.ts';
import type { meterEndSpec } from '../specs/register.ts';
import type { Infer } from '../../shape.ts';
import { emptyStateTree, type KeptSeries, type StateTree } from './state-tree.ts';
import type { Table } from './rows.ts';
import { memoryTables, type EmissionState, type HourState, type LogTables } from './tables.ts';

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
  readonly series: Map<string, KeptSeries>;
  /** The same ranges in the order of issue: what `state` entries are made of. */
  readonly stateTree: StateTree;
  /** The newest `state` that is not void, and the one before it. */
  latestState: StatedState | undefined;
  previousState: StatedState | undefined;
  /** The highest `asOf` of any `state`, void or not. */
  stateAsOf: number;
  /** Every version of each factor set, in the order of their entries; the rows lie in `tables`. */
  readonly factorSets: Map<string, FactorVersionState[]>;
  /** Thumbprints of every log, issuing, ingestion, account and meter key. */
  readonly usedKeys: Set<string>;
  /** Meter serials and official ids, each at one plant at a time. */
  readonly serials: Map<string, string>;
  readonly officialIds: Map<string, string>;
  /** Every entry that broke a rule: what it broke, and whether a `void` says so yet. */
  readonly violations: Map<number, Violation>;
  /** Where the parts lie that grow without end. */
  readonly tables: LogTables;
}

/** What of a log's state an hour is judged by. */
export interface HourRegister {
  readonly genesis: Pick<Genesis, 'origin' | 'rules'> | undefined;
  readonly plants: ReadonlyMap<string, Pick<PlantState, 'spec' | 'meters'>>;
  readonly meters: ReadonlyMap<string, MeterState>;
  readonly keys: ReadonlyMap<string, KeyState>;
}

/** A `state` entry and the size that it speaks of. */
export interface StatedState {
  readonly asOf: number;
  readonly ref: EntryRef;
  readonly time: number;
}

/** A version of a factor set, as its entry said. */
export interface FactorVersionState {
  readonly version: string;
  readonly index: number;
  readonly validity: FactorSet['validity'];
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
  /** Entry time of `genesis`. */
  readonly time: number;
  issuers: readonly PublicKey[];
  threshold: number;
  rules: Rules;
  /** Every key of checkpoints and of receipts that the log ever named, the newest last. */
  logKeys: readonly HeldKey[];
  ingestionKeys: readonly HeldKey[];
  /** Every policy in the log, the newest last; none where no witness is asked. */
  policies: readonly HeldPolicy[];
  /** Set by `log-close`: from then on only a `void` may follow. */
  closed: EntryRef | undefined;
  /** Indexes of `genesis`, `rules` and what changes the keys of log and issuing body. */
  readonly entries: number[];
}

/** A key of the log or of ingestion, as the entry at `index` named it. */
export interface HeldKey {
  readonly key: PublicKey;
  readonly index: number;
  /** Entry time up to which the keys before it stay good beside it; undefined for the first. */
  readonly previousUntilS: number | undefined;
}

export interface HeldPolicy {
  readonly policy: Policy;
  readonly text: string;
  /** Thumbprints of the witnesses' keys: nobody else's from then on (D2). */
  readonly witnessKids: ReadonlySet<string>;
  readonly index: number;
}

export interface AccountState {
  readonly spec: SpecOf<'account'>;
  /** Indexes of the entries about it, ascending: what a proof file shows of it (D3.5). */
  readonly entries: number[];
  key: PublicKey;
  /** After a loss: what takes the place of `key` at the first entry from `fromS` on. */
  successor: { readonly key: PublicKey; readonly fromS: number } | undefined;
  frozen: boolean;
}

/** The key that acts for an account in an entry of `time`. */
export function accountKeyAt({ key, successor }: AccountState, time: number): PublicKey {
  return successor !== undefined && time >= successor.fromS ? successor.key : key;
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
  readonly hours: Table<number, HourState>;
  /** Emission records by the start of their day. */
  readonly emissions: Table<number, EmissionState>;
  /** Ids of its meters, in the order of their entries. */
  readonly meters: string[];
  frozen: boolean;
  /** Wh; after every entry issued - withdrawn - deficit = certified - revoked (D4.3). */
  issuedWh: number;
  withdrawnWh: number;
  deficitWh: number;
  certifiedWh: number;
  /** What `withdraw` entries took beyond the deficit: of its hours, and `spareWh` (rules/revoke.ts). */
  revokedWh: number;
  spareWh: number;
}

type SpecOfEnd = Infer<typeof meterEndSpec>;

export interface MeterState {
  /** As its entry says, with what changed since. */
  spec: SpecOf<'meter'>;
  readonly index: number;
  /** Time of its entry: it counts from the hour that this lies in. */
  readonly sinceS: number;
  readonly exchanges: { readonly spec: SpecOf<'exchange'>; readonly ref: EntryRef }[];
  /** For ever: from `endsAt` on it says nothing. */
  end: { readonly spec: SpecOfEnd; readonly ref: EntryRef } | undefined;
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

/** The state of no entries. `tables` must be empty; by default they lie in memory. */
export function emptyState({
  partial = false,
  tables = memoryTables(),
}: { partial?: boolean; tables?: LogTables } = {}): LogState {
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
    stateTree: emptyStateTree(tables),
    latestState: undefined,
    previousState: undefined,
    stateAsOf: 0,
    factorSets: new Map(),
    usedKeys: new Set(),
    serials: new Map(),
    officialIds: new Map(),
    violations: new Map(),
    tables,
  };
}

/**
 * The keys that sign a checkpoint over the first `size` entries, the newest last: never none. `time` is
 * that of the latest of these entries that is not void. An end that a later entry sets is none yet.
 */
export function logKeysAt(
  { logKeys }: Pick<Genesis, 'logKeys'>,
  { size, time }: { readonly size: number; readonly time: number },
): readonly HeldKey[] {
  const entered = logKeys.filter(({ index }) => index < size);
  return entered.filter((_key, at) => time <= (untilOf(entered, at) ?? time));
}

/** Entry time up to which newer keys leave the key at that place good; undefined for the newest. */
export function untilOf(held: readonly HeldKey[], at: number): number | undefined {
  const ends = held.slice(at + 1).flatMap(({ previousUntilS }) => previousUntilS ?? []);
  return ends.length === 0 ? undefined : Math.min(...ends);
}

/**
 * The policies whose quorum a checkpoint over `size` entries needs after one of `publishedSize`: the
 * one then in force and every newer one that it covers (D3.4), so that no policy ends by itself.
 */
export function policiesFor(
  { policies }: Genesis,
  { publishedSize, size }: { readonly publishedSize: number; readonly size: number },
): readonly HeldPolicy[] {
  const inForce = policies.findLast(({ index }) => index < publishedSize);
  return policies.filter(
    (held) => held === inForce || (held.index >= publishedSize && held.index < size),
  );
}

export function seriesOfPlant(plant: string): string {
  return `energy/${plant}`;
}

/** From when on a meter says nothing, Unix seconds; infinite while it lives. */
export function endOf({ end }: Pick<MeterState, 'end'>): number {
  return end?.spec.endsAt ?? Number.POSITIVE_INFINITY;
}

/**
 * The meters that an hour of a plant has records of, by id: all that were entered before the hour
 * ended and had not ended when it began. Any other says nothing of it, and must not hold it up.
 */
export function metersOfHour(
  { plants, meters }: HourRegister,
  plant: string,
  start: number,
): readonly (readonly [string, MeterState])[] {
  const ids = plants.get(plant)?.meters ?? [];
  return ids
    .flatMap((id) => {
      const meter = meters.get(id);
      const counts =
        meter !== undefined && meter.sinceS < start + hourSeconds && endOf(meter) > start;
      return counts ? [[id, meter] as const] : [];
    })
    .sort(([a], [b]) => compareAscii(a, b));
}
