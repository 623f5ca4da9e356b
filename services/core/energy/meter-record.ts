import { canonicalBytes, parseCanonical } from '../jcs.ts';
import { array, hashHex, id, instant, integer, object, oneOf } from '../shape.ts';
import { optional, record, thumbprint, type Infer, type Shape } from '../shape.ts';
import { leafHash, treeRoot } from '../tlog/tree.ts';
import { compareAscii } from '../bytes.ts';
import { Refused } from '../errors.ts';
import { requireHourStart } from './hours.ts';
import { segmentsLimit, type MeterHour } from './meter-hour.ts';
import { seqRange } from './receipt.ts';
import type { SegmentEnd } from './segment.ts';
import { verdicts, type Verdict } from './verdicts.ts';

export const roleShape = oneOf(
  'production',
  'auxiliary',
  'consumption',
  'storage',
  'emission',
  'check',
);
export const qualityShape = oneOf('measured', 'partial', 'disputed');

const registersShape = record(id, integer(0), { min: 1, max: 16 });
const unitsShape = record(id, integer(0), { min: 0, max: 16 });
const verdictCodes = Object.keys(verdicts) as Verdict[];

/** `leaf` is the index of the message among the leaves of the hour's batch tree (D3.2). */
const messageEndShape = object({
  kid: thumbprint,
  leaf: integer(0),
  registers: registersShape,
  t: instant,
});
/** The entry of an exchange: its closing value where a segment ends, its opening value where one begins. */
const exchangeEndShape = object({
  entry: object({ index: integer(0), leafHash: hashHex }),
  registers: registersShape,
  t: instant,
});
/** Told apart by `entry`, so that a refusal names what is wrong with the one that was meant. */
const endShape: Shape<Infer<typeof messageEndShape> | Infer<typeof exchangeEndShape>> = {
  schema: { anyOf: [messageEndShape.schema, exchangeEndShape.schema] },
  parse(value, path) {
    const isExchange = typeof value === 'object' && value !== null && 'entry' in value;
    return (isExchange ? exchangeEndShape : messageEndShape).parse(value, path);
  },
};

/** Absent means that the register did not turn over, so `false` would be a second spelling. */
const turned: Shape<true> = {
  schema: { const: true },
  parse(value, path = 'rollover') {
    if (value !== true) throw new Refused('form', `${path}: not true`);
    return value;
  },
};

/** Where the receipt chain of one key stands at its last message of the batch (D3.1, D3.2). */
export const keyStateShape = object({
  chain: hashHex,
  kid: thumbprint,
  missing: array(seqRange, { min: 0, max: 100 }),
  throughSeq: integer(0),
});

/** One meter and hour (D3.2). FORMATS.md says what each member means. */
export const meterRecordShape = object({
  energy: unitsShape,
  keys: array(keyStateShape, { min: 0, max: 1000 }),
  meter: id,
  quality: qualityShape,
  reported: optional(unitsShape),
  role: roleShape,
  segments: array(object({ first: endShape, last: endShape, rollover: optional(turned) }), {
    min: 0,
    max: segmentsLimit,
  }),
  start: instant,
  verdicts: array(oneOf(...verdictCodes), { min: 0, max: verdictCodes.length }),
});

export type KeyState = Infer<typeof keyStateShape>;
export type RecordEnd = Infer<typeof endShape>;
export type RecordSegment = MeterRecord['segments'][number];
export type MeterRecord = Infer<typeof meterRecordShape>;

/**
 * The record of a meter's hour. `leafOf` finds a message among the leaves of the batch tree, which
 * exists only when the hours of all the plant's meters are known; it throws for a message not there.
 */
export function meterRecordOf(
  hour: MeterHour,
  context: {
    readonly start: number;
    /** In the order of the keys' entries. */
    readonly keys: readonly KeyState[];
    readonly leafOf: (message: { readonly kid: string; readonly seq: number }) => number;
  },
): MeterRecord {
  const endOf = (end: SegmentEnd): RecordEnd => {
    const { t, registers } = end;
    if ('entry' in end) return { entry: end.entry, registers, t };
    return { kid: end.kid, leaf: context.leafOf(end), registers, t };
  };
  const segments = hour.segments.map(({ first, last, rollover }) => ({
    first: endOf(first),
    last: endOf(last),
    ...(rollover !== undefined && { rollover }),
  }));
  return {
    energy: hour.energy,
    keys: context.keys,
    meter: hour.meter,
    quality: hour.quality,
    ...(hour.reported !== undefined && { reported: hour.reported }),
    role: hour.role,
    segments,
    start: context.start,
    verdicts: hour.verdicts,
  };
}

/** The leaf data of a meter record: its JCS form. */
export function encodeMeterRecord(meterRecord: MeterRecord): Uint8Array {
  return canonicalBytes(meterRecordShape.parse(meterRecord));
}

/** Strict inverse of `encodeMeterRecord`. Throws Refused. */
export function parseMeterRecord(bytes: Uint8Array): MeterRecord {
  const parsed = meterRecordShape.parse(parseCanonical(bytes));
  requireHourStart(parsed.start);
  if (!isAscending(parsed.verdicts)) throw new Refused('form', 'verdicts: not sorted');
  const kids = new Set(parsed.keys.map((key) => key.kid));
  if (kids.size !== parsed.keys.length) throw new Refused('form', 'keys: one of them twice');
  for (const { first, last } of parsed.segments) {
    const names = Object.keys(first.registers).join();
    if (names !== Object.keys(last.registers).join()) {
      throw new Refused('form', 'segments: ends with different registers');
    }
    if (first.t >= last.t) throw new Refused('form', 'segments: one that does not last');
  }
  return parsed;
}

function isAscending(texts: readonly string[]): boolean {
  return texts.every((text, i) => i === 0 || compareAscii(texts[i - 1] ?? '', text) < 0);
}

/** The leaves of the tree of a plant's meter records: by meter id, each one's JCS form (D3.2). */
export function meterLeaves(records: readonly MeterRecord[]): Uint8Array[] {
  return [...records].sort((a, b) => compareAscii(a.meter, b.meter)).map(encodeMeterRecord);
}

/** `metersRoot` of an hour: RFC 6962 over `meterLeaves`. */
export function metersRoot(records: readonly MeterRecord[]): Uint8Array {
  return treeRoot(meterLeaves(records).map(leafHash));
}
