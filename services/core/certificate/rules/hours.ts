import { Refused } from '../../errors.ts';
import { hourSeconds } from '../../energy/hours.ts';
import { emissionRuleOf } from '../emission-record.ts';
import type { SpecOf } from '../kinds.ts';
import type { Range } from '../specs/parts.ts';
import { issuedRangesOf, piecesWithin, quantity } from '../state/series.ts';
import { changeUnits, issueUnits } from '../state/state-tree.ts';
import { seriesOfPlant, type PlantState } from '../state/state.ts';
import type { HourState } from '../state/tables.ts';
import {
  isOwn,
  nextUnitOf,
  planCorrection,
  planIssue,
  seriesIn,
  type Movement,
} from './movement.ts';
import { genesisOf, plantOf, sameRef, type Effect, type Place, type Rule } from './rule.ts';

/** The rules of sealing, issuing and correcting (D4.3). */

type OpenHour = Extract<SpecOf<'hour'>, { certificates: object }>;
type OpenCorrection = Extract<SpecOf<'hour-correction'>, { certificates: object }>;

/** What both kinds must say rightly: an hour that has ended, and the chain. */
function requirePlace(spec: SpecOf<'hour'> | SpecOf<'hour-correction'>, place: Place): PlantState {
  const plant = plantOf(place, spec.plant);
  const { start } = spec.interval;
  if (start % hourSeconds !== 0) throw new Refused('interval', 'not the start of an hour');
  if (start + hourSeconds > place.time) throw new Refused('interval', 'the hour has not ended');
  const committed = 'commitment' in spec;
  if (committed !== (plant.spec.disclosure === 'committed')) {
    throw new Refused('disclosure', `the plant's hours are ${plant.spec.disclosure}`);
  }
  if (!place.state.partial && !sameRef(spec.prev, plant.latest)) {
    throw new Refused('prev', "not the plant's latest entry");
  }
  return plant;
}

function requireWithinCapacity(plant: PlantState, spec: OpenHour | OpenCorrection, place: Place) {
  const { capacityPpm } = genesisOf(place).rules;
  const limit = (BigInt(plant.spec.capacityW) * BigInt(capacityPpm)) / 1_000_000n;
  if (spec.quality !== 'disputed' && BigInt(spec.generation) > limit) {
    throw new Refused('capacity', 'generation above the capacity, yet not disputed');
  }
}

/** `partial` verifiers do not know the deficit or the numbering before, and take them as stated. */
function requireCertificates(
  { plant, certificates }: OpenHour | OpenCorrection,
  movement: Movement,
  place: Place,
): void {
  const { issued, netted, deficit } = certificates;
  if (issued !== undefined && issued.to < issued.from)
    throw new Refused('issued', 'an empty range');
  const issuedWh = issued === undefined ? 0 : quantity(issued);
  if (issuedWh + netted !== movement.issuedWh + movement.nettedWh) {
    throw new Refused('issued', `issues ${issuedWh} Wh where ${movement.issuedWh} Wh are due`);
  }
  const nextUnit = issued === undefined ? 0 : nextUnitOf(place, plant);
  if (issued !== undefined && issued.from < nextUnit) {
    throw new Refused('issued', `unit ${issued.from} was issued before`);
  }
  if (place.state.partial) return;
  if (netted !== movement.nettedWh || deficit !== movement.deficitWh) {
    throw new Refused(
      'deficit',
      `a deficit of ${deficit} Wh where ${movement.deficitWh} Wh are due`,
    );
  }
  if (issued !== undefined && issued.from !== nextUnit) {
    throw new Refused('issued', `does not continue the numbering at ${issued.from}`);
  }
}

export const hour: Rule<'hour'> = {
  signers: () => [],
  plan(spec, place) {
    const plant = requirePlace(spec, place);
    const { start } = spec.interval;
    // A correction needs no such check: what is sealed can be corrected, also after an end set later.
    if (start < plant.sealFrom || start >= (plant.spec.endsAt ?? Number.POSITIVE_INFINITY)) {
      throw new Refused('interval', "an hour outside the plant's life");
    }
    if (plant.hours.has(start)) throw new Refused('sealed', 'that hour is sealed already');
    if ('commitment' in spec) return () => plant.hours.set(start, committedHour(place, []));
    requireWithinCapacity(plant, spec, place);
    const movement = planIssue(plant, spec, place);
    requireCertificates(spec, movement, place);
    return (tell) => {
      const { issued } = spec.certificates;
      const hourState: HourState = {
        ref: place.ref,
        quality: spec.quality,
        certifiedWh: movement.certifiedWh,
        revokedWh: 0,
        issued: issued === undefined ? [] : [issued],
        versions: [place.ref.index],
        ...knownOf(spec, place),
      };
      move({ plant, spec, movement, place, tell }, 0);
      plant.hours.set(start, hourState);
    };
  },
};

/** What emission records rest on, of plants that have them by the rules in force at the entry (D4.6). */
function knownOf(
  { plant, quality, generation, consumption, co2G, operatingS, validS }: OpenHour | OpenCorrection,
  { state, ref: { index } }: Place,
): Pick<HourState, 'known'> {
  if (emissionRuleOf(state, plant) === undefined) return {};
  const known = { index, quality, generationWh: generation };
  const measured = { consumptionWh: consumption, co2G, operatingS, validS };
  return { known: { ...known, ...measured } };
}

function committedHour({ ref }: Place, before: readonly number[]): HourState {
  const nothing = { certifiedWh: 0, revokedWh: 0, issued: [] } as const;
  return { ref, quality: undefined, ...nothing, versions: [...before, ref.index] };
}

export const hourCorrection: Rule<'hour-correction'> = {
  signers: () => [],
  plan(spec, place): Effect {
    const plant = requirePlace(spec, place);
    const { start } = spec.interval;
    const previous = plant.hours.get(start);
    if (previous === undefined || !sameRef(previous.ref, spec.amends)) {
      throw new Refused('amends', 'does not amend the latest version of its hour');
    }
    const { versions } = previous;
    if ('commitment' in spec) return () => plant.hours.set(start, committedHour(place, versions));
    requireWithinCapacity(plant, spec, place);
    const movement = planCorrection(plant, spec, place);
    requireCertificates(spec, movement, place);
    if (place.state.partial) {
      const decreaseWh = Math.max(0, previous.certifiedWh - movement.certifiedWh);
      requireOwnWithdrawn(spec, { plant, place, decreaseWh });
    } else requireWithdrawn(spec.certificates.withdrawn, movement.withdrawn);
    return (tell) => {
      const { issued } = spec.certificates;
      move({ plant, spec, movement, place, tell }, previous.certifiedWh);
      plant.hours.set(start, {
        ref: place.ref,
        quality: spec.quality,
        certifiedWh: movement.certifiedWh,
        revokedWh: previous.revokedWh - movement.revokedWh,
        issued: issued === undefined ? previous.issued : [...previous.issued, issued],
        versions: [...versions, place.ref.index],
        ...knownOf(spec, place),
      });
    };
  },
};

function requireWithdrawn(stated: readonly Range[], due: readonly Range[]): void {
  const same =
    stated.length === due.length &&
    stated.every(({ from, to }, i) => from === due[i]?.from && to === due[i].to);
  if (!same) throw new Refused('withdrawn', "not the account's own active units, highest first");
}

/**
 * What a verifier with a part of the log can still say of withdrawn units: they are the account's
 * own active ones of that hour as far as it knows, each named once, and no more than the decrease.
 */
function requireOwnWithdrawn(
  { interval, certificates: { withdrawn } }: OpenCorrection,
  { plant, place, decreaseWh }: { plant: PlantState; place: Place; decreaseWh: number },
): void {
  const series = seriesIn(place, plant.spec.plant);
  let leftWh = decreaseWh;
  let next = 1;
  for (const range of withdrawn) {
    const own = piecesWithin(series, range).every((piece) => isOwn(piece, plant, place));
    const ofThatHour = issuedRangesOf(series, range).every(
      ({ hourStart }) => hourStart === interval.start,
    );
    leftWh -= quantity(range);
    if (!own || !ofThatHour || range.from < next || leftWh < 0) {
      throw new Refused('withdrawn', "not the account's own active units of that hour");
    }
    next = range.to + 1;
  }
}

interface Move {
  readonly plant: PlantState;
  readonly spec: OpenHour | OpenCorrection;
  readonly movement: Movement;
  readonly place: Place;
  readonly tell: Parameters<Effect>[0];
}

/** Books issued, withdrawn and deficit, and holds the balance of D4.3 after every entry. */
function move({ plant, spec, movement, place, tell }: Move, certifiedBefore: number): void {
  const { state, ref } = place;
  const series = seriesOfPlant(spec.plant);
  const { issued } = spec.certificates;
  const withdrawn = 'withdrawn' in spec.certificates ? spec.certificates.withdrawn : [];
  if (issued !== undefined) {
    const hourStart = spec.interval.start;
    const owner = plant.spec.account;
    tell({ series, ranges: [issued], isIssue: true });
    issueUnits(state, { series, range: issued, index: ref.index, hourStart, owner });
    plant.issuedWh += quantity(issued);
  }
  const change = { state: 'withdrawn', lastIndex: ref.index } as const;
  if (withdrawn.length > 0) tell({ series, ranges: withdrawn, isIssue: false });
  changeUnits(state, { series, ranges: withdrawn }, change);
  for (const range of withdrawn) plant.withdrawnWh += quantity(range);
  plant.deficitWh = spec.certificates.deficit;
  plant.certifiedWh += movement.certifiedWh - certifiedBefore;
  plant.revokedWh -= movement.revokedWh + movement.spareWh;
  plant.spareWh -= movement.spareWh;
  const balance = plant.issuedWh - plant.withdrawnWh - plant.deficitWh;
  if (!state.partial && balance !== plant.certifiedWh - plant.revokedWh) {
    throw new Error(`${spec.plant}: issued - withdrawn - deficit is not certified - revoked`);
  }
}
