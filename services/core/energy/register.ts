import { isTrustworthy, type Reading } from './message.ts';
import { hourSeconds } from './hours.ts';

export type Role = 'production' | 'auxiliary' | 'consumption' | 'storage' | 'emission' | 'check';

/** What a meter's entry says of one register name (D3.3 `meter`). */
export interface RegisterSpec {
  readonly unit: 'Wh' | 'g' | 's';
  readonly direction: 'export' | 'import' | 'none';
  /** Register steps to units, >= 1; absent means 1. */
  readonly multiplier?: number | undefined;
  /** 1 … 15: the register turns over at 10^digits. Absent: it never does. */
  readonly digits?: number | undefined;
  readonly obis?: string | undefined;
}

export interface MeterSpec {
  readonly meter: string;
  readonly role: Role;
  readonly registers: Readonly<Record<string, RegisterSpec>>;
}

/** What the plant can do (D4.2): `capacityPpm` is the tolerance in `rules`, 1.1 when absent. */
export interface Capacity {
  readonly capacityW: number;
  readonly capacityPpm?: number | undefined;
}

/**
 * How a register's difference is measured (D4.2): `inside` for what is added, `widened` for what is
 * subtracted or reported, `both` where a claim rests on one and a report on the other.
 */
export type Interval = 'inside' | 'widened' | 'both';

/** One register that counts, with the name that readings give it. */
export interface CountingRegister extends RegisterSpec {
  readonly name: string;
  readonly interval: Interval;
  /** Quality and completeness ask for it. What a production meter merely reports does not delay it. */
  readonly primary: boolean;
}

/** The registers of a meter that count, by name; the rest (direction `none`, say) are never looked at. */
export function countingRegisters(spec: MeterSpec): readonly CountingRegister[] {
  let counting = countingOf.get(spec);
  if (counting === undefined) {
    counting = findCounting(spec);
    countingOf.set(spec, counting);
  }
  return counting;
}

/** A meter's entry never changes, and every message and hour of the meter asks. */
const countingOf = new WeakMap<MeterSpec, readonly CountingRegister[]>();

function findCounting(spec: MeterSpec): readonly CountingRegister[] {
  const counting: CountingRegister[] = [];
  for (const name of Object.keys(spec.registers).sort()) {
    const register = spec.registers[name];
    if (register === undefined) continue;
    const use = useOf(spec.role, register);
    if (use !== undefined) counting.push({ ...register, ...use, name });
  }
  return counting;
}

function useOf(
  role: Role,
  { unit, direction }: RegisterSpec,
): Pick<CountingRegister, 'interval' | 'primary'> | undefined {
  if (unit !== 'Wh') {
    if (role === 'emission') return { interval: 'widened', primary: unit === 'g' };
    return role === 'production' ? { interval: 'widened', primary: false } : undefined;
  }
  switch (role) {
    case 'production':
    case 'storage':
    case 'check':
      if (direction === 'none') return undefined;
      return { interval: direction === 'export' ? 'inside' : 'widened', primary: true };
    case 'auxiliary':
      return direction === 'import' ? { interval: 'widened', primary: true } : undefined;
    case 'consumption':
      return direction === 'import' ? { interval: 'both', primary: true } : undefined;
    case 'emission':
      return undefined;
  }
}

/** Why a reading does not count for a register, or undefined when it is valid for it (D4.2). */
export type Invalid = 'clock' | 'status' | 'register';

type Judged = Pick<Reading, 'clock' | 'status' | 'registers'>;

/**
 * Whether a reading counts for `register`. Where a meter has registers to add and to subtract, a
 * reading must carry them all: leaving out the import must not leave the export standing.
 */
export function invalidFor(
  register: CountingRegister,
  counting: readonly CountingRegister[],
): (reading: Judged) => Invalid | undefined {
  const needed = [register.name];
  const primary = counting.filter((other) => other.primary);
  const intervals = new Set(primary.map((other) => other.interval));
  if (register.primary && intervals.has('inside') && intervals.has('widened')) {
    needed.push(...primary.map((other) => other.name));
  }
  return (reading) => untrustworthy(reading) ?? (holds(reading, needed) ? undefined : 'register');
}

function untrustworthy(reading: Judged): Invalid | undefined {
  if (isTrustworthy(reading)) return undefined;
  return reading.clock === 'unsynced' ? 'clock' : 'status';
}

function holds({ registers }: Judged, names: readonly string[]): boolean {
  return names.every((name) => Object.hasOwn(registers, name));
}

/** The instants of the readings that are valid for every primary register: B of D4.3 needs one. */
export function validInstants(spec: MeterSpec, readings: readonly Reading[]): readonly number[] {
  const primary = countingRegisters(spec)
    .filter((register) => register.primary)
    .map((register) => register.name);
  return readings
    .filter((reading) => untrustworthy(reading) === undefined && holds(reading, primary))
    .map((reading) => reading.t);
}

/** D3: integers with |n| <= 2^53 - 1. Sums are taken as bigint and compared with this. */
export const maxUnits = BigInt(Number.MAX_SAFE_INTEGER);

/** Units (Wh, g, s) of a difference of register steps; exact, so that it may exceed 2^53. */
export function unitsOf(steps: bigint, { multiplier = 1 }: RegisterSpec): bigint {
  return steps * BigInt(multiplier);
}

/** A member by a name that is data: `constructor` is a fine name for a register. */
export function ownValue<T>(values: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(values, name) ? values[name] : undefined;
}

/** A value of a register at an instant. */
export interface Value {
  readonly t: number;
  readonly value: number;
}

/** Steps from one value to a later one: past zero by way of 10^digits if the later one is smaller. */
export function stepsBetween(from: Value, to: Value, { digits }: RegisterSpec): number {
  if (to.value >= from.value || digits === undefined) return to.value - from.value;
  return to.value + 10 ** digits - from.value;
}

/**
 * Whether the register, in what time lies between, can have grown by `steps`: energy is held to the
 * plant's capacity and seconds to the clock. Two readings whose steps are coarse may show up to one
 * step more than ran through. Mass has no such limit, so no rollover of it is believed.
 */
function isPossible(
  steps: number,
  elapsedS: number,
  { register, capacity }: { register: RegisterSpec; capacity: Capacity },
): boolean {
  const units = unitsOf(BigInt(steps) - 1n, register);
  if (register.unit === 'Wh') return isWithinCapacity(units, elapsedS, capacity);
  return register.unit === 's' && units <= BigInt(elapsedS);
}

/** Whether `energyWh` in `elapsedS` seconds stays within capacityW * capacityPpm / 10^6. */
export function isWithinCapacity(
  energyWh: bigint,
  elapsedS: number,
  { capacityW, capacityPpm = 1_100_000 }: Capacity,
): boolean {
  const allowed = BigInt(capacityW) * BigInt(capacityPpm) * BigInt(elapsedS);
  return energyWh * 1_000_000n * BigInt(hourSeconds) <= allowed;
}

/** Whether a fall from `from` to `to` is a rollover that may be booked: within capacity, or it is a reset. */
export function isRollover(
  from: Value,
  to: Value,
  rule: { register: RegisterSpec; capacity: Capacity },
): boolean {
  const { digits } = rule.register;
  if (digits === undefined || from.value >= 10 ** digits || to.value >= from.value) return false;
  return isPossible(stepsBetween(from, to, rule.register), to.t - from.t, rule);
}

/**
 * Whether, between two readings, the register can have turned over once more than they show. What is
 * added may be booked too low, never what is subtracted.
 */
export function mayHideTurn(
  from: Value,
  to: Value,
  rule: { register: RegisterSpec; capacity: Capacity },
): boolean {
  const { digits } = rule.register;
  if (digits === undefined) return false;
  const steps = stepsBetween(from, to, rule.register) + 10 ** digits;
  return isPossible(steps, to.t - from.t, rule);
}
