import { parseSignedAction } from '#core/certificate/signed-action.ts';
import { Failed, Refused } from '#core/errors.ts';
import type { SignedDraft } from '#core/certificate/entry.ts';
import type { Clock } from '#platform/clock.ts';
import type { Pool, Sql } from '#platform/postgres.ts';
import { integers } from './columns.ts';
import type { Outcome, Sequencer } from './sequence.ts';

/** Enters the signed actions that wait in the table `action`, in the order in which they came. */
export interface ActionIntake {
  /**
   * Decides what waits, at most `actionsPerStep`; resolves to how many. A crash before the commit of
   * a group: nothing happened. After it: each of its actions has its answer.
   */
  readonly enter: () => Promise<number>;
}

export interface ActionLimits {
  /** Decided in one transaction. */
  readonly actionsPerGroup: number;
  readonly actionsPerStep: number;
}

const waitingSql = `
  select action_id, body from action where decided_at is null order by action_id limit $1`;
const decideSql = `
  update action a set decided_at = $1, entry_index = r.entry_index, code = r.code, message = r.message
    from unnest($2::bigint[], $3::bigint[], $4::text[], $5::text[])
      as r (action_id, entry_index, code, message)
   where a.action_id = r.action_id and a.decided_at is null`;
const longestCode = 64;
const longestMessage = 1_000;

interface WaitingRow {
  readonly action_id: number;
  readonly body: Uint8Array;
}

export function createActionIntake({
  pool,
  clock,
  sequencer,
  limits,
}: {
  readonly pool: Pool;
  readonly clock: Clock;
  readonly sequencer: Pick<Sequencer, 'sequence' | 'state'>;
  readonly limits: ActionLimits;
}): ActionIntake {
  const enterGroup = async (limit: number): Promise<number> => {
    const rows = await pool.rows<WaitingRow>(waitingSql, [limit]);
    if (rows.length === 0) return 0;
    const { genesis } = await sequencer.state();
    // Nothing can be signed for a log that has no name yet.
    if (genesis === undefined) return 0;
    const parsed = rows.map(({ body }) => draftOf(body, genesis.origin));
    const drafts = parsed.flatMap((one) => ('draft' in one ? [one.draft] : []));
    await sequencer.sequence(
      drafts.map((draft) => ({ type: 'action', ...draft })),
      {
        alongside: async (sql, outcomes) => {
          let next = 0;
          const all = parsed.map((one) => ('draft' in one ? outcomes[next++] : one));
          await decide(sql, { rows, outcomes: all, nowS: clock.nowS() });
        },
      },
    );
    return rows.length;
  };
  return {
    async enter() {
      let decided = 0;
      while (decided < limits.actionsPerStep) {
        const limit = Math.min(limits.actionsPerGroup, limits.actionsPerStep - decided);
        const count = await enterGroup(limit);
        decided += count;
        if (count < limit) break;
      }
      return decided;
    },
  };
}

type Parsed = { readonly draft: SignedDraft } | Extract<Outcome, { result: 'refused' }>;

/** The registry has looked at the form; whoever else writes into the table may not have. */
function draftOf(body: Uint8Array, origin: string): Parsed {
  try {
    const action = parseSignedAction(body);
    if (action.origin !== origin) throw new Refused('origin', `meant for ${action.origin}`);
    const { auth, kind, spec } = action;
    return { draft: { auth, kind, spec } };
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return { result: 'refused', code: error.code, message: error.message };
  }
}

/** Failed('action-decided') where another ledger was faster: then nothing of the group was entered. */
async function decide(
  sql: Sql,
  {
    rows,
    outcomes,
    nowS,
  }: {
    readonly rows: readonly WaitingRow[];
    readonly outcomes: readonly (Outcome | undefined)[];
    readonly nowS: number;
  },
): Promise<void> {
  const decided = await sql.run(decideSql, [
    nowS,
    integers(rows.map(({ action_id }) => action_id)),
    outcomes.map((one) => (one?.result === 'sequenced' ? one.ref.index : null)),
    outcomes.map((one) => (one?.result === 'refused' ? one.code.slice(0, longestCode) : null)),
    outcomes.map((one) =>
      one?.result === 'refused' ? cutText(one.message, longestMessage) : null,
    ),
  ]);
  if (decided !== rows.length) {
    throw new Failed('action-decided', 'another ledger decided actions of this group');
  }
}

/** At most so many UTF-16 units, never half of a character. */
function cutText(text: string, limit: number): string {
  return text.slice(0, limit).replace(/[\uD800-\uDBFF]$/, '');
}
