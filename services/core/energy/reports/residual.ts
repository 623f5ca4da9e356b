import { Refused } from '../../errors.ts';
import { divideUp, toNumber } from '../exact.ts';

/** What a zone generated and emitted, and what of it somebody claimed with certificates. */
export interface ZoneTotals {
  readonly claimedEmissionsG: number;
  readonly claimedWh: number;
  readonly emissionsG: number;
  /** kWh, as statistics give it: a large country's year is beyond 2^53 Wh. */
  readonly generationKwh: number;
}

/**
 * Residual factor of a zone in mg per kWh, (E_total - E_claimed) / (G_total - G_claimed) (D4.5), rounded
 * up. Refused('residual') where more is claimed than there is, or nothing is left.
 */
export function residualFactor(zone: ZoneTotals): number {
  const grams = BigInt(zone.emissionsG) - BigInt(zone.claimedEmissionsG);
  const wh = BigInt(zone.generationKwh) * 1000n - BigInt(zone.claimedWh);
  if (grams < 0n) throw new Refused('residual', 'claims carry more emissions than the zone has');
  if (wh <= 0n) throw new Refused('residual', 'claims leave no generation');
  return toNumber(divideUp(grams * 1_000_000n, wh));
}
