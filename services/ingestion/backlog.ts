import { randomUUID } from 'node:crypto';
import { Failed, Refused } from '#core/errors.ts';
import type { Arrival, Intake } from '#platform/intake.ts';
import type { Logger } from '#platform/logger.ts';
import type { Pool } from '#platform/postgres.ts';
import { rest } from '#platform/rest.ts';
import {
  drainOldest,
  readWaitingSenders,
  releaseDrain,
  storePutOff,
  type BacklogLimits as StoreLimits,
  type Fate,
  type PutOff,
  type Waiting,
} from './backlog-store.ts';
import { createBatcher, type BatchLimits } from './batcher.ts';
import type { Pace } from './pace.ts';

export interface BacklogLimits extends StoreLimits, BatchLimits {
  /** The rest between two looks at what waits. */
  readonly drainEveryMs: number;
  /** What one turn takes: the oldest messages of so many senders. */
  readonly drainSenders: number;
  readonly drainPerSender: number;
  /** A process that was silent for so long is taken for dead: another one drains. */
  readonly drainLeaseS: number;
  /** After so many errors of ours a message is put into quarantine. */
  readonly drainFailures: number;
}

export interface BacklogCounts {
  readonly putOff: number;
  /** Not acknowledged, because too much of their sender waits. */
  readonly overflowed: number;
}

export interface Backlog {
  /** Refused('overflow') when too much of this sender waits. */
  readonly accept: Intake;
  readonly start: () => void;
  readonly stop: () => Promise<void>;
  readonly counts: () => BacklogCounts;
}

export interface BacklogContext {
  readonly pool: Pool;
  readonly pace: Pace;
  /** Verifies and stores; in the order of the calls. */
  readonly verify: Intake;
  /** Whose quota an arrival counts against: one name for all that are nobody's. */
  readonly senderOf: (arrival: Arrival) => string;
  readonly logger: Logger;
  readonly onDeath: (error: unknown) => void;
}

interface Item extends PutOff {
  overflow: boolean;
}

/**
 * Where all meters come in one stream, nobody may be waited for: what is beyond its sender's quota,
 * or follows on such, is put off to the database and acknowledged, and verified as the quota allows.
 * What has an error of ours goes the same way, so that it cannot stop the stream either.
 */
export function createBacklog(context: BacklogContext, limits: BacklogLimits): Backlog {
  const { pool, pace, verify, senderOf, logger } = context;
  const counts = { putOff: 0, overflowed: 0 };
  const behind = createBehind();
  const drain = createDrain(context, behind, limits);

  const batcher = createBatcher<Item>(limits, async (items) => {
    const overflow = await storePutOff(pool, items, limits);
    for (const item of items) item.overflow = overflow.has(item);
    counts.overflowed += overflow.size;
    counts.putOff += items.length - overflow.size;
  });
  const putOff = async (sender: string, arrival: Arrival): Promise<void> => {
    const item: Item = { sender, arrival, overflow: false };
    behind.enter(sender);
    try {
      await batcher.submit(item, arrival.bytes.length);
    } finally {
      behind.leave(sender);
    }
    if (item.overflow) throw new Refused('overflow', `too much of ${sender} waits`);
  };
  const accept: Intake = async (arrival) => {
    const sender = senderOf(arrival);
    if (behind.has(sender) || !pace.takes(sender)) return putOff(sender, arrival);
    try {
      await verify({ ...arrival, sender });
    } catch (error) {
      if (error instanceof Failed) throw error;
      logger.error({ err: error }, 'a message cannot be stored, and is put off');
      await putOff(sender, arrival);
    }
  };

  return {
    accept,
    start: drain.start,
    stop: async () => {
      await batcher.idle();
      await drain.stop();
    },
    counts: () => counts,
  };
}

/** Verifies what waits, as far as quotas allow, the oldest of each sender first. */
function createDrain(
  { pool, pace, verify, logger, onDeath }: BacklogContext,
  behind: Behind,
  limits: BacklogLimits,
): Pick<Backlog, 'start' | 'stop'> {
  const holder = randomUUID();
  const stopping = new AbortController();
  let running: Promise<void> = Promise.resolve();

  const workOn = async (waiting: readonly Waiting[]): Promise<readonly Fate[]> => {
    const over = new Set<string>();
    return Promise.all(
      waiting.map(async ({ sender, arrival }): Promise<Fate> => {
        if (over.has(sender) || !pace.takes(sender)) {
          over.add(sender);
          return 'kept';
        }
        try {
          await verify(arrival);
          return 'done';
        } catch (error) {
          if (error instanceof Failed) return 'kept';
          logger.error({ err: error, sender }, 'a message that waits cannot be stored');
          return 'failed';
        }
      }),
    );
  };
  /** Whether there is reason to look again at once. */
  const turn = async (): Promise<boolean> => {
    await behind.refresh(() => readWaitingSenders(pool));
    const senders = behind.next(limits.drainSenders);
    if (senders.length === 0) return false;
    let moved = false;
    await drainOldest(
      pool,
      {
        holder,
        leaseS: limits.drainLeaseS,
        senders,
        messagesPerSender: limits.drainPerSender,
        failuresLimit: limits.drainFailures,
      },
      async (waiting) => {
        const fates = await workOn(waiting);
        moved = fates.includes('done');
        return fates;
      },
    );
    return moved;
  };
  const drain = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      let again = false;
      try {
        again = await turn();
      } catch (error) {
        if (!(error instanceof Failed)) throw error;
        logger.warn({ err: error }, 'the backlog waits, to be tried again');
      }
      if (!again) await rest(limits.drainEveryMs, stopping.signal);
    }
    // Where this fails, the lease ends by itself.
    await releaseDrain(pool, holder).catch(ignoreFailed);
  };
  return {
    start: () => {
      running = drain().catch(onDeath);
    },
    stop: async () => {
      stopping.abort();
      await running;
    },
  };
}

function ignoreFailed(error: unknown): void {
  if (!(error instanceof Failed)) throw error;
}

interface Behind {
  readonly has: (sender: string) => boolean;
  /** Something of this sender is on its way into the backlog; it has left for good or bad. */
  readonly enter: (sender: string) => void;
  readonly leave: (sender: string) => void;
  /** Of those that are behind, those whose turn it is. */
  readonly next: (count: number) => string[];
  readonly refresh: (read: () => Promise<ReadonlySet<string>>) => Promise<void>;
}

/** Of whom something waits, as far as this process knows: other processes put off and drain too. */
function createBehind(): Behind {
  let known: ReadonlySet<string> = new Set();
  const entering = new Map<string, number>();
  /** Those that have left since the look that is under way began, which may not have seen them. */
  let left = new Set<string>();
  let last = '';
  return {
    has: (sender) => entering.has(sender) || left.has(sender) || known.has(sender),
    enter: (sender) => {
      entering.set(sender, (entering.get(sender) ?? 0) + 1);
    },
    leave: (sender) => {
      const others = (entering.get(sender) ?? 1) - 1;
      if (others > 0) entering.set(sender, others);
      else entering.delete(sender);
      left.add(sender);
    },
    next: (count) => {
      const sorted = [...known].sort();
      const from = Math.max(
        0,
        sorted.findIndex((sender) => sender > last),
      );
      const senders = [...sorted.slice(from), ...sorted.slice(0, from)].slice(0, count);
      last = senders.at(-1) ?? '';
      return senders;
    },
    refresh: async (read) => {
      const before = left;
      left = new Set();
      known = new Set([...known, ...before]);
      known = await read();
    },
  };
}
