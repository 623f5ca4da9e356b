import { Failed } from '#core/errors.ts';
import { inTransaction, type Pool, type Sql } from '#platform/postgres.ts';
import { announceBatch } from './announce.ts';
import { loadStored, lockHeads, type LoadedHead } from './heads.ts';
import type { Horizons } from './keeping.ts';
import { needsLookup, type Head, type Stored } from './place.ts';
import {
  planBatch,
  workByKey,
  type Astray,
  type BatchPlan,
  type Examined,
  type KeyWork,
} from './plan.ts';
import { quarantine, type QuarantineLimits } from './quarantine.ts';
import { touchReadings } from './rollup.ts';
import { advanceHeads, insertForks, insertMessages, insertReadings, touchPlants } from './write.ts';

export interface StoreLimits extends QuarantineLimits {
  /** Heads kept in memory; the others are read when they are needed. */
  readonly cachedHeads: number;
  /** False where TimescaleDB keeps the roll-ups itself. */
  readonly keepRollups: boolean;
  /** Which readings become rows, and where; asked anew for every batch. */
  readonly horizons: () => Horizons;
}

export interface Committed extends BatchPlan {
  /** Keys of whose chain more is stored than was followed. */
  readonly behind: ReadonlySet<number>;
}

export interface Store {
  /** One transaction. Resolves when it is committed; rejects when it is not, or nobody knows. */
  readonly commit: (batch: readonly Examined[], nowS: number) => Promise<Committed>;
}

/** What another process may have caused, and what a second look with locks cures. */
const curable = new Set(['raced', 'deadlock', 'serialization', 'doubled']);
const attemptsLimit = 4;
/**
 * How many batches look for doubled readings after one has met them: meters that change their keys,
 * or have several, cost one attempt in so many.
 */
const carefulBatches = 1_000;

const nothingStored: Stored = {
  around: () => {
    throw new RangeError('around: a seq that needs the database');
  },
  ahead: () => undefined,
};

/**
 * Stores batches. In-order messages of keys whose head is known need nothing from the database; that
 * the head still was right, the compare-and-swap in the same transaction says. All other keys are
 * read under a lock first. A batch that lost a race is planned again with every key locked.
 */
export function createStore(pool: Pool, limits: StoreLimits): Store {
  const heads = new Map<number, LoadedHead>();
  let careful = 0;

  const commitOnce = async (
    work: readonly KeyWork[],
    astray: readonly Astray[],
    nowS: number,
  ): Promise<Committed> =>
    inTransaction(pool, async (sql) => {
      const { plan, behind } = await planUnderLock(sql, work, heads);
      await sql.pipeline([
        () => advanceHeads(sql, plan.progress),
        () => insertMessages(sql, plan.stored),
        () => insertForks(sql, plan.forks),
        () => insertReadings(sql, plan.stored, { careful: careful > 0, ...limits.horizons() }),
        ...(limits.keepRollups ? [() => touchReadings(sql, plan.stored)] : []),
        () => touchPlants(sql, plan.dirty),
        () => announceBatch(sql, { plan, astray }, nowS),
        () => quarantine(sql, astray, { limits, nowS }),
      ]);
      return { ...plan, behind };
    });

  const commit = async (batch: readonly Examined[], nowS: number): Promise<Committed> => {
    const work = workByKey(batch);
    const astray = batch.filter((item) => item.kind === 'astray');
    for (let attempt = 1; ; attempt++) {
      try {
        const committed = await commitOnce(work, astray, nowS);
        remember(heads, committed, limits.cachedHeads);
        careful = Math.max(0, careful - 1);
        return committed;
      } catch (error) {
        // Whatever went wrong, what we believed of these keys may be why.
        for (const { key } of work) heads.delete(key.keyId);
        if (error instanceof Failed && error.code === 'doubled') careful = carefulBatches;
        const again = error instanceof Failed && curable.has(error.code);
        if (!again || attempt === attemptsLimit) throw error;
      }
    }
  };
  return { commit };
}

async function planUnderLock(
  sql: Sql,
  work: readonly KeyWork[],
  cached: ReadonlyMap<number, LoadedHead>,
): Promise<{ plan: BatchPlan; behind: ReadonlySet<number> }> {
  const uncertain = work.filter((of) => !isSwift(of, cached.get(of.key.keyId)));
  const locked = await lockHeads(
    sql,
    uncertain.map(({ key }) => key.keyId),
  );
  const headOf = (keyId: number): LoadedHead => {
    const head = locked.get(keyId) ?? cached.get(keyId);
    if (head === undefined) throw new RangeError(`no head of key ${keyId}`);
    return head;
  };
  const wanted = uncertain.map(({ key: { keyId }, kept }) => ({
    keyId,
    head: headOf(keyId),
    seqs: kept.map(({ parsed }) => parsed.message.seq),
  }));
  const storedOf = await loadStored(sql, wanted);
  const plan = planBatch(work, {
    headOf,
    storedOf: (keyId) => (locked.has(keyId) ? storedOf(keyId) : nothingStored),
  });
  return { plan, behind: possiblyBehind(plan, headOf) };
}

/** All its messages are newer than everything stored, so that the head alone decides them. */
function isSwift({ kept }: KeyWork, head: LoadedHead | undefined): boolean {
  if (head === undefined || head.behind) return false;
  return kept.every(({ parsed }) => !needsLookup(head, parsed.message));
}

/**
 * A chain that moved and still has messages beyond it stopped at a gap, or where loading stopped:
 * only the database can tell, the next time.
 */
function possiblyBehind(plan: BatchPlan, headOf: (keyId: number) => Head): ReadonlySet<number> {
  const behind = new Set<number>();
  for (const { key, head } of plan.progress) {
    const moved = head.throughSeq > headOf(key.keyId).throughSeq;
    if (moved && head.throughSeq < head.maxSeq) behind.add(key.keyId);
  }
  return behind;
}

/** Keeps the newest heads; the Map's own order is the order of use. */
function remember(
  heads: Map<number, LoadedHead>,
  { progress, behind }: Committed,
  limit: number,
): void {
  for (const { key, head } of progress) {
    heads.delete(key.keyId);
    heads.set(key.keyId, { ...head, behind: behind.has(key.keyId) });
  }
  for (const keyId of heads.keys()) {
    if (heads.size <= limit) break;
    heads.delete(keyId);
  }
}
