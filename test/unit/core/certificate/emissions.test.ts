import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Judgement } from '#core/certificate/fold.ts';
import { advance } from '#core/certificate/fold.ts';
import { emptyState } from '#core/certificate/state/state.ts';
import type { LogBuilder } from '#support/log-builder.ts';
import { testStartS } from '#support/log-builder.ts';
import {
  correctRecord,
  createEmissionLog,
  emissionDayS,
  emissionRules,
  enterRecord,
  factorSet,
  recordOf,
  sealDays,
  withHour,
} from '#support/emission-log.ts';

const hourS = 3600;
const codeOf = ({ violation }: Judgement): string | undefined => violation?.code;
const factorsOf = (log: LogBuilder, change: object = {}): Judgement =>
  log.enter('factors', { ...factorSet, ...change, ...log.once() });

/** A log with the whole first day of both plants sealed; `hourOf` is of the wind farm. */
function sealed(hourOf: (hour: number) => object = () => ({})): LogBuilder {
  const log = createEmissionLog();
  sealDays(log, 'wind', { hourOf });
  sealDays(log, 'solar');
  return log;
}

describe('factor sets', () => {
  it('are entered once, and never changed', () => {
    const log = createEmissionLog();
    expect(log.state.factorSets.get('lifecycle')).toMatchObject([{ version: '2021' }]);
    expect(codeOf(factorsOf(log))).toBe('factors');
    expect(codeOf(factorsOf(log, { version: '2022' }))).toBeUndefined();
    expect(log.state.factorSets.get('lifecycle')).toHaveLength(2);
  });

  it('need the issuing body, an end after their beginning, and one row of a name', () => {
    const log = createEmissionLog();
    const version = { version: '2' };
    const by = { signedBy: [] };
    expect(codeOf(log.enter('factors', { ...factorSet, ...version, ...log.once() }, by))).toBe(
      'auth',
    );
    const validity = { from: 10, to: 10 };
    expect(codeOf(factorsOf(log, { ...version, validity }))).toBe('validity');
    const rows = [factorSet.rows[0], { ...factorSet.rows[0], mg: 1 }];
    expect(codeOf(factorsOf(log, { ...version, rows }))).toBe('double');
  });
});

describe('the rules', () => {
  it('know the emissions of a plant in one way', () => {
    const twice = { emissions: [...emissionRules, ...emissionRules] };
    const log = createEmissionLog();
    const { rules } = log.state.genesis ?? {};
    const next = { ...rules, ...twice, version: 2, ...log.once() };
    expect(codeOf(log.enter('rules', next))).toBe('rules');
    expect(() => createEmissionLog({ rules: twice })).toThrow();
  });
});

describe('an emission record', () => {
  it('is what the log knows, and nothing else', () => {
    const log = sealed((hour) => (hour === 12 ? { validS: 0 } : {}));
    const judged = enterRecord(log, 'wind');
    expect(judged.violation).toBeUndefined();
    expect(log.state.plants.get('wind')?.emissions.get(emissionDayS)).toMatchObject({
      ref: judged.ref,
      totalG: 14_000,
      versions: [judged.ref.index],
    });
    const { hours } = recordOf(log, 'wind');
    expect(hours[2]).toMatchObject({
      method: 'substituted',
      start: testStartS + 2 * hourS,
      tier: '31-b-1',
    });
    expect(hours[2]?.entry).toBe(
      log.state.plants.get('wind')?.hours.get(testStartS + 2 * hourS)?.ref.index,
    );
  });

  it('has the factor that it is calculated by', () => {
    const log = sealed();
    factorsOf(log, {
      version: '2025',
      validity: { from: emissionDayS },
      rows: [{ ...factorSet.rows[0], mg: 41_000 }],
    });
    factorsOf(log, { version: '2026', validity: { from: emissionDayS + 1 } });
    factorsOf(log, { version: '2020', validity: { from: 1, to: emissionDayS } });
    const { factor, totalG } = recordOf(log, 'solar');
    expect(factor).toMatchObject({ mgPerKwh: 41_000, set: 'lifecycle', version: '2025' });
    expect(totalG).toBe(14 * 41);
    expect(enterRecord(log, 'solar').violation).toBeUndefined();
  });

  it.each<[string, (log: LogBuilder) => object]>([
    ['a gram less', (log) => ({ totalG: recordOf(log, 'wind').totalG - 1 })],
    ['a gram moved', (log) => ({ hours: withHour(recordOf(log, 'wind'), 13, { grams: 999 }) })],
    ['another tier', (log) => ({ hours: withHour(recordOf(log, 'wind'), 13, { tier: 'idle' }) })],
    ['another share', (log) => ({ hours: withHour(recordOf(log, 'wind'), 13, { validPpm: 9 }) })],
    ['another entry', (log) => ({ hours: withHour(recordOf(log, 'wind'), 13, { entry: 1 }) })],
    ['an hour less', (log) => ({ hours: recordOf(log, 'wind').hours.slice(1) })],
    ['a factor', () => ({ factor: { entry: 22, mgPerKwh: 1, set: 'a', version: 'b' } })],
  ])('with %s is void', (_name, change) => {
    const log = sealed();
    const judged = enterRecord(log, 'wind', change(log));
    expect(codeOf(judged)).toBe('grams');
    expect(log.state.plants.get('wind')?.emissions.get(emissionDayS)).toBeUndefined();
    expect(codeOf(log.void(judged))).toBeUndefined();
  });

  it('is of a day that has ended, and is of UTC and of the plant’s life', () => {
    const log = sealed();
    const record = recordOf(log, 'wind');
    const at = (day: number): string | undefined =>
      codeOf(log.enter('emission', { ...record, day }));
    expect(at(emissionDayS + hourS)).toBe('day');
    expect(at(emissionDayS - 24 * hourS)).toBe('day');
    expect(at(emissionDayS + 24 * hourS)).toBe('day');
    log.time += 48 * hourS;
    expect(at(emissionDayS + 24 * hourS)).toBe('hours');
  });

  it('is of a plant that the rules name, sealed under such rules, with a factor', () => {
    const log = sealed();
    const record = recordOf(log, 'wind');
    expect(codeOf(log.enter('emission', { ...record, plant: 'factory' }))).toBe('regime');
    expect(codeOf(log.enter('emission', { ...record, plant: 'nobody' }))).toBe('plant');
    const { rules } = log.state.genesis ?? {};
    const set = (emissions: readonly object[], version: number): Judgement =>
      log.enter('rules', { ...rules, emissions, version, ...log.once() });
    set([{ ...emissionRules[1], factor: { scope: 'coal', set: 'lifecycle', zone: '*' } }], 2);
    expect(codeOf(log.enter('emission', { ...record, plant: 'solar' }))).toBe('factor');
    expect(codeOf(log.enter('emission', record))).toBe('regime');
    set([{ ...emissionRules[0], plant: 'factory' }], 3);
    log.time += hourS;
    expect(codeOf(log.enter('emission', { ...record, plant: 'factory' }))).toBe('hours');
  });

  it('is entered once, and signed by nobody', () => {
    const log = sealed();
    expect(codeOf(enterRecord(log, 'wind', log.once()))).toBe('form');
    enterRecord(log, 'wind');
    expect(codeOf(enterRecord(log, 'wind'))).toBe('recorded');
  });
});

describe('a correction of an emission record', () => {
  it('says what a corrected hour changes', () => {
    const log = sealed();
    const first = enterRecord(log, 'wind');
    expect(codeOf(correctRecord(log, 'wind'))).toBe('unchanged');
    const spec = { co2G: 1500, operatingS: 3600, validS: 3600 };
    log.correct('wind', testStartS, { generation: 1000, spec });
    const second = correctRecord(log, 'wind');
    expect(second.violation).toBeUndefined();
    expect(log.state.plants.get('wind')?.emissions.get(emissionDayS)).toMatchObject({
      totalG: 14_500,
      versions: [first.ref.index, second.ref.index],
    });
  });

  it('names the latest version, and is as right as a first record', () => {
    const log = sealed();
    const record = recordOf(log, 'wind');
    const amends = { index: 1, leafHash: '0'.repeat(64) };
    expect(codeOf(log.enter('emission-correction', { amends, ...record }))).toBe('amends');
    enterRecord(log, 'wind');
    log.correct('wind', testStartS, {
      generation: 1000,
      spec: { co2G: 1, operatingS: 1, validS: 1 },
    });
    expect(codeOf(correctRecord(log, 'wind', { amends }))).toBe('amends');
    expect(codeOf(correctRecord(log, 'wind', { totalG: 0 }))).toBe('grams');
    expect(codeOf(correctRecord(log, 'wind'))).toBeUndefined();
  });

  it('takes in the hour after an outage once it is known', () => {
    const log = createEmissionLog();
    const hourOf = (hour: number): object => (hour === 23 ? { validS: 0 } : {});
    sealDays(log, 'wind', { hourOf });
    enterRecord(log, 'wind');
    log.time += hourS;
    const after = { co2G: 3000, operatingS: 3600, validS: 3600 };
    log.hour('wind', emissionDayS + 24 * hourS, { generation: 1000, spec: after });
    expect(correctRecord(log, 'wind').violation).toBeUndefined();
    expect(log.state.plants.get('wind')?.emissions.get(emissionDayS)?.totalG).toBe(15_000);
  });
});

describe('a fold over records', () => {
  it('gives a verifier with a part of the log nothing to refuse', () => {
    const log = sealed();
    enterRecord(log, 'wind');
    const state = emptyState({ partial: true });
    const last = log.entries.length - 1;
    for (const index of [0, 1, 2, 3, 4, 5, 6, last]) {
      const { violation } = advance(state, log.entries[index] ?? new Uint8Array(), { index });
      expect(violation, String(index)).toBeUndefined();
    }
  });

  it('refuses every other figure than that of the hours, whatever they are', () => {
    const seconds = fc.integer({ min: 0, max: 4600 });
    const hour = fc.record({
      co2G: fc.integer({ min: 0, max: 9999 }),
      operatingS: seconds,
      validS: seconds,
    });
    const day = fc.array(hour, { minLength: 14, maxLength: 14 });
    fc.assert(
      fc.property(day, fc.integer({ min: 10, max: 23 }), (hours, at) => {
        const log = createEmissionLog();
        sealDays(log, 'wind', { hourOf: (n) => hours[n - 10] ?? {} });
        const record = recordOf(log, 'wind');
        const { grams = 0 } =
          record.hours.find(({ start }) => start === emissionDayS + at * hourS) ?? {};
        const more = {
          hours: withHour(record, at, { grams: grams + 1 }),
          totalG: record.totalG + 1,
        };
        expect(codeOf(enterRecord(log, 'wind', more))).toBe('grams');
        expect(codeOf(enterRecord(log, 'wind'))).toBeUndefined();
      }),
      { numRuns: 20 },
    );
  });
});
