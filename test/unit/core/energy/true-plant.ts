import type { Reading } from '#core/energy/message.ts';
import type { MeterEvidence } from '#core/energy/meter-hour.ts';
import type { MeterSpec, RegisterSpec } from '#core/energy/register.ts';
import type { EndEvent, ExchangeEvent, HeldReading } from '#core/energy/timeline.ts';
import { end, start } from './evidence.ts';

/**
 * A plant whose true energy is known, and all that its meters would ever say of it: registers run
 * along random curves (and turn over, and are exchanged) from two hours before the hour to three
 * hours after it, in messages under changing keys. A meter may end; its device then goes on elsewhere. Faulty and unsynced readings lie at random.
 */
export interface TruePlant {
  readonly capacityW: number;
  /** max(0, export - import - auxiliary), as the registers ran within the hour, times multipliers. */
  readonly generationWh: number;
  /** Whether a register can turn over; then even exact boundaries may hide a whole turn. */
  readonly turns: boolean;
  readonly meters: readonly TrueMeter[];
}

export interface TrueMeter {
  readonly spec: MeterSpec;
  readonly messages: readonly (readonly HeldReading[])[];
  readonly exchanges: readonly ExchangeEvent[];
  readonly breaks: MeterEvidence['breaks'];
  readonly end: EndEvent | undefined;
}

/** Where the entry of an end stands: behind those of all exchanges. */
export const endIndex = 99;

const capacityW = 24_000;
const stepS = 1800;
const from = start - 4 * stepS;
const steps = 14;
const until = from + steps * stepS;

/** What is drawn at random follows from one seed alone. */
export interface Draw {
  readonly int: (min: number, max: number) => number;
  readonly pick: <T>(...from: readonly T[]) => T;
}

/** mulberry32: a fast generator of 32 bits, good enough to draw from. */
export function drawFrom(seed: number): Draw {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const int = (min: number, max: number): number => min + Math.floor(next() * (max - min + 1));
  return { int, pick: (...from) => from[int(0, from.length - 1)] as (typeof from)[number] };
}

export function truePlant(g: Draw): TruePlant {
  const roles = ['production', ...repeat(g.int(0, 2), () => g.pick('production', 'auxiliary'))];
  const meters = roles.map((role, i) =>
    trueMeter(g, { meter: `M${i}`, isAuxiliary: role === 'auxiliary', share: roles.length }),
  );
  const netWh = meters.reduce((sum, meter) => sum + meter.netWh, 0);
  return {
    capacityW,
    generationWh: Math.max(0, netWh),
    turns: meters.some(({ spec }) =>
      Object.values(spec.registers).some(({ digits }) => digits !== undefined),
    ),
    meters,
  };
}

function repeat<T>(times: number, draw: () => T): T[] {
  return Array.from({ length: times }, draw);
}

function ascending(ts: readonly number[]): number[] {
  return [...new Set(ts)].sort((a, b) => a - b);
}

/** In two of three plants none: the plain case must stay the most frequent one. */
function events(g: Draw, most: number): number[] {
  if (g.int(0, 2) > 0) return [];
  const near = () => g.pick(start, end, start + 1, end - 1);
  return ascending(repeat(g.int(1, most), () => g.pick(near(), g.int(from + 1, until))));
}

function trueMeter(
  g: Draw,
  about: { meter: string; isAuxiliary: boolean; share: number },
): TrueMeter & { netWh: number } {
  const names = about.isAuxiliary
    ? ['importWh']
    : g.pick(['exportWh'], ['exportWh', 'importWh'], ['t1', 't2', 'importWh']);
  const exchangeTs = events(g, 2);
  const endsAt = g.int(0, 3) > 0 ? undefined : laterThan(exchangeTs, events(g, 1)[0]);
  const share = about.share * names.length;
  const registers = new Map(
    names.map((name) => [name, trueRegister(g, name, { share, exchangeTs })]),
  );
  const valuesAt = (t: number, isNew: boolean): Record<string, number> =>
    Object.fromEntries([...registers].map(([name, { shown }]) => [name, shown(t, isNew)]));
  let netWh = 0;
  for (const { spec, total } of registers.values()) {
    const [first, last] = [start, end].map((t) => total(Math.min(t, endsAt ?? t)));
    const units = ((last ?? 0) - (first ?? 0)) * (spec.multiplier ?? 1);
    netWh += spec.direction === 'export' ? units : -units;
  }
  return {
    netWh,
    spec: {
      meter: about.meter,
      role: about.isAuxiliary ? 'auxiliary' : 'production',
      registers: Object.fromEntries([...registers].map(([name, { spec }]) => [name, spec])),
    },
    messages: messagesOf(g, readingsOf(g, valuesAt)),
    exchanges: exchangeTs.map((t, index) => ({
      t,
      closing: valuesAt(t, false),
      opening: valuesAt(t, true),
      entry: { index, leafHash: '0'.repeat(64) },
    })),
    end: endsAt === undefined ? undefined : endAt(endsAt, valuesAt(endsAt, true)),
    breaks: g.int(0, 3) > 0 ? [] : events(g, 1).map((t) => ({ t })),
  };
}

function laterThan(exchangeTs: readonly number[], t: number | undefined): number | undefined {
  return t !== undefined && t > (exchangeTs.at(-1) ?? 0) ? t : undefined;
}

function endAt(t: number, closing: Readonly<Record<string, number>>): EndEvent {
  return { t, closing, entry: { index: endIndex, leafHash: 'e'.repeat(64) } };
}

/** Steps counted since long ago, at any second of the window; and what the display shows. */
interface TrueRegister {
  readonly spec: RegisterSpec;
  readonly total: (t: number) => number;
  /** What stands on the display at `t`; at the second of an exchange the new meter's, if `isNew`. */
  readonly shown: (t: number, isNew: boolean) => number;
}

function trueRegister(
  g: Draw,
  name: string,
  { share, exchangeTs }: { share: number; exchangeTs: readonly number[] },
): TrueRegister {
  const multiplier = g.pick(1, 1, 3, 100);
  const digits = g.pick(undefined, undefined, undefined, undefined, 3, 4, 5, 6);
  const modulus = digits === undefined ? Number.MAX_SAFE_INTEGER : 10 ** digits;
  const mostPerStep = Math.floor((capacityW * stepS) / 3600 / share / multiplier);
  const growth = repeat(steps, () => g.pick(0, mostPerStep, g.int(0, mostPerStep)));
  const sums = growth.reduce((all, step) => [...all, (all.at(-1) ?? 0) + step], [0]);
  const total = (t: number): number => {
    const step = Math.min(steps - 1, Math.floor((t - from) / stepS));
    const within = (t - from - step * stepS) / stepS;
    return (sums[step] ?? 0) + Math.floor((growth[step] ?? 0) * within);
  };
  const openings = exchangeTs.map((t) => ({ t, value: g.int(0, 999) }));
  const initial = { t: from, value: g.int(0, Math.min(modulus - 1, 99_999)) };
  return {
    spec: {
      unit: 'Wh',
      direction: name === 'importWh' ? 'import' : 'export',
      multiplier,
      digits,
    },
    total,
    shown(t, isNew) {
      const base = openings.findLast((o) => (isNew ? o.t <= t : o.t < t)) ?? initial;
      return (base.value + total(t) - total(base.t)) % modulus;
    },
  };
}

/** In the order of time; valid ones true, the others anything. */
function readingsOf(
  g: Draw,
  valuesAt: (t: number, isNew: boolean) => Record<string, number>,
): Reading[] {
  const drawn = repeat(g.int(0, 12), () => g.int(from, until));
  const turns = [start, end, start - 3600, end + 3600].filter(() => g.int(0, 3) > 0);
  return ascending([...drawn, ...turns]).map((t) => {
    const registers = valuesAt(t, g.pick(true, false));
    const flaw = g.int(0, 40);
    const [name = ''] = Object.keys(registers);
    const anything = { ...registers, [name]: g.int(0, 1_000_000) };
    if (flaw === 0) return { t, registers, status: 'power-fail' };
    if (flaw === 1) return { t, registers: anything, clock: 'unsynced' };
    if (flaw === 2) return { t, registers: anything, status: g.pick('tamper', 'fault') };
    // Where there is an import register, a reading that leaves it out is not valid either.
    if (flaw === 3 && Object.keys(registers).length > 1) {
      return { t, registers: { [name]: anything[name] ?? 0 } };
    }
    return { t, registers };
  });
}

/**
 * Messages of up to five readings within one closed hour. A reading at the turn of the hour may be
 * repeated by the next message, and at some message a new key takes over.
 */
function messagesOf(g: Draw, readings: readonly Reading[]): HeldReading[][] {
  const messages: HeldReading[][] = [];
  let key = 0;
  let seq = 0;
  let open: HeldReading[] = [];
  let repeated: Reading | undefined;
  for (const reading of readings) {
    const begins = open[0] ?? repeated;
    const isSameHour = begins !== undefined && reading.t <= hourEnd(begins.t);
    if (open.length === 0 || open.length >= 5 || !isSameHour || g.int(0, 3) === 0) {
      if (g.int(0, 5) === 0) {
        key += 1;
        seq = 0;
      }
      seq += 1;
      const last = open.at(-1);
      open = [];
      messages.push(open);
      repeated = last?.t === hourEnd(last?.t ?? 0) - 3600 && g.pick(true, false) ? last : undefined;
      if (repeated !== undefined && reading.t <= hourEnd(repeated.t)) {
        open.push({ ...repeated, kid: kidOf(key), seq });
      }
    }
    open.push({ ...reading, kid: kidOf(key), seq });
  }
  return messages;
}

function hourEnd(t: number): number {
  return Math.floor(t / 3600) * 3600 + 3600;
}

function kidOf(key: number): string {
  return `key${key}`.padEnd(43, 'A');
}
