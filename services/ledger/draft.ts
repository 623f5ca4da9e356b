import { toHex } from '#core/bytes.ts';
import { Refused } from '#core/errors.ts';
import { commitmentOf } from '#core/certificate/commitment.ts';
import type { EmissionRecord } from '#core/certificate/emission-record.ts';
import type { EntryRef, SignedDraft } from '#core/certificate/entry.ts';
import type { HourOpening, Quality } from '#core/certificate/specs/hours.ts';
import { dueUnclaim } from '#core/certificate/rules/claimed.ts';
import { certificatesOf, nextUnitOf } from '#core/certificate/rules/movement.ts';
import { planCorrection, planIssue } from '#core/certificate/rules/movement.ts';
import type { Place } from '#core/certificate/rules/rule.ts';
import type { LogState, PlantState } from '#core/certificate/state/state.ts';
import { hourSeconds } from '#core/energy/hours.ts';

/** What is known of a plant's hour when it is sealed or corrected: everything but its place in the log. */
export interface HourFacts {
  readonly plant: string;
  readonly start: number;
  /** 1 for the first; what the salt of a commitment runs over. */
  readonly version: number;
  /** The version that this one replaces; undefined for the first. */
  readonly amends: EntryRef | undefined;
  readonly generationWh: number;
  readonly consumptionWh: number | undefined;
  readonly co2G: number | undefined;
  /** Of an emission monitor, beside `co2G`: both or neither. */
  readonly operatingS: number | undefined;
  readonly validS: number | undefined;
  readonly quality: Quality;
  readonly messages: number;
  readonly complete: boolean;
  readonly batchRoot: Uint8Array;
  readonly metersRoot: Uint8Array;
  /** The meter records in the order of their tree. */
  readonly records: readonly Uint8Array[];
  /** Of a committed site alone. */
  readonly committed: { readonly salt: Uint8Array; readonly opening: HourOpening } | undefined;
}

/**
 * The newest entries that say by what an hour of a plant is judged. While an hour is decided, anybody
 * may enter another: what was decided by the register as it was before would break its rules.
 */
export interface RegisterMark {
  readonly log: number;
  readonly plant: number;
}

export function registerMark({ genesis, plants }: LogState, plant: string): RegisterMark {
  return {
    log: genesis?.entries.at(-1) ?? -1,
    plant: plants.get(plant)?.entries.at(-1) ?? -1,
  };
}

/** The code of an hour that has to be decided anew. */
export const outdated = 'register';

/**
 * An entry before it has a place. What another entry is, it says by plant and hour or not at all:
 * `prev`, `amends` and the numbers of certificates follow from the state at its place, so that drafts
 * may rest on others that are sequenced together with them.
 */
export type Draft =
  | ({ readonly type: 'action' } & SignedDraft)
  | ({ readonly type: 'hour'; readonly decidedBy?: RegisterMark } & HourFacts)
  | { readonly type: 'fork'; readonly kid: string; readonly seq: number; readonly evidence: string }
  | {
      readonly type: 'void';
      readonly index: number;
      readonly leafHash: string;
      readonly code: string;
    }
  | {
      readonly type: 'emission';
      readonly record: EmissionRecord;
      /** The version that this one replaces; undefined for the first. */
      readonly amends: EntryRef | undefined;
    }
  | {
      readonly type: 'state';
      readonly asOf: number;
      readonly count: number;
      readonly root: string;
    }
  /** What then has to go of the claims against an hour of a site. */
  | { readonly type: 'unclaim'; readonly point: string; readonly hour: number }
  /** For tests and tools: bytes that nobody judges before they are in the log. */
  | { readonly type: 'unchecked'; readonly bytes: Uint8Array };

/** An entry but for its time. Its members are in the order of JCS, which is the quickest to write. */
export interface Composed {
  readonly auth: readonly string[];
  readonly kind: string;
  readonly spec: object;
}

/** What a draft says at `place`. Throws Refused when there is no such plant, or another version. */
export function composeDraft(
  draft: Exclude<Draft, { type: 'unchecked' }>,
  place: Omit<Place, 'ref'>,
): Composed {
  switch (draft.type) {
    case 'action':
      return { auth: draft.auth, kind: draft.kind, spec: draft.spec };
    case 'fork': {
      const { evidence, kid, seq } = draft;
      return { auth: [], kind: 'fork', spec: { evidence, kid, seq } };
    }
    case 'void': {
      const { code, index, leafHash } = draft;
      return { auth: [], kind: 'void', spec: { code, index, leafHash } };
    }
    case 'emission': {
      const { amends, record } = draft;
      if (amends === undefined) return { auth: [], kind: 'emission', spec: record };
      return { auth: [], kind: 'emission-correction', spec: { amends, ...record } };
    }
    case 'state': {
      const { asOf, count, root } = draft;
      return { auth: [], kind: 'state', spec: { asOf, count, root } };
    }
    case 'unclaim':
      return composeUnclaim(draft, place);
    case 'hour':
      requireCurrent(draft, place);
      return composeHour(draft, place);
  }
}

function composeUnclaim(
  hour: { readonly point: string; readonly hour: number },
  { state }: Pick<Place, 'state'>,
): Composed {
  const restsOn = state.plants.get(hour.point)?.hours.get(hour.hour)?.ref;
  const items = dueUnclaim(state, hour);
  if (restsOn === undefined || items.length === 0) {
    throw new Refused('due', `${hour.point}: nothing is claimed beyond what was taken`);
  }
  return { auth: [], kind: 'unclaim', spec: { items, restsOn } };
}

function requireCurrent(
  { decidedBy, plant }: { readonly decidedBy?: RegisterMark; readonly plant: string },
  { state }: Pick<Place, 'state'>,
): void {
  if (decidedBy === undefined) return;
  const now = registerMark(state, plant);
  if (now.log === decidedBy.log && now.plant === decidedBy.plant) return;
  throw new Refused(outdated, 'what the log says of the plant has changed in the meantime');
}

function composeHour(facts: HourFacts, place: Omit<Place, 'ref'>): Composed {
  const plant = place.state.plants.get(facts.plant);
  if (plant === undefined) throw new Refused('plant', `no plant ${facts.plant}`);
  const { amends } = facts;
  const current = plant.hours.get(facts.start)?.ref;
  if (current?.index !== amends?.index) {
    throw new Refused('version', 'another version of that hour was sealed in the meantime');
  }
  return {
    auth: [],
    kind: amends === undefined ? 'hour' : 'hour-correction',
    spec: specOfHour(facts, plant, place),
  };
}

/** Put together member by member: a member that is undefined would have no JCS form. */
function specOfHour(facts: HourFacts, plant: PlantState, place: Omit<Place, 'ref'>): object {
  const { amends, committed } = facts;
  const spec: Record<string, unknown> = {};
  if (amends !== undefined) spec.amends = amends;
  spec.batchRoot = toHex(facts.batchRoot);
  if (committed === undefined) {
    spec.certificates = certificatesDue(facts, plant, place);
    if (facts.co2G !== undefined) spec.co2G = facts.co2G;
    if (facts.consumptionWh !== undefined) spec.consumption = facts.consumptionWh;
    spec.generation = facts.generationWh;
  } else {
    spec.commitment = toHex(commitmentOf(committed.salt, committed.opening));
  }
  spec.interval = { seconds: hourSeconds, start: facts.start };
  if (committed === undefined) spec.messages = facts.messages;
  spec.metersRoot = toHex(facts.metersRoot);
  if (committed === undefined && facts.operatingS !== undefined) {
    spec.operatingS = facts.operatingS;
  }
  spec.plant = facts.plant;
  if (plant.latest !== undefined) spec.prev = plant.latest;
  if (committed === undefined) spec.quality = facts.quality;
  if (committed === undefined && facts.validS !== undefined) spec.validS = facts.validS;
  return spec;
}

function certificatesDue(facts: HourFacts, plant: PlantState, place: Omit<Place, 'ref'>): object {
  const { amends, quality } = facts;
  const interval = { seconds: hourSeconds, start: facts.start } as const;
  const hour = { generation: facts.generationWh, interval, quality };
  const at = { ...place, ref: { index: place.state.size, leafHash: '' } };
  const movement =
    amends === undefined ? planIssue(plant, hour, at) : planCorrection(plant, hour, at);
  const { deficit, issued, netted } = certificatesOf(movement, nextUnitOf(place, facts.plant));
  const due: Record<string, unknown> = { deficit };
  if (issued !== undefined) due.issued = issued;
  due.netted = netted;
  if (amends !== undefined) due.withdrawn = movement.withdrawn;
  return due;
}
