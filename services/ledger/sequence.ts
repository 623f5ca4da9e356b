import { fromHex } from '#core/bytes.ts';
import { Failed, Fatal, Refused } from '#core/errors.ts';
import { encodeEntry, type Entry, type EntryRef } from '#core/certificate/entry.ts';
import { applyJudgement, judgeNext, type PendingJudgement } from '#core/certificate/fold.ts';
import type { LogState } from '#core/certificate/state/state.ts';
import type { Clock } from '#platform/clock.ts';
import { inTransaction, type Pool, type Sql } from '#platform/postgres.ts';
import { announceEntries } from './announce.ts';
import { composeDraft, type Draft } from './draft.ts';
import type { Follower } from './follow.ts';
import {
  appendEntries,
  insertFault,
  lockLog,
  type EntryFault,
  type NewEntry,
} from './log-store.ts';
import { project, type Folded } from './projections.ts';

/** What became of a draft. A refused one is not in the log and has changed nothing. */
export type Outcome =
  | {
      readonly result: 'sequenced';
      readonly ref: EntryRef;
      readonly time: number;
      readonly kind: string;
    }
  | { readonly result: 'refused'; readonly code: string; readonly message: string };

export interface Sequencer {
  /**
   * Appends drafts in their order, all that break no rule, in one transaction (D5, step 4).
   * `alongside` writes what must be true exactly when the entries are in the log.
   *
   * A crash before the commit: nothing happened, and the work is found again where it was. After it:
   * the entries count, and `publish` finds that they are not under a checkpoint. Fatal('commit-unknown')
   * when the connection broke during the commit: the process ends, and starting again reads what is true.
   */
  readonly sequence: (drafts: readonly Draft[], options?: SequenceOptions) => Promise<Outcome[]>;
  /** The state after the last entry in the table, for planning. Do not change it, and do not keep it. */
  readonly state: () => Promise<LogState>;
  /** Keeps the fold for the next process, once nothing is under way. What is asked later opens it again. */
  readonly close: () => Promise<void>;
}

export interface SequenceOptions {
  /**
   * The state that the drafts were decided by. Failed('state-forgotten') where it was given up since:
   * it may have held entries that never came into the log.
   */
  readonly decidedBy?: LogState;
  readonly alongside?: (sql: Sql, outcomes: readonly Outcome[]) => Promise<void>;
  /**
   * What evidence shows to be wrong with `unchecked` bytes. It is stored, so that every fold over the
   * table judges the same; the bytes must be parsed to be judged, so this is asked with the state.
   */
  readonly faultOf?: (state: LogState, bytes: Uint8Array) => Promise<EntryFault | undefined>;
}

export interface SequencerContext {
  readonly pool: Pool;
  readonly clock: Clock;
  readonly follower: Follower;
}

export function createSequencer({ pool, clock, follower }: SequencerContext): Sequencer {
  /** One at a time in this process; the row lock does the same between processes. */
  let queue: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const turn = queue.then(work, work);
    queue = turn.catch(() => undefined);
    return turn;
  };

  const attempt = async (work: (sql: Sql) => Promise<Outcome[]>): Promise<Outcome[]> => {
    try {
      return await inTransaction(pool, work);
    } catch (error) {
      // The fold may know of entries that were rolled back.
      follower.forget();
      if (error instanceof Failed && error.code === 'commit-unknown') {
        throw new Fatal('commit-unknown', 'nobody knows whether entries were sequenced', {
          cause: error,
        });
      }
      throw error;
    }
  };

  return {
    sequence: (drafts, options = {}) =>
      inTurn(async () => {
        await follower.keepIfDue(pool);
        return attempt(async (sql) => {
          const { nextIndex, time } = await lockLog(sql);
          const state = await follower.catchUp(sql, nextIndex);
          if (options.decidedBy !== undefined && options.decidedBy !== state) {
            throw new Failed('state-forgotten', 'what was decided rests on a state given up since');
          }
          const nowS = Math.max(time, clock.nowS(), state.time);
          const batch = await fold(state, { drafts, nowS, faultOf: options.faultOf });
          if (batch.entries.length > 0) {
            await appendEntries(sql, nextIndex, { entries: batch.entries, time: nowS });
            for (const { index, fault } of batch.faults) await insertFault(sql, index, fault);
            await project(sql, state, batch.folded);
            await announceEntries(sql, batch.folded, nowS);
          }
          await options.alongside?.(sql, batch.outcomes);
          return batch.outcomes;
        });
      }),
    state: () =>
      inTurn(async () => {
        const { next_index } = await pool.row<{ next_index: number }>(
          'select next_index from log_state',
        );
        return follower.catchUp(pool, next_index);
      }),
    close: () => inTurn(() => follower.close(pool)),
  };
}

interface Batch {
  readonly entries: NewEntry[];
  readonly faults: { readonly index: number; readonly fault: EntryFault }[];
  readonly folded: Folded[];
  readonly outcomes: Outcome[];
}

/** Gives each draft its place and folds those that break no rule; `state` is changed. */
async function fold(
  state: LogState,
  {
    drafts,
    nowS,
    faultOf,
  }: { drafts: readonly Draft[]; nowS: number; faultOf: SequenceOptions['faultOf'] },
): Promise<Batch> {
  const batch: Batch = { entries: [], faults: [], folded: [], outcomes: [] };
  for (const draft of drafts) {
    if (draft.type === 'unchecked') {
      const fault = await faultOf?.(state, draft.bytes);
      const pending = judgeNext(state, draft.bytes, { evidence: fault });
      if (fault !== undefined) batch.faults.push({ index: pending.ref.index, fault });
      take(state, batch, { bytes: draft.bytes, pending, draft, nowS });
      continue;
    }
    try {
      const { auth, kind, spec } = composeDraft(draft, { state, time: nowS });
      const entry: Entry = { apiVersion: 'hourseal/v1', auth, kind, spec, time: nowS };
      const bytes = encodeEntry(entry);
      // A signed action comes from outside and is parsed from its bytes, as everybody else will.
      const pending = judgeNext(state, bytes, {
        ...(draft.type !== 'action' && { entry }),
        ...(draft.type === 'hour' && {
          consumptionWh: draft.committed?.opening.consumption,
        }),
      });
      if (pending.violation !== undefined) {
        const { code, message } = pending.violation;
        throw new Refused(code, message);
      }
      take(state, batch, { bytes, pending, draft, nowS });
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      batch.outcomes.push({ result: 'refused', code: error.code, message: error.message });
    }
  }
  return batch;
}

function take(
  state: LogState,
  batch: Batch,
  {
    bytes,
    pending,
    draft,
    nowS,
  }: { bytes: Uint8Array; pending: PendingJudgement; draft: Draft; nowS: number },
): void {
  const judgement = applyJudgement(state, pending);
  const { ref, entry, violation } = judgement;
  const kind = entry?.kind ?? 'unreadable';
  const time = entry?.time ?? nowS;
  batch.entries.push({
    index: ref.index,
    leafHash: fromHex(ref.leafHash),
    data: bytes,
    kind,
    time,
  });
  batch.outcomes.push({ result: 'sequenced', ref, time, kind });
  if (violation === undefined) {
    batch.folded.push({ judgement, facts: draft.type === 'hour' ? draft : undefined });
  }
}
