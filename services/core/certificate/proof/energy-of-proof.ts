import { hourSeconds, instantText } from '../../energy/hours.ts';
import type { Reading } from '../../energy/message.ts';
import type { MeterRecord, RecordEnd } from '../../energy/meter-record.ts';
import { combineMeters } from '../../energy/plant-hour.ts';
import { checkMeterRecord } from '../../energy/record-proof.ts';
import { disputes } from '../../energy/verdicts.ts';
import { Refused, within } from '../../errors.ts';
import type { ProofEvidence } from './evidence-of-proof.ts';
import type { Finding } from './ladder.ts';
import { metersOfHour, type LogState, type MeterState } from '../state/state.ts';
import type { SealedHour } from './story.ts';

/** Step 7: the energy is exactly the register difference that those messages prove. */
export function verifyEnergy(
  { messages, records }: ProofEvidence,
  { spec }: SealedHour,
  state: LogState,
): Finding<undefined> {
  const plant = state.plants.get(spec.plant);
  const rules = state.genesis?.rules;
  if (plant === undefined || rules === undefined) {
    throw new Refused('plant', `the file does not say what ${spec.plant} is`);
  }
  const { start } = spec.interval;
  requireAllMeters(records, metersOfHour(state, spec.plant, start));
  const capacity = { capacityW: plant.spec.capacityW, capacityPpm: rules.capacityPpm };
  for (const { record } of records) {
    within(record.meter, () => {
      const meter = meterAt(record, { start, plant: spec.plant, state });
      requireToldDispute(record, { meter, state });
      requireUncut(record, meter);
      checkMeterRecord(record, {
        ...capacity,
        spec: meter.spec,
        endsAt: meter.end?.spec.endsAt,
        readingAt: (end, side) =>
          'entry' in end ? valuesAt(end, side, meter) : readingAt(end, record.meter, messages),
      });
    });
  }
  const specs = records.flatMap(({ record: { meter } }) => state.meters.get(meter)?.spec ?? []);
  const figures = combineMeters(
    records.map(({ record }) => record),
    specs,
    capacity,
  );
  const proved = energyText({
    generation: figures.generationWh,
    consumption: figures.consumptionWh,
    co2G: figures.co2G,
    operatingS: figures.operatingS,
    validS: figures.validS,
    quality: figures.quality,
  });
  const stated = energyText(spec);
  if (proved !== stated) {
    throw new Refused('energy', `the messages prove ${proved}, the hour states ${stated}`);
  }
  const reason = `the registers prove ${proved} from ${instantText(start)} to ${instantText(start + hourSeconds)}`;
  return { value: undefined, reason };
}

interface StatedEnergy {
  readonly generation: number;
  readonly consumption?: number | undefined;
  readonly co2G?: number | undefined;
  readonly operatingS?: number | undefined;
  readonly validS?: number | undefined;
  readonly quality: string;
}

function energyText(stated: StatedEnergy): string {
  const { generation, consumption, co2G, operatingS, validS, quality } = stated;
  return [
    `${generation} Wh generated`,
    ...(consumption === undefined ? [] : [`${consumption} Wh consumed`]),
    ...(co2G === undefined ? [] : [`${co2G} g of CO2`]),
    ...(operatingS === undefined ? [] : [`${operatingS} s of operation`]),
    ...(validS === undefined ? [] : [`${validS} s of valid data`]),
    quality,
  ].join(', ');
}

/** A record left out could be one to subtract, and one too many of a meter not yet at the plant. */
function requireAllMeters(
  records: ProofEvidence['records'],
  meters: ReturnType<typeof metersOfHour>,
): void {
  const recorded = new Set(records.map(({ record }) => record.meter));
  for (const [meter] of meters) {
    if (!recorded.delete(meter)) throw new Refused('meters', `the record of ${meter} is missing`);
  }
  for (const meter of recorded) {
    throw new Refused('meters', `${meter} was no meter of the plant in that hour`);
  }
}

/** What rests on a frozen meter or key is disputed (D4.1), and so is what a verdict disputes (D4.2). */
function requireToldDispute(
  { quality, segments, verdicts }: MeterRecord,
  { meter, state }: { meter: MeterState; state: LogState },
): void {
  const isFrozenKey = (end: RecordEnd): boolean =>
    'kid' in end && state.keys.get(end.kid)?.frozen === true;
  const isFrozen =
    meter.frozen || segments.some(({ first, last }) => isFrozenKey(first) || isFrozenKey(last));
  if (isFrozen && !verdicts.includes('frozen')) {
    throw new Refused('frozen', 'rests on a frozen meter or key and does not say so');
  }
  if ((quality === 'disputed') !== verdicts.some(disputes)) {
    throw new Refused('energy', `called ${quality} against its own verdicts`);
  }
}

/** A segment has no exchange and no break inside (D4.2): its difference would be of two meters. */
function requireUncut({ segments }: MeterRecord, { exchanges, breaks }: MeterState): void {
  for (const { first, last } of segments) {
    const cut = exchanges.find(({ spec: { t }, ref: { index } }) => {
      const isAt = (end: RecordEnd): boolean => 'entry' in end && end.entry.index === index;
      const isOutside = t < first.t || t > last.t;
      return !isOutside && !(t === first.t && isAt(first)) && !(t === last.t && isAt(last));
    });
    if (cut !== undefined) {
      throw new Refused('exchange', `a segment runs across the exchange of entry ${cut.ref.index}`);
    }
    const broken = breaks.find(({ t }) => t > first.t && t <= last.t);
    if (broken !== undefined) {
      throw new Refused('break', `a segment runs across the decision of entry ${broken.ref.index}`);
    }
  }
}

function meterAt(
  record: MeterRecord,
  { start, plant, state }: { start: number; plant: string; state: LogState },
): MeterState {
  const meter = state.meters.get(record.meter);
  if (meter?.spec.plant !== plant) throw new Refused('meter', `not a meter of ${plant}`);
  if (meter.spec.role !== record.role) throw new Refused('meter', `not a ${record.role} meter`);
  if (record.start !== start) throw new Refused('hour', 'the record of another hour');
  return meter;
}

type ReadingAt = Pick<Reading, 't' | 'registers' | 'clock' | 'status'>;

/** The reading of a signed message that an end of a segment names. */
function readingAt(
  end: Extract<RecordEnd, { leaf: number }>,
  meter: string,
  messages: ProofEvidence['messages'],
): ReadingAt {
  const found = messages.get(end.leaf)?.parsed;
  if (found?.message.meter !== meter || found.jws.header.kid !== end.kid) {
    throw new Refused('evidence', `message ${end.leaf} is missing or another meter's`);
  }
  const reading = found.message.readings.find(({ t }) => t === end.t);
  if (reading === undefined) {
    throw new Refused('evidence', `message ${end.leaf} has no reading at ${end.t}`);
  }
  return reading;
}

/** The closing or opening values of an exchange, or of the meter's end, that an end of a segment names. */
function valuesAt(
  end: Extract<RecordEnd, { entry: object }>,
  side: 'first' | 'last',
  { exchanges, end: meterEnd }: MeterState,
): ReadingAt {
  if (side === 'last' && meterEnd?.ref.index === end.entry.index) {
    const { spec, ref } = meterEnd;
    if (ref.leafHash === end.entry.leafHash) return { t: spec.endsAt, registers: spec.closing };
  }
  const found = exchanges.find(({ ref }) => ref.index === end.entry.index);
  if (found?.ref.leafHash !== end.entry.leafHash) {
    throw new Refused('exchange', 'names an exchange that the file does not show');
  }
  const { t, closing, opening } = found.spec;
  return { t, registers: side === 'last' ? closing : opening };
}
