import { hoursTouchedBy } from '#core/energy/hours.ts';
import type { Reading, ParsedMessage } from '#core/energy/message.ts';
import type { Arrival } from '#platform/intake.ts';
import {
  isUsable,
  timesOf,
  type AstrayCode,
  type KeptCode,
  type KeyFacts,
  type UnsignedCode,
} from './decide.ts';
import { placeMessages, type Candidate, type Head, type Placed, type Stored } from './place.ts';

/** Bytes that take no seq. */
export interface Astray {
  readonly kind: 'astray';
  readonly arrival: Arrival;
  readonly code: UnsignedCode | AstrayCode;
  readonly detail: string;
  readonly signed: boolean;
  /** SHA-256 of the bytes as received. */
  readonly hash: Uint8Array;
  readonly kid: string | undefined;
  readonly seq: number | undefined;
  /** Whose receipt tells the device so; undefined where nobody can be told. */
  readonly tell: KeyFacts | undefined;
}

/** A correctly signed message of a registered key, on its topic and for this log. */
export interface Kept {
  readonly kind: 'kept';
  readonly arrival: Arrival;
  readonly key: KeyFacts;
  readonly parsed: ParsedMessage;
  readonly code: KeptCode | undefined;
}

/** Nothing arrived: the chain of a key has more stored messages to follow than one batch may. */
export interface Advance {
  readonly kind: 'advance';
  readonly key: KeyFacts;
}

export type Examined = Astray | Kept | Advance;

export interface KeyWork {
  readonly key: KeyFacts;
  readonly kept: readonly Kept[];
}

/** Everything one transaction writes for the keyed part of a batch, and what follows for receipts. */
export interface BatchPlan {
  readonly progress: readonly Progress[];
  readonly stored: readonly StoredMessage[];
  readonly forks: readonly Kept[];
  /** Hours to look at again, by plant. */
  readonly dirty: ReadonlyMap<number, ReadonlySet<number>>;
}

export interface Progress {
  readonly key: KeyFacts;
  /** The version that this plan was made from. */
  readonly fromVersion: number;
  readonly head: Head;
  readonly duplicates: number;
  readonly outcomes: readonly { readonly kept: Kept; readonly placed: Placed }[];
}

export interface StoredMessage {
  readonly kept: Kept;
  readonly code: KeptCode | undefined;
  readonly first: number;
  readonly last: number;
  /** No reading after this instant has been stored under its key before. */
  readonly storedTo: number;
}

/** The work of a batch by key, in the order of keys, so that two processes never wait crosswise. */
export function workByKey(batch: readonly Examined[]): KeyWork[] {
  const work = new Map<number, { key: KeyFacts; kept: Kept[] }>();
  for (const item of batch) {
    if (item.kind === 'astray') continue;
    const of = work.get(item.key.keyId) ?? { key: item.key, kept: [] };
    if (item.kind === 'kept') of.kept.push(item);
    work.set(item.key.keyId, of);
  }
  return [...work.values()].sort((a, b) => a.key.keyId - b.key.keyId);
}

export function candidateOf({ parsed, code }: Kept): Candidate {
  const { first, last } = timesOf(parsed);
  return { seq: parsed.message.seq, hash: parsed.hash, first, last, code };
}

/** Decides a whole batch, purely, from where its keys stand and what is stored around its messages. */
export function planBatch(
  work: readonly KeyWork[],
  known: { readonly headOf: (keyId: number) => Head; readonly storedOf: (keyId: number) => Stored },
): BatchPlan {
  const progress: Progress[] = [];
  const stored: StoredMessage[] = [];
  const forks: Kept[] = [];
  const dirty = new Map<number, Set<number>>();
  for (const { key, kept } of work) {
    const from = known.headOf(key.keyId);
    const candidates = kept.map(candidateOf);
    const { head, placed } = placeMessages(from, candidates, known.storedOf(key.keyId));
    const outcomes: { kept: Kept; placed: Placed }[] = [];
    let duplicates = 0;
    let storedTo = from.maxT;
    for (const [i, message] of kept.entries()) {
      const at = placed[i];
      const candidate = candidates[i];
      if (at === undefined || candidate === undefined) throw new RangeError('placed: too few');
      outcomes.push({ kept: message, placed: at });
      if (at.outcome === 'duplicate') duplicates++;
      if (at.outcome === 'fork') forks.push(message);
      if (at.outcome !== 'stored') continue;
      const { first, last } = candidate;
      stored.push({ kept: message, code: at.code, first, last, storedTo });
      if (!isUsable(at.code)) continue;
      touch(dirty, message);
      storedTo = Math.max(storedTo, last);
    }
    const next = { ...head, version: from.version + 1 };
    progress.push({ key, fromVersion: from.version, head: next, duplicates, outcomes });
  }
  return { progress, stored, forks, dirty };
}

function touch(dirty: Map<number, Set<number>>, { key, parsed }: Kept): void {
  const hours = dirty.get(key.plantId) ?? new Set<number>();
  // Readings ascend within one closed hour: the first and the last touch all that any touches.
  const { first, last } = timesOf(parsed);
  for (const hour of hoursTouchedBy(first)) hours.add(hour);
  for (const hour of hoursTouchedBy(last)) hours.add(hour);
  dirty.set(key.plantId, hours);
}

/** Columns of `reading` by register name (D3.1, usual names); every other register is in `other`. */
export const registerColumns = ['exportWh', 'importWh', 'co2G', 'operatingS', 'validS'] as const;
const columnNames: ReadonlySet<string> = new Set(registerColumns);

/** Bits of reading.flags; 0 is a reading that counts for energy without reserve. */
export const readingFlags = { unsynced: 1, powerFail: 2, tamper: 4, fault: 8, late: 16 } as const;

export function flagsOf(reading: Reading, code: KeptCode | undefined): number {
  let flags = code === 'late' ? readingFlags.late : 0;
  if (reading.clock === 'unsynced') flags |= readingFlags.unsynced;
  if (reading.status === 'power-fail') flags |= readingFlags.powerFail;
  if (reading.status === 'tamper') flags |= readingFlags.tamper;
  if (reading.status === 'fault') flags |= readingFlags.fault;
  return flags;
}

/** Registers that have no column of their own, or null. */
export function otherRegisters({ registers }: Reading): Readonly<Record<string, number>> | null {
  let other: Record<string, number> | null = null;
  for (const name in registers) {
    const value = registers[name];
    if (value === undefined || columnNames.has(name)) continue;
    other ??= {};
    other[name] = value;
  }
  return other;
}
