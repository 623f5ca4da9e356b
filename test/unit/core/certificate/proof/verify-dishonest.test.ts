import { describe, expect, it } from 'vitest';
import { encodeProof } from '#core/certificate/proof/proof.ts';
import { verifyProof, type Verdict } from '#core/certificate/proof/verify.ts';
import type { StepName } from '#core/certificate/proof/ladder.ts';
import type { MeterRecord } from '#core/energy/meter-record.ts';
import type { Signer } from '#core/signer.ts';
import { testHash, testKey, testStartS } from '#support/log-builder.ts';
import {
  auditingWitness,
  auxiliaryMeter,
  createProofLog,
  enrolSolar,
  everyMinute,
  plainWitness,
  policyOf,
  productionMeter,
  sendHours,
  solarSeries,
  type PartsOptions,
  type ProofLog,
  type SealOptions,
} from '#support/proof-builder.ts';

/** The log signs what is not so: whoever runs it has its key, but no meter's and no account's. */

const hourS = 3600;
const minuteS = 60;
const dayS = 86_400;
const productionKey = testKey(`${productionMeter} key 0`);
const reason = { evidence: [], reason: 'because' };

function enrolled(): ProofLog {
  const made = createProofLog();
  enrolSolar(made);
  return made;
}

/** The first hour of `solar`, with all that its meters said, ready to be sealed at 12:00. */
function measured(): ProofLog {
  const made = enrolled();
  sendHours(made, 1);
  made.log.time = testStartS + 2 * hourS;
  return made;
}

interface Sale extends PartsOptions {
  readonly from?: number;
  readonly to?: number;
}

function sell(made: ProofLog, { from = 1, to = 1, ...options }: Sale = {}): Verdict {
  return verifyProof(encodeProof(made.parts({ series: solarSeries, from, to }, options)));
}

function failedSteps({ steps }: Verdict): readonly StepName[] {
  return steps.filter(({ result }) => result === 'fail').map(({ name }) => name);
}

function failure({ steps }: Verdict): string {
  const found = steps.find(({ result }) => result === 'fail');
  return found === undefined ? 'none' : `${found.name}: ${found.reason}`;
}

/** The unit 1 of the first hour, sealed as `options` say. */
function sealAndSell(options: SealOptions, made = measured()): Verdict {
  const { judgement } = made.seal('solar', testStartS, options);
  return sell(made, { hour: judgement.ref.index });
}

const onlyOf =
  (meter: string, change: (record: MeterRecord) => MeterRecord) =>
  (records: readonly MeterRecord[]): MeterRecord[] =>
    records.map((record) => (record.meter === meter ? change(record) : record));

describe('an hour that states what its evidence does not', () => {
  it('is the honest one as long as it does not', () => {
    expect(failure(sealAndSell({}))).toBe('none');
  });

  const moreRecorded = onlyOf(productionMeter, (record) => ({
    ...record,
    energy: { exportWh: 601 },
  }));
  const moreRead = onlyOf(productionMeter, (record) => ({
    ...record,
    energy: { exportWh: 601 },
    segments: record.segments.map(({ first, last }) => ({
      first,
      last: { ...last, registers: { exportWh: 1601 } },
    })),
  }));
  const twiceTheSegment = onlyOf(productionMeter, (record) => ({
    ...record,
    energy: { exportWh: 1200 },
    segments: [...record.segments, ...record.segments],
  }));
  const disputed = onlyOf(productionMeter, (record) => ({ ...record, verdicts: ['reset'] }));
  const otherLeaf = onlyOf(productionMeter, (record) => ({
    ...record,
    segments: record.segments.map(({ first, last }) => ({
      first: 'leaf' in first ? { ...first, leaf: 0 } : first,
      last,
    })),
  }));
  const cases: readonly (readonly [string, RegExp, SealOptions])[] = [
    ['more energy than its records', /energy: .*540 Wh.*541 Wh/, { energy: { generation: 541 } }],
    ['less energy', /energy: .*540 Wh.*539 Wh/, { energy: { generation: 539 } }],
    ['another quality', /energy: .*measured.*partial/, { energy: { quality: 'partial' } }],
    ['CO2 of no meter', /energy: .* g of CO2/, { spec: { co2G: 5 } }],
    ['operation of no meter', /energy: .* s of operation/, { spec: { operatingS: 5 } }],
    ['valid data of no meter', /energy: .* s of valid data/, { spec: { validS: 5 } }],
    ['consumption of no meter', /energy: .*consumed/, { spec: { consumption: 5 } }],
    [
      'more energy in a record',
      /energy: SOLAR-P: exportWh: states 601, proved are 600/,
      { energy: { generation: 541 }, records: moreRecorded },
    ],
    [
      'a value that was never read',
      /energy: SOLAR-P: exportWh: not the value of the last reading/,
      { energy: { generation: 541 }, records: moreRead },
    ],
    [
      'a segment twice',
      /energy: SOLAR-P: exportWh: segments overlap/,
      { energy: { generation: 1140 }, records: twiceTheSegment },
    ],
    ['a dispute that it does not heed', /energy: SOLAR-P: called measured/, { records: disputed }],
    [
      "another meter's message",
      /energy: SOLAR-P: message 0 is .* another meter's/,
      { records: otherLeaf },
    ],
    [
      'no subtraction',
      /energy: the record of SOLAR-AUX is missing/,
      {
        energy: { generation: 600 },
        records: (records) => records.filter(({ meter }) => meter === productionMeter),
      },
    ],
    ['more messages than its tree has', /evidence: message/, { spec: { messages: 64 } }],
    ['another batch', /evidence: message/, { spec: { batchRoot: testHash('other') } }],
    ['other records', /evidence: meter record/, { spec: { metersRoot: testHash('other') } }],
    [
      'more units than are due',
      /issue: .* issues 541 Wh where 540 Wh are due/,
      { certificates: { issued: { from: 1, to: 541 } } },
    ],
    [
      'another hour',
      /energy: SOLAR-AUX: the record of another hour/,
      { spec: { interval: { seconds: 3600, start: testStartS + hourS } } },
    ],
  ];
  it.each(cases)('fails: %s', (_name, message, options) => {
    expect(failure(sealAndSell(options))).toMatch(message);
  });

  it("fails whoever has cosigned: an auditor's word makes no fault good", () => {
    const cosigners = [plainWitness, auditingWitness];
    const policy = policyOf(cosigners);
    const made = measured();
    made.seal('solar', testStartS, { energy: { generation: 541 } });
    const file = encodeProof(made.parts({ series: solarSeries, from: 1, to: 1 }, { cosigners }));
    const { steps } = verifyProof(file, { policy });
    expect(steps.map(({ result }) => result).join()).toBe(
      'pass,pass,pass,pass,pass,pass,fail,pass,unknown',
    );
  });

  it('fails where the meter of a record was not at the plant yet', () => {
    const made = measured();
    const { log, send } = made;
    log.meter('SOLAR-LATE');
    testKey('SOLAR-LATE key 0');
    log.key('SOLAR-LATE');
    for (const minute of [0, 60]) send('SOLAR-LATE', everyMinute('exportWh', minute, 1));
    const late = log.state.meters.get('SOLAR-LATE');
    if (late === undefined) throw new Error('no meter');
    // The dishonest log computes as if the meter had been entered before the hour.
    log.state.meters.set('SOLAR-LATE', { ...late, sinceS: 0 });
    expect(failure(sealAndSell({}, made))).toMatch(/energy: SOLAR-LATE was no meter of the plant/);
  });
});

describe('messages that do not count', () => {
  /** The reading of 11:00 is sent as `options` say; the rest is honest. */
  function sent(options: Parameters<ProofLog['send']>[2]): ProofLog {
    const made = enrolled();
    const { send } = made;
    send(productionMeter, everyMinute('exportWh', 0, 15));
    for (const minute of [0, 60]) send(auxiliaryMeter, everyMinute('importWh', minute, 1));
    send(productionMeter, everyMinute('exportWh', 60, 1), options);
    made.log.time = testStartS + 50 * dayS;
    return made;
  }
  const endS = testStartS + hourS;
  const all = { all: true };
  const forged: Signer = { ...productionKey, sign: () => productionKey.sign(new Uint8Array(1)) };

  const cases: readonly (readonly [string, RegExp, Parameters<ProofLog['send']>[2]])[] = [
    ['from the future', /the future/, { receivedAt: endS - 121 }],
    ['late', /too late/, { receivedAt: endS + 45 * dayS + 1 }],
    ['of another log', /another log/, { change: { log: 'log.example/other' } }],
    ['for another plant', /SOLAR-P at wind/, { change: { plant: 'wind' } }],
    [
      "under another meter's key",
      /not one of SOLAR-P/,
      { signer: testKey(`${auxiliaryMeter} key 0`) },
    ],
    ['under a key that the log does not name', /no such key/, { signer: testKey('stranger') }],
    ['forged', /signature does not fit/, { signer: forged }],
  ];
  it.each(cases)('fails at the signatures: %s', (_name, message, options) => {
    const verdict = sealAndSell(all, sent(options));
    expect(failedSteps(verdict)).toContain('signatures');
    expect(failure(verdict)).toMatch(message);
    expect(failure(verdict)).toMatch(/^signatures: message \d/);
  });

  it('passes on the boundaries of both', () => {
    for (const receivedAt of [endS - 120, endS + 45 * dayS]) {
      expect(failure(sealAndSell(all, sent({ receivedAt })))).toBe('none');
    }
  });

  it('passes late by a decision, and fails set aside by one', () => {
    const { kid } = productionKey;
    const late = sent({ receivedAt: endS + 46 * dayS });
    const decision = { kid, ...reason, from: 2, to: 2 };
    late.log.enter('decision', { ...decision, effect: 'accept-late', ...late.log.once() });
    expect(failure(sealAndSell(all, late))).toBe('none');
    const aside = sent({});
    aside.log.enter('decision', { ...decision, effect: 'set-aside', ...aside.log.once() });
    expect(failure(sealAndSell(all, aside))).toMatch(/^signatures: message \d: .*set it aside/);
  });

  it.each([
    ['after its last number', { lastSeq: 1, lastT: endS }],
    ['after its last instant', { lastSeq: 2, lastT: endS - 1 }],
  ])('fails %s', (_name, end) => {
    const made = sent({});
    made.log.enter('key-end', { kid: productionKey.kid, ...end, ...made.log.once() });
    expect(failure(sealAndSell(all, made))).toMatch(/^signatures: message \d: outside the span/);
  });

  it('fails before its key begins', () => {
    const made = createProofLog();
    const { log, send } = made;
    log.genesis();
    log.account('solar');
    log.plant('solar');
    log.meter(productionMeter);
    log.key(productionMeter, { notBefore: testStartS + 1 });
    for (const minute of [0, 60]) send(productionMeter, everyMinute('exportWh', minute, 1));
    log.time = testStartS + 2 * hourS;
    expect(failure(sealAndSell(all, made))).toMatch(/^signatures: message 0: outside the span/);
  });
});

describe('what is frozen', () => {
  const { kid } = productionKey;
  /** Sealed as if nothing were frozen. */
  function sealBlindly(made: ProofLog, thing: { frozen: boolean } | undefined): Verdict {
    if (thing?.frozen !== true) throw new Error('not frozen');
    thing.frozen = false;
    const { judgement } = made.seal('solar', testStartS);
    thing.frozen = true;
    return sell(made, { hour: judgement.ref.index });
  }

  it('fails at the energy: a forked key, a frozen key, a frozen meter', () => {
    const forked = measured();
    forked.log.enter('fork', { evidence: testHash('evidence'), kid, seq: 9 });
    const key = measured();
    key.log.enter('freeze', { ...reason, id: kid, what: 'key', ...key.log.once() });
    for (const made of [forked, key]) {
      const verdict = sealBlindly(made, made.log.state.keys.get(kid));
      expect(failure(verdict)).toMatch(/^energy: SOLAR-P: rests on a frozen meter or key/);
    }
    const meter = measured();
    meter.log.enter('freeze', {
      ...reason,
      id: productionMeter,
      what: 'meter',
      ...meter.log.once(),
    });
    const verdict = sealBlindly(meter, meter.log.state.meters.get(productionMeter));
    expect(failure(verdict)).toMatch(/^energy: SOLAR-P: rests on a frozen meter or key/);
  });

  it('fails at the issue: a frozen plant', () => {
    const made = measured();
    made.log.enter('freeze', { ...reason, id: 'solar', what: 'plant', ...made.log.once() });
    const verdict = sealBlindly(made, made.log.state.plants.get('solar'));
    expect(failure(verdict)).toMatch(/^issue: .*issues 540 Wh where 0 Wh are due/);
  });

  it('fails at the signatures: the message of a fork that a decision did not keep', () => {
    const made = measured();
    const { log } = made;
    const decide = (hash: string): void => {
      log.enter('fork', { evidence: testHash('evidence'), kid, seq: 1 });
      const keep = { ...reason, effect: 'keep-fork', hash, kid, seq: 1 };
      log.enter('decision', { ...keep, ...log.once() });
      log.enter('unfreeze', { ...reason, id: kid, what: 'key', ...log.once() });
    };
    decide(testHash('the other message'));
    expect(failure(sealAndSell({}, made))).toMatch(/^signatures: .*keeps another message/);
  });
});

describe('an interval that is cut', () => {
  /** One segment from 10:00 to 11:00, whatever lies between. */
  const uncut = (energyWh: number) =>
    onlyOf(productionMeter, (record) => {
      const [first, last] = [record.segments[0]?.first, record.segments.at(-1)?.last];
      if (first === undefined || last === undefined) throw new Error('no segments');
      const { verdicts: _verdicts, ...rest } = record;
      return { ...rest, energy: { exportWh: energyWh }, segments: [{ first, last }], verdicts: [] };
    });
  function cutAt(t: number, how: 'exchange' | 'break'): ProofLog {
    const made = enrolled();
    const { log, send } = made;
    for (const minute of [0, 60]) send(auxiliaryMeter, everyMinute('importWh', minute, 1));
    for (const minute of [0, 10, 50]) send(productionMeter, everyMinute('exportWh', minute, 1));
    send(productionMeter, [{ registers: { exportWh: 51_600 }, t: testStartS + hourS }]);
    log.time = testStartS + 2 * hourS;
    if (how === 'break') {
      const decision = { ...reason, effect: 'break', meter: productionMeter, t };
      log.enter('decision', { ...decision, ...log.once() });
    } else {
      const values = { closing: { exportWh: 1300 }, opening: { exportWh: 1400 } };
      const exchange = { ...values, meter: productionMeter, serial: 'another', t };
      log.enter('exchange', { ...exchange, ...log.once() });
    }
    return made;
  }

  it.each(['exchange', 'break'] as const)('fails at the energy across: %s', (how) => {
    const options = {
      energy: { generation: 50_540, quality: 'measured' },
      records: uncut(50_600),
    } as const;
    const made = cutAt(testStartS + 30 * minuteS, how);
    expect(failure(sealAndSell(options, made))).toMatch(/^energy: SOLAR-P: a segment runs across/);
  });
});

describe('entries that are void', () => {
  const others = (judgements: readonly { ref: { index: number } }[]): PartsOptions => ({
    entries: (some) => [...new Set([...some, ...judgements.map(({ ref }) => ref.index)])],
  });

  it('fails at the issue: an hour sealed twice, one that a later entry calls void', () => {
    const made = measured();
    made.seal('solar', testStartS);
    const again = made.seal('solar', testStartS, {
      certificates: { issued: { from: 541, to: 1080 } },
    });
    const hour = again.judgement.ref.index;
    const first = hour - 1;
    const sale = { from: 541, to: 1080, hour };
    expect(
      failure(sell(made, { ...sale, entries: (some) => [...new Set([...some, first])] })),
    ).toMatch(/^issue: entry \d+ \(hour\) is void: that hour is sealed already/);
    const said = made.log.void(again.judgement);
    expect(failure(sell(made, { ...sale, ...others([said]) }))).toMatch(
      /^issue: entry \d+ \(hour\) is void: void by entry \d+/,
    );
    // Who gets neither of the two can only be told by an auditor; the state proof will.
    const { steps } = sell(made, { ...sale, entries: (some) => some.filter((i) => i !== first) });
    expect(steps.slice(7).map(({ result }) => result)).toEqual(['unknown', 'unknown']);
  });

  it('fails at the life: a plant, entered after the hour, that its account did not sign for', () => {
    const made = measured();
    made.seal('solar', testStartS);
    const broken = made.log.plant('second', { account: 'solar' }, { signedBy: [] });
    expect(failure(sell(made, others([broken])))).toMatch(
      /^life: entry \d+ \(plant\) is void: not signed by/,
    );
  });

  it('fails at the signatures when such an entry comes before the hour', () => {
    const made = measured();
    const broken = made.log.account('mallory', {}, { signedBy: [testKey('mallory account')] });
    made.seal('solar', testStartS);
    expect(failure(sell(made, others([broken])))).toMatch(
      /^signatures: entry \d+ \(account\) is void: not signed by the issuing body/,
    );
  });

  it('fails at the life: cancelled by somebody else, cancelled twice', () => {
    const items = [{ series: solarSeries, from: 1, to: 10 }];
    const stolen = measured();
    stolen.log.account('mallory');
    stolen.seal('solar', testStartS);
    const theft = stolen.log.cancel('mallory', items);
    const account = { ref: { index: stolen.log.state.accounts.get('mallory')?.entries[0] ?? 0 } };
    expect(failure(sell(stolen, others([theft, account])))).toMatch(/^life: .* belongs to solar/);
    const twice = measured();
    twice.seal('solar', testStartS);
    const first = twice.log.cancel('solar', items);
    const second = twice.log.cancel('solar', items);
    expect(failure(sell(twice, others([first, second])))).toMatch(/^life: .* is cancelled/);
  });

  it('fails at the issue: a correction without the version that it amends', () => {
    const made = enrolled();
    const { log, send } = made;
    for (const minute of [0, 60]) send(auxiliaryMeter, everyMinute('importWh', minute, 1));
    for (const minute of [0, 30]) send(productionMeter, everyMinute('exportWh', minute, 1));
    log.time = testStartS + 2 * hourS;
    const { judgement } = made.seal('solar', testStartS);
    send(productionMeter, everyMinute('exportWh', 60, 1));
    made.correct('solar', testStartS);
    const without = (some: readonly number[]) => some.filter((i) => i !== judgement.ref.index);
    const verdict = sell(made, { from: 241, to: 540, entries: without });
    expect(failure(verdict)).toMatch(/^issue: .*does not amend the latest version/);
  });
});

describe('what a part of the log cannot show', () => {
  function undecided(verdict: Verdict): void {
    expect(failure(verdict)).toBe('none');
    const [issue, life] = verdict.steps.slice(7);
    expect([issue?.result, life?.result]).toEqual(['unknown', 'unknown']);
    expect(issue?.reason).toContain('that nothing is left out which forbids it');
  }

  it('is left to an auditing witness: a meter of which log and file say nothing', () => {
    const made = measured();
    const { judgement } = made.seal('solar', testStartS, {
      energy: { generation: 600 },
      records: (records) => records.filter(({ meter }) => meter === productionMeter),
    });
    const { ref } = judgement;
    const gone = new Set([
      made.log.state.meters.get(auxiliaryMeter)?.index,
      ...[...made.log.state.keys.values()].flatMap(({ spec }) =>
        spec.meter === auxiliaryMeter ? [ref.index - 1] : [],
      ),
    ]);
    const entries = (some: readonly number[]) => some.filter((index) => !gone.has(index));
    undecided(sell(made, { hour: ref.index, entries }));
  });

  it('is left to an auditing witness: a change of rules, the end of a key, a decision', () => {
    const made = measured();
    const { log } = made;
    const { kid } = productionKey;
    const end = log.enter('key-end', { kid, lastSeq: 1, lastT: testStartS, ...log.once() });
    const decision = { ...reason, effect: 'set-aside', from: 1, kid, to: 1 };
    const aside = log.enter('decision', { ...decision, ...log.once() });
    const stricter = { ...log.state.genesis?.rules, eligibleSources: ['wind'], version: 3 };
    const rules = log.enter('rules', { ...stricter, ...log.once() });
    const { judgement } = made.seal('solar', testStartS, {
      all: true,
      certificates: { issued: { from: 1, to: 540 } },
    });
    const gone = new Set([end, aside, rules].map(({ ref }) => ref.index));
    const entries = (some: readonly number[]) => some.filter((index) => !gone.has(index));
    undecided(sell(made, { hour: judgement.ref.index, entries }));
    expect(failedSteps(sell(made, { hour: judgement.ref.index }))).toEqual([
      'signatures',
      'issue',
      'life',
    ]);
  });

  it('is unknown from a kind on that this program does not know, and never verified', () => {
    const made = enrolled();
    const { log } = made;
    const { kinds = [] } = log.state.genesis?.rules ?? {};
    const rules = { ...log.state.genesis?.rules, kinds: [...kinds, 'barter'], version: 3 };
    log.enter('rules', { ...rules, ...log.once() });
    sendHours(made, 1);
    log.time = testStartS + 2 * hourS;
    made.seal('solar', testStartS);
    expect(() => log.enter('barter', {}, { signedBy: [] })).toThrow('not known');
    const entries = (some: readonly number[]) => [...some, log.entries.length - 1];
    const verdict = sell(made, { entries });
    expect(verdict.result).toBe('undecided');
    expect(verdict.steps.map(({ result }) => result).slice(5)).toEqual([
      'pass',
      'pass',
      'unknown',
      'unknown',
    ]);
    expect(verdict.steps[7]?.reason).toContain('the kind barter is not known');
  });
});
