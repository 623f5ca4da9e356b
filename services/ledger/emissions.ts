import { emissionRecord, saidBy } from '#core/certificate/emission-record.ts';
import type { LogState } from '#core/certificate/state/state.ts';
import { Refused } from '#core/errors.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/logger.ts';
import type { Pool } from '#platform/postgres.ts';
import type { Draft } from './draft.ts';
import { deleteDueDays, readDueDays, type DueDay } from './emission-store.ts';
import type { Sequencer } from './sequence.ts';

/** Enters emission records (D4.6) once the hours of a day are sealed, and when they change. */
export interface EmissionEntries {
  /** Looks at some of the days that are due; says how many records it entered. */
  readonly enter: () => Promise<number>;
}

/** Days looked at in one turn: each may read some 35,000 hours of the state. */
export const daysPerTurn = 50;

export function createEmissionEntries({
  pool,
  clock,
  sequencer,
  logger,
}: {
  readonly pool: Pool;
  readonly clock: Clock;
  readonly sequencer: Sequencer;
  readonly logger: Logger;
}): EmissionEntries {
  /** Where the next turn goes on: days that cannot be decided yet must not hold up those behind them. */
  let after = { plantId: 0, day: 0 };

  return {
    async enter() {
      const state = await sequencer.state();
      if (!isPossible(state)) return 0;
      const nowS = Math.max(clock.nowS(), state.time);
      const due = await readDueDays(pool, { after, nowS, limit: daysPerTurn });
      const last = due.at(-1);
      after = last === undefined || due.length < daysPerTurn ? { plantId: 0, day: 0 } : last;
      if (last === undefined) return 0;
      const planned = due.map((day) => ({ day, plan: planDay(state, day, nowS) }));
      const drafts = planned.flatMap(({ plan }) => (typeof plan === 'object' ? [plan] : []));
      const outcomes = await sequencer.sequence(drafts, {
        alongside: async (sql, [...left]) => {
          const done = planned.filter(({ plan }) =>
            typeof plan === 'object' ? left.shift()?.result === 'sequenced' : plan === 'done',
          );
          await deleteDueDays(
            sql,
            done.map(({ day }) => day),
          );
        },
      });
      const refused = outcomes.filter(({ result }) => result === 'refused');
      // An hour that came in meanwhile is the likely cause: the day is looked at again.
      if (refused.length > 0) logger.warn({ refused }, 'emission records were not entered');
      return outcomes.length - refused.length;
    },
  };
}

const neededKinds = ['emission', 'emission-correction'];

/** A log may be older than these kinds, and rules may name plants before they are in force. */
function isPossible({ genesis }: LogState): boolean {
  if (genesis === undefined || genesis.closed !== undefined) return false;
  return neededKinds.every((kind) => genesis.rules.kinds.includes(kind));
}

/** What a due day needs: a record, nothing any more, or something that is not there yet. */
function planDay(
  state: LogState,
  { plant, day }: DueDay,
  nowS: number,
): Extract<Draft, { type: 'emission' }> | 'done' | 'waits' {
  try {
    const record = emissionRecord(state, { plant, day, time: nowS });
    const before = state.plants.get(plant)?.emissions.get(day);
    if (before?.said === saidBy(record)) return 'done';
    return { type: 'emission', record, amends: before?.ref };
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return waitsFor.has(error.code) ? 'waits' : 'done';
  }
}

/** What may come without an hour of the day; a missing hour makes the day due again when it is sealed. */
const waitsFor: ReadonlySet<string> = new Set(['factor', 'overflow']);
