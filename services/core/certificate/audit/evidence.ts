import { compareAscii, equalBytes, fromHex, toHex } from '../../bytes.ts';
import {
  compareLeaves,
  parseBatchFile,
  parseMessageLeaf,
  type BatchFile,
} from '../../energy/batch.ts';
import { meterRecordOf, parseMeterRecord } from '../../energy/meter-record.ts';
import type { MeterRecord } from '../../energy/meter-record.ts';
import type { PlantHour } from '../../energy/plant-hour.ts';
import { requireRegistered } from '../../energy/signed.ts';
import { Refused, within } from '../../errors.ts';
import { hasCanonicalBytes } from '../../jcs.ts';
import { verifyJws } from '../../jws.ts';
import { leafHash, treeRoot } from '../../tlog/tree.ts';
import { commitmentOf, type Opening } from '../commitment.ts';
import { batchMessages, hourOfBatch, validAtOf, whyNotCounted } from '../hour-evidence.ts';
import type { MeterMessage } from '../hour-evidence.ts';
import type { SpecOf } from '../kinds.ts';
import type { LeafParser } from './leaf-memory.ts';
import type { HourRegister } from '../state/state.ts';

/**
 * Judges an `hour` or `hour-correction` by its evidence: the messages in its batch file and its meter
 * records. This is what an auditing witness does before it cosigns (D3.4), and `log audit`.
 */

export type HourSpec = SpecOf<'hour'> | SpecOf<'hour-correction'>;

/** A message out of a batch file. */
export interface BatchMessage extends MeterMessage {
  readonly parsed: ReturnType<typeof parseMessageLeaf>['parsed'];
}

/** A batch file, parsed and hashed; everything about it that needs no state. */
export interface OpenBatch {
  readonly file: BatchFile;
  readonly root: Uint8Array;
  readonly messages: readonly Omit<BatchMessage, 'validAt'>[];
}

/** Throws Refused('batch') for a file that is none, and for leaves that are not in their order. */
export function openBatch(bytes: Uint8Array, parseLeaf: LeafParser = parseMessageLeaf): OpenBatch {
  return evidenceOf('batch', () => {
    const file = parseBatchFile(bytes);
    const hashes = file.leaves.map(leafHash);
    const messages = file.leaves.map((leaf, i) =>
      within(`leaf ${i}`, () => {
        const { receivedAt, parsed } = parseLeaf(leaf, hashes[i] ?? leafHash(leaf));
        const { meter, seq, readings } = parsed.message;
        return { meter, kid: parsed.jws.header.kid, seq, receivedAt, readings, parsed };
      }),
    );
    messages.forEach((message, i) => {
      const before = messages[i - 1];
      if (before !== undefined && compareLeaves(before, message) >= 0) {
        throw new Refused('batch', `leaf ${i} is not in its place`);
      }
    });
    return { file, root: treeRoot(hashes), messages };
  });
}

export interface HourEvidence {
  readonly batch: OpenBatch;
  /** The meter records in the order of their tree. */
  readonly records: readonly Uint8Array[];
  /** Of a committed hour alone. */
  readonly opening?: Opening | undefined;
  /** Throws Refused when a message's signature is bad; by default that is checked on the spot. */
  readonly verify?: typeof verifyJws;
}

/**
 * Throws Refused with the code of what is wrong: `batch`, `message`, `records`, `energy`,
 * `commitment`. `state` is that before the entry. Returns the records, whose receipt chains only
 * somebody who has followed the keys can judge.
 */
export function examineHour(
  state: HourRegister,
  spec: HourSpec,
  evidence: HourEvidence,
): readonly MeterRecord[] {
  const { batch } = evidence;
  if (!equalBytes(batch.root, fromHex(spec.batchRoot))) {
    throw new Refused('batch', `the batch file has the root ${toHex(batch.root)}`);
  }
  const messages = evidenceOf('message', () => countedMessages(state, spec, evidence));
  const { hour, records } = evidenceOf('records', () =>
    checkRecords(state, spec, { messages, records: evidence.records }),
  );
  if ('commitment' in spec) checkOpening(spec, hour, { messages, opening: evidence.opening });
  else checkFigures(spec, hour, messages);
  return records;
}

function evidenceOf<T>(code: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (!(cause instanceof Refused)) throw cause;
    throw new Refused(code, cause.message, { cause });
  }
}

/** All messages, each of which must be signed, count, and belong into this batch. */
function countedMessages(
  state: HourRegister,
  { plant, interval }: HourSpec,
  { batch, verify = verifyJws }: HourEvidence,
): BatchMessage[] {
  const messages = batch.messages.map((message, i) =>
    within(`leaf ${i}`, () => counted(state, plant, { message, verify })),
  );
  const byMeter = new Map<string, BatchMessage[]>();
  for (const message of messages) {
    const list = byMeter.get(message.meter) ?? [];
    list.push(message);
    byMeter.set(message.meter, list);
  }
  for (const [meter, of] of byMeter) {
    if (batchMessages(of, interval.start).length !== of.length) {
      throw new Refused('message', `${meter}: a message that says nothing of this hour`);
    }
  }
  return messages;
}

function counted(
  state: HourRegister,
  plant: string,
  {
    message,
    verify,
  }: { message: OpenBatch['messages'][number]; verify: NonNullable<HourEvidence['verify']> },
): BatchMessage {
  const { parsed, kid, seq } = message;
  const key = state.keys.get(kid);
  const meter = state.meters.get(message.meter);
  const rules = state.genesis?.rules;
  if (key === undefined || meter === undefined || rules === undefined) {
    throw new Refused('key', 'the log names no such key or meter');
  }
  requireRegistered(parsed, key.spec, state.genesis?.origin);
  if (parsed.message.plant !== plant) throw new Refused('plant', 'of another plant');
  verify(parsed.jws, key.key);
  const why = whyNotCounted({ key, meter }, message, rules);
  if (why !== undefined) throw new Refused(why, `it does not count: ${why}`);
  const keep = key.forks.get(seq)?.keep;
  if (keep !== undefined && keep !== toHex(parsed.hash)) {
    throw new Refused('fork', 'a decision says that the other message of this fork counts');
  }
  return { ...message, validAt: validAtOf(meter, message.readings) };
}

function checkRecords(
  state: HourRegister,
  { plant, interval: { start }, metersRoot: root }: HourSpec,
  { messages, records }: { messages: readonly BatchMessage[]; records: readonly Uint8Array[] },
): { hour: PlantHour; records: MeterRecord[] } {
  const stated = records.map(parseMeterRecord);
  stated.forEach(({ meter }, i) => {
    if (i > 0 && compareAscii(stated[i - 1]?.meter ?? '', meter) >= 0) {
      throw new Refused('records', `the record of ${meter} is not in its place`);
    }
  });
  if (!equalBytes(treeRoot(records.map(leafHash)), fromHex(root))) {
    throw new Refused('records', 'the meter records have another root');
  }
  const byMeter = new Map(stated.map((record, i) => [record.meter, { record, i }]));
  // A dispute of an earlier hour is the ledger's word. It can only keep it from issuing.
  const disputes = new Map(
    stated
      .filter(({ verdicts }) => verdicts.includes('dispute'))
      .map(({ meter }) => [meter, start]),
  );
  const hour = hourOfBatch(state, { plant, start }, { messages, disputes });
  if (hour.meters.length !== stated.length) {
    throw new Refused('records', `${stated.length} records of ${hour.meters.length} meters`);
  }
  const places = new Map(messages.map(({ kid, seq }, i) => [`${kid} ${seq}`, i]));
  for (const meterHour of hour.meters) {
    const found = byMeter.get(meterHour.meter);
    if (found === undefined) throw new Refused('records', `none of ${meterHour.meter}`);
    const { record, i } = found;
    const own = messages.filter(({ meter }) => meter === meterHour.meter);
    checkKeys(state, record, own);
    const expected = meterRecordOf(meterHour, {
      start,
      keys: record.keys,
      leafOf: ({ kid, seq }) => places.get(`${kid} ${seq}`) ?? -1,
    });
    // What was stated has been parsed, so that what equals it has the shape of a record too.
    if (!hasCanonicalBytes(expected, records[i] ?? new Uint8Array(0))) {
      throw new Refused('records', `${record.meter}: the messages prove another record`);
    }
  }
  return { hour, records: stated };
}

/** Each key with messages in the batch, in the order of the keys' entries, as of its last of them. */
function checkKeys(state: HourRegister, record: MeterRecord, own: readonly BatchMessage[]): void {
  const last = new Map<string, number>();
  for (const { kid, seq } of own) last.set(kid, Math.max(seq, last.get(kid) ?? 0));
  const kids = (state.meters.get(record.meter)?.kids ?? []).filter((kid) => last.has(kid));
  if (kids.join() !== record.keys.map(({ kid }) => kid).join()) {
    throw new Refused('records', `${record.meter}: other keys than its messages have`);
  }
  for (const { kid, throughSeq, missing } of record.keys) {
    const limit = last.get(kid) ?? 0;
    let previous = throughSeq;
    for (const { from, to } of missing) {
      const isEmpty = to < from || from <= previous || to >= limit;
      const isThere = own.some((message) => message.kid === kid && inside(message.seq, from, to));
      if (isEmpty || isThere) throw new Refused('records', `${kid}: not what is missing`);
      previous = to;
    }
    if (throughSeq > limit || (throughSeq < limit && missing.length === 0)) {
      throw new Refused('records', `${kid}: not how far its messages go`);
    }
  }
}

function inside(value: number, from: number, to: number): boolean {
  return value >= from && value <= to;
}

function checkFigures(
  spec: Exclude<HourSpec, { commitment: string }>,
  hour: PlantHour,
  messages: readonly BatchMessage[],
): void {
  const same =
    spec.generation === hour.generationWh &&
    spec.consumption === hour.consumptionWh &&
    spec.co2G === hour.co2G &&
    spec.operatingS === hour.operatingS &&
    spec.validS === hour.validS &&
    spec.quality === hour.quality &&
    spec.messages === messages.length;
  if (same) return;
  throw new Refused(
    'energy',
    `${messages.length} messages prove ${hour.generationWh} Wh (${hour.quality}), stated are ${spec.generation} Wh (${spec.quality}) by ${spec.messages}`,
  );
}

function checkOpening(
  spec: Extract<HourSpec, { commitment: string }>,
  hour: PlantHour,
  { messages, opening }: { messages: readonly BatchMessage[]; opening: Opening | undefined },
): void {
  if (opening === undefined) throw new Refused('commitment', 'without its opening');
  if (toHex(commitmentOf(opening.salt, opening.opening)) !== spec.commitment) {
    throw new Refused('commitment', 'the opening does not fit the commitment');
  }
  const { consumption, quality, messages: count } = opening.opening;
  const proved = hour.consumptionWh ?? 0;
  if (consumption !== proved || quality !== hour.quality || count !== messages.length) {
    throw new Refused('energy', `the messages prove ${proved} Wh, committed are ${consumption} Wh`);
  }
}
