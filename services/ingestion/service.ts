import { Failed } from '#core/errors.ts';
import type { Signer } from '#core/signer.ts';
import type { Clock } from '#platform/clock.ts';
import type { Arrival, Intake, SendReceipt } from '#platform/intake.ts';
import type { Logger } from '#platform/logger.ts';
import { describeServer, type Pool } from '#platform/postgres.ts';
import type { Service } from '#platform/shutdown.ts';
import { createBatcher, type Batcher } from './batcher.ts';
import { defaultIngestionLimits, type IngestionLimits } from './config.ts';
import { examine } from './examine.ts';
import { startHousekeeping, type Housekeeping } from './housekeeping.ts';
import { createPace } from './pace.ts';
import type { Advance, Astray, Kept } from './plan.ts';
import { createReceipts, type Receipts } from './receipts.ts';
import { createRegister } from './register.ts';
import { createStore, type Committed } from './store.ts';

export interface IngestionContext {
  readonly pool: Pool;
  readonly clock: Clock;
  /** The ingestion key, as genesis names it: it signs receipts and nothing else. */
  readonly signer: Signer;
  readonly sendReceipt: SendReceipt;
  readonly logger: Logger;
  readonly limits?: Partial<IngestionLimits>;
}

/** What happened since the start, counted by message. */
export interface IngestionCounts {
  readonly stored: number;
  readonly readings: number;
  readonly duplicates: number;
  readonly forks: number;
  /** By reason code, kept and not kept. */
  readonly refused: Readonly<Record<string, number>>;
  readonly notAcknowledged: number;
  readonly receiptsLost: number;
}

export interface Ingestion extends Service {
  readonly accept: Intake;
  /** Resolves when every message taken in has settled: committed, or given back. */
  readonly whenIdle: () => Promise<void>;
  readonly counts: () => IngestionCounts;
}

/** An arrival on its way: its verdict is worked out in the thread pool while the batch gathers. */
type Item = Promise<Verdict>;
/** A failure is its own arrival's alone: the others of the batch are stored without it. */
type Verdict = { readonly of: Kept | Astray | Advance } | { readonly failure: unknown };

/**
 * MQTT or Kafka to verified readings (D4.1). There is no `main.ts` yet: in this version messages
 * come from the embedded broker, which lives in the same process (`standalone`); reading from an
 * external broker is what a process of its own will be for.
 */
export function createIngestion(context: IngestionContext): Ingestion {
  const limits = { ...defaultIngestionLimits, ...context.limits };
  const register = createRegister(context.pool, limits);
  const pace = createPace(limits, () => performance.now());
  const tally = createTally();
  const { died, die } = deathNotice();
  const inFlight = createInFlight();
  let running: Running | undefined;

  const take = async (arrival: Arrival): Promise<void> => {
    const waitMs = pace.waitMs(arrival.sender);
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    if (running === undefined) throw new Failed('stopped', 'ingestion does not run');
    const verdict = examine(arrival, register).then(
      (of) => ({ of }),
      (failure: unknown) => ({ failure }),
    );
    await running.batcher.submit(verdict, arrival.bytes.length);
    const ended = await verdict;
    if ('failure' in ended) throw ended.failure;
  };

  return {
    died,
    start: async () => {
      const { timescale } = await describeServer(context.pool);
      running = run(context, { limits, keepRollups: timescale === undefined, tally, die });
    },
    stop: async () => {
      const { batcher, receipts, housekeeping } = running ?? missing();
      running = undefined;
      await within(limits.stopMs, batcher.idle());
      await housekeeping.stop();
      await receipts.stop();
    },
    accept: async (arrival) => {
      inFlight.enter();
      try {
        await take(arrival);
      } catch (error) {
        tally.notAcknowledged();
        if (!(error instanceof Failed)) {
          context.logger.error({ err: error }, 'a message cannot be stored');
        }
        throw error;
      } finally {
        inFlight.leave();
      }
    },
    whenIdle: async () => {
      await inFlight.none();
      await running?.batcher.idle();
    },
    counts: () => ({ ...tally.read(), receiptsLost: running?.receipts.lost() ?? 0 }),
  };
}

/** Starts what works while ingestion runs. */
function run(
  { pool, clock, signer, sendReceipt, logger }: IngestionContext,
  {
    limits,
    keepRollups,
    tally,
    die,
  }: {
    readonly limits: IngestionLimits;
    readonly keepRollups: boolean;
    readonly tally: Tally;
    readonly die: (error: unknown) => void;
  },
): Running {
  const store = createStore(pool, { ...limits, keepRollups });
  const receipts = createReceipts({ pool, signer, send: sendReceipt, onError: die }, limits);
  const batcher = createBatcher<Item>(limits, async (items) => {
    const verdicts = await Promise.all(items);
    const batch = verdicts.flatMap((verdict) => ('of' in verdict ? [verdict.of] : []));
    const committed = await store.commit(batch, clock.nowS());
    receipts.note(batch, committed);
    tally.count(batch, committed);
    for (const { key } of committed.progress) {
      if (!committed.behind.has(key.keyId)) continue;
      const of: Advance = { kind: 'advance', key };
      // Nobody waits for it; where it fails, the key's next message looks again.
      batcher.submit(Promise.resolve({ of }), 0).catch(ignore);
    }
  });
  const housekeeping = startHousekeeping(
    { pool, clock, logger, keepRollups, onDeath: die },
    limits,
  );
  return { receipts, batcher, housekeeping };
}

interface InFlight {
  readonly enter: () => void;
  readonly leave: () => void;
  readonly none: () => Promise<void>;
}

function createInFlight(): InFlight {
  let count = 0;
  const waiting: (() => void)[] = [];
  return {
    enter: () => {
      count++;
    },
    leave: () => {
      count--;
      if (count === 0) for (const tell of waiting.splice(0)) tell();
    },
    none: async () => {
      while (count > 0) await new Promise<void>((resolve) => waiting.push(resolve));
    },
  };
}

interface Running {
  readonly receipts: Receipts;
  readonly batcher: Batcher<Item>;
  readonly housekeeping: Housekeeping;
}

interface Tally {
  readonly count: (batch: readonly (Kept | Astray | Advance)[], committed: Committed) => void;
  readonly notAcknowledged: () => void;
  readonly read: () => Omit<IngestionCounts, 'receiptsLost'>;
}

function createTally(): Tally {
  const counts = { stored: 0, readings: 0, duplicates: 0, forks: 0, notAcknowledged: 0 };
  const refused: Record<string, number> = {};
  const refuse = (code: string): void => {
    refused[code] = (refused[code] ?? 0) + 1;
  };
  return {
    count: (batch, { stored, forks, progress }) => {
      for (const item of batch) if (item.kind === 'astray') refuse(item.code);
      for (const { kept, code } of stored) {
        if (code === undefined) counts.readings += kept.parsed.message.readings.length;
        else refuse(code);
      }
      counts.stored += stored.length;
      counts.forks += forks.length;
      for (const { duplicates } of progress) counts.duplicates += duplicates;
    },
    notAcknowledged: () => {
      counts.notAcknowledged++;
    },
    read: () => ({ ...counts, refused: { ...refused } }),
  };
}

function deathNotice(): { died: Promise<Error>; die: (error: unknown) => void } {
  let die: (error: unknown) => void = ignore;
  const died = new Promise<Error>((resolve) => {
    die = (error) => {
      resolve(error instanceof Error ? error : new Error(String(error)));
    };
  });
  return { died, die };
}

function ignore(): void {
  // See where it is used.
}

function missing(): never {
  throw new Error('ingestion was not started');
}

/** What was not committed by then was not acknowledged either, and comes again. */
async function within(limitMs: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, limitMs);
  });
  await Promise.race([work, limit]);
  clearTimeout(timer);
}
