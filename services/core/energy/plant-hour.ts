import { Refused } from '../errors.ts';
import { hourSeconds } from './hours.ts';
import { computeMeterHour, type MeterEvidence, type MeterHour } from './meter-hour.ts';
import type { Quality, Units } from './meter-hour.ts';
import { countingRegisters, isWithinCapacity, maxUnits, ownValue } from './register.ts';
import type { Capacity, MeterSpec } from './register.ts';
import type { Verdict } from './verdicts.ts';

export interface HourQuestion extends Capacity {
  /** Start of a UTC hour, Unix seconds. */
  readonly start: number;
  /** Every meter of the plant that has begun and not ended, silent ones too. */
  readonly meters: readonly MeterEvidence[];
}

/** What combining needs of a meter: a `MeterHour` and a parsed meter record both have it. */
export interface MeterFigures {
  readonly meter: string;
  readonly energy: Units;
  readonly reported?: Units | undefined;
  readonly quality: Quality;
}

/** A plant's hour in Wh and g (D4.2). */
export interface PlantFigures {
  /** 0 while disputed: issues nothing more, and moves nothing already issued (D4.2). */
  readonly generationWh: number;
  /** What claims may rest on: inside the hour. Present where the plant has consumption meters; 0 while disputed. */
  readonly consumptionWh?: number;
  /** What reports state: the widened interval. Absent while a side is missing, or disputed. */
  readonly reportedConsumptionWh?: number;
  /** Absent without registers of mass, while a side is missing, or disputed. */
  readonly co2G?: number;
  /**
   * What an emission monitor says of itself, beside `co2G` alone and both or neither: the greatest
   * `operatingS` and the smallest `validS` of the meters that weigh, so that none hides another's gap.
   */
  readonly operatingS?: number;
  readonly validS?: number;
  readonly quality: Quality;
  readonly issues: boolean;
  /** Of the plant alone, sorted: `capacity`, `storage`, `unbounded`. */
  readonly plantVerdicts: readonly Verdict[];
}

export interface PlantHour extends PlantFigures {
  readonly meters: readonly MeterHour[];
  /** Of the plant and of its meters but `check` ones, sorted. */
  readonly verdicts: readonly Verdict[];
}

/** What a plant's hour is worth as far as the evidence goes (D4.2); never more than what is true. */
export function computePlantHour(question: HourQuestion): PlantHour {
  const meters = question.meters.map((evidence) =>
    computeMeterHour(evidence, question.start, question),
  );
  const specs = question.meters.map(({ spec }) => spec);
  const figures = combineMeters(meters, specs, question);
  const verdicts = new Set(figures.plantVerdicts);
  for (const { role, verdicts: own } of meters) {
    if (role !== 'check') for (const verdict of own) verdicts.add(verdict);
  }
  return { ...figures, meters, verdicts: [...verdicts].sort() };
}

/** Sums as they are met; exact, so that no meter can make them wrap. */
interface Totals {
  addedWh: bigint;
  subtractedWh: bigint;
  consumedWh: bigint;
  reportedWh: bigint;
  co2G: bigint;
  /** Of the meters that weigh, as `PlantFigures` has them. */
  operatingS: bigint | undefined;
  validS: bigint | undefined;
  /** Something to subtract, to report or to weigh is not known in full. */
  isOpen: { subtracted: boolean; reported: boolean; co2: boolean; seconds: boolean };
  has: { consumption: boolean; co2: boolean; storage: boolean };
}

/**
 * Combines meters to the plant's figures. The ledger combines what it measured and a verifier what
 * meter records state, by this one function. Refused('meters') unless `meters` and `specs` name the
 * same meters, each once.
 */
export function combineMeters(
  meters: readonly MeterFigures[],
  specs: readonly MeterSpec[],
  capacity: Capacity,
): PlantFigures {
  const totals = emptyTotals();
  const qualities = new Set<Quality>();
  for (const [spec, figures] of pairUp(specs, meters)) {
    if (spec.role === 'check') continue;
    addMeter(totals, spec, figures);
    qualities.add(figures.quality);
  }
  const verdicts = new Set<Verdict>();
  const isTooMuch = [totals.addedWh, totals.consumedWh].some(
    (energyWh) => energyWh > maxUnits || !isWithinCapacity(energyWh, hourSeconds, capacity),
  );
  if (isTooMuch) verdicts.add('capacity');
  const isDisputed = isTooMuch || qualities.has('disputed');
  const isMeasured = qualities.size === 1 && qualities.has('measured');
  if (totals.isOpen.subtracted) verdicts.add('unbounded');
  if (totals.has.storage) verdicts.add('storage');
  const mayIssue = !isDisputed && !totals.isOpen.subtracted && !totals.has.storage;
  const net = totals.addedWh - totals.subtractedWh;
  const generationWh = mayIssue && net > 0n ? Number(net) : 0;
  const reportedConsumptionWh = known(totals.reportedWh, isDisputed || totals.isOpen.reported);
  const co2G = known(totals.co2G, isDisputed || totals.isOpen.co2);
  return {
    generationWh,
    ...(totals.has.consumption && { consumptionWh: isDisputed ? 0 : Number(totals.consumedWh) }),
    ...(totals.has.consumption && reportedConsumptionWh !== undefined && { reportedConsumptionWh }),
    ...(totals.has.co2 && co2G !== undefined && { co2G, ...secondsIn(totals) }),
    quality: isDisputed ? 'disputed' : isMeasured ? 'measured' : 'partial',
    issues: generationWh > 0,
    plantVerdicts: [...verdicts].sort(),
  };
}

/** A figure that reports state; one that no longer is a safe integer says nothing either. */
function known(units: bigint, isOpen: boolean): number | undefined {
  const value = Number(units);
  return isOpen || !Number.isSafeInteger(value) ? undefined : value;
}

function emptyTotals(): Totals {
  return {
    addedWh: 0n,
    subtractedWh: 0n,
    consumedWh: 0n,
    reportedWh: 0n,
    co2G: 0n,
    operatingS: undefined,
    validS: undefined,
    isOpen: { subtracted: false, reported: false, co2: false, seconds: false },
    has: { consumption: false, co2: false, storage: false },
  };
}

function pairUp(
  specs: readonly MeterSpec[],
  meters: readonly MeterFigures[],
): (readonly [MeterSpec, MeterFigures])[] {
  const byMeter = new Map(meters.map((figures) => [figures.meter, figures]));
  if (specs.length !== meters.length || byMeter.size !== meters.length) {
    throw new Refused('meters', `${meters.length} meters where the plant has ${specs.length}`);
  }
  return specs.map((spec) => {
    const figures = byMeter.get(spec.meter);
    if (figures === undefined) throw new Refused('meters', `nothing of meter ${spec.meter}`);
    return [spec, figures] as const;
  });
}

function addMeter(totals: Totals, spec: MeterSpec, { energy, reported }: MeterFigures): void {
  const { role } = spec;
  if (role === 'storage') {
    totals.has.storage = true;
    return;
  }
  const counting = countingRegisters(spec);
  // An auxiliary meter without a register to subtract would hide what the plant takes itself.
  if (role === 'auxiliary' && counting.length === 0) totals.isOpen.subtracted = true;
  if (role === 'consumption') totals.has.consumption = true;
  if (counting.some(({ unit }) => unit === 'g')) addSeconds(totals, spec, energy);
  for (const { name, unit, interval } of counting) {
    const units = unitsIn(energy, name);
    if (unit === 'g') {
      totals.has.co2 = true;
      if (units === undefined) totals.isOpen.co2 = true;
      totals.co2G += units ?? 0n;
    } else if (unit === 'Wh' && interval === 'inside') {
      totals.addedWh += units ?? 0n;
    } else if (unit === 'Wh' && interval === 'widened') {
      if (units === undefined) totals.isOpen.subtracted = true;
      totals.subtractedWh += units ?? 0n;
    } else if (unit === 'Wh') {
      const widened = unitsIn(reported ?? {}, name);
      if (widened === undefined) totals.isOpen.reported = true;
      totals.consumedWh += units ?? 0n;
      totals.reportedWh += widened ?? 0n;
    }
  }
}

/** Registers are known by their usual names, and count in seconds. */
function addSeconds(totals: Totals, spec: MeterSpec, energy: Units): void {
  const secondsOf = (name: string): bigint | undefined =>
    ownValue(spec.registers, name)?.unit === 's' ? unitsIn(energy, name) : undefined;
  const [operating, valid] = [secondsOf('operatingS'), secondsOf('validS')];
  if (operating === undefined || valid === undefined) {
    totals.isOpen.seconds = true;
    return;
  }
  const { operatingS = operating, validS = valid } = totals;
  totals.operatingS = operating > operatingS ? operating : operatingS;
  totals.validS = valid < validS ? valid : validS;
}

function secondsIn({
  operatingS,
  validS,
  isOpen,
}: Totals): Pick<PlantFigures, 'operatingS' | 'validS'> {
  if (isOpen.seconds || operatingS === undefined || validS === undefined) return {};
  // Each is the units of one register, which a record holds as a safe integer.
  return { operatingS: Number(operatingS), validS: Number(validS) };
}

function unitsIn(units: Units, name: string): bigint | undefined {
  const value = ownValue(units, name);
  return value === undefined ? undefined : BigInt(value);
}
