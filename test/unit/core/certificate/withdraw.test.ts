import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { testStartS, type LogBuilder } from '#support/log-builder.ts';
import { act, createTradeLog, done, hourS, reason, solar, told } from '#support/trade-log.ts';

const withdraw = (log: LogBuilder, from: number, to: number) =>
  act(log, 'withdraw', { items: [solar(from, to)], ...reason });

const figures = ({ state }: LogBuilder) => {
  const { issuedWh, withdrawnWh, deficitWh, certifiedWh, revokedWh, spareWh } =
    state.plants.get('solar') ?? {};
  return { issuedWh, withdrawnWh, deficitWh, certifiedWh, revokedWh, spareWh };
};

/** Gives units to the factory, so that no correction can withdraw them. */
function sell(log: LogBuilder, from: number, to: number): void {
  const offer = done(act(log, 'offer', { account: 'solar', items: [solar(from, to)] }));
  done(act(log, 'accept', { account: 'factory', offer, items: [solar(from, to)] }));
}

describe('what the issuing body withdraws', () => {
  it('takes from anybody, in any state, and once', () => {
    const log = createTradeLog();
    sell(log, 1, 10);
    done(log.cancel('factory', [solar(1, 5)]));
    done(act(log, 'offer', { account: 'solar', items: [solar(11, 20)] }));
    done(act(log, 'lock', { items: [solar(15, 25)], ...reason }));
    done(withdraw(log, 1, 30));
    expect(told(log, solar(1, 31))).toEqual([
      '1-10 factory withdrawn',
      '11-30 solar withdrawn',
      '31-31 solar active',
    ]);
    expect(withdraw(log, 30, 31).violation?.code).toBe('state');
    expect(act(log, 'unlock', { items: [solar(15, 15)], ...reason }).violation?.code).toBe('state');
    expect(figures(log)).toMatchObject({ withdrawnWh: 30, revokedWh: 30, certifiedWh: 1000 });
  });

  it('pays what the plant owes', () => {
    const log = createTradeLog();
    sell(log, 1, 1000);
    done(log.correct('solar', testStartS, 400));
    expect(figures(log).deficitWh).toBe(600);
    done(withdraw(log, 1, 500));
    expect(figures(log)).toMatchObject({ deficitWh: 100, revokedWh: 0 });
    done(withdraw(log, 501, 700));
    expect(figures(log)).toMatchObject({ deficitWh: 0, revokedWh: 100 });
  });

  it('is not taken again by a later decrease of its hour', () => {
    const log = createTradeLog();
    sell(log, 1, 1000);
    done(withdraw(log, 1, 300));
    done(log.correct('solar', testStartS, 600));
    expect(figures(log)).toMatchObject({ deficitWh: 100, revokedWh: 0, certifiedWh: 600 });
    done(log.correct('solar', testStartS, 1000));
    expect(figures(log)).toMatchObject({ deficitWh: 0, issuedWh: 1300 });
  });

  it('stands in where another hour had paid for the units', () => {
    const log = createTradeLog();
    sell(log, 1, 1000);
    done(log.correct('solar', testStartS, 0));
    log.time += hourS;
    done(log.hour('solar', testStartS + hourS, 1000));
    expect(figures(log)).toMatchObject({ issuedWh: 1000, deficitWh: 0 });
    done(withdraw(log, 1, 1000));
    expect(figures(log)).toMatchObject({ revokedWh: 1000, spareWh: 1000, deficitWh: 0 });
    done(log.correct('solar', testStartS + hourS, 250));
    expect(figures(log)).toMatchObject({ revokedWh: 250, spareWh: 250, deficitWh: 0 });
  });

  it('never leaves a plant owing more than there is, whatever happens in whatever order', () => {
    const hours = [0, 1, 2];
    const step = fc.record({
      what: fc.constantFrom('seal', 'correct', 'correct', 'withdraw', 'sell'),
      hour: fc.constantFrom(...hours),
      wh: fc.nat(30),
      from: fc.integer({ min: 1, max: 80 }),
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 5, maxLength: 30 }), (steps) => {
        const log = createTradeLog();
        done(log.correct('solar', testStartS, 20));
        log.time += hours.length * hourS;
        for (const { what, hour, wh, from } of steps) {
          const start = testStartS + hour * hourS;
          const before = figures(log);
          const items = [solar(from, from + wh)];
          if (what === 'seal') log.hour('solar', start, wh);
          else if (what === 'correct') log.correct('solar', start, wh);
          else if (what === 'withdraw') act(log, 'withdraw', { items, ...reason });
          else {
            const { ref, violation } = act(log, 'offer', { account: 'solar', items });
            if (violation === undefined)
              done(act(log, 'accept', { account: 'factory', offer: ref, items }));
          }
          requireBalance(log, before);
        }
      }),
      { numRuns: 200 },
    );
  });
});

function requireBalance(log: LogBuilder, before: ReturnType<typeof figures>): void {
  const now = figures(log);
  const { issuedWh = 0, withdrawnWh = 0, deficitWh = 0, certifiedWh = 0, revokedWh = 0 } = now;
  const { spareWh = 0 } = now;
  expect(issuedWh - withdrawnWh - deficitWh).toBe(certifiedWh - revokedWh);
  expect(deficitWh).toBeLessThanOrEqual(issuedWh - withdrawnWh);
  expect(Math.min(spareWh, deficitWh)).toBe(0);
  const revokedHours = [0, 1, 2].map((hour) => {
    const found = log.state.plants.get('solar')?.hours.get(testStartS + hour * hourS);
    const { revokedWh: ofHour = 0, certifiedWh: certified = 0 } = found ?? {};
    expect(ofHour).toBeGreaterThanOrEqual(0);
    expect(ofHour).toBeLessThanOrEqual(certified);
    return ofHour;
  });
  expect(revokedHours.reduce((sum, wh) => sum + wh, spareWh)).toBe(revokedWh);
  // A decrease is never paid with more than itself.
  const lostWh = Math.max(0, (before.certifiedWh ?? 0) - certifiedWh);
  const paidWh = Math.max(0, deficitWh - (before.deficitWh ?? 0));
  expect(paidWh).toBeLessThanOrEqual(lostWh);
}
