import type { Units } from '../meter-hour.ts';
import type { Reading } from '../message.ts';
import { isTrustworthy } from '../message.ts';
import { ownValue, unitsOf, type MeterSpec, type RegisterSpec } from '../register.ts';
import type { Verdict } from '../verdicts.ts';
import type { Place } from './sun.ts';
import type { Thresholds } from './thresholds.ts';

/** What a meter record says, as far as validation asks (D3.2). */
export interface RecordSaid {
  readonly energy: Units;
  readonly quality: 'measured' | 'partial' | 'disputed';
  readonly verdicts: readonly Verdict[];
}

/** All that is known of a meter for one hour that was sealed. */
export interface MeterQuestion {
  readonly spec: MeterSpec & { readonly point?: string | undefined };
  readonly record: RecordSaid;
  /** With start <= t <= end, ascending in `t`, each `t` once; those that do not count too. */
  readonly readings: readonly Reading[];
  /** Messages whose readings lie in the hour and were quarantined as `future` or `order`. */
  readonly quarantined: number;
  /** The last trustworthy reading at or before the end less `stuckS`, and less `zeroS`. */
  readonly before: { readonly stuck?: Reading | undefined; readonly zero?: Reading | undefined };
  /** Of the last hour of a UTC day of which all are sealed: what each says, and the readings at both turns. */
  readonly day?:
    | {
        readonly hours: readonly RecordSaid[];
        readonly first: Reading;
        readonly last: Reading;
      }
    | undefined;
}

export interface HourContext {
  readonly start: number;
  readonly capacityW: number;
  readonly isSolar: boolean;
  readonly place: Place;
  readonly thresholds: Thresholds;
}

/** Verdicts after which a difference of two values is no energy. */
const cuts: ReadonlySet<Verdict> = new Set(['break', 'exchange', 'monotonic', 'reset', 'rollover']);

export function isCut({ verdicts }: Pick<RecordSaid, 'verdicts'>): boolean {
  return verdicts.some((verdict) => cuts.has(verdict));
}

export interface NamedRegister extends RegisterSpec {
  readonly name: string;
}

/** The registers of energy of a meter, of one direction or of both. */
export function energyRegisters(
  { registers }: MeterSpec,
  direction?: 'export' | 'import',
): readonly NamedRegister[] {
  return Object.entries(registers).flatMap(([name, register]) => {
    const isMeant = register.direction === direction || direction === undefined;
    return register.unit === 'Wh' && isMeant && register.direction !== 'none'
      ? [{ ...register, name }]
      : [];
  });
}

/** The readings that count for energy and hold all of these registers. */
export function trustedReadings(
  readings: readonly Reading[],
  registers: readonly NamedRegister[],
): readonly Reading[] {
  return readings.filter(
    (reading) =>
      isTrustworthy(reading) &&
      registers.every(({ name }) => Object.hasOwn(reading.registers, name)),
  );
}

/** Units from one reading to a later one; undefined where the register fell or is not there. */
export function grown(from: Reading, to: Reading, register: NamedRegister): bigint | undefined {
  const [first, last] = [from, to].map(({ registers }) => ownValue(registers, register.name));
  if (first === undefined || last === undefined || last < first) return undefined;
  return unitsOf(BigInt(last) - BigInt(first), register);
}

/** One step of a coarse register in units: so much two readings may show too much. */
export function stepOf({ multiplier = 1 }: RegisterSpec): bigint {
  return BigInt(multiplier);
}

/** For people: what no safe integer holds says only that it is too much. */
export function shown(value: bigint): number {
  return Number(value > maxShown ? maxShown : value);
}
const maxShown = BigInt(Number.MAX_SAFE_INTEGER);

const ppm = 1_000_000n;

/** A share of an amount, floored. */
export function shareOf(amount: bigint, partsPerMillion: number): bigint {
  return (amount * BigInt(partsPerMillion)) / ppm;
}
