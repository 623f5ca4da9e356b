import type { SpecOf } from '../kinds.ts';
import { hourSeconds } from '../../energy/hours.ts';
import type { Range } from '../specs/parts.ts';
import { issuedRangesOf, lastUnit, noSeries, quantity, unitsToWithdraw } from '../state/series.ts';
import type { Piece, Series } from '../state/series.ts';
import { seriesOfPlant, type PlantState } from '../state/state.ts';
import { genesisOf, type Place } from './rule.ts';
import { timedState } from './units.ts';

/** What an hour or its correction has to move (D4.3): a function of what is known, and nothing is changed. */

type OpenHour = Extract<SpecOf<'hour'>, { certificates: object }>;

/** What an hour's latest version certifies, and what an entry therefore has to move. Wh. */
export interface Movement {
  readonly certifiedWh: number;
  readonly issuedWh: number;
  readonly nettedWh: number;
  readonly withdrawn: readonly Range[];
  readonly deficitWh: number;
  /** What of a decrease was revoked before: of the hour, and of the plant's spare energy (revoke.ts). */
  readonly revokedWh: number;
  readonly spareWh: number;
}

const nothingRevoked = { revokedWh: 0, spareWh: 0 } as const;

/** Only generation from a source that the rules name, at a plant that is not frozen, is certified. */
function mayCertify(plant: PlantState, place: Place): boolean {
  const { eligibleSources } = genesisOf(place).rules;
  const { type, source } = plant.spec;
  return type === 'production' && !plant.frozen && eligibleSources.includes(source);
}

/** What a first `hour` moves: everything it certifies, less what the plant owes (D4.3). */
export function planIssue(
  plant: PlantState,
  hour: Pick<OpenHour, 'generation' | 'quality'>,
  place: Place,
): Movement {
  const certifies = mayCertify(plant, place) && hour.quality !== 'disputed';
  return increase(plant, 0, certifies ? hour.generation : 0);
}

function increase(plant: PlantState, before: number, after: number): Movement {
  const nettedWh = Math.min(plant.deficitWh, after - before);
  return {
    certifiedWh: after,
    issuedWh: after - before - nettedWh,
    nettedWh,
    withdrawn: [],
    deficitWh: plant.deficitWh - nettedWh,
    ...nothingRevoked,
  };
}

function unmoved(plant: PlantState, certifiedWh: number): Movement {
  const { deficitWh } = plant;
  return {
    ...{ certifiedWh, issuedWh: 0, nettedWh: 0, withdrawn: [], deficitWh },
    ...nothingRevoked,
  };
}

/**
 * What a correction moves (D4.3): an increase within `correctWithinS` issues the difference; a
 * decrease withdraws first the plant account's own active units of that hour, highest number first,
 * and what others hold becomes a deficit; a disputed hour moves nothing already issued. Whether the
 * plant may still be certified matters to an increase alone.
 */
export function planCorrection(
  plant: PlantState,
  hour: Pick<OpenHour, 'generation' | 'quality' | 'interval'>,
  place: Place,
): Movement {
  const previous = plant.hours.get(hour.interval.start);
  const before = previous?.certifiedWh ?? 0;
  if (hour.quality === 'disputed') return unmoved(plant, before);
  if (hour.generation >= before) {
    const end = hour.interval.start + hourSeconds;
    const inTime = place.time <= end + genesisOf(place).rules.correctWithinS;
    const certifies = inTime && mayCertify(plant, place);
    return certifies ? increase(plant, before, hour.generation) : unmoved(plant, before);
  }
  return decrease(plant, hour, place);
}

function decrease(
  plant: PlantState,
  { generation, interval }: Pick<OpenHour, 'generation' | 'interval'>,
  place: Place,
): Movement {
  const previous = plant.hours.get(interval.start);
  const amount = (previous?.certifiedWh ?? 0) - generation;
  const revokedWh = Math.min(amount, previous?.revokedWh ?? 0);
  const series = seriesIn(place, plant.spec.plant);
  const issued = (previous?.issued ?? []).flatMap((range) => issuedRangesOf(series, range));
  const isOwnActive = (piece: Piece): boolean => isOwn(piece, plant, place);
  const withdrawn = unitsToWithdraw(issued, { isOwnActive, amount: amount - revokedWh });
  const taken = withdrawn.reduce((sum, range) => sum + quantity(range), 0);
  const left = amount - revokedWh - taken;
  const spareWh = Math.min(left, plant.spareWh);
  return {
    certifiedWh: generation,
    issuedWh: 0,
    nettedWh: 0,
    withdrawn,
    deficitWh: plant.deficitWh + left - spareWh,
    revokedWh,
    spareWh,
  };
}

/** The account's own and nobody else's to have: also expired, and where the time of an offer is over. */
export function isOwn(piece: Piece, { spec }: PlantState, place: Place): boolean {
  return piece.owner === spec.account && timedState(piece, place) === 'active';
}

/** The `certificates` member that says a movement; a range continues the plant's numbering. */
export function certificatesOf(
  movement: Movement,
  nextUnit: number,
): { deficit: number; netted: number; issued?: Range } {
  const { issuedWh, nettedWh, deficitWh } = movement;
  const base = { deficit: deficitWh, netted: nettedWh };
  return issuedWh === 0
    ? base
    : { ...base, issued: { from: nextUnit, to: nextUnit + issuedWh - 1 } };
}

export function nextUnitOf(place: Pick<Place, 'state'>, plant: string): number {
  return lastUnit(seriesIn(place, plant)) + 1;
}

/** The plant's series as it stands; `issueUnits` creates it with the first range. */
export function seriesIn({ state }: Pick<Place, 'state'>, plant: string): Series {
  return state.series.get(seriesOfPlant(plant)) ?? noSeries;
}
