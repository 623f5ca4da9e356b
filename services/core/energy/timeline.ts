import { compareAscii } from '../bytes.ts';
import type { Reading } from './message.ts';
import { isRollover, ownValue } from './register.ts';
import type { Capacity, RegisterSpec, Value } from './register.ts';

/** A reading out of an accepted message, with the key and the number that find the message again. */
export interface HeldReading extends Reading {
  readonly kid: string;
  readonly seq: number;
}

export interface EntryRef {
  readonly index: number;
  readonly leafHash: string;
}

/** An `exchange` entry: the values of the old meter and of the new one at `t`, by register. */
export interface ExchangeEvent {
  readonly t: number;
  readonly closing: Readonly<Record<string, number>>;
  readonly opening: Readonly<Record<string, number>>;
  readonly entry: EntryRef;
}

/** The meter's end: its values at `t`, and nothing after it. */
export interface EndEvent {
  readonly t: number;
  readonly closing: Readonly<Record<string, number>>;
  readonly entry: EntryRef;
}

/** A `decision` with effect `break`: from the last reading before `t` to the first at or after it, nothing is asserted. */
export interface BreakEvent {
  readonly t: number;
}

/** Where a value comes from: a message of the meter, or the entry of an exchange or of its end. */
export type Source = { readonly kid: string; readonly seq: number } | { readonly entry: EntryRef };

/**
 * A value that all evidence agrees on. `first` is named where a segment begins here and `last` where
 * one ends: a reading at the turn of the hour may stand in two messages, and each hour is best
 * proved by its own.
 */
export interface Point extends Value {
  readonly first: Source;
  readonly last: Source;
  /** To the point before: the register ran on, the meter was exchanged, or nothing is known. */
  readonly link: 'step' | 'exchange' | 'none';
}

/**
 * Evidence that cannot be true as a whole (D4.2). Everything after `fromT`, the last agreed reading,
 * is disputed, up to `untilT` where a decision begins anew (infinite where none does).
 */
export interface Contradiction {
  readonly fromT: number;
  readonly untilT: number;
  readonly kind: 'fall' | 'conflict';
}

export interface Timeline {
  readonly points: readonly Point[];
  readonly contradictions: readonly Contradiction[];
}

export interface TimelineQuestion {
  readonly name: string;
  readonly register: RegisterSpec;
  readonly capacity: Capacity;
  /** Those valid for the register, in any order. */
  readonly readings: readonly HeldReading[];
  readonly exchanges: readonly ExchangeEvent[];
  readonly breaks: readonly BreakEvent[];
  readonly end?: EndEvent | undefined;
}

/**
 * All that is known of one register in the order of time. The order in which evidence arrived has no
 * influence: values are taken by `t`, and messages that repeat a value by key and number.
 */
export function buildTimeline(question: TimelineQuestion): Timeline {
  const sweep = new Sweep(question);
  for (const moment of momentsOf(question)) sweep.take(moment);
  if (question.end !== undefined) sweep.close(question.end);
  return sweep.finish();
}

/** All that happened at one instant. */
interface Moment {
  readonly t: number;
  readonly held: HeldReading[];
  readonly exchanges: ExchangeEvent[];
  broken: boolean;
}

function momentsOf({ readings, exchanges, breaks }: TimelineQuestion): Moment[] {
  const moments = new Map<number, Moment>();
  const at = (t: number): Moment => {
    let moment = moments.get(t);
    if (moment === undefined) {
      moment = { t, held: [], exchanges: [], broken: false };
      moments.set(t, moment);
    }
    return moment;
  };
  for (const reading of readings) at(reading.t).held.push(reading);
  for (const exchange of exchanges) at(exchange.t).exchanges.push(exchange);
  for (const { t } of breaks) at(t).broken = true;
  const ordered = [...moments.values()].sort((a, b) => a.t - b.t);
  for (const { exchanges: several } of ordered) {
    if (several.length > 1) several.sort((a, b) => a.entry.index - b.entry.index);
  }
  return ordered;
}

/** Reads moments in the order of time; holds what is agreed so far. */
class Sweep {
  readonly #question: TimelineQuestion;
  readonly #points: Point[] = [];
  readonly #contradictions: Contradiction[] = [];
  /** How the next point hangs on the one before. */
  #link: Point['link'] = 'none';
  /** Set while values contradict: nothing is agreed again before a break. */
  #lost: Omit<Contradiction, 'untilT'> | undefined;

  constructor(question: TimelineQuestion) {
    this.#question = question;
  }

  take({ t, held, exchanges, broken }: Moment): void {
    if (broken) this.#break(t);
    const { name } = this.#question;
    const known: (number | undefined)[] = [];
    for (const { entry, ...values } of exchanges) {
      const closing = ownValue(values.closing, name);
      const opening = ownValue(values.opening, name);
      this.#exchange({ t, closing, opening, entry });
      known.push(closing, opening);
    }
    // The old meter's last reading or the new one's first may bear the very second of the exchange.
    const others = held.filter(({ registers }) => !known.includes(ownValue(registers, name)));
    const value = ownValue(others[0]?.registers ?? {}, name);
    if (value === undefined) return;
    // Told before anything is weighed against the past, so that no order has influence.
    if (others.some(({ registers }) => ownValue(registers, name) !== value))
      this.#contradict(t, 'conflict');
    for (const { kid, seq } of others) {
      const source = { kid, seq };
      this.#add({ t, value, first: source, last: source });
    }
  }

  /** After all moments: none of them is after the end. */
  close({ t, closing, entry }: EndEvent): void {
    const value = ownValue(closing, this.#question.name);
    const last = this.#points.at(-1);
    // What the meter signed itself at that second says the same with more weight.
    const isSigned = last?.t === t && last.value === value && 'kid' in last.last;
    if (value === undefined || (isSigned && this.#link === 'step')) return;
    this.#add({ t, value, first: { entry }, last: { entry } });
  }

  finish(): Timeline {
    if (this.#lost !== undefined) {
      this.#contradictions.push({ ...this.#lost, untilT: Number.POSITIVE_INFINITY });
    }
    return { points: this.#points, contradictions: this.#contradictions };
  }

  #break(t: number): void {
    if (this.#lost !== undefined) this.#contradictions.push({ ...this.#lost, untilT: t });
    this.#lost = undefined;
    this.#link = 'none';
  }

  #exchange(values: {
    t: number;
    closing: number | undefined;
    opening: number | undefined;
    entry: EntryRef;
  }): void {
    const { t, closing, opening } = values;
    const source = { entry: values.entry };
    if (closing !== undefined) this.#add({ t, value: closing, first: source, last: source });
    this.#link = closing === undefined || opening === undefined ? 'none' : 'exchange';
    if (opening !== undefined) this.#add({ t, value: opening, first: source, last: source });
  }

  #add(point: Omit<Point, 'link'>): void {
    if (this.#lost !== undefined) return;
    const previous = this.#points.at(-1);
    if (previous === undefined || this.#link !== 'step') {
      this.#push(point, previous === undefined ? 'none' : this.#link);
    } else if (previous.t === point.t) {
      if (previous.value !== point.value) this.#contradict(point.t, 'conflict');
      else this.#points[this.#points.length - 1] = merged(previous, point);
    } else if (point.value < previous.value && !isRollover(previous, point, this.#question)) {
      this.#contradict(point.t, 'fall');
    } else this.#push(point, 'step');
  }

  #push(point: Omit<Point, 'link'>, link: Point['link']): void {
    this.#points.push({ ...point, link });
    this.#link = 'step';
  }

  /**
   * What is said at `t` cannot be: nothing at `t` counts. With nothing agreed before it in this
   * evidence, the dispute begins the second before: an earlier hour's own evidence will tell.
   */
  #contradict(t: number, kind: Contradiction['kind']): void {
    if (this.#lost !== undefined) return;
    while (this.#points.at(-1)?.t === t) this.#points.pop();
    this.#lost = { fromT: this.#points.at(-1)?.t ?? t - 1, kind };
    this.#link = 'none';
  }
}

function merged(a: Point, b: Omit<Point, 'link'>): Point {
  return {
    ...a,
    first: compareSources(a.first, b.first) < 0 ? b.first : a.first,
    last: compareSources(a.last, b.last) > 0 ? b.last : a.last,
  };
}

/** Exchanges before messages, then by key and number: any fixed order will do. */
export function compareSources(a: Source, b: Source): number {
  if ('entry' in a) return 'entry' in b ? a.entry.index - b.entry.index : -1;
  if ('entry' in b) return 1;
  return compareAscii(a.kid, b.kid) || a.seq - b.seq;
}
