import { Refused } from '../../errors.ts';
import { toNumber } from '../exact.ts';
import { gramsUp, microgramsOf } from '../mass.ts';
import type { Consumption } from '../matching/question.ts';
import { energyOf, type Claim } from './claim.ts';

/** What a kilowatt-hour of a zone and hour is asked for; `residual` leaves out what others claimed. */
export type FactorQuestion =
  | { readonly scope: 'location' | 'residual'; readonly zone: string; readonly hour: number }
  | { readonly scope: 'certificate'; readonly series: string; readonly hour: number };

/** A factor in mg per kWh, and the version of the set that it is from. */
export interface Factor {
  readonly mgPerKwh: number;
  readonly set: string;
  readonly version: string;
}

export interface FactorVersion {
  readonly set: string;
  readonly version: string;
}

export interface Scope2 {
  readonly consumptionWh: number;
  /** Every version that a figure rests on, by set and version. */
  readonly factors: readonly FactorVersion[];
  readonly locationBasedG: number;
  readonly marketBasedG: number;
  /** What of the consumption certificates stand for. */
  readonly matchedWh: number;
}

/**
 * Scope 2 (D4.5), both ways always, rounded up once each: location-based `sum(C_h * EF_grid)`, and
 * market-based `sum(matched * EF_certificate) + sum(unmatched * EF_residual)`. With matching `hourly`
 * only claims on generation of the same zone and hour count as matched, the rest is residual; with
 * `annual` every claim counts. `factorOf` may know a factor by the hour or by the year.
 *
 * Refused: `factor` where none is known, `double` for two values of a point and hour, `claimed` where
 * claims exceed what the point took in the hour, or name a point and hour that is not there.
 */
export function scope2(of: {
  readonly claims: readonly Claim[];
  readonly consumption: readonly Consumption[];
  readonly factorOf: (question: FactorQuestion) => Factor | undefined;
  readonly matching: 'annual' | 'hourly';
}): Scope2 {
  const used = new Map<string, Set<string>>();
  const emitted = (wh: number, question: FactorQuestion): bigint => {
    if (wh === 0) return 0n;
    const factor = of.factorOf(question);
    if (factor === undefined) throw new Refused('factor', `no factor for ${describe(question)}`);
    const versions = used.get(factor.set) ?? new Set();
    used.set(factor.set, versions.add(factor.version));
    return microgramsOf(wh, factor.mgPerKwh);
  };
  const left = new Map<string, Map<number, number>>();
  let [location, market, consumed, matched] = [0n, 0n, 0n, 0n];
  for (const { hour, point, wh, zone } of of.consumption) {
    const hours = left.get(point) ?? new Map<number, number>();
    left.set(point, hours);
    if (hours.has(hour))
      throw new Refused('double', `${point} has two values for the hour ${hour}`);
    hours.set(hour, wh);
    consumed += BigInt(wh);
    location += emitted(wh, { scope: 'location', zone, hour });
  }
  for (const claim of of.claims) {
    if (of.matching === 'hourly' && !isSameHour(claim)) continue;
    const { series, generationHour, hour, point } = claim;
    const wh = energyOf(claim);
    const hours = left.get(point);
    const open = (hours?.get(hour) ?? 0) - wh;
    if (hours === undefined || open < 0) {
      throw new Refused('claimed', `${point}, hour ${hour}: claims exceed it by ${-open} Wh`);
    }
    hours.set(hour, open);
    matched += BigInt(wh);
    market += emitted(wh, { scope: 'certificate', series, hour: generationHour });
  }
  for (const { hour, point, zone } of of.consumption) {
    market += emitted(left.get(point)?.get(hour) ?? 0, { scope: 'residual', zone, hour });
  }
  return {
    consumptionWh: toNumber(consumed),
    factors: [...used]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .flatMap(([set, versions]) => [...versions].sort().map((version) => ({ set, version }))),
    locationBasedG: gramsUp(location),
    marketBasedG: gramsUp(market),
    matchedWh: toNumber(matched),
  };
}

export function isSameHour(claim: Claim): boolean {
  return claim.generationHour === claim.hour && claim.generationZone === claim.zone;
}

function describe(question: FactorQuestion): string {
  const of = question.scope === 'certificate' ? question.series : question.zone;
  return `${question.scope} of ${of} in the hour ${question.hour}`;
}
