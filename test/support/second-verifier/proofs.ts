import { decodeUtf8, utf8 } from '#core/bytes.ts';
import type { Quality } from '#core/certificate/specs/hours.ts';
import { encodeProof, type ProofParts } from '#core/certificate/proof/proof.ts';
import { cosignatureSigner, parseCheckpoint, signCheckpoint } from '#core/tlog/checkpoint.ts';
import { noteSigner, parseNote } from '#core/tlog/note.ts';
import type { MeterRecord } from '#core/energy/meter-record.ts';
import type { Pool } from '#platform/postgres.ts';
import { testKey, testOrigin, testStartS } from '../log-builder.ts';
import {
  auditingWitness,
  auxiliaryMeter,
  createProofLog,
  enrolSolar,
  everyMinute,
  plainWitness,
  policyTextOf,
  productionMeter,
  sendHours,
  solarSeries as series,
  type ProofLog,
  type SealOptions,
} from '../proof-builder.ts';
import type { WorkedDay } from '../worked-day.ts';
import type { Question } from './program.ts';

/** Proof files of logs, honest and not, each without a policy and under several. */

const hourS = 3600;
const minuteS = 60;
export const cosigners = [plainWitness, auditingWitness];

/** What the cosigners meet, what they do not, and what needs no auditor. */
const policies = {
  audited: policyTextOf(cosigners),
  unmet: policyTextOf([...cosigners, 'witness.example/third/audit']),
  unaudited: policyTextOf([plainWitness]),
};

export function underEach(name: string, file: Uint8Array): Question[] {
  return [
    { name, file },
    ...Object.entries(policies).map(([which, policy]) => ({
      name: `${name}, ${which}`,
      file,
      policy,
    })),
  ];
}

/** Every bundle of the worked day, and a part of each. */
export async function workedDayProofs(day: WorkedDay, pool: Pool): Promise<Question[]> {
  const bundles = await pool.rows<{ from: number; to: number }>(
    `select lower(range) as "from", upper(range) - 1 as "to" from bundle order by 1`,
  );
  const source = await day.ledger.proofs();
  const made: Question[] = [];
  for (const { from, to } of bundles) {
    const third = Math.floor((to - from) / 3);
    for (const cut of [0, third]) {
      const bundle = { series, from: from + cut, to: to - cut };
      const parts = await source.collect(bundle);
      const file = encodeProof({ ...parts, checkpoint: cosigned(parts.checkpoint, day) });
      made.push(...underEach(`day ${bundle.from} to ${bundle.to}`, file));
    }
  }
  return made;
}

/** The day has no witnesses of ours: its checkpoint, signed once more and by them too. */
function cosigned(checkpoint: string, { entries }: WorkedDay): string {
  const of = parseCheckpoint(parseNote(utf8(checkpoint)).text);
  const time = entries.at(-1)?.time ?? 0;
  const witnesses = cosigners.map((name) => cosignatureSigner(name, testKey(name), time));
  return decodeUtf8(signCheckpoint(of, [noteSigner(testOrigin, testKey('log')), ...witnesses]));
}

function measured(hours: number): ProofLog {
  const made = createProofLog();
  enrolSolar(made);
  sendHours(made, hours);
  made.log.time = testStartS + (hours + 1) * hourS;
  return made;
}

/** The index of the entry. */
function cancel({ log }: ProofLog, [from, to]: readonly number[], purpose = 'our use'): number {
  const spec = {
    account: 'solar',
    beneficiary: 'solar',
    items: [{ series, from, to }],
    period: { from: testStartS, to: testStartS + hourS },
    purpose,
    ...log.once(),
  };
  return log.enter('cancel', spec).ref.index;
}

/** Units of three hours, some cancelled and some withdrawn, under a state that ends the tree. */
export function livedProofs(): Question[] {
  const made = measured(3);
  for (let hour = 0; hour < 3; hour++) made.seal('solar', testStartS + hour * hourS);
  const hidden = cancel(made, [100, 199]);
  cancel(made, [600, 700]);
  made.correct('solar', testStartS, { energy: { generation: 500, quality: 'measured' } });
  const { index } = made.state().ref;
  made.fill(2);
  const proof = (from: number, to: number, size = index + 1): ProofParts =>
    made.parts({ series, from, to }, { cosigners, size });
  const bundles = [
    [1, 99],
    [90, 210],
    [480, 540],
    [541, 1080],
    [1081, 1200],
  ] as const;
  const hiding = proof(90, 210);
  const entries = hiding.entries.filter((entry) => entry.index !== hidden);
  return [
    ...bundles.flatMap(([from, to]) =>
      underEach(`lived ${from} to ${to}`, encodeProof(proof(from, to))),
    ),
    ...underEach('a cancel left out', encodeProof({ ...hiding, entries })),
    ...underEach('entries behind the state', encodeProof(proof(90, 210, index + 2))),
  ];
}

/** A sound file with an entry of that text. */
export function proofWithText(purpose: string): Uint8Array {
  const made = measured(1);
  made.seal('solar', testStartS);
  cancel(made, [1, 100], purpose);
  made.state();
  return encodeProof(made.parts({ series, from: 1, to: 540 }, { cosigners }));
}

/** An hour sealed twice, the second time void, in files that leave the `void` out and that show it. */
export function voidProofs(): Question[] {
  const made = measured(2);
  made.seal('solar', testStartS);
  const again = made.seal('solar', testStartS, {
    certificates: { deficit: 0, issued: { from: 541, to: 1080 }, netted: 0 },
  }).judgement;
  const named = made.log.void(again).ref.index;
  const real = made.seal('solar', testStartS + hourS).judgement.ref.index;
  // With it, what the file tells of these units is what the state says.
  cancel(made, [541, 1080]);
  made.state();
  const bundle = { series, from: 541, to: 1080 };
  const hours = new Set(made.sealed.keys());
  const hidden = (indexes: readonly number[]): readonly number[] =>
    indexes.filter((index) => index === again.ref.index || !hours.has(index));
  const lie = { cosigners, hour: again.ref.index, entries: hidden };
  const told = (indexes: readonly number[]): readonly number[] => [...hidden(indexes), named];
  return [
    ...underEach('the real hour', encodeProof(made.parts(bundle, { cosigners, hour: real }))),
    ...underEach('the void hour', encodeProof(made.parts(bundle, lie))),
    ...underEach('with its void', encodeProof(made.parts(bundle, { ...lie, entries: told }))),
  ];
}

const endsAt = testStartS + 20 * minuteS;

type Segments = MeterRecord['segments'];

/** What the record of the meter that ended is made to say, with figures that go with it. */
interface Ending {
  readonly importWh?: number;
  /** Measured, unless given. */
  readonly quality?: Quality;
  readonly segments: (honest: Segments) => Segments;
}

const endings: Readonly<Record<string, Ending>> = {
  'as it is': { importWh: 21, segments: (honest) => honest },
  'with other closing values': {
    importWh: 20,
    segments: (honest) =>
      honest.map(({ first, last }) => ({
        first,
        last: { ...last, registers: { importWh: 1020 } },
      })),
  },
  'with a later end': {
    importWh: 21,
    quality: 'partial',
    segments: (honest) =>
      honest.map(({ first, last }) => ({ first, last: { ...last, t: last.t + 1 } })),
  },
  'up to a message of after its end': {
    importWh: 22,
    segments: (honest) =>
      honest.flatMap(({ first }) => {
        if (!('kid' in first)) return [];
        const registers = { importWh: 1022 };
        const last = { ...first, leaf: first.leaf + 1, registers, t: endsAt + minuteS };
        return [{ first, last }];
      }),
  },
  'without a segment': { segments: () => [] },
};

/** A meter that ended within the hour, and of the next hour a file without it. */
export function endedProofs(): Question[] {
  return Object.entries(endings).flatMap(([how, ending]) => {
    const made = createProofLog();
    enrolSolar(made);
    const { log, send } = made;
    send(auxiliaryMeter, everyMinute('importWh', 0, 16));
    send(auxiliaryMeter, [{ registers: { importWh: 1022 }, t: endsAt + minuteS }]);
    for (const minute of [0, 60, 120]) send(productionMeter, everyMinute('exportWh', minute, 1));
    log.time = testStartS + 30 * minuteS;
    const end = { closing: { importWh: 1021 }, endsAt, meter: auxiliaryMeter };
    log.enter('meter-change', { ...end, ...log.once() });
    log.time = testStartS + 3 * hourS;
    made.seal('solar', testStartS, sealingOf(ending));
    made.seal('solar', testStartS + hourS);
    made.state();
    return [1, 590].flatMap((from) => {
      const file = encodeProof(made.parts({ series, from, to: from + 9 }, { cosigners }));
      return underEach(`ended, the record ${how}, from ${from}`, file);
    });
  });
}

function sealingOf({ importWh, quality = 'measured', segments }: Ending): SealOptions {
  const energy: Record<string, number> = importWh === undefined ? {} : { importWh };
  const said = (record: MeterRecord): MeterRecord => ({
    ...record,
    energy,
    quality,
    segments: segments(record.segments),
  });
  return {
    all: true,
    energy: { generation: 600 - (importWh ?? 0), quality },
    records: (records) =>
      records.map((record) => (record.meter === auxiliaryMeter ? said(record) : record)),
  };
}
