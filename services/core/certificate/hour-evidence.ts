import { hourSeconds } from '../energy/hours.ts';
import type { Reading } from '../energy/message.ts';
import type { MeterEvidence } from '../energy/meter-hour.ts';
import { computePlantHour, type HourQuestion, type PlantHour } from '../energy/plant-hour.ts';
import { validInstants } from '../energy/register.ts';
import type { HeldReading } from '../energy/timeline.ts';
import type { Rules } from './specs/log.ts';
import type { Range } from './specs/parts.ts';
import { endOf, metersOfHour } from './state/state.ts';
import type { HourRegister, KeyState, MeterState } from './state/state.ts';

/**
 * From messages to a plant's hour: which of them count, which belong into its batch, and what they
 * prove. The ledger seals by these functions and auditors judge by them.
 */

/** A signed message of a meter, as far as an hour is concerned. */
export interface MeterMessage {
  readonly meter: string;
  readonly kid: string;
  readonly seq: number;
  readonly receivedAt: number;
  readonly readings: readonly Reading[];
  /** The instants of its valid readings: `validInstants` of register.ts. */
  readonly validAt: readonly number[];
}

export function validAtOf(meter: MeterState, readings: readonly Reading[]): readonly number[] {
  return validInstants(meter.spec, readings);
}

/** Why a message that its key signed does not count for energy (D4.1), or undefined when it does. */
export type NotCounted = 'span' | 'future' | 'late' | 'set-aside';

export function whyNotCounted(
  {
    key: { spec, end, acceptedLate, setAside },
    meter,
  }: { readonly key: KeyState; readonly meter: MeterState },
  { seq, receivedAt, readings }: Pick<MeterMessage, 'seq' | 'receivedAt' | 'readings'>,
  { futureS, lateAfterS }: Pick<Rules, 'futureS' | 'lateAfterS'>,
): NotCounted | undefined {
  const first = readings[0]?.t ?? 0;
  const last = readings.at(-1)?.t ?? 0;
  const { lastSeq = Infinity, lastT = Infinity } = end ?? {};
  if (seq > lastSeq || first < spec.notBefore || last > Math.min(lastT, endOf(meter)))
    return 'span';
  if (last > receivedAt + futureS) return 'future';
  if (receivedAt - first > lateAfterS && !covers(acceptedLate, seq)) return 'late';
  return covers(setAside, seq) ? 'set-aside' : undefined;
}

function covers(ranges: readonly Range[], seq: number): boolean {
  return ranges.some(({ from, to }) => from <= seq && seq <= to);
}

/**
 * Of a meter's counted messages those that belong into the batch of an hour (D3.2): with a reading in
 * the closed hour, and where no valid reading lies exactly on a boundary, the one that holds the
 * nearest valid reading beyond it. That bracket is taken for every meter, whatever its registers: it
 * is what tells a fall between two hours from a meter that ran on.
 */
export function batchMessages<M extends MeterMessage>(
  messages: readonly M[],
  start: number,
): readonly M[] {
  const end = start + hourSeconds;
  const chosen = new Set<M>();
  let before: Bracket<M> | undefined;
  let after: Bracket<M> | undefined;
  for (const message of messages) {
    if (touches(message, start, end)) chosen.add(message);
    for (const t of message.validAt) {
      if (t <= start && isNearer({ t, message }, before, 'before')) before = { t, message };
      if (t >= end && isNearer({ t, message }, after, 'after')) after = { t, message };
    }
  }
  if (before !== undefined && before.t < start) chosen.add(before.message);
  if (after !== undefined && after.t > end) chosen.add(after.message);
  return [...chosen];
}

interface Bracket<M> {
  readonly t: number;
  readonly message: M;
}

function touches({ readings }: MeterMessage, start: number, end: number): boolean {
  return readings.some(({ t }) => t >= start && t <= end);
}

/** At one instant the lower key and number is taken, so that order of arrival has no influence. */
function isNearer<M extends MeterMessage>(
  { t, message }: Bracket<M>,
  than: Bracket<M> | undefined,
  side: 'before' | 'after',
): boolean {
  if (than === undefined) return true;
  if (t !== than.t) return side === 'before' ? t > than.t : t < than.t;
  const { kid, seq } = than.message;
  return message.kid === kid ? message.seq < seq : message.kid < kid;
}

export interface HourPlace {
  readonly plant: string;
  readonly start: number;
}

/** What the ledger knows beyond the messages of an hour: open disputes, by meter (D4.2). */
export type OpenDisputes = ReadonlyMap<string, number>;

/** What the messages of a batch prove of a plant's hour. They are those that count. */
export function hourOfBatch(
  state: HourRegister,
  { plant, start }: HourPlace,
  evidence: { readonly messages: readonly MeterMessage[]; readonly disputes: OpenDisputes },
): PlantHour {
  return computePlantHour(hourQuestion(state, { plant, start }, evidence));
}

function hourQuestion(
  state: HourRegister,
  { plant, start }: HourPlace,
  {
    messages,
    disputes,
  }: { readonly messages: readonly MeterMessage[]; readonly disputes: OpenDisputes },
): HourQuestion {
  const found = state.plants.get(plant);
  const rules = state.genesis?.rules;
  if (found === undefined || rules === undefined) throw new RangeError(`plant: no ${plant}`);
  const byMeter = new Map<string, MeterMessage[]>();
  for (const message of messages) {
    const list = byMeter.get(message.meter) ?? [];
    list.push(message);
    byMeter.set(message.meter, list);
  }
  return {
    start,
    capacityW: found.spec.capacityW,
    capacityPpm: rules.capacityPpm,
    meters: metersOfHour(state, plant, start).map(([meter, meterState]) =>
      meterEvidence(state, meterState, {
        messages: byMeter.get(meter) ?? [],
        disputedFrom: disputes.get(meter),
      }),
    ),
  };
}

function heldReadings({ kid, seq, readings }: MeterMessage): HeldReading[] {
  return readings.map((reading) => {
    const { t, registers, clock, status } = reading;
    // Nearly all readings are as plain, and to spread one takes several times as long.
    const isPlain = clock === undefined && status === undefined;
    return isPlain ? { t, registers, kid, seq } : { ...reading, kid, seq };
  });
}

function meterEvidence(
  state: HourRegister,
  meter: MeterState,
  {
    messages,
    disputedFrom,
  }: { readonly messages: readonly MeterMessage[]; readonly disputedFrom: number | undefined },
): MeterEvidence {
  const frozen = meter.frozen || messages.some(({ kid }) => state.keys.get(kid)?.frozen === true);
  return {
    spec: meter.spec,
    readings: messages.flatMap(heldReadings),
    exchanges: meter.exchanges.map(({ spec, ref }) => ({
      t: spec.t,
      closing: spec.closing,
      opening: spec.opening,
      entry: ref,
    })),
    end: meter.end && {
      t: meter.end.spec.endsAt,
      closing: meter.end.spec.closing,
      entry: meter.end.ref,
    },
    breaks: meter.breaks,
    disputedFrom,
    frozen,
  };
}
