import { compareAscii } from '../../bytes.ts';
import { Refused } from '../../errors.ts';
import { yearsLater } from '../calendar.ts';
import { add, divideDown, shareDown, toNumber, total, wholePpm } from '../exact.ts';
import { hourSeconds } from '../hours.ts';
import type { Consumption } from '../matching/question.ts';
import { energyOf, isExpired, type Claim, type Procurement } from './claim.ts';

/** Why a claim, or a part of it, does not count, in sentences for people; the first that applies. */
export const exclusionReasons = {
  expired: 'it was cancelled after its validity had ended',
  source: 'its source is not among those that count',
  market: 'it was generated in another market than it was consumed in',
  vintage: 'it was generated outside the window of the period',
  'old-plant': 'its plant is older than the limit, and the share of such plants is used up',
  'beyond-consumption': 'more was claimed in the market than was consumed there',
} as const;
export type ExclusionReason = keyof typeof exclusionReasons;

export interface PlantFacts {
  readonly commissionedAt: number;
  /** Counts instead of `commissionedAt` where it is later. */
  readonly repoweredAt?: number;
  readonly source: string;
}

/** RE100's technical criteria as configuration. */
export interface AnnualTerms {
  /** 15. Until so many years after commissioning a plant is not old, to the second, whole hours alone. */
  readonly ageYears: number;
  /** Market of each zone; a zone that is not named is a market of its own. */
  readonly marketOf: ReadonlyMap<string, string>;
  /** 150,000: what old plants may count for, of all consumption. */
  readonly oldSharePpm: number;
  /** Absent: every source counts. */
  readonly sources?: ReadonlySet<string>;
  /** Units count whose whole hour lies within; Unix seconds. */
  readonly vintage: { readonly from: number; readonly to: number };
}

export interface Exclusion {
  readonly market: string;
  readonly procurement: Procurement;
  readonly reason: ExclusionReason;
  readonly series: string;
  readonly wh: number;
}

export interface AnnualShare {
  /** Of old plants, and within `oldSharePpm`. */
  readonly countedOldWh: number;
  readonly countedWh: number;
  readonly claimedWh: number;
  readonly consumptionWh: number;
  /** By market, series, procurement and reason; with `countedWh` they make up `claimedWh`. */
  readonly exclusions: readonly Exclusion[];
  /** At most 1,000,000; rounded down; absent where nothing was consumed. */
  readonly sharePpm?: number;
}

/** Whose plants may be of any age. */
const anyAge: ReadonlySet<Procurement> = new Set(['direct', 'grandfathered', 'self-generation']);

/**
 * min(1, sum of eligible claims / sum of consumption) (D4.5), the minimum taken market by market: what
 * one market has too much is of no use to another. Old plants count last, in the order of generation,
 * then of series and number. Refused('plant') for a claim whose plant nobody described.
 */
export function annualShare(of: {
  readonly claims: readonly Claim[];
  readonly consumption: readonly Consumption[];
  readonly plants: ReadonlyMap<string, PlantFacts>;
  readonly terms: AnnualTerms;
}): AnnualShare {
  const { terms } = of;
  const marketOf = (zone: string): string => terms.marketOf.get(zone) ?? zone;
  const consumptionWh = total(of.consumption, ({ wh }) => wh);
  const rooms = new Map<string, number>();
  for (const { zone, wh } of of.consumption) {
    rooms.set(marketOf(zone), (rooms.get(marketOf(zone)) ?? 0) + wh);
  }
  const excluded = exclusions();
  const [young, old]: [Claim[], Claim[]] = [[], []];
  for (const claim of of.claims.toSorted(byGeneration)) {
    const plant = of.plants.get(claim.series);
    if (plant === undefined) throw new Refused('plant', `nothing is known of ${claim.series}`);
    const reason = ineligibility(claim, plant, terms);
    if (reason !== undefined)
      excluded.add(marketOf(claim.zone), claim, { reason, wh: energyOf(claim) });
    else (isOld(claim, plant, terms) ? old : young).push(claim);
  }
  const count = (claim: Claim, limitWh: number): number => {
    const market = marketOf(claim.zone);
    const wh = energyOf(claim);
    const room = rooms.get(market) ?? 0;
    const counted = Math.min(wh, room, limitWh);
    rooms.set(market, room - counted);
    const reason = limitWh < Math.min(wh, room) ? 'old-plant' : 'beyond-consumption';
    if (counted < wh) excluded.add(market, claim, { reason, wh: wh - counted });
    return counted;
  };
  const countedYoungWh = total(young, (claim) => count(claim, energyOf(claim)));
  const limit = divideDown(BigInt(consumptionWh) * BigInt(terms.oldSharePpm), BigInt(wholePpm));
  let leftWh = toNumber(limit);
  for (const claim of old) leftWh -= count(claim, leftWh);
  const countedOldWh = toNumber(limit) - leftWh;
  const countedWh = countedYoungWh + countedOldWh;
  const sharePpm = shareDown(BigInt(countedWh), BigInt(consumptionWh));
  return {
    claimedWh: total(of.claims, energyOf),
    consumptionWh,
    countedOldWh,
    countedWh,
    exclusions: excluded.list(),
    ...(sharePpm !== undefined && { sharePpm }),
  };
}

function byGeneration(a: Claim, b: Claim): number {
  return a.generationHour - b.generationHour || compareAscii(a.series, b.series) || a.from - b.from;
}

function ineligibility(
  claim: Claim,
  { source }: PlantFacts,
  { marketOf, sources, vintage }: AnnualTerms,
): ExclusionReason | undefined {
  const { generationHour, generationZone, zone } = claim;
  if (isExpired(claim.cancelledAt, claim.expiresAt)) return 'expired';
  if (sources !== undefined && !sources.has(source)) return 'source';
  const isSameMarket =
    (marketOf.get(generationZone) ?? generationZone) === (marketOf.get(zone) ?? zone);
  if (!isSameMarket) return 'market';
  const isWithin = generationHour >= vintage.from && generationHour + hourSeconds <= vintage.to;
  return isWithin ? undefined : 'vintage';
}

/** An hour in whose course the plant becomes too old is generated by an old plant. */
function isOld(
  { generationHour, procurement }: Claim,
  { commissionedAt, repoweredAt }: PlantFacts,
  { ageYears }: AnnualTerms,
): boolean {
  if (anyAge.has(procurement)) return false;
  const since = Math.max(commissionedAt, repoweredAt ?? commissionedAt);
  return generationHour + hourSeconds > yearsLater(since, ageYears);
}

function exclusions(): {
  readonly add: (
    market: string,
    claim: Claim,
    excluded: { readonly reason: ExclusionReason; readonly wh: number },
  ) => void;
  readonly list: () => readonly Exclusion[];
} {
  const sums = new Map<string, Exclusion>();
  return {
    add(market, { procurement, series }, { reason, wh }) {
      const key = [market, series, procurement, reason].join(' ');
      const before = sums.get(key)?.wh ?? 0;
      sums.set(key, { market, procurement, reason, series, wh: add(before, wh) });
    },
    list: () => [...sums].sort(([a], [b]) => compareAscii(a, b)).map(([, sum]) => sum),
  };
}
