import fc, { type GeneratorValue } from 'fast-check';
import type { Reading } from '#core/energy/message.ts';
import type { MeterEvidence } from '#core/energy/meter-hour.ts';
import type { MeterSpec, RegisterSpec } from '#core/energy/register.ts';
import type { ExchangeEvent, HeldReading } from '#core/energy/timeline.ts';
import { end, start } from './evidence.ts';

/**
 * A plant whose true energy is known, and all that its meters would ever say of it: registers run
 * along random curves (and turn over, and are exchanged) from two hours before the hour to three
 * hours after it, in messages under changing keys. Faulty and unsynced readings lie at random.
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
}

const capacityW = 24_000;
const stepS = 1800;
const from = start - 4 * stepS;
const steps = 14;
const until = from + steps * stepS;

export function truePlant(g: GeneratorValue): TruePlant {
  const roles = ['production', ...g(fc.array, fc.constantFrom('production', 'auxiliary'), at(2))];
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

function at(maxLength: number): { maxLength: number } {
  return { maxLength };
}

/** Steps counted since long ago, at any second of the window; and what the display shows. */
interface TrueRegister {
  readonly spec: RegisterSpec;
  readonly total: (t: number) => number;
  /** What stands on the display at `t`; at the second of an exchange the new meter's, if `isNew`. */
  readonly shown: (t: number, isNew: boolean) => number;
}

function trueMeter(
  g: GeneratorValue,
  about: { meter: string; isAuxiliary: boolean; share: number },
): TrueMeter & { netWh: number } {
  const names = about.isAuxiliary
    ? ['importWh']
    : g(() => fc.constantFrom(['exportWh'], ['exportWh', 'importWh'], ['t1', 't2', 'importWh']));
  const exchangeTs = g(() => instants(2));
  const share = about.share * names.length;
  const registers = new Map(
    names.map((name) => [name, trueRegister(g, name, { share, exchangeTs })]),
  );
  const valuesAt = (t: number, isNew: boolean): Record<string, number> =>
    Object.fromEntries([...registers].map(([name, { shown }]) => [name, shown(t, isNew)]));
  const specs = [...registers].map(([name, { spec }]) => [name, spec] as const);
  let netWh = 0;
  for (const { spec, total } of registers.values()) {
    const units = (total(end) - total(start)) * (spec.multiplier ?? 1);
    netWh += spec.direction === 'export' ? units : -units;
  }
  return {
    netWh,
    spec: {
      meter: about.meter,
      role: about.isAuxiliary ? 'auxiliary' : 'production',
      registers: Object.fromEntries(specs),
    },
    messages: messagesOf(g, readingsOf(g, valuesAt)),
    exchanges: exchangeTs.map((t, index) => ({
      t,
      closing: valuesAt(t, false),
      opening: valuesAt(t, true),
      entry: { index, leafHash: '0'.repeat(64) },
    })),
    breaks: g(() => instants(1)).map((t) => ({ t })),
  };
}

function instants(maxLength: number): fc.Arbitrary<number[]> {
  const one = fc.oneof(
    { weight: 3, arbitrary: fc.integer({ min: from + 1, max: until }) },
    { weight: 1, arbitrary: fc.constantFrom(start, end, start + 1, end - 1) },
  );
  return fc
    .oneof(
      { weight: 2, arbitrary: fc.constant([]) },
      { weight: 1, arbitrary: fc.uniqueArray(one, { maxLength }) },
    )
    .map((ts) => ts.sort((a, b) => a - b));
}

function trueRegister(
  g: GeneratorValue,
  name: string,
  { share, exchangeTs }: { share: number; exchangeTs: readonly number[] },
): TrueRegister {
  const multiplier = g(fc.constantFrom, 1, 1, 3, 100);
  const digits = g(fc.constantFrom, undefined, undefined, 3, 4, 5);
  const modulus = digits === undefined ? Number.MAX_SAFE_INTEGER : 10 ** digits;
  const mostPerStep = Math.floor((capacityW * stepS) / 3600 / share / multiplier);
  const growth = g(fc.array, fc.oneof(fc.constantFrom(0, mostPerStep), fc.nat(mostPerStep)), {
    minLength: steps,
    maxLength: steps,
  });
  const sums = growth.reduce((all, step) => [...all, (all.at(-1) ?? 0) + step], [0]);
  const total = (t: number): number => {
    const step = Math.min(steps - 1, Math.floor((t - from) / stepS));
    const within = (t - from - step * stepS) / stepS;
    return (sums[step] ?? 0) + Math.floor((growth[step] ?? 0) * within);
  };
  const openings = exchangeTs.map((t) => ({ t, value: g(fc.nat, 999) }));
  const initial = { t: from, value: g(fc.nat, Math.min(modulus - 1, 99_999)) };
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
  g: GeneratorValue,
  valuesAt: (t: number, isNew: boolean) => Record<string, number>,
): Reading[] {
  const drawn = g(fc.uniqueArray, fc.integer({ min: from, max: until }), {
    minLength: 0,
    maxLength: 14,
  });
  const boundaries = g(fc.subarray, [start, end, start - 3600, end + 3600]);
  return [...new Set([...drawn, ...boundaries])]
    .sort((a, b) => a - b)
    .map((t) => {
      const flaw = g(
        fc.constantFrom,
        ...sound,
        'unsynced',
        'tamper',
        'fault',
        'power-fail',
        'lacks',
      );
      const registers = valuesAt(t, g(fc.boolean));
      if (flaw === '') return { t, registers };
      if (flaw === 'power-fail') return { t, registers, status: flaw };
      const [name = ''] = Object.keys(registers);
      if (flaw === 'lacks') {
        return {
          t,
          registers:
            Object.keys(registers).length > 1 ? { [name]: registers[name] ?? 0 } : registers,
        };
      }
      const anything = { ...registers, [name]: g(fc.nat, 1_000_000) };
      return flaw === 'unsynced'
        ? { t, registers: anything, clock: flaw }
        : { t, registers: anything, status: flaw };
    });
}

const sound = Array.from({ length: 16 }, () => '' as const);

/**
 * Messages of up to five readings within one closed hour. A reading at the turn of the hour may be
 * repeated by the next message, and at some message a new key takes over.
 */
function messagesOf(g: GeneratorValue, readings: readonly Reading[]): HeldReading[][] {
  const messages: HeldReading[][] = [];
  let key = 0;
  let seq = 0;
  let open: HeldReading[] = [];
  let repeated: Reading | undefined;
  for (const reading of readings) {
    const begins = open[0] ?? repeated;
    const isSameHour = begins !== undefined && reading.t <= hourEnd(begins.t);
    if (open.length === 0 || open.length >= 5 || !isSameHour || g(fc.nat, 3) === 0) {
      if (g(fc.nat, 5) === 0) {
        key += 1;
        seq = 0;
      }
      seq += 1;
      const last = open.at(-1);
      open = [];
      messages.push(open);
      repeated = last?.t === hourEnd(last?.t ?? 0) - 3600 && g(fc.boolean) ? last : undefined;
      if (repeated !== undefined && reading.t <= hourEnd(repeated.t)) {
        open.push({ ...repeated, kid: `key${key}`, seq });
      }
    }
    open.push({ ...reading, kid: `key${key}`, seq });
  }
  return messages;
}

function hourEnd(t: number): number {
  return Math.floor(t / 3600) * 3600 + 3600;
}
