import { worse } from '#core/errors.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/logger.ts';
import type { Pool } from '#platform/postgres.ts';
import type { SealPlan } from './batch-writer.ts';
import { createChainBook, type ChainBook } from './chains.ts';
import { clearDirtyHours } from './dirty-store.ts';
import { outdated, type Draft } from './draft.ts';
import { noteListed, openDisputes, writeDueHours, type DueHour } from './due-store.ts';
import type { LogFolder } from './log-folder.ts';
import { readKeyIds } from './message-store.ts';
import { createGroupPlanner, type Group, type GroupLimits, type Planned } from './plan-group.ts';
import type { Outcome, Sequencer } from './sequence.ts';
import type { SiteSecrets } from './site-secrets.ts';

/** Seals and corrects the hours that can be (D4.3, D5). */
export interface Sealer {
  /**
   * Looks at one group of hours after the other, until there is nothing left to look at. The next is
   * decided while the database takes the one before.
   */
  readonly seal: (options: SealOptions) => Promise<readonly Sealed[]>;
}

export interface SealOptions {
  readonly groupsAtMost: number;
  /** Asked before each group. */
  readonly mayGoOn: () => boolean;
  /** Called each time that a group is in the log. */
  readonly onGroup: () => void;
}

/** An hour that was sealed or corrected. */
export interface Sealed {
  readonly plant: string;
  readonly start: number;
  readonly kind: string;
  readonly index: number;
}

export interface SealLimits extends GroupLimits {
  readonly forksPerStep: number;
}

export const defaultSealLimits: SealLimits = {
  hoursPerGroup: 2_000,
  bytesPerGroup: 32 * 1024 * 1024,
  quarantinedPerGroup: 10_000,
  forksPerStep: 100,
};

export interface SealerContext {
  readonly pool: Pool;
  readonly clock: Clock;
  readonly folder: LogFolder;
  readonly sequencer: Sequencer;
  readonly secrets: SiteSecrets;
  readonly logger: Logger;
  readonly limits: SealLimits;
}

const noPlants: ReadonlySet<string> = new Set();

export function createSealer(context: SealerContext): Sealer {
  const { sequencer } = context;
  const chains = createChainBook();
  const groups = createGroupPlanner({ ...context, chains });

  return {
    async seal({ groupsAtMost, mayGoOn, onGroup }) {
      const sealed: Sealed[] = [];
      let left = groupsAtMost;
      const isNextWanted = (): boolean => left > 0 && mayGoOn();
      const next = async (): Promise<Group | undefined> =>
        isNextWanted() ? groups.next(await sequencer.state(), noPlants) : undefined;
      let group = await next();
      while (group !== undefined) {
        left--;
        // Asked for before: as long as somebody sequences, nobody is told.
        const ahead = group.isFull && isNextWanted() ? await sequencer.state() : undefined;
        const [sealing, planning] = await Promise.allSettled([
          sealGroup(context, group, chains),
          ahead && groups.next(ahead, plantsOf(group)),
        ]);
        if (sealing.status === 'rejected') throw worse(sealing.reason, planning);
        sealed.push(...sealing.value);
        onGroup();
        if (planning.status === 'rejected') throw planning.reason;
        const isMore = group.isFull || sealing.value.length > 0;
        group = planning.value ?? (isMore ? await next() : undefined);
      }
      return sealed;
    },
  };
}

function plantsOf({ chosen }: Group): ReadonlySet<string> {
  return new Set(chosen.runs.map(({ plant }) => plant));
}

/**
 * D5, step 4: the batch files are there, now the entries. A crash in between leaves files that nothing
 * names yet; planning again finds them as they are, and names them.
 */
async function sealGroup(
  { sequencer, logger, pool }: SealerContext,
  { state, chosen, planned, listed }: Group,
  chains: ChainBook,
): Promise<Sealed[]> {
  const sealing = planned.flatMap(({ plantId, input, plan }) =>
    plan.action === 'seal' ? [{ plantId, plan, decidedBy: input.register }] : [],
  );
  const keyIds = await readKeyIds(pool, [...new Set(sealing.map(({ plantId }) => plantId))]);
  const drafts = sealing.map(({ plan, decidedBy }): Draft => ({
    type: 'hour',
    decidedBy,
    ...plan.facts,
  }));
  const outcomes = await sequencer.sequence(drafts, {
    decidedBy: state,
    alongside: async (sql, results) => {
      const done = sealing.filter((_, i) => results[i]?.result === 'sequenced');
      // Hours of a plant that has changed stay as they are, to be looked at again.
      const changed = new Set(
        sealing.flatMap(({ plantId }, i) => {
          const outcome = results[i];
          return outcome?.result === 'refused' && outcome.code === outdated ? [plantId] : [];
        }),
      );
      await clearDirtyHours(
        sql,
        chosen.dirty.filter(({ plantId }) => !changed.has(plantId)),
      );
      await noteListed(sql, listed);
      await writeDueHours(sql, dueAfter(planned, new Set(done.map(({ plan }) => plan))));
      for (const { plan } of planned) await openDisputes(sql, plan.disputes);
      await chains.store(
        sql,
        done.flatMap(({ plan }) =>
          plan.chains.flatMap(({ kid, seq, chain }) => {
            const keyId = keyIds.get(kid);
            return keyId === undefined || seq === 0 ? [] : [{ keyId, seq, chain }];
          }),
        ),
      );
    },
  });
  return sealing.flatMap(({ plan: { facts } }, i) => {
    const outcome = outcomes[i];
    if (outcome?.result === 'sequenced') return [sealedOf(facts, outcome)];
    // Another ledger was faster, or a rule in force says no; either way the next look decides anew.
    logger.warn({ plant: facts.plant, start: facts.start, ...outcome }, 'an hour was not sealed');
    return [];
  });
}

function sealedOf(
  { plant, start }: { plant: string; start: number },
  { kind, ref }: Extract<Outcome, { result: 'sequenced' }>,
): Sealed {
  return { plant, start, kind, index: ref.index };
}

/** When sealed hours that lack something are looked at again, and which need not be any more. */
function dueAfter(
  planned: readonly Planned[],
  sealed: ReadonlySet<SealPlan>,
): { due: (DueHour & { dueAt: number })[]; done: DueHour[] } {
  const due: (DueHour & { dueAt: number })[] = [];
  const done: DueHour[] = [];
  for (const { plantId, input, plan } of planned) {
    const hour = { plantId, start: input.start };
    if (plan.action === 'none') done.push(hour);
    else if (plan.action === 'wait') {
      if (input.latest !== undefined) due.push({ ...hour, dueAt: plan.dueAt });
    } else if (!sealed.has(plan)) continue;
    else if (plan.facts.complete) done.push(hour);
    else due.push({ ...hour, dueAt: plan.dueAgainAt });
  }
  return { due, done };
}
