import { equalBytes, toHex } from '#core/bytes.ts';
import { commitmentSalt } from '#core/certificate/commitment.ts';
import { batchMessages, hourOfBatch, type MeterMessage } from '#core/certificate/hour-evidence.ts';
import type { OpenDisputes } from '#core/certificate/hour-evidence.ts';
import { endOf, metersOfHour } from '#core/certificate/state/state.ts';
import type { LogState, MeterState } from '#core/certificate/state/state.ts';
import { compareLeaves } from '#core/energy/batch.ts';
import { isMeterComplete, type SeenMessage } from '#core/energy/completeness.ts';
import { hourSeconds } from '#core/energy/hours.ts';
import { meterLeaves, meterRecordOf, type MeterRecord } from '#core/energy/meter-record.ts';
import type { PlantHour } from '#core/energy/plant-hour.ts';
import { leafHash, treeRoot } from '#core/tlog/tree.ts';
import type { HourFacts, RegisterMark } from './draft.ts';
import type { LatestHour } from './hour-store.ts';

/** Decides what becomes of a plant's hour (D4.3), from rows, without doing any of it. */

/** A message as it is stored, with what the hours need of it: at the turn of an hour it is of both. */
export interface HeldMessage extends MeterMessage, SeenMessage {
  readonly hash: Uint8Array;
  /** As the log keeps it (D3.2), and its hash in a batch tree. */
  readonly leaf: Uint8Array;
  readonly leafHash: Uint8Array;
  /** Counts for energy (D4.1): accepted, or late and accepted by a decision, and not set aside. */
  readonly counts: boolean;
}

/** What is stored of one key around the hours in question. */
export interface HeldKey {
  readonly kid: string;
  /** In the order of `seq`; those that lie around the hours, and around gaps between them. */
  readonly messages: readonly HeldMessage[];
  /** All of 1 … throughSeq are stored. */
  readonly throughSeq: number;
  /** Stored ones beyond `throughSeq` up to the last of `messages`, ascending. */
  readonly seenBeyond: readonly number[];
  /** The receipt chain at a seq up to `throughSeq`. */
  readonly chainAt: (seq: number) => Uint8Array;
}

export interface HourInput {
  readonly plant: string;
  readonly start: number;
  /** As it was before anything of this input was read or decided. */
  readonly register: RegisterMark;
  readonly latest: LatestHour | undefined;
  /** By kid. */
  readonly keys: ReadonlyMap<string, HeldKey>;
  readonly disputes: OpenDisputes;
}

export interface PlanContext {
  readonly state: LogState;
  readonly nowS: number;
  /** Of a site whose hours are committed. */
  readonly secretOf: (plant: string) => Uint8Array | undefined;
}

export type HourPlan = {
  /**
   * Meters that were found to contradict themselves, from their last agreed reading on: remembered
   * whatever becomes of the hour, since it disputes the later ones too.
   */
  readonly disputes: OpenDisputes;
} &
  /** There is nothing to do: not ended, outside the plant's life, or nothing changed. */
  (
    | { readonly action: 'none'; readonly complete: boolean }
    /** Not all has arrived; `dueAt` is when it is written all the same. */
    | { readonly action: 'wait'; readonly dueAt: number }
    | {
        readonly action: 'seal';
        readonly facts: HourFacts;
        readonly leaves: readonly Uint8Array[];
        /** When an hour that stays incomplete is looked at again without being told to. */
        readonly dueAgainAt: number;
        /** Where the receipt chain of each key stands at its last message of this batch. */
        readonly chains: readonly { kid: string; seq: number; chain: Uint8Array }[];
      }
  );

type HourMeters = ReturnType<typeof metersOfHour>;

const noDisputes: OpenDisputes = new Map();

/** Corrections of an hour that stays incomplete are at least this far apart (D4.3). */
const correctionEveryS = 86_400;
/** As many ranges as a receipt names (D3.1). */
const missingLimit = 100;

export function planHour(input: HourInput, context: PlanContext): HourPlan {
  const { plant, start, latest } = input;
  const { state, nowS } = context;
  const found = state.plants.get(plant);
  const rules = state.genesis?.rules;
  const end = start + hourSeconds;
  if (found === undefined || rules === undefined || end > nowS) return nothing(false);
  const isFirst = !found.hours.has(start);
  const within = start >= found.sealFrom && start < (found.spec.endsAt ?? Infinity);
  if (isFirst && !within) return nothing(false);
  const meters = metersOfHour(state, plant, start);
  const complete = isPlantComplete(input, state, meters);
  if (isFirst && !complete && nowS < end + rules.deadlineS) {
    return { action: 'wait', dueAt: end + rules.deadlineS, disputes: noDisputes };
  }
  if (!isFirst && latest === undefined) return nothing(false);
  const planned = sealHour(input, context, { complete, meters });
  if (latest === undefined) return planned;
  const { disputes } = planned;
  if (isSettled(latest, planned.facts)) return nothing(complete || latest.complete, disputes);
  const dueAt = latest.time + correctionEveryS;
  if (!complete && !latest.complete && nowS < dueAt) return { action: 'wait', dueAt, disputes };
  return planned;
}

function nothing(complete: boolean, disputes = noDisputes): HourPlan {
  return { action: 'none', complete, disputes };
}

/** All meters that are waited for are complete, and there is one: a plant without any waits too (D4.3). */
function isPlantComplete({ start, keys }: HourInput, state: LogState, meters: HourMeters): boolean {
  const awaited = meters.filter(([, meter]) => isAwaited(state, meter, start + hourSeconds));
  return (
    awaited.length > 0 && awaited.every(([, meter]) => isComplete(state, meter, { start, keys }))
  );
}

/**
 * A meter that only checks, is frozen or has ended holds nothing up. It has ended by an entry of its
 * own, or when all its keys have, before the end of the hour; what it says still counts, and what it
 * should have said is missed.
 */
function isAwaited(state: LogState, meter: MeterState, end: number): boolean {
  const { spec, frozen, kids } = meter;
  const isSilent =
    kids.length > 0 && kids.every((kid) => (state.keys.get(kid)?.end?.lastT ?? Infinity) < end);
  return spec.role !== 'check' && !frozen && !isSilent && endOf(meter) > end;
}

function isComplete(
  state: LogState,
  meter: MeterState,
  { start, keys }: Pick<HourInput, 'start' | 'keys'>,
): boolean {
  const spans = meter.kids.map((kid) => ({ kid, lastSeq: state.keys.get(kid)?.end?.lastSeq }));
  const first = spans.find(({ lastSeq }) => lastSeq !== 0);
  return isMeterComplete({
    start,
    keys: spans,
    seen: meter.kids.flatMap((kid) => seenOf(keys.get(kid))),
    firstMessage: first && { kid: first.kid, seq: 1 },
  });
}

/** Quarantined messages take their seq, and may lie anywhere in time: between others they are seen. */
function seenOf(key: HeldKey | undefined): SeenMessage[] {
  if (key === undefined) return [];
  const seen: SeenMessage[] = [];
  const beyond = new Set(key.seenBeyond);
  let previous: number | undefined;
  for (const message of key.messages) {
    for (let seq = (previous ?? message.seq) + 1; seq < message.seq; seq++) {
      if (seq > key.throughSeq && !beyond.has(seq)) continue;
      seen.push({
        kid: key.kid,
        seq,
        tFirst: Infinity,
        tLast: Infinity,
        counts: false,
        validAt: [],
      });
    }
    previous = message.seq;
    seen.push(message);
  }
  return seen;
}

function sealHour(
  { plant, start, latest, keys, disputes }: HourInput,
  { state, nowS, secretOf }: PlanContext,
  { complete, meters }: { complete: boolean; meters: HourMeters },
): Extract<HourPlan, { action: 'seal' }> {
  const messages = meters
    .flatMap(([, { kids }]) =>
      batchMessages(
        kids.flatMap((kid) => keys.get(kid)?.messages.filter(({ counts }) => counts) ?? []),
        start,
      ),
    )
    .sort(compareLeaves);
  const leaves = messages.map(({ leaf }) => leaf);
  const hour = hourOfBatch(state, { plant, start }, { messages, disputes });
  const chains = lastOfEachKey(messages).map((last) => keyStateAt(keys.get(last.kid), last));
  const records = recordsOf(hour, { start, messages, chains, state });
  const encoded = meterLeaves(records);
  const version = (latest?.version ?? 0) + 1;
  return {
    action: 'seal',
    leaves,
    dueAgainAt: nowS + correctionEveryS,
    disputes: new Map(
      hour.meters.flatMap(({ meter, contradiction }) =>
        contradiction === undefined ? [] : [[meter, contradiction.fromT]],
      ),
    ),
    chains: chains.map(({ kid, throughSeq, chainBytes }) => ({
      kid,
      seq: throughSeq,
      chain: chainBytes,
    })),
    facts: {
      plant,
      start,
      version,
      amends: state.plants.get(plant)?.hours.get(start)?.ref,
      generationWh: hour.generationWh,
      consumptionWh: hour.consumptionWh,
      co2G: hour.co2G,
      operatingS: hour.operatingS,
      validS: hour.validS,
      quality: hour.quality,
      messages: leaves.length,
      complete,
      batchRoot: treeRoot(messages.map((message) => message.leafHash)),
      metersRoot: treeRoot(encoded.map(leafHash)),
      records: encoded,
      committed: committedOf(hour, {
        messages: leaves.length,
        place: { origin: state.genesis?.origin ?? '', plant, start, version },
        secret:
          state.plants.get(plant)?.spec.disclosure === 'committed' ? secretOf(plant) : undefined,
      }),
    },
  };
}

function committedOf(
  hour: PlantHour,
  {
    messages,
    place,
    secret,
  }: {
    messages: number;
    place: Parameters<typeof commitmentSalt>[1];
    secret: Uint8Array | undefined;
  },
): HourFacts['committed'] {
  if (secret === undefined) return undefined;
  const opening = { consumption: hour.consumptionWh ?? 0, messages, quality: hour.quality };
  return { salt: commitmentSalt(secret, place), opening };
}

function lastOfEachKey(messages: readonly HeldMessage[]): HeldMessage[] {
  const last = new Map<string, HeldMessage>();
  for (const message of messages) {
    if (message.seq > (last.get(message.kid)?.seq ?? 0)) last.set(message.kid, message);
  }
  return [...last.values()];
}

interface KeyAtHour {
  readonly kid: string;
  readonly throughSeq: number;
  readonly chainBytes: Uint8Array;
  readonly missing: readonly { readonly from: number; readonly to: number }[];
}

/**
 * What is known of a key at its last message of a batch. Later messages have no influence, so that
 * the record is a function of what was sent and not of when the hour was sealed.
 */
function keyStateAt(key: HeldKey | undefined, last: HeldMessage): KeyAtHour {
  const throughSeq = Math.min(key?.throughSeq ?? 0, last.seq);
  const missing: { from: number; to: number }[] = [];
  let next = throughSeq + 1;
  for (const seq of key?.seenBeyond ?? []) {
    if (seq > last.seq) break;
    if (seq < next) continue;
    if (seq > next) missing.push({ from: next, to: seq - 1 });
    next = seq + 1;
  }
  return {
    kid: last.kid,
    throughSeq,
    chainBytes: key?.chainAt(throughSeq) ?? new Uint8Array(32),
    missing: missing.slice(0, missingLimit),
  };
}

function recordsOf(
  hour: PlantHour,
  {
    start,
    messages,
    chains,
    state,
  }: {
    start: number;
    messages: readonly HeldMessage[];
    chains: readonly KeyAtHour[];
    state: LogState;
  },
): MeterRecord[] {
  const places = new Map(messages.map(({ kid, seq }, i) => [`${kid} ${seq}`, i]));
  const byKid = new Map(chains.map((chain) => [chain.kid, chain]));
  return hour.meters.map((meterHour) =>
    meterRecordOf(meterHour, {
      start,
      keys: (state.meters.get(meterHour.meter)?.kids ?? []).flatMap((kid) => {
        const at = byKid.get(kid);
        if (at === undefined) return [];
        const { throughSeq, chainBytes, missing } = at;
        return [{ chain: toHex(chainBytes), kid, missing, throughSeq }];
      }),
      leafOf: ({ kid, seq }) => {
        const leaf = places.get(`${kid} ${seq}`);
        if (leaf === undefined) throw new RangeError(`leaf: no message ${seq} of ${kid}`);
        return leaf;
      },
    }),
  );
}

/**
 * A correction that would change nothing is never written. Of an hour that was complete only new
 * figures are: the next message may hold the reading at the turn of the hour once more, and every
 * hour would be corrected for a leaf that proves nothing new.
 */
function isSettled(latest: LatestHour, facts: HourFacts): boolean {
  const sameFigures =
    latest.generationWh === facts.generationWh &&
    latest.consumptionWh === facts.consumptionWh &&
    latest.co2G === facts.co2G &&
    latest.operatingS === facts.operatingS &&
    latest.validS === facts.validS &&
    latest.quality === facts.quality;
  const sameEvidence =
    equalBytes(latest.batchRoot, facts.batchRoot) &&
    equalBytes(latest.metersRoot, facts.metersRoot);
  return sameFigures && (latest.complete || sameEvidence);
}
