import { toHex } from '#core/bytes.ts';
import { Refused } from '#core/errors.ts';
import { commitmentOf } from '#core/certificate/commitment.ts';
import type { EntryRef, SignedDraft } from '#core/certificate/entry.ts';
import type { HourOpening, Quality } from '#core/certificate/kinds.ts';
import { certificatesOf, nextUnitOf } from '#core/certificate/rules/hours.ts';
import { planCorrection, planIssue } from '#core/certificate/rules/hours.ts';
import type { Place } from '#core/certificate/rules/rule.ts';
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
 * An entry before it has a place. What another entry is, it says by plant and hour or not at all:
 * `prev`, `amends` and the numbers of certificates follow from the state at its place, so that drafts
 * may rest on others that are sequenced together with them.
 */
export type Draft =
  | ({ readonly type: 'action' } & SignedDraft)
  | ({ readonly type: 'hour' } & HourFacts)
  | { readonly type: 'fork'; readonly kid: string; readonly seq: number; readonly evidence: string }
  | {
      readonly type: 'void';
      readonly index: number;
      readonly leafHash: string;
      readonly code: string;
    }
  /** For tests and tools: bytes that nobody judges before they are in the log. */
  | { readonly type: 'unchecked'; readonly bytes: Uint8Array };

/** An entry but for its time. */
export interface Composed {
  readonly kind: string;
  readonly spec: object;
  readonly auth: readonly string[];
}

/** What a draft says at `place`. Throws Refused when there is no such plant, or another version. */
export function composeDraft(
  draft: Exclude<Draft, { type: 'unchecked' }>,
  place: Omit<Place, 'ref'>,
): Composed {
  switch (draft.type) {
    case 'action':
      return { kind: draft.kind, spec: draft.spec, auth: draft.auth };
    case 'fork': {
      const { kid, seq, evidence } = draft;
      return { kind: 'fork', spec: { kid, seq, evidence }, auth: [] };
    }
    case 'void': {
      const { index, leafHash, code } = draft;
      return { kind: 'void', spec: { index, leafHash, code }, auth: [] };
    }
    case 'hour':
      return { ...composeHour(draft, place), auth: [] };
  }
}

function composeHour(facts: HourFacts, place: Omit<Place, 'ref'>): { kind: string; spec: object } {
  const plant = place.state.plants.get(facts.plant);
  if (plant === undefined) throw new Refused('plant', `no plant ${facts.plant}`);
  const { amends } = facts;
  const current = plant.hours.get(facts.start)?.ref;
  if (current?.index !== amends?.index) {
    throw new Refused('version', 'another version of that hour was sealed in the meantime');
  }
  const kind = amends === undefined ? 'hour' : 'hour-correction';
  const hourPlace = {
    batchRoot: toHex(facts.batchRoot),
    interval: { seconds: hourSeconds, start: facts.start },
    metersRoot: toHex(facts.metersRoot),
    plant: facts.plant,
    ...(plant.latest !== undefined && { prev: plant.latest }),
    ...(amends !== undefined && { amends }),
  };
  if (facts.committed !== undefined) {
    const { salt, opening } = facts.committed;
    return { kind, spec: { ...hourPlace, commitment: toHex(commitmentOf(salt, opening)) } };
  }
  const { quality } = facts;
  const hour = {
    generation: facts.generationWh,
    interval: { seconds: hourSeconds, start: facts.start },
    quality,
  } as const;
  const at = { ...place, ref: { index: place.state.size, leafHash: '' } };
  const movement =
    amends === undefined ? planIssue(plant, hour, at) : planCorrection(plant, hour, at);
  const certificates = certificatesOf(movement, nextUnitOf(place, facts.plant));
  return {
    kind,
    spec: {
      ...hourPlace,
      generation: facts.generationWh,
      messages: facts.messages,
      quality,
      ...(facts.consumptionWh !== undefined && { consumption: facts.consumptionWh }),
      ...(facts.co2G !== undefined && { co2G: facts.co2G }),
      certificates:
        amends === undefined ? certificates : { ...certificates, withdrawn: movement.withdrawn },
    },
  };
}
