import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { decodeUtf8, toHex, utf8 } from '#core/bytes.ts';
import {
  encodeEntry,
  parseAuth,
  parseEntry,
  signAction,
  type Entry,
} from '#core/certificate/entry.ts';
import { advance, applyJudgement, judgeNext, UnknownKind } from '#core/certificate/fold.ts';
import { withdrawnRangesLimit } from '#core/certificate/specs/hours.ts';
import { emptyState, metersOfHour } from '#core/certificate/state/state.ts';
import { canonicalText } from '#core/jcs.ts';
import { leafHash } from '#core/tlog/tree.ts';
import {
  createBusyLog,
  createLog,
  snapshot,
  soundPart,
  testHash,
  testKey,
  testRules,
  testStartS,
  type LogBuilder,
} from '#support/log-builder.ts';

const start = testStartS;
const hourS = 3600;
const series = 'energy/solar';
const solarKid = testKey('SOLAR-1 key 0').kid;
const reason = { evidence: [testHash('evidence')], reason: 'because' };

function solar(log: LogBuilder) {
  const plant = log.state.plants.get('solar');
  if (plant === undefined) throw new Error('no solar plant');
  const { issuedWh, withdrawnWh, deficitWh, certifiedWh, hours, latest } = plant;
  const ranges = [...(log.state.series.get(series)?.ranges ?? [])];
  const pieces = ranges.flatMap((range) => range.pieces);
  return { issuedWh, withdrawnWh, deficitWh, certifiedWh, hours, latest, ranges, pieces };
}

describe('the entry of the vectors', () => {
  interface Vector {
    readonly origin: string;
    readonly signed: string;
    readonly entry: Entry;
    readonly jcs: string;
    readonly leafHash: string;
  }
  const vector = JSON.parse(readFileSync('test/vectors/entries.json', 'utf8')) as Vector;

  it('has those bytes, that leaf, and those bytes under its signatures', () => {
    const bytes = encodeEntry(vector.entry);
    expect(decodeUtf8(bytes)).toBe(vector.jcs);
    expect(toHex(leafHash(bytes))).toBe(vector.leafHash);
    const entry = parseEntry(utf8(vector.jcs));
    expect(entry).toEqual(vector.entry);
    const { kind, spec } = entry;
    expect(canonicalText({ kind, origin: vector.origin, spec })).toBe(vector.signed);
    for (const jws of parseAuth(entry, vector.origin)) {
      expect(decodeUtf8(jws.payload)).toBe(vector.signed);
    }
  });

  it('is signed as our signers sign', () => {
    const { kind, spec, auth } = vector.entry;
    const by = [testKey('issuing body'), testKey('solar account')];
    const signed = by.map((signer) => signAction(signer, { kind, origin: vector.origin, spec }));
    expect(signed).toEqual(auth);
  });

  it('is accepted after a genesis with its issuing body', () => {
    const log = createLog();
    log.genesis();
    expect(log.append(utf8(vector.jcs)).violation).toBeUndefined();
    expect(log.state.accounts.get('solar')?.spec).toEqual(vector.entry.spec);
  });

  it.each([
    ['an apiVersion', { apiVersion: 'hourseal/v2' }],
    ['a kind in capitals', { kind: 'Account' }],
    ['a negative time', { time: -1 }],
    ['a list as spec', { spec: [] }],
    ['a text in auth', { auth: ['x'] }],
  ])('is not encoded with %s', (_name, change) => {
    expect(() => encodeEntry({ ...vector.entry, ...change })).toThrow(
      expect.objectContaining({ code: 'form' }),
    );
  });

  it('is not encoded above 65,535 bytes', () => {
    const spec = { text: 'x'.repeat(65_535) };
    expect(() => encodeEntry({ ...vector.entry, spec })).toThrow(
      expect.objectContaining({ code: 'size' }),
    );
  });
});

describe('every kind has its effect', () => {
  it('genesis, account, plant, meter, key', () => {
    const { state } = createBusyLog();
    expect(state.genesis).toMatchObject({ origin: 'log.example/hourseal/2026', threshold: 1 });
    expect([...state.accounts.keys()]).toEqual(['solar', 'wind', 'factory']);
    expect(state.plants.get('solar')).toMatchObject({ index: 4, sealFrom: start });
    expect(state.meters.get('SOLAR-1')?.kids).toEqual([solarKid]);
    expect(state.keys.get(solarKid)).toMatchObject({ frozen: false, end: undefined });
    expect(state.size).toBe(13);
    expect(state.usedKeys.size).toBe(9);
  });

  it('a plant entered within an hour is sealed from the next one on', () => {
    const log = createBusyLog();
    log.plant('a', { account: 'solar' }, { time: log.time + 1 });
    expect(log.state.plants.get('a')?.sealFrom).toBe(log.time + hourS);
    const later = log.time + 5 * hourS + 7;
    log.plant('b', { account: 'solar', commissionedAt: later }, { time: log.time + 1 });
    expect(log.state.plants.get('b')?.sealFrom).toBe(log.time + 6 * hourS);
  });

  it('plant-change changes what it names alone', () => {
    const log = createBusyLog();
    const before = log.state.plants.get('solar')?.spec;
    log.enter('plant-change', { plant: 'solar', capacityW: 7, endsAt: start + 9, ...log.once() });
    expect(log.state.plants.get('solar')?.spec).toEqual({
      ...before,
      capacityW: 7,
      endsAt: start + 9,
    });
  });

  it('meter-change changes what it names alone', () => {
    const log = createBusyLog();
    const before = log.state.meters.get('SOLAR-1')?.spec;
    const said = { meter: 'SOLAR-1', class: '0.5', point: 'the cabinet' };
    expect(log.enter('meter-change', { ...said, ...log.once() }).violation).toBeUndefined();
    expect(log.state.meters.get('SOLAR-1')?.spec).toEqual({ ...before, ...said });
    expect(log.state.meters.get('SOLAR-1')?.end).toBeUndefined();
  });

  it('an end frees every device of its meter, and of no other', () => {
    const log = createBusyLog();
    const values = { closing: { exportWh: 5 }, meter: 'SOLAR-1', opening: { exportWh: 0 } };
    log.enter('exchange', { ...values, serial: 'second', t: start + 1, ...log.once() });
    const closing = { exportWh: 7 };
    const end = { closing, endsAt: log.time, meter: 'SOLAR-1', ...log.once() };
    expect(log.enter('meter-change', end).violation).toBeUndefined();
    expect(log.state.meters.get('SOLAR-1')?.end?.spec).toMatchObject({ closing });
    for (const serial of ['SERIAL-solar-1', 'second']) {
      const meter = log.meter(`again-${serial}`, { plant: 'wind', serial });
      expect(meter.violation, serial).toBeUndefined();
    }
    expect(log.meter('new', { plant: 'wind', serial: 'second' }).violation?.code).toBe('serial');
    expect(log.meter('new', { plant: 'solar', serial: 'serial-WIND-1' }).violation?.code).toBe(
      'serial',
    );
  });

  it('an end may be at the turn of a sealed hour, and of another plant have any', () => {
    const log = createBusyLog();
    log.hour('wind', start + 2 * 3600, 10);
    log.hour('solar', start, 1000);
    const end = { closing: { exportWh: 7 }, endsAt: start + 3600, meter: 'SOLAR-1' };
    expect(log.enter('meter-change', { ...end, ...log.once() }).violation).toBeUndefined();
    expect(metersOfHour(log.state, 'solar', start).map(([id]) => id)).toContain('SOLAR-1');
    expect(metersOfHour(log.state, 'solar', start + 3600).map(([id]) => id)).not.toContain(
      'SOLAR-1',
    );
  });

  it('exchange, key-end', () => {
    const log = createBusyLog();
    const spec = {
      closing: { exportWh: 5 },
      meter: 'SOLAR-1',
      opening: { exportWh: 0 },
      serial: 'second',
      t: start + 1,
    };
    expect(log.enter('exchange', { ...spec, ...log.once() }).violation).toBeUndefined();
    expect(log.state.meters.get('SOLAR-1')?.exchanges).toHaveLength(1);
    // The device comes back after its repair.
    const back = { ...spec, serial: 'serial-SOLAR-1', t: start + 2, ...log.once() };
    expect(log.enter('exchange', back).violation).toBeUndefined();
    log.enter('key-end', { kid: solarKid, lastSeq: 3, lastT: start + 5, ...log.once() });
    expect(log.state.keys.get(solarKid)?.end).toEqual({ lastSeq: 3, lastT: start + 5 });
    expect(log.key('SOLAR-1').violation).toBeUndefined();
    expect(log.state.meters.get('SOLAR-1')?.kids).toHaveLength(2);
  });

  it('rules are in force from the next entry on', () => {
    const log = createBusyLog();
    const kinds = testRules.kinds.filter((kind) => kind !== 'account');
    const rules = { ...testRules, kinds, version: 2 };
    expect(log.enter('rules', { ...rules, ...log.once() }).violation).toBeUndefined();
    expect(log.state.genesis?.rules).toEqual(rules);
    expect(log.account('new').violation?.code).toBe('kind');
  });

  it('fork freezes a key until it is decided and unfrozen', () => {
    const log = createBusyLog();
    const key = () => log.state.keys.get(solarKid);
    log.enter('fork', { evidence: testHash('e'), kid: solarKid, seq: 3 });
    expect(key()?.frozen).toBe(true);
    const hash = testHash('the first');
    log.enter('decision', {
      ...reason,
      effect: 'keep-fork',
      hash,
      kid: solarKid,
      seq: 3,
      ...log.once(),
    });
    expect(key()?.forks.get(3)).toEqual({ evidence: testHash('e'), keep: hash });
    log.enter('unfreeze', { ...reason, id: solarKid, what: 'key', ...log.once() });
    expect(key()?.frozen).toBe(false);
    log.enter('fork', { evidence: testHash('f'), kid: solarKid, seq: 4 });
    expect(key()?.frozen).toBe(true);
    expect(log.state.violations.size).toBe(0);
  });

  it.each([
    ['account', 'solar'],
    ['plant', 'solar'],
    ['meter', 'SOLAR-1'],
    ['key', solarKid],
  ])('freeze and unfreeze: %s', (what, id) => {
    const log = createBusyLog();
    const before = soundPart(log.state);
    log.enter('freeze', { ...reason, id, what, ...log.once() });
    expect(JSON.stringify(soundPart(log.state))).toContain('"frozen":true');
    log.enter('unfreeze', { ...reason, id, what, ...log.once() });
    expect(log.state.violations.size).toBe(0);
    expect(JSON.stringify(soundPart(log.state))).not.toContain('"frozen":true');
    expect(before).toBeDefined();
  });

  it('decisions are kept where energy is computed from', () => {
    const log = createBusyLog();
    for (const effect of ['accept-late', 'set-aside']) {
      log.enter('decision', { ...reason, effect, from: 2, kid: solarKid, to: 4, ...log.once() });
    }
    log.enter('decision', {
      ...reason,
      effect: 'break',
      meter: 'SOLAR-1',
      t: start,
      ...log.once(),
    });
    expect(log.state.keys.get(solarKid)).toMatchObject({
      acceptedLate: [{ from: 2, to: 4 }],
      setAside: [{ from: 2, to: 4 }],
    });
    expect(log.state.meters.get('SOLAR-1')?.breaks).toEqual([
      { t: start, ref: { index: log.state.size - 1, leafHash: expect.any(String) as string } },
    ]);
  });

  it('a kind that the rules have in force, but this program does not know, leaves all as it was', () => {
    const log = createBusyLog({ rules: { kinds: [...testRules.kinds, 'charge'] } });
    const before = snapshot(log.state);
    expect(() => log.enter('charge', { any: 'thing' })).toThrow(UnknownKind);
    expect(snapshot(log.state)).toEqual(before);
  });

  it('cancel cuts a piece out of what an hour issued', () => {
    const log = createBusyLog();
    log.hour('solar', start, 100);
    const { ref } = log.cancel('solar', [
      { series, from: 11, to: 20 },
      { series, from: 100, to: 100 },
    ]);
    expect(solar(log).pieces.map(({ from, to, state }) => [from, to, state])).toEqual([
      [1, 10, 'active'],
      [11, 20, 'cancelled'],
      [21, 99, 'active'],
      [100, 100, 'cancelled'],
    ]);
    expect(solar(log).pieces[1]).toMatchObject({ owner: 'solar', lastIndex: ref.index });
  });

  it('cancels across the ranges of several hours', () => {
    const log = createBusyLog();
    log.hour('solar', start, 10);
    log.hour('solar', start + hourS, 10);
    log.cancel('solar', [{ series, from: 6, to: 15 }]);
    expect(solar(log).pieces.map(({ from, to, state }) => [from, to, state])).toEqual([
      [1, 5, 'active'],
      [6, 10, 'cancelled'],
      [11, 15, 'cancelled'],
      [16, 20, 'active'],
    ]);
  });
});

describe('sealing and correcting, D4.3', () => {
  it('numbers units through the life of the plant in log order, whatever the order of hours', () => {
    const log = createBusyLog();
    log.hour('solar', start + 2 * hourS, 10);
    log.hour('solar', start, 5);
    log.hour('solar', start + hourS, 0);
    log.correct('solar', start, 8);
    expect(solar(log).ranges.map(({ from, to, hourStart }) => [from, to, hourStart])).toEqual([
      [1, 10, start + 2 * hourS],
      [11, 15, start],
      [16, 18, start],
    ]);
    expect(solar(log)).toMatchObject({
      issuedWh: 18,
      certifiedWh: 18,
      withdrawnWh: 0,
      deficitWh: 0,
    });
    expect(log.state.violations.size).toBe(0);
  });

  it('withdraws own active units, highest first, and nets what others hold from the next hours', () => {
    const log = createBusyLog();
    log.hour('solar', start, 1000);
    log.cancel('solar', [{ series, from: 101, to: 900 }]);
    log.correct('solar', start, 700);
    expect(solar(log)).toMatchObject({ withdrawnWh: 200, deficitWh: 100, certifiedWh: 700 });
    const active = solar(log).pieces.filter(({ state }) => state === 'active');
    expect(active).toEqual([]);
    log.hour('solar', start + hourS, 60);
    expect(solar(log)).toMatchObject({ deficitWh: 40, issuedWh: 1000, certifiedWh: 760 });
    log.hour('solar', start + 2 * hourS, 60);
    expect(solar(log)).toMatchObject({ deficitWh: 0, issuedWh: 1020, certifiedWh: 820 });
    expect(log.state.violations.size).toBe(0);
  });

  it('moves nothing while an hour is disputed, and everything once it is not', () => {
    const log = createBusyLog();
    log.hour('solar', start, 1000);
    log.correct('solar', start, { generation: 10, quality: 'disputed' });
    expect(solar(log)).toMatchObject({ certifiedWh: 1000, withdrawnWh: 0 });
    log.correct('solar', start, 10);
    expect(solar(log)).toMatchObject({ certifiedWh: 10, withdrawnWh: 990 });
    log.hour('solar', start + hourS, { generation: 9_999_999, quality: 'disputed' });
    expect(solar(log)).toMatchObject({ certifiedWh: 10 });
    log.correct('solar', start + hourS, { generation: 50, quality: 'partial' });
    expect(solar(log)).toMatchObject({ certifiedWh: 60 });
    expect(log.state.violations.size).toBe(0);
  });

  it('issues an increase to the last second of 45 days, and withdraws at any time', () => {
    const log = createBusyLog();
    log.hour('solar', start, 100);
    log.time = start + hourS + 45 * 86_400;
    log.correct('solar', start, 110);
    expect(solar(log).certifiedWh).toBe(110);
    log.time += 1;
    log.correct('solar', start, 120);
    expect(solar(log)).toMatchObject({ certifiedWh: 110, issuedWh: 110 });
    // Stated less than before, but not less than what is certified.
    log.correct('solar', start, 115);
    expect(solar(log)).toMatchObject({ certifiedWh: 110, withdrawnWh: 0 });
    log.correct('solar', start, 105);
    expect(solar(log)).toMatchObject({ certifiedWh: 105, withdrawnWh: 5 });
    expect(log.state.violations.size).toBe(0);
  });

  it.each([
    [
      'its source is no longer eligible',
      (log: LogBuilder) => {
        log.enter('rules', { ...testRules, eligibleSources: ['wind'], version: 2, ...log.once() });
      },
    ],
    [
      'the plant now burns something else',
      (log: LogBuilder) => {
        log.enter('plant-change', { plant: 'solar', source: 'coal', ...log.once() });
      },
    ],
    [
      'the plant is frozen',
      (log: LogBuilder) => {
        log.enter('freeze', { ...reason, id: 'solar', what: 'plant', ...log.once() });
      },
    ],
    [
      'the plant ended before',
      (log: LogBuilder) => {
        log.enter('plant-change', { endsAt: start - 86_400, plant: 'solar', ...log.once() });
      },
    ],
  ] as const)('withdraws also when %s', (_name, happen) => {
    const log = createBusyLog();
    log.hour('solar', start, 1000);
    happen(log);
    expect(log.correct('solar', start, 400).violation).toBeUndefined();
    expect(solar(log)).toMatchObject({ certifiedWh: 400, withdrawnWh: 600 });
  });

  it('does not let small change keep a decrease out of the log', () => {
    const log = createBusyLog();
    log.hour('solar', start, 1300);
    for (let from = 1; from <= 1300; from += 1000) {
      const units = Array.from({ length: 500 }, (_, i) => from + 2 * i).filter(
        (unit) => unit <= 1300,
      );
      log.cancel(
        'solar',
        units.map((unit) => ({ series, from: unit, to: unit })),
      );
    }
    const judgement = log.correct('solar', start, 0);
    expect(judgement.violation).toBeUndefined();
    expect(solar(log)).toMatchObject({
      withdrawnWh: withdrawnRangesLimit,
      deficitWh: 1300 - withdrawnRangesLimit,
      certifiedWh: 0,
    });
  });

  it('keeps a void hour in the chain of its plant, and counts it for nothing', () => {
    const log = createBusyLog();
    const first = log.hour('solar', start, 10);
    const broken = log.hour('solar', start, 10);
    expect(broken.violation?.code).toBe('sealed');
    expect(solar(log).latest).toEqual(broken.ref);
    const next = log.hour('solar', start + hourS, 10);
    expect(next.entry?.spec).toMatchObject({ prev: broken.ref });
    expect(next.violation).toBeUndefined();
    expect(solar(log).hours.get(start)?.ref).toEqual(first.ref);
  });

  it('chains the hours of committed sites, and certifies nothing of them', () => {
    const log = createBusyLog();
    const spec = (at: number, version: string) => ({
      batchRoot: testHash('b'),
      commitment: testHash(version),
      interval: { seconds: 3600, start: at },
      metersRoot: testHash('m'),
      plant: 'factory',
    });
    const first = log.enter('hour', spec(start, '1'));
    const second = log.enter('hour-correction', {
      ...spec(start, '2'),
      amends: first.ref,
      prev: first.ref,
    });
    log.enter('hour', { ...spec(start + hourS, '1'), prev: second.ref });
    expect(log.state.violations.size).toBe(0);
    expect(log.state.plants.get('factory')).toMatchObject({ certifiedWh: 0, issuedWh: 0 });
    expect(log.state.series.has('energy/factory')).toBe(false);
  });

  it('takes units up to 2^53 - 1 and none beyond', () => {
    const log = createBusyLog();
    log.plant('huge', { account: 'solar', capacityW: 100_000_000_000 });
    const at = log.time;
    log.time += 10 * hourS;
    log.hour('huge', at, 100_000_000_000);
    const { series: kept, stateTree } = log.state;
    const huge = kept.get('energy/huge');
    const issued = huge?.ranges.at(0);
    if (issued === undefined) throw new Error('nothing issued');
    const position = stateTree.ranges.length;
    const units = { from: Number.MAX_SAFE_INTEGER - 10, to: Number.MAX_SAFE_INTEGER - 5 };
    stateTree.ranges.push({ ...issued, ...units, position });
    huge?.places.push(position);
    expect(huge?.ranges.at(-1)?.to).toBe(units.to);
    expect(log.hour('huge', at + hourS, 5).violation).toBeUndefined();
    expect(() => log.hour('huge', at + 2 * hourS, 5)).not.toThrow();
    expect(log.state.violations.size).toBe(1);
  });
});

describe('who signs for the issuing body', () => {
  const three = ['issuing body', 'issuing two', 'issuing three'];
  const by = (...names: readonly string[]) => ({
    signedBy: [...names.map((name) => testKey(name)), testKey('solar account')],
  });
  const open = (): LogBuilder => {
    const log = createLog({ issuers: three, threshold: 2 });
    expect(log.genesis().violation).toBeUndefined();
    return log;
  };

  it.each([
    [['issuing body', 'issuing two']],
    [['issuing two', 'issuing three']],
    [['issuing three', 'issuing body']],
    [three],
  ])('two of three or more: %j', (names) => {
    expect(open().account('solar', {}, by(...names)).violation).toBeUndefined();
  });

  it.each([
    ['one', ['issuing two'], 'auth'],
    ['one, twice', ['issuing two', 'issuing two'], 'auth'],
    ['none', [], 'auth'],
    ['one and a stranger', ['issuing two', 'nobody'], 'auth'],
    ['two and a stranger', ['issuing two', 'issuing three', 'nobody'], 'auth'],
  ])('not %s', (_name, names, code) => {
    expect(open().account('solar', {}, by(...names)).violation?.code).toBe(code);
  });

  it('not two of whom the second is wrong, though the other two would do', () => {
    const spoil = (auth: readonly string[]): readonly string[] =>
      auth.map((text, i) => (i === 2 ? `${text.slice(0, -4)}AAAA` : text));
    expect(open().account('solar', {}, { ...by(...three), auth: spoil }).violation?.code).toBe(
      'signature',
    );
  });

  it('not with the same action again, though others of them signed it', () => {
    const log = createLog({ issuers: [...three, 'issuing four'], threshold: 2 });
    log.genesis();
    log.account('solar');
    const spec = { ...reason, id: 'solar', what: 'account' };
    const first = { signedBy: [testKey('issuing body'), testKey('issuing two')] };
    const second = { signedBy: [testKey('issuing three'), testKey('issuing four')] };
    const once = log.once();
    expect(log.enter('freeze', { ...spec, ...once }, first).violation).toBeUndefined();
    log.enter('unfreeze', { ...spec, ...log.once() }, first);
    expect(log.enter('freeze', { ...spec, ...once }, second).violation?.code).toBe('nonce');
  });
});

describe('what is said from outside', () => {
  it('evidence makes an entry void that broke no rule of the fold', () => {
    const log = createBusyLog();
    const before = soundPart(log.state);
    const evidence = { code: 'energy', message: 'the registers say less' };
    const judgement = log.hour('solar', start, { generation: 10, entry: { evidence } });
    expect(judgement.violation).toEqual(evidence);
    expect(soundPart(log.state)).toEqual(before);
    expect(log.void(judgement).violation).toBeUndefined();
  });

  it('a rule that is broken is named before what the evidence says', () => {
    const log = createBusyLog();
    const evidence = { code: 'energy', message: 'the registers say less' };
    const entry = { evidence };
    expect(log.hour('none', start, { generation: 10, entry }).violation?.code).toBe('plant');
  });

  it('trust skips the arithmetic of signatures and nothing else', () => {
    const log = createBusyLog();
    const spoil = (auth: readonly string[]): readonly string[] =>
      auth.map((text) => `${text.slice(0, -4)}AAAA`);
    const trusted = { signatures: 'trust', auth: spoil } as const;
    expect(log.account('new', {}, trusted).violation).toBeUndefined();
    expect(log.account('next', {}, { ...trusted, signedBy: [] }).violation?.code).toBe('auth');
  });

  it('a whole log has no gap and is not told twice', () => {
    const log = createBusyLog();
    const bytes = log.encode('account', {});
    expect(() => advance(log.state, bytes, { index: log.state.size + 1 })).toThrow(RangeError);
    expect(() => advance(log.state, bytes, { index: log.state.size - 1 })).toThrow(RangeError);
  });

  it('a judgement alone changes nothing, and is folded in once', () => {
    const log = createBusyLog();
    const before = snapshot(log.state);
    const pending = judgeNext(log.state, log.encode('account', {}));
    expect(pending.violation?.code).toBe('form');
    expect(snapshot(log.state)).toEqual(before);
    applyJudgement(log.state, pending);
    expect(log.state.violations.has(pending.ref.index)).toBe(true);
    expect(() => applyJudgement(log.state, pending)).toThrow(RangeError);
    const { index } = pending.ref;
    expect(() => judgeNext(log.state, new Uint8Array(0), { index })).toThrow(RangeError);
  });

  it('the same entries give the same state', () => {
    const log = createBusyLog();
    log.hour('solar', start, 1000);
    log.hour('solar', start, 1000);
    log.cancel('solar', [{ series, from: 1, to: 9 }]);
    log.correct('solar', start, 5);
    const again = emptyState();
    for (const bytes of log.entries) advance(again, bytes, { signatures: 'trust' });
    expect(snapshot(again)).toEqual(snapshot(log.state));
  });
});

describe('a verifier with a part of the log', () => {
  /** The entries of `log` that `keep` picks, folded as a proof file tells them. */
  function retell(log: LogBuilder, drop: readonly number[]) {
    const state = emptyState({ partial: true });
    const judgements = log.entries.flatMap((bytes, index) =>
      drop.includes(index) ? [] : [advance(state, bytes, { index })],
    );
    return { state, judgements, broken: judgements.filter(({ violation }) => violation) };
  }
  /** What an operator might put into a proof file, whatever the log's own fold says of it. */
  const told = (log: LogBuilder, withdrawn: readonly object[]) => {
    log.hour('solar', start, 100);
    log.hour('solar', start + hourS, 100);
    log.cancel('solar', [{ series, from: 91, to: 95 }]);
    log.correct('solar', start, { generation: 80, certificates: { withdrawn } });
    return retell(log, []).broken.map(({ violation }) => violation?.code);
  };

  it('finds nothing wrong with what a whole log takes, whichever hours are left out', () => {
    const log = createBusyLog();
    const hours = [0, 1, 2, 3].map((i) => log.hour('solar', start + i * hourS, 100 + i).ref.index);
    log.cancel('solar', [{ series, from: 20, to: 30 }]);
    log.correct('solar', start, 50);
    expect(log.state.violations.size).toBe(0);
    expect(retell(log, []).broken).toEqual([]);
    expect(retell(log, hours.slice(1)).broken).toEqual([]);
    expect(retell(log, hours.slice(1)).state.size).toBe(log.state.size);
  });

  it('takes a correct withdrawal', () => {
    expect(
      told(createBusyLog(), [
        { from: 76, to: 90 },
        { from: 96, to: 100 },
      ]),
    ).toEqual([]);
  });

  it.each([
    ['units of another hour', [{ from: 101, to: 120 }]],
    ['units that were never issued', [{ from: 1000, to: 1010 }]],
    ['cancelled units', [{ from: 91, to: 100 }]],
    ['more than the decrease', [{ from: 60, to: 90 }]],
    [
      'a unit twice',
      [
        { from: 96, to: 100 },
        { from: 96, to: 100 },
      ],
    ],
    ['an empty range', [{ from: 90, to: 80 }]],
    [
      'a falling order',
      [
        { from: 96, to: 100 },
        { from: 80, to: 90 },
      ],
    ],
  ])('refuses to withdraw %s', (_name, withdrawn) => {
    const codes = told(createBusyLog(), withdrawn);
    expect(codes).toHaveLength(1);
    expect(['withdrawn', 'range']).toContain(codes[0]);
  });

  it('refuses units that were issued before', () => {
    const log = createBusyLog();
    log.hour('solar', start, 100);
    log.hour('solar', start + hourS, {
      generation: 50,
      certificates: { issued: { from: 51, to: 100 } },
    });
    expect(retell(log, []).broken.map(({ violation }) => violation?.code)).toEqual(['issued']);
  });

  it('goes on to judge who signed, and what was generated', () => {
    const log = createBusyLog();
    log.hour('solar', start, { generation: 100, certificates: { issued: { from: 1, to: 101 } } });
    log.account('new', {}, { signedBy: [] });
    expect(retell(log, []).broken.map(({ violation }) => violation?.code)).toEqual([
      'issued',
      'auth',
    ]);
  });
});
