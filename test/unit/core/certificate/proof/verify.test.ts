import { describe, expect, it } from 'vitest';
import { utf8 } from '#core/bytes.ts';
import { encodeProof } from '#core/certificate/proof/proof.ts';
import { verifyProof, type Verdict } from '#core/certificate/proof/verify.ts';
import { noteSigner, parseNote, signNote, formatNote } from '#core/tlog/note.ts';
import { parsePolicy } from '#core/tlog/policy.ts';
import { testKey, testOrigin, testStartS, testVkey } from '#support/log-builder.ts';
import {
  auditingWitness,
  auxiliaryMeter,
  changeProof,
  createProofLog,
  enrolSolar,
  everyMinute,
  honestBundle,
  honestLog,
  honestProof,
  plainWitness,
  policyOf,
  productionMeter,
  provedStartS,
  requireSound,
  sendHours,
  solarSeries,
  type ProofLog,
} from '#support/proof-builder.ts';

const hourS = 3600;
const witnesses = [plainWitness, auditingWitness];
const cosigned = honestProof({ cosigners: witnesses });

/** `1234?67??`-like: the number of a step that passed, `?` for unknown, `x` for failed. */
function signs({ steps }: Verdict): string {
  const sign = { pass: undefined, unknown: '?', fail: 'x' } as const;
  return steps.map(({ number, result }) => sign[result] ?? String(number)).join('');
}

function reasonOf({ steps }: Verdict, number: number): string {
  return steps[number - 1]?.reason ?? '';
}

describe('an honest proof', () => {
  it('passes every step that can be decided without a policy, and says what the rest needs', () => {
    const verdict = verifyProof(cosigned);
    expect(signs(verdict)).toBe('12?4567??');
    expect(verdict.result).toBe('undecided');
    expect(verdict.bundle).toEqual(honestBundle);
    expect(verdict.hourStart).toBe(provedStartS);
    expect(reasonOf(verdict, 2)).toContain("signed by genesis's own key");
    expect(reasonOf(verdict, 3)).toContain('no policy was given');
    expect(reasonOf(verdict, 7)).toContain('540 Wh generated, measured');
    expect(reasonOf(verdict, 8)).toContain('only an auditing witness of your policy can say');
    expect(reasonOf(verdict, 9)).toContain('units 541 to 1080 were active, owned by solar');
    expect(reasonOf(verdict, 9)).toContain('only a state proof can tell');
  });

  it('passes quorum and issue with a policy that needs an auditing witness', () => {
    const verdict = verifyProof(cosigned, { policy: policyOf(witnesses) });
    expect(signs(verdict)).toBe('12345678?');
    expect(reasonOf(verdict, 2)).toContain('by the key that the policy names');
    expect(reasonOf(verdict, 3)).toBe('cosigned by w0, w1: a quorum of the policy');
    expect(reasonOf(verdict, 8)).toContain('rules that an auditing witness replayed');
  });

  it.each([
    ['a plain witness alone', [plainWitness]],
    ['no witness', []],
  ])('leaves quorum and issue unknown where the policy needs %s', (_name, needed) => {
    const verdict = verifyProof(cosigned, { policy: policyOf(needed) });
    expect(signs(verdict)).toBe('12?4567??');
    expect(reasonOf(verdict, 3)).toContain('can be met without an auditing witness');
  });

  it('fails at the quorum, and claims no auditor, where one that is needed did not cosign', () => {
    const file = honestProof({ cosigners: [plainWitness] });
    const verdict = verifyProof(file, { policy: policyOf(witnesses) });
    expect(signs(verdict)).toBe('12x4567??');
    expect(reasonOf(verdict, 3)).toBe('cosigned by w0: not a quorum of the policy');
    expect(reasonOf(verdict, 8)).toContain('rests on step 3, quorum');
  });

  it('is the same through many entries, several plants and long paths', () => {
    const file = honestProof({ fillers: 300 });
    expect(signs(verifyProof(file))).toBe('12?4567??');
    expect(file.length).toBeLessThan(64 * 1024);
  });
});

describe('the key of the log', () => {
  it('is that of the policy, whatever genesis says', () => {
    const stranger = testVkey(testOrigin, 'a stranger');
    const verdict = verifyProof(cosigned, { policy: policyOf(witnesses, stranger) });
    expect(signs(verdict)).toBe('1x???????');
    expect(verdict.result).toBe('failed');
  });

  it('must be one that the policy names for that log', () => {
    const other = testVkey('other.example/log', 'a stranger');
    const verdict = verifyProof(cosigned, { policy: policyOf(witnesses, other) });
    expect(signs(verdict)).toBe('1x???????');
    expect(reasonOf(verdict, 2)).toContain('names no key for the log');
  });

  it('may be any of several that the policy names for it, but none may have signed badly', () => {
    const stranger = testVkey(testOrigin, 'next key');
    const both = parsePolicy(`log ${stranger}\nlog ${testVkey()}\nquorum none\n`);
    expect(signs(verifyProof(cosigned, { policy: both }))).toBe('12?4567??');
    const spoilt = changeProof(cosigned, (proof) => {
      const note = parseNote(utf8(proof.checkpoint));
      const wrong = noteSigner(testOrigin, testKey('next key'));
      const signer = { ...wrong, sign: () => wrong.sign(utf8('something else\n')) };
      proof.checkpoint = new TextDecoder().decode(formatNote(signNote(note, [signer])));
    });
    expect(signs(verifyProof(spoilt, { policy: both }))).toBe('1x???????');
    expect(signs(verifyProof(spoilt))).toBe('12?4567??');
  });

  it('fails on a cosignature of a known witness that does not fit', () => {
    const spoilt = changeProof(cosigned, (proof) => {
      const lines = proof.checkpoint.trimEnd().split('\n');
      const [line = ''] = lines.splice(-1);
      const at = line.length - 10;
      lines.push(`${line.slice(0, at)}${line[at] === 'A' ? 'B' : 'A'}${line.slice(at + 1)}`, '');
      proof.checkpoint = lines.join('\n');
    });
    expect(signs(verifyProof(spoilt, { policy: policyOf(witnesses) }))).toBe('1x???????');
  });
});

describe('the life of a certificate', () => {
  function proofOf({ parts }: ProofLog, from: number, to: number): Verdict {
    return verifyProof(encodeProof(parts({ series: solarSeries, from, to })));
  }

  it('shows a part that was cancelled, whatever else the same entry cancelled', () => {
    const made = honestLog();
    const { log } = made;
    log.account('wind');
    log.plant('wind', { source: 'wind', technology: 'onshore' });
    log.time += 2 * hourS;
    const windStart = testStartS + 5 * hourS;
    log.hour('wind', windStart, 5000);
    const items = Array.from({ length: 100 }, (_, i) => ({
      series: solarSeries,
      from: 1 + 3 * i,
      to: 2 + 3 * i,
    }));
    log.cancel('solar', [...items, { series: solarSeries, from: 600, to: 700 }]);
    requireSound(made);
    const verdict = proofOf(made, 541, 1080);
    expect(signs(verdict)).toBe('12?4567??');
    expect(reasonOf(verdict, 9)).toContain(
      'units 541 to 599 were active, owned by solar; units 600 to 700 were cancelled, owned by solar',
    );
  });

  it('names an owner whose key the operator keeps', () => {
    const made = createProofLog();
    const { log } = made;
    log.genesis();
    log.account('solar', { custody: 'operator' });
    log.plant('solar');
    log.meter(productionMeter);
    testKey(`${productionMeter} key 0`);
    log.key(productionMeter);
    for (const minute of [0, 60]) made.send(productionMeter, everyMinute('exportWh', minute, 1));
    log.time = testStartS + 2 * hourS;
    made.seal('solar', testStartS);
    expect(reasonOf(proofOf(made, 1, 600), 9)).toContain('the operator keeps the key of solar');
  });
});

describe('an hour that was restated', () => {
  /** The second reading of the first hour's end is missing until the correction. */
  function corrected(): ProofLog {
    const made = createProofLog();
    enrolSolar(made);
    const { log, send } = made;
    send(productionMeter, everyMinute('exportWh', 0, 15));
    send(auxiliaryMeter, everyMinute('importWh', 0, 15));
    send(auxiliaryMeter, everyMinute('importWh', 60, 15));
    send(productionMeter, everyMinute('exportWh', 30, 15));
    log.time = testStartS + 2 * hourS;
    made.seal('solar', testStartS);
    send(productionMeter, everyMinute('exportWh', 60, 15));
    log.time += hourS;
    made.correct('solar', testStartS);
    return made;
  }

  it('proves the units that its correction issued, by the evidence of the correction', () => {
    const made = corrected();
    requireSound(made);
    const ranges = [...(made.log.state.series.get(solarSeries)?.ranges ?? [])];
    // 44 minutes of 10 Wh less the whole hour's 60; then all of it.
    expect(ranges.map(({ from, to }) => [from, to])).toEqual([
      [1, 380],
      [381, 540],
    ]);
    for (const { from, to } of ranges) {
      const file = encodeProof(made.parts({ series: solarSeries, from, to }));
      expect(signs(verifyProof(file))).toBe('12?4567??');
    }
  });

  it('shows a later decrease as a note, and not an increase', () => {
    const made = corrected();
    const first = { series: solarSeries, from: 1, to: 100 };
    const increased = verifyProof(encodeProof(made.parts(first)));
    expect(reasonOf(increased, 8)).not.toContain('note');
    const kid = testKey(`${productionMeter} key 0`).kid;
    const aside = { effect: 'set-aside', evidence: [], from: 2, kid, reason: 'wrong', to: 3 };
    made.log.enter('decision', { ...aside, ...made.log.once() });
    made.correct('solar', testStartS);
    requireSound(made);
    const decreased = verifyProof(encodeProof(made.parts(first)));
    expect(signs(decreased)).toBe('12?4567??');
    expect(reasonOf(decreased, 8)).toMatch(
      /note: entry \d+ later lowered the hour from 380 to 80 Wh/,
    );
  });

  it('says nothing of a correction that is another hour of the plant', () => {
    const made = corrected();
    sendHours({ send: () => undefined }, 1);
    made.log.time += 5 * hourS;
    const start = testStartS + 2 * hourS;
    const zero = { generation: 0, quality: 'partial' as const };
    made.log.hour('solar', start, { ...zero, generation: 50 });
    const correction = made.log.correct('solar', start, zero);
    const parts = made.parts(
      { series: solarSeries, from: 1, to: 100 },
      { entries: (some) => [...some, correction.ref.index - 1, correction.ref.index] },
    );
    expect(reasonOf(verifyProof(encodeProof(parts)), 8)).not.toContain('note');
  });
});

describe('keys and exchanges', () => {
  it('proves an hour across a change of key and an exchange of the meter', () => {
    const made = createProofLog();
    enrolSolar(made);
    const { log, send } = made;
    const minute = 60;
    for (const at of [0, 60]) send(auxiliaryMeter, everyMinute('importWh', at, 1));
    send(productionMeter, everyMinute('exportWh', 0, 15));
    send(productionMeter, everyMinute('exportWh', 15, 6));
    const old = testKey(`${productionMeter} key 0`);
    const lastT = testStartS + 20 * minute;
    log.time = testStartS + 21 * minute;
    testKey(`${productionMeter} key 1`);
    log.key(productionMeter, { notBefore: lastT });
    log.enter('key-end', { kid: old.kid, lastSeq: 2, lastT, ...log.once() });
    send(productionMeter, everyMinute('exportWh', 21, 5));
    log.enter('exchange', {
      closing: { exportWh: 1300 },
      meter: productionMeter,
      opening: { exportWh: 77_000 },
      serial: 'another',
      t: testStartS + 30 * minute,
      ...log.once(),
    });
    send(productionMeter, [{ registers: { exportWh: 77_250 }, t: testStartS + 60 * minute }]);
    log.time = testStartS + 2 * hourS;
    made.seal('solar', testStartS);
    requireSound(made);
    const verdict = verifyProof(encodeProof(made.parts({ series: solarSeries, from: 1, to: 490 })));
    expect(signs(verdict)).toBe('12?4567??');
    expect(reasonOf(verdict, 7)).toContain('490 Wh');
  });
});
