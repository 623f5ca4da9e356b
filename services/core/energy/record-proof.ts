import { Refused } from '../errors.ts';
import type { Reading } from './message.ts';
import { spanOf, type Units } from './meter-hour.ts';
import type { MeterRecord, RecordEnd, RecordSegment } from './meter-record.ts';
import { countingRegisters, invalidFor, isRollover, maxUnits, ownValue } from './register.ts';
import { stepsBetween, unitsOf, type Capacity, type CountingRegister } from './register.ts';
import type { MeterSpec, Value } from './register.ts';
import { isWithin, type Span } from './segment.ts';

export interface RecordContext extends Capacity {
  /** The meter as its entry names it at the hour. */
  readonly spec: MeterSpec;
  /** Of a meter that has ended. */
  readonly endsAt?: number | undefined;
  /**
   * What the evidence says at an end of a segment: the reading with the end's `t` in the message at
   * its leaf, or of the entry of an exchange or an end its closing values as `last`, its opening
   * values as `first`.
   * The caller has checked that the evidence is in its root and signed. Throws Refused if it has none.
   */
  readonly readingAt: (
    end: RecordEnd,
    side: 'first' | 'last',
  ) => Pick<Reading, 't' | 'registers' | 'clock' | 'status'>;
}

/**
 * Step 7 of a proof (D3.5): a meter record's energy is exactly what its segments prove, and its
 * segments are what the readings at their ends say. Readings between the ends are not needed: that
 * nothing contradicts them is for auditors, who have the batch. Throws Refused('energy').
 */
export function checkMeterRecord(meterRecord: MeterRecord, context: RecordContext): void {
  const { spec } = context;
  if (meterRecord.meter !== spec.meter || meterRecord.role !== spec.role) {
    refuse('another meter than its entry names');
  }
  const span = spanOf(meterRecord.start, context.endsAt);
  const counting = countingRegisters(spec);
  for (const segment of meterRecord.segments) checkEnds(segment, counting, context);

  const energy: Record<string, number> = {};
  const reported: Record<string, number> = {};
  for (const register of counting) {
    const { name, interval } = register;
    const chain = chainOf(meterRecord, register);
    const inside = chain.filter((link) => isWithin(link, span));
    const isWhole = isContinuous(chain) && covers(chain, span);
    if (interval !== 'widened') energy[name] = unitsIn(inside, register);
    else if (chain.length > 0) energy[name] = unitsIn(chain, register);
    // Without its widened interval, a register that has both proves only what lies inside the hour.
    const isReported =
      interval === 'both' && ownValue(meterRecord.reported ?? {}, name) !== undefined;
    if (isReported) reported[name] = unitsIn(chain, register);
    const mustSpan = isReported || (interval === 'widened' && chain.length > 0);
    if (mustSpan && !isWhole) refuse(`${name}: does not span the hour`);
    if (!mustSpan && inside.length < chain.length) refuse(`${name}: a segment beyond the hour`);
    if (!isContinuous(inside) && !meterRecord.verdicts.includes('break')) {
      refuse(`${name}: segments with a gap that no verdict names`);
    }
    if (register.primary && meterRecord.quality === 'measured' && !isExact(inside, span)) {
      refuse(`${name}: called measured without both boundaries`);
    }
  }
  requireSame(meterRecord.energy, energy);
  if (meterRecord.role === 'consumption') requireSame(meterRecord.reported ?? {}, reported);
  else if (meterRecord.reported !== undefined) refuse('reported, of a meter that consumes nothing');
}

function refuse(reason: string): never {
  throw new Refused('energy', reason);
}

/** Both ends of a segment say what the evidence says, for registers that count at that reading. */
function checkEnds(
  { first, last, rollover }: RecordSegment,
  counting: readonly CountingRegister[],
  context: RecordContext,
): void {
  for (const name of Object.keys(first.registers)) {
    const register = counting.find((candidate) => candidate.name === name);
    if (register === undefined) refuse(`${name}: not a register that counts`);
    const ends = { first, last };
    const value = (side: 'first' | 'last'): Value => {
      const end = ends[side];
      const stated = ownValue(end.registers, name);
      const reading = context.readingAt(end, side);
      if (reading.t !== end.t || ownValue(reading.registers, name) !== stated) {
        refuse(`${name}: not the value of the ${side} reading`);
      }
      const invalid = 'entry' in end ? undefined : invalidFor(register, counting)(reading);
      if (invalid !== undefined) refuse(`${name}: the ${side} reading is not valid (${invalid})`);
      return { t: end.t, value: stated ?? 0 };
    };
    const [from, to] = [value('first'), value('last')];
    const isTurned = isRollover(from, to, { register, capacity: context });
    if (rollover === true ? !isTurned : to.value < from.value) {
      refuse(`${name}: falls without a rollover within capacity, or turns over without falling`);
    }
  }
}

/** A register's part of a segment; `isEntry` where the end is an exchange. */
interface Link {
  readonly first: Value & { readonly isEntry: boolean };
  readonly last: Value & { readonly isEntry: boolean };
}

/** The segments of one register in the order of time. None may overlap, or energy would count twice. */
function chainOf({ segments }: MeterRecord, { name }: CountingRegister): Link[] {
  const chain: Link[] = [];
  for (const { first, last } of segments) {
    const from = ownValue(first.registers, name);
    const to = ownValue(last.registers, name);
    if (from === undefined || to === undefined) continue;
    const before = chain.at(-1);
    if (before !== undefined && first.t < before.last.t) refuse(`${name}: segments overlap`);
    chain.push({
      first: { t: first.t, value: from, isEntry: 'entry' in first },
      last: { t: last.t, value: to, isEntry: 'entry' in last },
    });
  }
  return chain;
}

/** Each link begins where the one before ended: at the same value, or at an exchange. */
function isContinuous(chain: readonly Link[]): boolean {
  return chain.every(({ first }, i) => {
    const before = chain[i - 1]?.last;
    if (before === undefined) return true;
    const isExchange = before.isEntry && first.isEntry;
    return before.t === first.t && (isExchange || before.value === first.value);
  });
}

function covers(chain: readonly Link[], { start, end }: Span): boolean {
  const [first, last] = [chain[0]?.first, chain.at(-1)?.last];
  return first !== undefined && last !== undefined && first.t <= start && last.t >= end;
}

function isExact(inside: readonly Link[], span: Span): boolean {
  return isContinuous(inside) && covers(inside, span);
}

function unitsIn(chain: readonly Link[], register: CountingRegister): number {
  let steps = 0n;
  for (const { first, last } of chain) steps += BigInt(stepsBetween(first, last, register));
  const units = unitsOf(steps, register);
  if (units > maxUnits) refuse(`${register.name}: beyond what an integer holds`);
  return Number(units);
}

function requireSame(stated: Units, proved: Units): void {
  const names = Object.keys(proved);
  if (Object.keys(stated).length !== names.length) refuse('other registers than are proved');
  for (const name of names) {
    const [says, proves] = [ownValue(stated, name), ownValue(proved, name)];
    if (says !== proves) refuse(`${name}: states ${says ?? 'nothing'}, proved are ${proves ?? 0}`);
  }
}
