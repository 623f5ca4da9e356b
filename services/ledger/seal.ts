import { equalBytes, toHex } from '#core/bytes.ts';
import { sha256 } from '#crypto';
import { Fatal } from '#core/errors.ts';
import { privateBatchPath } from '#core/certificate/commitment.ts';
import type { OpenDisputes } from '#core/certificate/hour-evidence.ts';
import type { LogState } from '#core/certificate/state.ts';
import {
  batchPath,
  encodeBatchFile,
  encodeMessageLeaf,
  parseBatchFile,
} from '#core/energy/batch.ts';
import type { Quarantined } from '#core/energy/batch.ts';
import { encodeFramed, evidencePath } from '#core/energy/evidence-file.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/logger.ts';
import { inTransaction, type Pool, type Sql } from '#platform/postgres.ts';
import { chooseCandidates, createOverdueFinder, type Candidates } from './candidates.ts';
import { createChainBook, type ChainBook } from './chains.ts';
import { clearDirtyHours, readDirtyHours } from './dirty-store.ts';
import type { Draft } from './draft.ts';
import {
  noteFork,
  noteListed,
  openDisputes,
  readDueHours,
  readIncompleteHours,
} from './due-store.ts';
import { readOpenForks, readUnlisted, writeDueHours, type DueHour } from './due-store.ts';
import { readHourInputs, runsOf } from './hour-inputs.ts';
import type { LogFile, LogFolder } from './log-folder.ts';
import { readKeyIds } from './message-store.ts';
import { planHour, type HourInput, type HourPlan } from './plan.ts';
import { readPlantIds } from './register-store.ts';
import type { Outcome, Sequencer } from './sequence.ts';
import type { SiteSecrets } from './site-secrets.ts';

/** Seals and corrects the hours that can be, reports forks, and voids what broke a rule (D4.3, D5). */
export interface Sealer {
  /** Looks at one group of hours. `more` is true when there may be others to look at right away. */
  readonly sealGroup: () => Promise<{ readonly sealed: readonly Sealed[]; readonly more: boolean }>;
  /** Enters forks that ingestion found and voids for entries that broke a rule; how many. */
  readonly report: () => Promise<number>;
}

/** An hour that this group sealed or corrected. */
export interface Sealed {
  readonly plant: string;
  readonly start: number;
  readonly kind: string;
  readonly index: number;
}

export interface SealLimits {
  /** Hours looked at together: memory and the length of a transaction follow from it. */
  readonly hoursPerGroup: number;
  /** Bytes of messages that one group should hold; a group shrinks when its hours are full ones. */
  readonly bytesPerGroup: number;
  readonly quarantinedPerGroup: number;
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

/** The first group is small, since nobody knows yet how full the hours are. */
const firstGroupHours = 128;

export function createSealer(context: SealerContext): Sealer {
  const { pool, clock, sequencer, limits } = context;
  const findOverdue = createOverdueFinder();
  const chains = createChainBook();
  let groupHours = Math.min(firstGroupHours, limits.hoursPerGroup);

  const candidates = async (state: LogState, nowS: number): Promise<Candidates> => {
    const limitHours = groupHours;
    const dirty = await readDirtyHours(pool, { nowS, limitHours });
    const found = findOverdue(state, { nowS, limitHours });
    const ids = await readPlantIds(pool, [...new Set(found.map(({ plant }) => plant))]);
    return chooseCandidates({
      state,
      nowS,
      dirty,
      due: await readDueHours(pool, { nowS, limitHours }),
      overdue: found.flatMap((hour) => {
        const plantId = ids.get(hour.plant);
        return plantId === undefined ? [] : [{ ...hour, plantId }];
      }),
      incomplete: await readIncompleteHours(pool, [
        ...new Set(dirty.map(({ plantId }) => plantId)),
      ]),
      limitHours,
    });
  };

  return {
    async sealGroup() {
      const state = await sequencer.state();
      if (state.genesis === undefined) return { sealed: [], more: false };
      const nowS = Math.max(clock.nowS(), state.time);
      const limitHours = groupHours;
      const chosen = await candidates(state, nowS);
      if (chosen.hours === 0) return { sealed: [], more: false };
      const planned = await planGroup(context, { chosen, state, nowS, chains });
      groupHours = nextGroupHours(planned, chosen.hours, limits);
      const sealed = await sealPlanned(context, { chosen, planned, chains });
      const isFull = chosen.hours >= limitHours && chosen.dirty.length > 0;
      return { sealed, more: isFull || sealed.length > 0 };
    },
    report: () => report(context),
  };
}

interface Planned {
  readonly plantId: number;
  readonly input: HourInput;
  readonly plan: HourPlan;
}

/** Reads one snapshot, so that what is read belongs together, and decides every hour by it. */
async function planGroup(
  { pool, secrets }: SealerContext,
  {
    chosen,
    state,
    nowS,
    chains,
  }: { chosen: Candidates; state: LogState; nowS: number; chains: ChainBook },
): Promise<Planned[]> {
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
  for (const input of inputs) {
    const disputes = earliest(input.disputes, found);
    const plan = planHour({ ...input, disputes }, { state, nowS, secretOf: secrets.of });
    for (const [meter, fromT] of earliest(plan.disputes, found)) found.set(meter, fromT);
    planned.push({ plantId: ids.get(input.plant) ?? 0, input, plan });
  }
  return planned;
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
  { hoursPerGroup, bytesPerGroup }: SealLimits,
): number {
  let bytes = 0;
  for (const { plan } of planned) {
    if (plan.action !== 'seal') continue;
    for (const leaf of plan.leaves) bytes += leaf.length;
  }
  const fitting = bytes === 0 ? hoursPerGroup : Math.floor((bytesPerGroup * hours) / bytes);
  return Math.max(1, Math.min(hoursPerGroup, fitting, hours * 8));
}

type SealPlan = Extract<HourPlan, { action: 'seal' }>;

/**
 * D5, step 4: batch files first, then the entries. A crash in between leaves files that nothing names
 * yet; planning again finds them as they are, and names them.
 */
async function sealPlanned(
  context: SealerContext,
  {
    chosen,
    planned,
    chains,
  }: { chosen: Candidates; planned: readonly Planned[]; chains: ChainBook },
): Promise<Sealed[]> {
  const { sequencer, logger, pool } = context;
  const sealing = planned.flatMap(({ plantId, plan }) =>
    plan.action === 'seal' ? [{ plantId, plan }] : [],
  );
  const listed = await writeBatches(context, sealing);
  const keyIds = await readKeyIds(pool, [...new Set(sealing.map(({ plantId }) => plantId))]);
  const drafts = sealing.map(({ plan }): Draft => ({ type: 'hour', ...plan.facts }));
  const outcomes = await sequencer.sequence(drafts, {
    alongside: async (sql, results) => {
      const done = sealing.filter((_, i) => results[i]?.result === 'sequenced');
      await clearDirtyHours(sql, chosen.dirty);
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

/**
 * Writes the batch files and returns the quarantined messages that stand in them now. A plant's
 * unlisted ones go into the first file of the group; where a file of that root exists, its bytes
 * stand, its list is taken as it is, and what it lacks waits for the plant's next new file (D3.2).
 */
async function writeBatches(
  { pool, folder, limits }: SealerContext,
  sealing: readonly { readonly plantId: number; readonly plan: SealPlan }[],
): Promise<Quarantined[]> {
  const plantIds = [...new Set(sealing.map(({ plantId }) => plantId))];
  const unlisted = await readUnlisted(pool, plantIds, limits.quarantinedPerGroup);
  const waiting = new Map<number, Quarantined[]>();
  for (const { plantId, code, hash, kid, seq } of unlisted) {
    const list = waiting.get(plantId) ?? [];
    list.push({ code, hash, kid, seq });
    waiting.set(plantId, list);
  }
  const files = new Map<
    string,
    { file: LogFile; leaves: readonly Uint8Array[]; quarantined: readonly Quarantined[] }
  >();
  for (const { plantId, plan } of sealing) {
    const root = toHex(plan.facts.batchRoot);
    const path = plan.facts.committed === undefined ? batchPath(root) : privateBatchPath(root);
    if (files.has(path)) continue;
    const quarantined = waiting.get(plantId) ?? [];
    waiting.delete(plantId);
    const bytes = encodeBatchFile({ leaves: plan.leaves, quarantined });
    files.set(path, { file: { path, bytes }, leaves: plan.leaves, quarantined });
  }
  const there = await folder.writeNew([...files.values()].map(({ file }) => file));
  return [...files.values()].flatMap(({ file, leaves, quarantined }) => {
    const bytes = there.get(file.path);
    return bytes === undefined ? quarantined : standing(file.path, bytes, leaves);
  });
}

/** Its name says which leaves it has. Anything else in it would be a claim that we cannot prove. */
function standing(
  path: string,
  bytes: Uint8Array,
  leaves: readonly Uint8Array[],
): readonly Quarantined[] {
  const { quarantined } = parseBatchFile(bytes);
  if (!equalBytes(bytes, encodeBatchFile({ leaves, quarantined }))) {
    throw new Fatal('batch-file', `${path} does not hold the leaves that its name says`);
  }
  return quarantined;
}

async function report(context: SealerContext): Promise<number> {
  const { sequencer, pool, folder, limits, logger } = context;
  const state = await sequencer.state();
  if (state.genesis === undefined) return 0;
  const forks = await readOpenForks(pool, limits.forksPerStep);
  const files: LogFile[] = [];
  const forkDrafts = forks.map((fork): Draft => {
    const bytes = encodeFramed(
      [fork.first, fork.second].map(({ receivedAt, jws }) =>
        encodeMessageLeaf({ receivedAt, bytes: jws }),
      ),
    );
    const evidence = toHex(sha256(bytes));
    files.push({ path: evidencePath(evidence), bytes });
    return { type: 'fork', kid: fork.kid, seq: fork.seq, evidence };
  });
  const voids = [...state.violations].flatMap(([index, { voided, leafHash, code }]): Draft[] =>
    voided ? [] : [{ type: 'void', index, leafHash, code }],
  );
  if (forkDrafts.length + voids.length === 0) return 0;
  if (files.length > 0) await folder.writeNew(files);
  const outcomes = await sequencer.sequence([...forkDrafts, ...voids], {
    alongside: async (sql: Sql, results) => {
      for (const [i, fork] of forks.entries()) {
        const outcome = results[i];
        // The second fork under one seq says nothing new: it is noted with the first.
        await noteFork(sql, fork, outcome?.result === 'sequenced' ? outcome.ref.index : undefined);
      }
    },
  });
  const refused = outcomes.filter(({ result }) => result === 'refused');
  if (refused.length > 0) logger.warn({ refused }, 'forks or voids were not entered');
  return outcomes.length - refused.length;
}
