import { fromBase64, fromHex, utf8 } from '../bytes.ts';
import { encodeMessageLeaf } from '../energy/batch.ts';
import { hourSeconds } from '../energy/hours.ts';
import { parseMessage, type ParsedMessage, type Reading } from '../energy/message.ts';
import { parseMeterRecord, type MeterRecord, type RecordEnd } from '../energy/meter-record.ts';
import { combineMeters } from '../energy/plant-hour.ts';
import { checkMeterRecord } from '../energy/record-proof.ts';
import { Refused, within } from '../errors.ts';
import { verifyJws } from '../jws.ts';
import { verifyInclusion } from '../tlog/proof.ts';
import { leafHash } from '../tlog/tree.ts';
import type { Finding } from './ladder.ts';
import { decodePath, type Proof } from './proof.ts';
import type { SealedHour, ToldEntry } from './story.ts';
import { metersOfHour, type KeyState, type LogState, type MeterState } from './state.ts';

/** The messages and meter records of a proof file, parsed. */
export interface ProofEvidence {
  readonly messages: ReadonlyMap<number, ProofMessage>;
  readonly records: readonly {
    readonly index: number;
    readonly leafHash: Uint8Array;
    readonly path: readonly string[];
    readonly record: MeterRecord;
  }[];
}

interface ProofMessage {
  readonly leafHash: Uint8Array;
  readonly path: readonly string[];
  readonly receivedAt: number;
  readonly parsed: ParsedMessage;
}

/** Parses the evidence by its form. Throws Refused. */
export function openEvidence({ messages, records }: Proof): ProofEvidence {
  return {
    messages: new Map(
      messages.map(({ index, jws, path, receivedAt }) => {
        const bytes = utf8(jws);
        const parsed = within(`message ${index}`, () => parseMessage(bytes));
        const hash = leafHash(encodeMessageLeaf({ receivedAt, bytes }));
        return [index, { leafHash: hash, path, receivedAt, parsed }];
      }),
    ),
    records: records.map(({ index, data, path }) => {
      const bytes = fromBase64(data);
      const record = within(`meter record ${index}`, () => parseMeterRecord(bytes));
      return { index, leafHash: leafHash(bytes), path, record };
    }),
  };
}

/** Step 5: every message is in the batch tree, and the records are all that the hour has. */
export function verifyRoots(
  { messages, records }: ProofEvidence,
  { spec }: SealedHour,
  entries: readonly ToldEntry[],
): Finding<undefined> {
  const batchRoot = fromHex(spec.batchRoot, 32);
  const metersRoot = fromHex(spec.metersRoot, 32);
  for (const [index, { leafHash: hash, path }] of messages) {
    within(`message ${index}`, () => {
      const claim = { leafHash: hash, index, size: spec.messages, root: batchRoot };
      verifyInclusion({ ...claim, path: decodePath(path) });
    });
  }
  // Proving each of n records in a tree of n leaves proves that there is no further one.
  for (const { index, leafHash: hash, path } of records) {
    within(`meter record ${index}`, () => {
      const claim = { leafHash: hash, index, size: records.length, root: metersRoot };
      verifyInclusion({ ...claim, path: decodePath(path) });
    });
  }
  if (records.length === 0) throw new Refused('evidence', 'no meter record');
  const reason = `${messages.size} of ${spec.messages} messages and all ${records.length} meter records lead to the roots of entry ${entries.length > 0 ? 'the hour' : ''}`;
  return { value: undefined, reason };
}

/** Step 6: every message was signed by a key that the log names for that meter, within its span. */
export function verifyMessages(
  { messages }: ProofEvidence,
  { spec }: SealedHour,
  state: LogState,
): Finding<undefined> {
  for (const [index, message] of messages) {
    within(`message ${index}`, () => {
      verifyMessage(message, spec.plant, state);
    });
  }
  const meters = new Set([...messages.values()].map(({ parsed }) => parsed.message.meter));
  const reason = `${messages.size} messages signed by the keys of ${[...meters].sort().join(', ')}`;
  return { value: undefined, reason };
}

function verifyMessage({ parsed, receivedAt }: ProofMessage, plant: string, state: LogState): void {
  const { message, jws } = parsed;
  const key = state.keys.get(jws.header.kid);
  if (key === undefined) throw new Refused('key', 'the log names no such key');
  if (key.spec.meter !== message.meter || key.spec.plant !== message.plant) {
    throw new Refused('meter', `the key is not one of ${message.meter} at ${message.plant}`);
  }
  if (message.plant !== plant) throw new Refused('plant', `it is for ${message.plant}`);
  if (message.log !== state.genesis?.origin) throw new Refused('log', 'it is for another log');
  verifyJws(jws, key.key);
  requireSpan(key, message.seq, message.readings);
  requireArrival(key, { seq: message.seq, receivedAt, readings: message.readings }, state);
}

function requireSpan(key: KeyState, seq: number, readings: readonly Reading[]): void {
  const { notBefore } = key.spec;
  const { lastSeq = Infinity, lastT = Infinity } = key.end ?? {};
  if (seq > lastSeq || readings.some(({ t }) => t < notBefore || t > lastT)) {
    throw new Refused('span', 'outside the span of its key');
  }
}

/** From the future, too late without a decision, or set aside: stored, but it proves nothing (D4.1). */
function requireArrival(
  { acceptedLate, setAside }: KeyState,
  { seq, receivedAt, readings }: { seq: number; receivedAt: number; readings: readonly Reading[] },
  { genesis }: LogState,
): void {
  const { futureS = 0, lateAfterS = 0 } = genesis?.rules ?? {};
  const covers = ({ from, to }: { from: number; to: number }): boolean => from <= seq && seq <= to;
  if (setAside.some(covers)) throw new Refused('set-aside', 'a decision set it aside');
  if (readings.some(({ t }) => t > receivedAt + futureS)) {
    throw new Refused('future', 'a reading from the future');
  }
  const late = readings.some(({ t }) => receivedAt - t > lateAfterS);
  if (late && !acceptedLate.some(covers)) throw new Refused('late', 'it arrived too late');
}

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
      checkMeterRecord(record, {
        ...capacity,
        spec: meter.spec,
        readingAt: (end, side) =>
          'entry' in end ? exchangeAt(end, side, meter) : readingAt(end, record.meter, messages),
      });
    });
  }
  const specs = records.flatMap(({ record: { meter } }) => state.meters.get(meter)?.spec ?? []);
  const figures = combineMeters(
    records.map(({ record }) => record),
    specs,
    capacity,
  );
  if (figures.generationWh !== spec.generation || figures.quality !== spec.quality) {
    throw new Refused(
      'energy',
      `the messages prove ${figures.generationWh} Wh (${figures.quality}), the hour states ${spec.generation} Wh (${spec.quality})`,
    );
  }
  const reason = `${spec.generation} Wh between ${instantText(start)} and ${instantText(start + hourSeconds)}, ${spec.quality}`;
  return { value: undefined, reason };
}

function instantText(s: number): string {
  return `${new Date(s * 1000).toISOString().slice(0, 19)}Z`;
}

/** A record left out could be the one whose energy is subtracted. */
function requireAllMeters(
  records: ProofEvidence['records'],
  meters: ReturnType<typeof metersOfHour>,
): void {
  const recorded = new Set(records.map(({ record }) => record.meter));
  for (const [meter] of meters) {
    if (!recorded.has(meter)) throw new Refused('meters', `the record of ${meter} is missing`);
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

/** The closing or opening values of an exchange that an end of a segment names. */
function exchangeAt(
  end: Extract<RecordEnd, { entry: object }>,
  side: 'first' | 'last',
  { exchanges }: MeterState,
): ReadingAt {
  const found = exchanges.find(({ ref }) => ref.index === end.entry.index);
  if (found?.ref.leafHash !== end.entry.leafHash) {
    throw new Refused('exchange', 'names an exchange that the file does not show');
  }
  const { t, closing, opening } = found.spec;
  return { t, registers: side === 'last' ? closing : opening };
}
