import { hourSeconds, requireHourStart } from './hours.ts';
import { countingRegisters, invalidFor, isWithinCapacity, maxUnits, unitsOf } from './register.ts';
import type { Capacity, CountingRegister, Invalid, MeterSpec, Role } from './register.ts';
import { measure, segmentsOf, type Measured, type Segment, type Span } from './segment.ts';
import { buildTimeline, type BreakEvent, type Contradiction, type EndEvent } from './timeline.ts';
import type { ExchangeEvent, HeldReading } from './timeline.ts';
import { disputes, type Verdict } from './verdicts.ts';

/** What is known of a meter: of the hour itself, and of what brackets it on both sides. */
export interface MeterEvidence {
  readonly spec: MeterSpec;
  /** Of accepted messages only, in any order, older and newer ones too; those of the same `t` may repeat. */
  readonly readings: readonly HeldReading[];
  readonly exchanges: readonly ExchangeEvent[];
  readonly breaks: readonly BreakEvent[];
  /** What the meter says after it counts for nothing. */
  readonly end?: EndEvent | undefined;
  /** An open dispute of an earlier look: `t` of its last agreed reading. */
  readonly disputedFrom?: number | undefined;
  /** The readings include some of a frozen (forked) key. */
  readonly frozen?: boolean | undefined;
}

export type Quality = 'measured' | 'partial' | 'disputed';

/** Units (Wh, g, s) by register name. */
export type Units = Readonly<Record<string, number>>;

export interface MeterHour {
  readonly meter: string;
  readonly role: Role;
  readonly segments: readonly Segment[];
  /**
   * By register: what lies inside the hour for what is added, the widened interval for what is
   * subtracted or reported. A register whose widened interval lacks a side is left out.
   */
  readonly energy: Units;
  /** Consumption meters: the widened interval, which reports state; registers as above. */
  readonly reported?: Units;
  readonly quality: Quality;
  /** Sorted. */
  readonly verdicts: readonly Verdict[];
  /** Why the hour is disputed: from the last agreed reading. */
  readonly contradiction?: { readonly fromT: number };
  /** No primary register's widened interval lacks a side. */
  readonly bounded: boolean;
}

/** A meter record may hold this many segments; an honest hour has a handful. */
export const segmentsLimit = 1000;

/**
 * The energy of one meter and hour (D4.2): a pure function of the evidence, whatever order it came
 * in. Evidence can make an hour disputed, but never makes this throw.
 */
export function computeMeterHour(
  evidence: MeterEvidence,
  start: number,
  capacity: Capacity,
): MeterHour {
  const { end } = evidence;
  const span = spanOf(start, end?.t);
  const { meter, role } = evidence.spec;
  const counting = countingRegisters(evidence.spec);
  const verdicts = new Set<Verdict>();
  const contradictions: Contradiction[] = [];
  const measured = new Map<string, Measured>();
  for (const register of counting) {
    const readings = validReadings(evidence, { register, counting, span, verdicts });
    const { exchanges, breaks } = evidence;
    const timeline = buildTimeline({
      name: register.name,
      register,
      capacity,
      readings,
      exchanges,
      breaks: breaks.filter(({ t }) => t <= (end?.t ?? t)),
      end,
    });
    contradictions.push(...timeline.contradictions);
    const result = measure(timeline.points, span, { register, capacity });
    for (const note of result.notes) verdicts.add(note);
    measured.set(register.name, result);
  }

  const touching = contradictions.filter((c) => c.fromT < span.end && c.untilT > span.start);
  if (touching.length > 0) verdicts.add('monotonic');
  if (touching.some((contradiction) => contradiction.kind === 'fall')) verdicts.add('reset');
  if (evidence.frozen === true) verdicts.add('frozen');
  if (evidence.disputedFrom !== undefined && evidence.disputedFrom < span.end) {
    verdicts.add('dispute');
  }

  const figures = figuresOf(counting, measured, { role, capacity, verdicts });
  const primary = counting.filter((register) => register.primary);
  const isExact = primary.length > 0 && primary.every(({ name }) => measured.get(name)?.exact);
  if (!isExact) verdicts.add('gap');
  const bounded =
    primary.length > 0 && primary.every((r) => r.interval === 'inside' || isBounded(figures, r));
  if (!bounded) verdicts.add('unbounded');
  const isDisputed = [...verdicts].some(disputes);
  return {
    meter,
    role,
    ...figures,
    quality: isDisputed ? 'disputed' : isExact ? 'measured' : 'partial',
    verdicts: [...verdicts].sort(),
    bounded,
    ...(touching.length > 0 && {
      contradiction: { fromT: Math.min(...touching.map(({ fromT }) => fromT)) },
    }),
  };
}

/** The hour as far as it concerns a meter: one that ends within it has proved all of it by then. */
export function spanOf(start: number, endsAt = Number.POSITIVE_INFINITY): Span {
  return { start: requireHourStart(start), end: Math.min(start + hourSeconds, endsAt) };
}

/** The readings valid for one register; of those within the hour, the verdicts say what was left out. */
function validReadings(
  { readings, end }: MeterEvidence,
  to: {
    register: CountingRegister;
    counting: readonly CountingRegister[];
    span: { start: number; end: number };
    verdicts: Set<Invalid | Verdict>;
  },
): HeldReading[] {
  const invalid = invalidFor(to.register, to.counting);
  return readings.filter((reading) => {
    if (reading.t > (end?.t ?? reading.t)) return false;
    const reason = invalid(reading);
    if (reason === undefined) return true;
    const isOfHour = reading.t >= to.span.start && reading.t <= to.span.end;
    if (isOfHour && to.register.primary) to.verdicts.add(reason);
    return false;
  });
}

interface Figures {
  readonly segments: readonly Segment[];
  readonly energy: Units;
  readonly reported?: Units;
}

function isBounded({ energy, reported }: Figures, { name, interval }: CountingRegister): boolean {
  return Object.hasOwn((interval === 'both' ? reported : energy) ?? {}, name);
}

/**
 * Units of each register. Figures beyond 2^53, and more segments than a record holds, come only from
 * values that no meter can have: nothing of such a register is asserted.
 */
function figuresOf(
  counting: readonly CountingRegister[],
  measured: ReadonlyMap<string, Measured>,
  to: { role: Role; capacity: Capacity; verdicts: Set<Verdict> },
): Figures {
  const kept = new Map(measured);
  const energy: Record<string, number> = {};
  const reported: Record<string, number> = {};
  let addedUnits = 0n;
  for (const register of counting) {
    const { insideSteps, widenedSteps } = measured.get(register.name) ?? {};
    const inside = insideSteps === undefined ? undefined : unitsOf(insideSteps, register);
    const widened = widenedSteps === undefined ? undefined : unitsOf(widenedSteps, register);
    addedUnits += inside ?? 0n;
    if ((inside ?? 0n) > maxUnits || (widened ?? 0n) > maxUnits) {
      to.verdicts.add('capacity');
      kept.delete(register.name);
      if (inside !== undefined) energy[register.name] = 0;
      continue;
    }
    if (inside !== undefined) energy[register.name] = Number(inside);
    else if (widened !== undefined) energy[register.name] = Number(widened);
    if (register.interval === 'both' && widened !== undefined) {
      reported[register.name] = Number(widened);
    }
  }
  if (to.role !== 'check' && !isWithinCapacity(addedUnits, hourSeconds, to.capacity)) {
    to.verdicts.add('capacity');
  }
  const segments = segmentsOf(kept);
  if (segments.length > segmentsLimit) {
    to.verdicts.add('segments');
    const added = counting.filter((register) => register.interval !== 'widened');
    return {
      segments: [],
      energy: Object.fromEntries(added.map(({ name }) => [name, 0])),
      ...(to.role === 'consumption' && { reported: {} }),
    };
  }
  return { segments, energy, ...(to.role === 'consumption' && { reported }) };
}
