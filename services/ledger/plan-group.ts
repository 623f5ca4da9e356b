import { setImmediate } from 'node:timers/promises';
import { worse } from '#core/errors.ts';
import type { OpenDisputes } from '#core/certificate/hour-evidence.ts';
import type { LogState } from '#core/certificate/state/state.ts';
import type { Quarantined } from '#core/energy/batch.ts';
import type { Clock } from '#platform/clock.ts';
import { inTransaction, type Pool } from '#platform/postgres.ts';
import { createBatchWriter } from './batch-writer.ts';
import { chooseCandidates, createOverdueFinder, type Candidates } from './candidates.ts';
import type { ChainBook } from './chains.ts';
import { readDirtyHours } from './dirty-store.ts';
import { readDueHours, readIncompleteHours } from './due-store.ts';
import { readHourInputs, runsOf } from './hour-inputs.ts';
import type { LogFolder } from './log-folder.ts';
import { planHour, type HourInput, type HourPlan } from './plan.ts';
import { readPlantIds } from './register-store.ts';
import type { SiteSecrets } from './site-secrets.ts';

/** Decides one group of hours after the other, and has their batch files stored. */
export interface GroupPlanner {
  /**
   * The next hours that may be sealed, none of them of a `busy` plant: other hours of it are on their
   * way into the log, and what that changes is not to be read before it is there. Undefined without any.
   */
  readonly next: (state: LogState, busy: ReadonlySet<string>) => Promise<Group | undefined>;
}

export interface Planned {
  readonly plantId: number;
  readonly input: HourInput;
  readonly plan: HourPlan;
}

export interface Group {
  /** What it was decided by. */
  readonly state: LogState;
  readonly chosen: Candidates;
  readonly planned: readonly Planned[];
  /** Quarantined messages that stand in the group's batch files, which are durable. */
  readonly listed: readonly Quarantined[];
  /** As many as one group may have: there may be more of them. */
  readonly isFull: boolean;
}

export interface GroupLimits {
  /** Hours looked at together: memory and the length of a transaction follow from it. */
  readonly hoursPerGroup: number;
  /** Bytes of messages that one group should hold; a group shrinks when its hours are full ones. */
  readonly bytesPerGroup: number;
  readonly quarantinedPerGroup: number;
}

export interface GroupContext {
  readonly pool: Pool;
  readonly clock: Clock;
  readonly folder: LogFolder;
  readonly secrets: SiteSecrets;
  readonly limits: GroupLimits;
  readonly chains: ChainBook;
}

/** Planned at a stretch, in some milliseconds. */
const hoursPerTurn = 16;
/** The first group is small, since nobody knows yet how full the hours are. */
const firstGroupHours = 128;

export function createGroupPlanner(context: GroupContext): GroupPlanner {
  const { clock, limits } = context;
  const findOverdue = createOverdueFinder();
  let groupHours = Math.min(firstGroupHours, limits.hoursPerGroup);

  return {
    async next(state, busy) {
      if (state.genesis === undefined) return undefined;
      const nowS = Math.max(clock.nowS(), state.time);
      const limitHours = groupHours;
      const question = { state, nowS, limitHours, busy };
      const chosen = await findCandidates(context.pool, findOverdue, question);
      if (chosen.hours === 0) return undefined;
      const group = await planGroup(context, { chosen, state, nowS });
      groupHours = nextGroupHours(group.planned, chosen.hours, limits);
      const isFull = chosen.hours >= limitHours && chosen.dirty.length > 0;
      return { ...group, state, chosen, isFull };
    },
  };
}

async function findCandidates(
  pool: Pool,
  findOverdue: ReturnType<typeof createOverdueFinder>,
  question: { state: LogState; nowS: number; limitHours: number; busy: ReadonlySet<string> },
): Promise<Candidates> {
  const { state, nowS, limitHours } = question;
  const dirty = await readDirtyHours(pool, question);
  const found = findOverdue(state, question);
  const ids = await readPlantIds(pool, [...new Set(found.map(({ plant }) => plant))]);
  return chooseCandidates({
    state,
    nowS,
    dirty,
    due: await readDueHours(pool, question),
    overdue: found.flatMap((hour) => {
      const plantId = ids.get(hour.plant);
      return plantId === undefined ? [] : [{ ...hour, plantId }];
    }),
    incomplete: await readIncompleteHours(pool, [...new Set(dirty.map(({ plantId }) => plantId))]),
    limitHours,
  });
}

/**
 * Reads one snapshot, so that what is read belongs together, decides every hour by it, and stores the
 * batch files of those that are sealed: the disk writes some while the next are decided.
 */
async function planGroup(
  context: GroupContext,
  { chosen, state, nowS }: { chosen: Candidates; state: LogState; nowS: number },
): Promise<Pick<Group, 'planned' | 'listed'>> {
  const { pool, secrets, chains } = context;
  const committed = chosen.runs
    .map(({ plant }) => plant)
    .filter((plant) => state.plants.get(plant)?.spec.disclosure === 'committed');
  await secrets.load(committed);
  const ids = new Map(chosen.runs.map(({ plant, plantId }) => [plant, plantId]));
  const inputs = await inTransaction(
    pool,
    (sql) => readHourInputs(sql, chosen.runs.flatMap(runsOf), { state, chains }),
    { isolation: 'repeatable read', readOnly: true },
  );
  // Decided after the transaction, which on PGlite nobody else can work beside.
  const planned: Planned[] = [];
  // What one hour finds disputes those after it, also the ones that are decided together with it.
  const found = new Map<string, number>();
  const batches = createBatchWriter(context);
  try {
    for (const input of inputs) {
      const disputes = earliest(input.disputes, found);
      const plan = planHour({ ...input, disputes }, { state, nowS, secretOf: secrets.of });
      for (const [meter, fromT] of earliest(plan.disputes, found)) found.set(meter, fromT);
      const plantId = ids.get(input.plant) ?? 0;
      planned.push({ plantId, input, plan });
      if (plan.action === 'seal') batches.add({ plantId, plan });
      // What waits for the disk, or for anybody else, has its turn.
      if (planned.length % hoursPerTurn === 0) await setImmediate();
    }
  } catch (error) {
    const [written] = await Promise.allSettled([batches.end()]);
    throw worse(error, written);
  }
  return { planned, listed: await batches.end() };
}

/** For each meter the earlier of two disputes. */
function earliest(a: OpenDisputes, b: OpenDisputes): OpenDisputes {
  if (b.size === 0) return a;
  const all = new Map(a);
  for (const [meter, fromT] of b) all.set(meter, Math.min(fromT, all.get(meter) ?? fromT));
  return all;
}

/** Groups grow and shrink with how full their hours turned out to be. */
function nextGroupHours(
  planned: readonly Planned[],
  hours: number,
  { hoursPerGroup, bytesPerGroup }: GroupLimits,
): number {
  let bytes = 0;
  for (const { plan } of planned) {
    if (plan.action !== 'seal') continue;
    for (const leaf of plan.leaves) bytes += leaf.length;
  }
  const fitting = bytes === 0 ? hoursPerGroup : Math.floor((bytesPerGroup * hours) / bytes);
  return Math.max(1, Math.min(hoursPerGroup, fitting, hours * 8));
}
