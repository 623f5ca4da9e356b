import { describe, expect, it } from 'vitest';
import { claimedWh, dueUnclaim } from '#core/certificate/rules/claimed.ts';
import { at, cancelFor, claim, createClaimLog, took, wind } from '#support/claim-log.ts';
import { dayS, testStartS, type LogBuilder } from '#support/log-builder.ts';
import { act, done, hourS, reason, solar, told } from '#support/trade-log.ts';

const code = (judgement: { violation?: { code: string } | undefined }): string | undefined =>
  judgement.violation?.code;
const second = testStartS + hourS;
const claimed = ({ state }: LogBuilder, hour = testStartS): number =>
  claimedWh(state, { point: 'mill', hour });
const all = [solar(1, 400), wind(1, 700)];

/** Both plants have cancelled all they have for the factory. */
function cancelled(options = {}): LogBuilder {
  const log = createClaimLog(options);
  for (const item of all) cancelFor(log, [item]);
  return log;
}

function unclaim(log: LogBuilder, items: readonly object[], change: object = {}) {
  return act(log, 'unclaim', { account: 'factory', items, ...change });
}

function undo(log: LogBuilder, items: readonly object[], hour = testStartS) {
  const restsOn = log.state.plants.get('mill')?.hours.get(hour)?.ref;
  return log.enter('unclaim', { items, restsOn });
}

describe('a claim', () => {
  it('takes 100 of 400 and 200 of 700 for 300 Wh, and leaves 300 and 500', () => {
    const log = cancelled();
    done(claim(log, [at(solar(1, 100)), at(wind(1, 200))]));
    expect(told(log, solar(1, 400))).toEqual(['1-100 solar claimed', '101-400 solar cancelled']);
    expect(told(log, wind(1, 700))).toEqual(['1-200 wind claimed', '201-700 wind cancelled']);
    expect(claimed(log)).toBe(300);
    expect(code(claim(log, [at(solar(101, 101))]))).toBe('consumption');
    expect(claimed(log)).toBe(300);
  });

  it('is judged as a whole: one watt-hour too many in many items is one too many', () => {
    const log = cancelled();
    const items = [at(solar(1, 150)), at(wind(1, 150)), at(wind(151, 151))];
    expect(code(claim(log, items))).toBe('consumption');
    expect(told(log, solar(1, 400))).toEqual(['1-400 solar cancelled']);
    done(claim(log, items.slice(0, 2)));
    // What is full in one hour has room in another; the units there are of another hour.
    expect(code(claim(log, [at(wind(151, 200), second)]))).toBe('hour');
    done(claim(log, [at(wind(151, 200), second)], { basis: 'annual' }));
    expect(code(claim(log, [at(wind(201, 201), second)], { basis: 'annual' }))).toBe('consumption');
  });

  it('is for cancelled units alone, once', () => {
    const log = createClaimLog();
    expect(code(claim(log, [at(solar(1, 1))]))).toBe('state');
    cancelFor(log, [solar(1, 10)]);
    done(claim(log, [at(solar(1, 5))]));
    expect(code(claim(log, [at(solar(5, 6))]))).toBe('state');
    expect(code(claim(log, [at(solar(6, 8)), at(solar(8, 9), second)]))).toBe('range');
    expect(code(claim(log, [at(solar(10, 11))]))).toBe('state');
    expect(code(claim(log, [at(solar(400, 401))]))).toBe('range');
    expect(code(claim(log, [at({ series: 'energy/none', from: 1, to: 1 })]))).toBe('series');
    done(act(log, 'lock', { items: [solar(6, 6)], ...reason }));
    expect(code(claim(log, [at(solar(6, 6))]))).toBe('state');
  });

  it('is the beneficiary’s, at a site of its own whose hour is sealed', () => {
    const log = createClaimLog();
    cancelFor(log, [solar(1, 100)]);
    cancelFor(log, [wind(1, 100)], { beneficiary: 'wind' });
    expect(code(claim(log, [at(wind(1, 1))]))).toBe('beneficiary');
    expect(code(claim(log, [at(solar(1, 1))], { account: 'solar' }))).toBe('point');
    expect(code(claim(log, [at(solar(1, 1), testStartS, 'solar')]))).toBe('point');
    expect(code(claim(log, [at(solar(1, 1), testStartS, 'nowhere')]))).toBe('point');
    expect(code(claim(log, [at(solar(1, 1), testStartS + 2 * hourS)]))).toBe('unsealed');
    expect(code(claim(log, [at(solar(1, 1), testStartS + 1)]))).toBe('interval');
    expect(code(claim(log, [at(solar(1, 1))], { account: 'nobody' }))).toBe('account');
    expect(code(claim(log, [at(solar(1, 1))], { signedBy: [] }))).toBe('auth');
    done(log.enter('freeze', { ...reason, id: 'factory', what: 'account', ...log.once() }));
    expect(code(claim(log, [at(solar(1, 1))]))).toBe('frozen');
  });

  it('lies in the period that the units were cancelled for', () => {
    const log = createClaimLog();
    cancelFor(log, [solar(1, 50)], { period: { from: testStartS, to: second } });
    cancelFor(log, [solar(51, 100)], { period: { from: second, to: second + dayS } });
    const annual = { basis: 'annual' };
    expect(code(claim(log, [at(solar(1, 50), second)], annual))).toBe('period');
    expect(code(claim(log, [at(solar(51, 100))], annual))).toBe('period');
    done(claim(log, [at(solar(1, 50)), at(solar(51, 100), second)], annual));
  });

  it('against a committed hour is judged by whoever has opened it', () => {
    const commit = (log: LogBuilder): LogBuilder => {
      const { state } = log;
      const prev = state.plants.get('factory')?.latest;
      const hidden = { batchRoot: '0'.repeat(64), metersRoot: '1'.repeat(64) };
      const interval = { seconds: 3600, start: testStartS };
      log.enter(
        'hour',
        {
          ...{ ...hidden, commitment: '2'.repeat(64), interval, plant: 'factory' },
          ...(prev && { prev }),
        },
        { consumptionWh: 100 },
      );
      cancelFor(log, [solar(1, 400)]);
      return log;
    };
    const opened = commit(createClaimLog());
    expect(code(claim(opened, [at(solar(1, 101), testStartS, 'factory')]))).toBe('consumption');
    done(claim(opened, [at(solar(1, 100), testStartS, 'factory')]));
    // Who has not believes it: for that one a `void` says what the opening would have.
    const fold = (evidence?: { code: string; message: string }) => {
      const blind = createClaimLog();
      for (const bytes of opened.entries.slice(blind.entries.length)) {
        const isRefused = bytes === opened.entries.at(-2);
        blind.append(bytes, isRefused ? { evidence } : {});
      }
      return [...blind.state.violations.values()].map((violation) => violation.code);
    };
    expect(fold()).toEqual(['state']);
    expect(fold({ code: 'consumption', message: 'says a void' })).toEqual(['consumption']);
  });
});

describe('a claim is undone', () => {
  it('by its beneficiary, in parts, and the units are what they were', () => {
    const log = cancelled();
    done(claim(log, [at(solar(1, 100)), at(solar(101, 120), second)], { basis: 'annual' }));
    expect(code(unclaim(log, [at(solar(1, 1), second)]))).toBe('claim');
    expect(code(unclaim(log, [at(solar(1, 1), testStartS, 'factory')]))).toBe('claim');
    expect(code(unclaim(log, [at(solar(121, 121))]))).toBe('state');
    expect(code(unclaim(log, [at(solar(1, 1))], { account: 'solar' }))).toBe('claim');
    done(unclaim(log, [at(solar(50, 60))]));
    expect(told(log, solar(1, 120))).toEqual([
      '1-49 solar claimed',
      '50-60 solar cancelled',
      '61-120 solar claimed',
    ]);
    expect(claimed(log)).toBe(89);
    // Free again, for the same beneficiary and time alone.
    done(claim(log, [at(solar(50, 60), second)], { basis: 'annual' }));
    expect(claimed(log, second)).toBe(31);
  });

  it('where a correction leaves no room, the newest first, by an entry that nobody signs', () => {
    const log = cancelled();
    done(claim(log, [at(solar(1, 100)), at(wind(1, 50))]));
    done(claim(log, [at(wind(51, 200))]));
    took(log, testStartS, 120);
    expect([...log.state.overclaimed.values()]).toEqual([{ point: 'mill', hour: testStartS }]);
    const due = dueUnclaim(log.state, { point: 'mill', hour: testStartS });
    expect(due).toEqual([at(wind(51, 200)), at(wind(21, 50))]);

    expect(code(undo(log, due.slice(0, 1)))).toBe('due');
    expect(code(undo(log, due.toReversed()))).toBe('due');
    expect(code(undo(log, [at(solar(1, 1))]))).toBe('due');
    expect(code(undo(log, due, second))).toBe('rests-on');
    expect(code(undo(log, [...due, at(solar(1, 1), second)]))).toBe('point');
    const signed = {
      items: due,
      restsOn: log.state.plants.get('mill')?.hours.get(testStartS)?.ref,
    };
    expect(code(act(log, 'unclaim', signed))).toBe('form');
    expect(code(claim(log, [at(wind(201, 201))]))).toBe('consumption');

    done(undo(log, due));
    expect(claimed(log)).toBe(120);
    expect(log.state.overclaimed.size).toBe(0);
    expect(told(log, wind(1, 200))).toEqual(['1-20 wind claimed', '21-200 wind cancelled']);
    expect(code(undo(log, due))).toBe('due');
    // More was taken after all: there is room for others, and nothing comes back by itself.
    took(log, testStartS, 130);
    expect(code(claim(log, [at(wind(201, 211))]))).toBe('consumption');
    done(claim(log, [at(wind(201, 210))]));
  });

  it('by a correction alone: not by the hour itself', () => {
    const log = cancelled();
    done(claim(log, [at(solar(1, 1))]));
    expect(code(undo(log, [at(solar(1, 1))]))).toBe('rests-on');
  });

  it('with the units that a fraud takes away, whose consumption is free again', () => {
    const log = cancelled();
    done(claim(log, [at(solar(1, 200)), at(wind(1, 100))]));
    done(act(log, 'lock', { items: [solar(91, 100)], ...reason }));
    expect(claimed(log)).toBe(300);
    done(act(log, 'withdraw', { items: [solar(51, 100)], ...reason }));
    expect(claimed(log)).toBe(250);
    done(claim(log, [at(wind(101, 150))]));
    expect(code(claim(log, [at(wind(151, 151))]))).toBe('consumption');
    expect(told(log, solar(1, 200))).toEqual([
      '1-50 solar claimed',
      '51-100 solar withdrawn',
      '101-200 solar claimed',
    ]);
  });

  it('never by a lock, which gives it back as it was', () => {
    const log = cancelled();
    done(claim(log, [at(solar(1, 10))]));
    done(act(log, 'lock', { items: [solar(5, 15)], ...reason }));
    expect(code(unclaim(log, [at(solar(5, 5))]))).toBe('state');
    done(act(log, 'unlock', { items: [solar(5, 15)], ...reason }));
    expect(told(log, solar(1, 15))).toEqual(['1-10 solar claimed', '11-15 solar cancelled']);
    done(unclaim(log, [at(solar(5, 10))]));
    done(claim(log, [at(solar(5, 15))]));
  });
});
