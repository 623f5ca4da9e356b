import { describe, expect, it } from 'vitest';
import { encodeProof } from '#core/certificate/proof/proof.ts';
import { verifyProof } from '#core/certificate/proof/verify.ts';
import type { MeterRecord } from '#core/energy/meter-record.ts';
import { testStartS } from '#support/log-builder.ts';
import {
  auxiliaryMeter,
  createProofLog,
  enrolSolar,
  everyMinute,
  productionMeter,
  requireSound,
  solarSeries,
  type ProofLog,
  type SealOptions,
} from '#support/proof-builder.ts';

const hourS = 3600;
const minuteS = 60;
const endsAt = testStartS + 20 * minuteS;

/** Both meters of `solar` count from 10:00; the auxiliary one ends at 10:20, when it shows 1021 Wh. */
function ended(): ProofLog {
  const made = createProofLog();
  enrolSolar(made);
  const { log, send } = made;
  send(auxiliaryMeter, everyMinute('importWh', 0, 16));
  for (const minute of [0, 60, 120]) send(productionMeter, everyMinute('exportWh', minute, 1));
  log.time = testStartS + 30 * minuteS;
  const end = { closing: { importWh: 1021 }, endsAt, meter: auxiliaryMeter };
  expect(log.enter('meter-change', { ...end, ...log.once() }).violation).toBeUndefined();
  log.time = testStartS + 3 * hourS;
  return made;
}

/** The first step that fails, of a proof of unit 1 of an hour sealed as `options` say. */
function failure(options: SealOptions, { made = ended(), start = testStartS } = {}): string {
  const { judgement } = made.seal('solar', start, options);
  const parts = made.parts({ series: solarSeries, from: 1, to: 1 }, { hour: judgement.ref.index });
  const found = verifyProof(encodeProof(parts)).steps.find(({ result }) => result === 'fail');
  return found === undefined ? 'none' : `${found.name}: ${found.reason}`;
}

type Records = NonNullable<SealOptions['records']>;

const auxiliary =
  (change: (record: MeterRecord) => MeterRecord): Records =>
  (records) =>
    records.map((record) => (record.meter === auxiliaryMeter ? change(record) : record));

describe('an hour in which a meter ended', () => {
  it('is measured by what the meter signed and by its closing values', () => {
    const made = ended();
    made.seal('solar', testStartS);
    made.seal('solar', testStartS + hourS);
    requireSound(made);
    const proved = verifyProof(encodeProof(made.parts({ series: solarSeries, from: 1, to: 579 })));
    expect(proved.steps[6]).toMatchObject({ name: 'energy', result: 'pass' });
    expect(proved.steps[6]?.reason).toContain('579 Wh generated, measured');
    const next = made.parts({ series: solarSeries, from: 580, to: 1179 });
    expect(verifyProof(encodeProof(next)).steps[6]?.reason).toContain('600 Wh generated, measured');
  });

  it('fails at the energy where the record of the meter is left out', () => {
    const records: Records = (all) => all.filter(({ meter }) => meter !== auxiliaryMeter);
    expect(failure({ energy: { generation: 600, quality: 'measured' }, records })).toMatch(
      /^energy: the record of .* is missing/,
    );
  });

  it('fails at the energy by other closing values, and where it begins at them', () => {
    const lower = auxiliary((record) => ({
      ...record,
      energy: { importWh: 16 },
      segments: record.segments.map(({ first, last }) =>
        'entry' in last
          ? { first, last: { ...last, registers: { importWh: 1016 } } }
          : { first, last },
      ),
    }));
    const energy = { generation: 584, quality: 'measured' } as const;
    expect(failure({ energy, records: lower })).toMatch(/^energy: .*not the value of the last/);
    const turned = auxiliary((record) => ({
      ...record,
      energy: { importWh: 0 },
      segments: record.segments.flatMap(({ last }) =>
        'entry' in last ? [{ first: last, last: { ...last, t: last.t + 1 } }] : [],
      ),
    }));
    expect(failure({ energy, records: turned })).toMatch(/^energy: .*an exchange that the file/);
  });

  it('fails at the energy where it is called measured without reaching the end', () => {
    const records = auxiliary((record) => ({
      ...record,
      energy: {},
      quality: 'measured',
      segments: [],
    }));
    const energy = { generation: 0, quality: 'measured' } as const;
    const certificates = { issued: { from: 1, to: 1 } };
    expect(failure({ energy, records, certificates })).toMatch(/^energy: .*measured without/);
  });

  it('fails at the energy of a later hour by a record too many', () => {
    const made = ended();
    const { records } = made.seal('solar', testStartS);
    const late = records.find(({ meter }) => meter === auxiliaryMeter);
    const start = testStartS + hourS;
    const more: Records = (all) => [
      ...(late === undefined ? [] : [{ ...late, keys: [], segments: [], start }]),
      ...all,
    ];
    expect(failure({ records: more }, { made, start })).toMatch(/^energy: .*was no meter/);
  });

  it('fails at the signatures by a message of after the end', () => {
    const made = ended();
    const registers = { importWh: 1022 };
    made.send(auxiliaryMeter, [{ registers, t: endsAt + 1 }]);
    const beyond = auxiliary((record) => ({
      ...record,
      energy: { importWh: 22 },
      segments: record.segments.flatMap(({ first, last }) =>
        'entry' in last && 'kid' in first
          ? [{ first, last: { ...first, leaf: first.leaf + 1, registers, t: endsAt + 1 } }]
          : [],
      ),
    }));
    const energy = { generation: 578, quality: 'measured' } as const;
    expect(failure({ all: true, energy, records: beyond }, { made })).toMatch(
      /^signatures: .*after the end of its meter/,
    );
  });
});
