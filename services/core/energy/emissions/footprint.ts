import { Refused } from '../../errors.ts';
import { add, divideUp, toNumber } from '../exact.ts';
import { gramsUp, microgramsOf } from '../mass.ts';
import type { Factor } from '../reports/scope2.ts';

/**
 * What a facility emitted for each unit that it made: its own emissions and those of the electricity it
 * took, less what claimed certificates stand for (market-based). What is emitted is rounded up.
 */
export interface Footprint {
  readonly claimedWh: number;
  readonly consumptionWh: number;
  /** Own emissions: of the facility's emission records. */
  readonly directG: number;
  /** Of the electricity that no claim covers, and of claimed certificates. */
  readonly electricityG: number;
  readonly factors: { readonly certificate?: Factor; readonly residual?: Factor };
  readonly output: Output;
  /** Milligrams for each unit, rounded up. */
  readonly perUnitMg: number;
  readonly totalG: number;
}

/** What was made: `quantity` thousandths of a unit, so that 12.5 t are 12500 of `t`. */
export interface Output {
  readonly milliUnits: number;
  readonly unit: string;
}

export interface FootprintQuestion {
  readonly directG: number;
  readonly consumptionWh: number;
  readonly claimedWh: number;
  /** Of what no claim covers; needed unless claims cover all. */
  readonly residual?: Factor;
  /** Of claimed certificates; absent where they stand for none. */
  readonly certificate?: Factor;
  readonly output: Output;
}

/**
 * Refused: `claimed` where claims exceed the consumption, `factor` without one for what no claim covers,
 * `output` where nothing was made, `overflow`.
 */
export function footprint(question: FootprintQuestion): Footprint {
  const { directG, consumptionWh, claimedWh, residual, certificate, output } = question;
  const openWh = consumptionWh - claimedWh;
  if (openWh < 0) throw new Refused('claimed', `claims exceed the consumption by ${-openWh} Wh`);
  if (openWh > 0 && residual === undefined) {
    throw new Refused('factor', `no factor for ${openWh} Wh that no claim covers`);
  }
  if (output.milliUnits <= 0) throw new Refused('output', 'nothing was made');
  const electricityG = gramsUp(
    microgramsOf(openWh, residual?.mgPerKwh ?? 0) +
      microgramsOf(claimedWh, certificate?.mgPerKwh ?? 0),
  );
  const totalG = add(directG, electricityG);
  return {
    claimedWh,
    consumptionWh,
    directG,
    electricityG,
    factors: {
      ...(certificate !== undefined && { certificate }),
      ...(residual !== undefined && openWh > 0 && { residual }),
    },
    output,
    perUnitMg: toNumber(divideUp(BigInt(totalG) * 1_000_000n, BigInt(output.milliUnits))),
    totalG,
  };
}
