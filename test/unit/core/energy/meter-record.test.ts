import { describe, expect, it } from 'vitest';
import { toHex, utf8 } from '#core/bytes.ts';
import { canonicalText } from '#core/jcs.ts';
import { computeMeterHour } from '#core/energy/meter-hour.ts';
import { encodeMeterRecord, meterLeaves, meterRecordOf } from '#core/energy/meter-record.ts';
import { metersRoot, parseMeterRecord, type MeterRecord } from '#core/energy/meter-record.ts';
import { checkMeterRecord, type RecordContext } from '#core/energy/record-proof.ts';
import type { MeterSpec } from '#core/energy/register.ts';
import { leafHash } from '#core/tlog/tree.ts';
import { examples } from '#support/formats-examples.ts';
import { evidenceOf, exchange, exportWh, held, importWh, start, values } from './evidence.ts';

const example = examples('services/core/FORMATS.md').get('meter-record') ?? '';
const exampleRecord = parseMeterRecord(utf8(canonicalText(JSON.parse(example))));

type Json = Record<string, unknown>;
/** The example, changed. */
function changed(change: (json: Json) => unknown): Uint8Array {
  const json = JSON.parse(example) as Json;
  change(json);
  return utf8(canonicalText(json));
}

describe('the record in FORMATS.md', () => {
  const spec: MeterSpec = {
    meter: 'wind-1',
    role: 'production',
    registers: { exportWh, importWh },
  };
  const kid = exampleRecord.keys[0]?.kid ?? '';
  const message = (seq: number, t: number, registers: Record<string, number>) => ({
    kid,
    seq,
    t: start + t,
    registers,
  });
  const readings = [
    message(41, 0, { exportWh: 1000, importWh: 7 }),
    message(42, 1200, { exportWh: 1400, importWh: 7 }),
    message(43, 3540, { exportWh: 290, importWh: 1 }),
    message(44, 3660, { exportWh: 310, importWh: 2 }),
  ];
  const exchanges = [
    {
      ...exchange(1230, { exportWh: 1410, importWh: 8 }, { exportWh: 0, importWh: 0 }),
      entry: { index: 12, leafHash: 'c0'.repeat(32) },
    },
  ];

  it('is what the hour it describes encodes to', () => {
    const hour = computeMeterHour(evidenceOf(spec, readings, { exchanges }), start, {
      capacityW: 2_000_000,
    });
    const meterRecord = meterRecordOf(
      { ...hour, meter: 'wind-1' },
      { start, keys: exampleRecord.keys, leafOf: ({ seq }) => seq - 41 },
    );
    expect(meterRecord).toEqual(exampleRecord);
    expect(encodeMeterRecord(meterRecord)).toEqual(utf8(canonicalText(JSON.parse(example))));
  });

  it('has the leaf hash that the page states', () => {
    const stated = examples('services/core/FORMATS.md').get('meter-record-leaf');
    expect(toHex(leafHash(encodeMeterRecord(exampleRecord)))).toBe(stated?.trim());
  });

  it.each([
    ['white space', utf8(example)],
    ['another start than an hour’s', changed((json) => (json.start = start + 1))],
    ['an unknown member', changed((json) => (json.more = 1))],
    ['an unknown verdict', changed((json) => (json.verdicts = ['guess']))],
    ['verdicts out of order', changed((json) => (json.verdicts = ['gap', 'exchange']))],
    ['a verdict twice', changed((json) => (json.verdicts = ['gap', 'gap']))],
    [
      'a key twice',
      changed((json) => (json.keys = [...exampleRecord.keys, ...exampleRecord.keys])),
    ],
    ['a segment that does not last', changed(withSegment(({ first }) => ({ first, last: first })))],
    [
      'ends with different registers',
      changed(
        withSegment(({ first, last }) => ({
          first,
          last: { ...last, registers: { exportWh: 5 } },
        })),
      ),
    ],
    [
      'a rollover that is none',
      changed(withSegment((segment) => ({ ...segment, rollover: false }))),
    ],
    [
      'an end that is both a message and an exchange',
      changed(
        withSegment(({ first, last }) => ({
          first: { ...first, entry: { index: 1, leafHash: 'c0'.repeat(32) } },
          last,
        })),
      ),
    ],
  ])('is refused with %s', (_, bytes) => {
    expect(() => parseMeterRecord(bytes)).toThrow(expect.objectContaining({ name: 'Refused' }));
  });
});

type SegmentOf = MeterRecord['segments'][number];
function withSegment(change: (segment: SegmentOf) => unknown): (json: Json) => void {
  return (json) => {
    const [first, ...others] = exampleRecord.segments;
    if (first !== undefined) json.segments = [change(first), ...others];
  };
}

describe('the tree of meter records', () => {
  it('orders them by meter, whatever order they are given in', () => {
    const other = { ...exampleRecord, meter: 'Wind-2' };
    expect(meterLeaves([exampleRecord, other])).toEqual(meterLeaves([other, exampleRecord]));
    expect(meterLeaves([exampleRecord, other])[0]).toEqual(encodeMeterRecord(other));
    expect(metersRoot([exampleRecord])).toEqual(leafHash(encodeMeterRecord(exampleRecord)));
  });
});

describe('the check of a record by the ends of its segments', () => {
  const spec: MeterSpec = {
    meter: 'M',
    role: 'production',
    registers: { exportWh: { ...exportWh, digits: 4 }, importWh },
  };
  const readings = held([
    { t: 0, registers: { exportWh: 9900, importWh: 0 } },
    { t: 1200, registers: { exportWh: 9950, importWh: 1 } },
    { t: 1800, registers: { exportWh: 50, importWh: 2 } },
    { t: 3600, registers: { exportWh: 250, importWh: 3 } },
  ]);
  const hour = computeMeterHour(evidenceOf(spec, readings), start, { capacityW: 1000 });
  const good = meterRecordOf(hour, { start, keys: [], leafOf: ({ seq }) => seq - 1 });
  const context: RecordContext = {
    spec,
    capacityW: 1000,
    readingAt: (at) => {
      const reading = 'leaf' in at ? readings[at.leaf] : undefined;
      if (reading === undefined) throw new Error('no such leaf');
      return reading;
    },
  };
  const segment = (i: number): SegmentOf => {
    const found = good.segments[i];
    if (found === undefined) throw new Error(`no segment ${i}`);
    return found;
  };
  const check = (more: Partial<MeterRecord>, less: Partial<RecordContext> = {}) => {
    checkMeterRecord({ ...good, ...more }, { ...context, ...less });
  };
  const without = (i: number) => good.segments.filter((_, place) => place !== i);

  it('passes what was measured', () => {
    expect(good.energy).toEqual({ exportWh: 350, importWh: 3 });
    expect(good.segments).toHaveLength(4);
    check({});
  });

  it.each<[string, Partial<MeterRecord>, Partial<RecordContext>]>([
    ['another meter', { meter: 'N' }, {}],
    ['another role', { role: 'auxiliary' }, {}],
    ['one watt-hour more', { energy: { exportWh: 351, importWh: 3 } }, {}],
    ['one to subtract less', { energy: { exportWh: 350, importWh: 2 } }, {}],
    ['the import left out', { energy: { exportWh: 350 } }, {}],
    ['a register that is not there', { energy: { ...good.energy, other: 0 } }, {}],
    ['a segment twice', { segments: [segment(0), ...good.segments] }, {}],
    ['the widened interval cut short', { segments: without(1) }, {}],
    ['a segment left out and no break', { segments: without(2) }, {}],
    [
      'a rollover that is not marked',
      { segments: good.segments.map(({ first, last }) => ({ first, last })) },
      {},
    ],
    ['a rollover beyond capacity', {}, { capacityW: 100 }],
    ['reported of a plant', { reported: { importWh: 3 } }, {}],
    ['a register that does not count', {}, { spec: { ...spec, registers: { exportWh } } }],
    ['another hour', { start: start + 3600 }, {}],
    [
      'a reading with a faulty clock',
      {},
      { readingAt: (at, side) => ({ ...context.readingAt(at, side), clock: 'unsynced' }) },
    ],
    [
      'a reading after tampering',
      {},
      { readingAt: (at, side) => ({ ...context.readingAt(at, side), status: 'tamper' }) },
    ],
    [
      'a reading of another time',
      {},
      { readingAt: (at, side) => ({ ...context.readingAt(at, side), t: 1 }) },
    ],
    [
      'a reading without the import',
      {},
      {
        readingAt: (at, side) => ({
          ...context.readingAt(at, side),
          registers: { exportWh: 9900 },
        }),
      },
    ],
  ])('refuses %s', (_, more, less) => {
    expect(() => check(more, less)).toThrow(expect.objectContaining({ name: 'Refused' }));
  });

  it('refuses to call measured what lacks a boundary', () => {
    const partial = values('exportWh', [
      [60, 0],
      [3600, 5],
    ]);
    const simple: MeterSpec = { meter: 'M', role: 'production', registers: { exportWh } };
    const short = meterRecordOf(
      computeMeterHour(evidenceOf(simple, partial), start, { capacityW: 1000 }),
      { start, keys: [], leafOf: ({ seq }) => seq - 1 },
    );
    const at: RecordContext = {
      spec: simple,
      capacityW: 1000,
      readingAt: (end) => partial['leaf' in end ? end.leaf : 0] ?? { t: 0, registers: {} },
    };
    checkMeterRecord(short, at);
    expect(() => checkMeterRecord({ ...short, quality: 'measured' }, at)).toThrow(
      'both boundaries',
    );
  });

  it('tells what a consumption site may claim from what it reports', () => {
    const outage = values('importWh', [
      [-60, 0],
      [600, 10],
      [1800, 15],
      [5400, 60],
    ]);
    const site: MeterSpec = { meter: 'M', role: 'consumption', registers: { importWh } };
    const consumed = meterRecordOf(
      computeMeterHour(evidenceOf(site, outage), start, { capacityW: 1000 }),
      { start, keys: [], leafOf: ({ seq }) => seq - 1 },
    );
    expect(consumed).toMatchObject({ energy: { importWh: 5 }, reported: { importWh: 60 } });
    const at: RecordContext = {
      spec: site,
      capacityW: 1000,
      readingAt: (end) => outage['leaf' in end ? end.leaf : 0] ?? { t: 0, registers: {} },
    };
    checkMeterRecord(parseMeterRecord(encodeMeterRecord(consumed)), at);
    for (const wrong of [
      { ...consumed, energy: { importWh: 60 } },
      { ...consumed, reported: { importWh: 5 } },
      { ...consumed, reported: {} },
      { ...consumed, segments: consumed.segments.slice(1) },
    ]) {
      expect(() => checkMeterRecord(wrong, at)).toThrow(
        expect.objectContaining({ code: 'energy' }),
      );
    }
  });
});
