import type { Judgement } from '#core/certificate/fold.ts';
import type { ClaimItem } from '#core/certificate/specs/claims.ts';
import type { Item } from '#core/certificate/specs/parts.ts';
import {
  createBusyLog,
  dayS,
  testStartS,
  type LogBuilder,
  type LogOptions,
} from './log-builder.ts';
import { act, done, hourS } from './trade-log.ts';

/** Entries about claims (D4.4), for tests. */

/**
 * A busy log with an open site `mill` of the account `factory`. In the first hour `solar` was issued units
 * 1 to 400 and `wind` 1 to 700, and the mill took 300 Wh; in the second it took 50. It is 02:00.
 */
export function createClaimLog(options: LogOptions = {}): LogBuilder {
  const log = createBusyLog(options);
  log.time = testStartS;
  log.plant('mill', {
    ...{ account: 'factory', type: 'consumption', source: 'grid', technology: 'none' },
  });
  log.time = testStartS + hourS;
  log.hour('solar', testStartS, 400);
  log.hour('wind', testStartS, 700);
  took(log, testStartS, 300);
  log.time += hourS;
  took(log, testStartS + hourS, 50);
  return log;
}

export function took(log: LogBuilder, start: number, consumption: number): Judgement {
  const sealed = log.state.plants.get('mill')?.hours.has(start) === true;
  const enter = sealed ? log.correct : log.hour;
  return enter('mill', start, { generation: 0, spec: { consumption } });
}

export const wind = (from: number, to: number): Item => ({ series: 'energy/wind', from, to });

/** By its owner, for the factory and the first day. */
export function cancelFor(
  log: LogBuilder,
  items: readonly Item[],
  change: object = {},
): ReturnType<typeof done> {
  const [first] = items;
  const account = first?.series.slice('energy/'.length);
  return done(
    act(log, 'cancel', {
      ...{ account, beneficiary: 'factory', items, purpose: 'the mill' },
      ...{ period: { from: testStartS, to: testStartS + dayS }, ...change },
    }),
  );
}

export const at = (item: Item, hour = testStartS, point = 'mill'): ClaimItem => ({
  ...item,
  hour,
  point,
});

export function claim(
  log: LogBuilder,
  items: readonly ClaimItem[],
  change: object = {},
): Judgement {
  const spec = { account: 'factory', basis: 'hourly', procurement: 'direct' };
  return act(log, 'claim', { ...spec, items, ...change });
}
