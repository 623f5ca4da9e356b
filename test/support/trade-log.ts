import type { EntryRef } from '#core/certificate/entry.ts';
import type { Judgement } from '#core/certificate/fold.ts';
import type { Terms } from '#core/certificate/specs/trade.ts';
import type { Item } from '#core/certificate/specs/parts.ts';
import { piecesWithin } from '#core/certificate/state/series.ts';
import { createBusyLog, testHash, testStartS } from './log-builder.ts';
import type { EntryOverrides, LogBuilder, LogOptions } from './log-builder.ts';

/** Entries about certificates as property (D4.4), for tests. */

export const hourS = 3600;

/** A busy log whose solar plant was issued units 1 to 1000 for the first hour, which has just ended. */
export function createTradeLog(options: LogOptions = {}): LogBuilder {
  const log = createBusyLog(options);
  log.time = testStartS + hourS;
  log.hour('solar', testStartS, 1000);
  return log;
}

export const solar = (from: number, to: number): Item => ({ series: 'energy/solar', from, to });

export const euros = (payBy: number, change: Partial<Terms> = {}): Terms => ({
  ...{ currency: 'EUR', payBy, priceMinor: 6500 },
  ...change,
});

type Said = Readonly<Record<string, unknown>> & Pick<EntryOverrides, 'signedBy'>;

/** Enters an action, signed as D3.3 says or by `signedBy`. */
export function act(log: LogBuilder, kind: string, { signedBy, ...said }: Said): Judgement {
  return log.enter(kind, { ...said, ...log.once() }, signedBy === undefined ? {} : { signedBy });
}

/** An entry that must be sound; where it stands. */
export function done(judgement: Judgement): EntryRef {
  if (judgement.violation !== undefined) throw new Error(judgement.violation.message);
  return judgement.ref;
}

export const reason = { reason: 'a court said so', evidence: [testHash('evidence')] };

/** The raw state of units as `from-to owner state`, neighbours that are alike joined. */
export function told({ state }: LogBuilder, { series, ...range }: Item): readonly string[] {
  const found = state.series.get(series);
  if (found === undefined) return [];
  const runs: { from: number; to: number; is: string }[] = [];
  for (const { from, to, owner, state: is } of piecesWithin(found, range)) {
    const last = runs.at(-1);
    if (last?.is === `${owner} ${is}`) last.to = to;
    else runs.push({ from, to, is: `${owner} ${is}` });
  }
  return runs.map(({ from, to, is }) => `${from}-${to} ${is}`);
}
