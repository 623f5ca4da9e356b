import { describe, expect, it } from 'vitest';
import {
  createRegisterViews,
  parseRegisterText,
  registerText,
} from '#core/certificate/audit/register-view.ts';
import type { Judgement } from '#core/certificate/fold.ts';
import { createBusyLog, testHash, testKey, testRules, testStartS } from '#support/log-builder.ts';
import type { LogBuilder } from '#support/log-builder.ts';

const plants = ['solar', 'wind', 'factory'];
const kid = testKey('SOLAR-1 key 0').kid;
const reason = { evidence: [testHash('evidence')], reason: 'because' };
const start = testStartS;

/** One entry of each kind that may follow, in an order in which all of them hold. */
const entries: readonly (readonly [string, (log: LogBuilder) => Judgement])[] = [
  ['hour', (log) => log.hour('solar', start, 1000)],
  ['hour-correction', (log) => log.correct('solar', start, 900)],
  ['cancel', (log) => log.cancel('solar', [{ series: 'energy/solar', from: 1, to: 5 }])],
  ['account', (log) => log.account('buyer', { role: 'buyer' })],
  ['plant', (log) => log.plant('hydro', { account: 'solar', source: 'hydro' })],
  [
    'plant-change',
    (log) => log.enter('plant-change', { plant: 'wind', capacityW: 5, ...log.once() }),
  ],
  ['meter', (log) => log.meter('SOLAR-2')],
  ['key', (log) => log.key('SOLAR-2')],
  [
    'exchange',
    (log) => {
      const values = { closing: { exportWh: 9 }, opening: { exportWh: 1 } };
      const spec = { meter: 'SOLAR-1', serial: 'new', t: start, ...values };
      return log.enter('exchange', { ...spec, ...log.once() });
    },
  ],
  [
    'meter-change',
    (log) => log.enter('meter-change', { clock: 'unreliable', meter: 'SOLAR-1', ...log.once() }),
  ],
  ['key-end', (log) => log.enter('key-end', { kid, lastSeq: 9, lastT: start + 99, ...log.once() })],
  ['fork', (log) => log.enter('fork', { evidence: testHash('a fork'), kid, seq: 3 })],
  [
    'decision',
    (log) => {
      const spec = { ...reason, effect: 'keep-fork', hash: testHash('kept'), kid, seq: 3 };
      return log.enter('decision', { ...spec, ...log.once() });
    },
  ],
  ['unfreeze', (log) => log.enter('unfreeze', { ...reason, id: kid, what: 'key', ...log.once() })],
  [
    'freeze',
    (log) => log.enter('freeze', { ...reason, id: 'WIND-1', what: 'meter', ...log.once() }),
  ],
  [
    'decision',
    (log) => {
      const spec = { ...reason, effect: 'break', meter: 'WIND-1', t: start };
      return log.enter('decision', { ...spec, ...log.once() });
    },
  ],
  [
    'freeze',
    (log) => log.enter('freeze', { ...reason, id: 'wind', what: 'account', ...log.once() }),
  ],
  ['rules', (log) => log.enter('rules', { ...testRules, version: 2, ...log.once() })],
  [
    'issuer-key',
    (log) => {
      const spec = { add: testKey('another issuer').jwk, threshold: 1 };
      return log.enter('issuer-key', { ...spec, ...log.once() });
    },
  ],
  ['log-close', (log) => log.enter('log-close', { reason: 'the end', ...log.once() })],
];

describe('the register of a plant as text', () => {
  it('is that of the state, whatever is folded, with what was remembered before', () => {
    const log = createBusyLog();
    const views = createRegisterViews(log.state);
    const expectCurrent = (kind: string): void => {
      for (const plant of [...plants, 'hydro', 'nobody']) {
        const text = registerText(log.state, plant);
        expect(views.of(plant), `${plant} after ${kind}`).toBe(text);
        if (text !== undefined) expect(registerText(parseRegisterText(text), plant)).toBe(text);
      }
    };
    expectCurrent('nothing');
    for (const [kind, enter] of entries) {
      const judgement = enter(log);
      expect(judgement.violation, kind).toBeUndefined();
      expect(judgement.entry?.kind).toBe(kind);
      views.note(judgement);
      expectCurrent(kind);
    }
  });

  it('is the same text while nothing of it changes, and another when something does', () => {
    const log = createBusyLog();
    const views = createRegisterViews(log.state);
    const [solar, wind] = [views.of('solar'), views.of('wind')];
    views.note(log.hour('solar', start, 1000));
    expect(views.of('solar')).toBe(solar);
    views.note(log.enter('fork', { evidence: testHash('a fork'), kid, seq: 3 }));
    expect(views.of('solar')).not.toBe(solar);
    expect(views.of('wind')).toBe(wind);
  });

  it('names no other plant, nor its keys', () => {
    const log = createBusyLog();
    const text = registerText(log.state, 'solar') ?? '';
    expect(text).toContain(kid);
    expect(text).not.toContain('WIND-1');
    expect(text).not.toContain(testKey('WIND-1 key 0').kid);
  });

  it('is made again where there is no room to remember it', () => {
    const log = createBusyLog();
    const views = createRegisterViews(log.state, 1);
    for (const plant of [...plants, ...plants]) {
      expect(views.of(plant)).toBe(registerText(log.state, plant));
    }
    views.note(log.enter('fork', { evidence: testHash('a fork'), kid, seq: 3 }));
    expect(views.of('solar')).toBe(registerText(log.state, 'solar'));
  });
});
