import { Failed, Fatal, Refused } from '#core/errors.ts';
import type { Signer } from '#core/signer.ts';
import type { Clock } from '#platform/clock.ts';
import type { Arrival, Intake, SendReceipt } from '#platform/intake.ts';
import type { Logger } from '#platform/logger.ts';
import { describeServer, type Pool } from '#platform/postgres.ts';
import type { Service } from '#platform/shutdown.ts';
import { createVerifyThreads } from '#platform/verify-threads.ts';
import { createBacklog, type Backlog } from './backlog.ts';
import { createBatcher, type Batcher } from './batcher.ts';
import { defaultIngestionLimits, type IngestionLimits } from './config.ts';
import { examine } from './examine.ts';
import { startHousekeeping, type Housekeeping } from './housekeeping.ts';
import { areRollupsTables, createKeeping, ensurePolicies, type Keeping } from './keeping.ts';
import { createPace, type Pace } from './pace.ts';
import type { Advance, Astray, Kept } from './plan.ts';
import { receiptSigner } from './receipt-key.ts';
import { createReceipts, type Receipts } from './receipts.ts';
import { createRegister, type Register } from './register.ts';
import { createStore } from './store.ts';
import { createTally, type IngestionCounts, type Tally } from './tally.ts';

export interface IngestionContext {
  readonly pool: Pool;
  readonly clock: Clock;
  /**
   * The ingestion key: it signs receipts and nothing else. Several while one takes over from another:
   * the newest signs that the log names.
   */
  readonly signer: Signer | readonly Signer[];
  readonly sendReceipt: SendReceipt;
  readonly logger: Logger;
  /**
   * What becomes of a message beyond its sender's quota: it waits where its sender alone waits for it
   * (the default), and is put off to the database where all senders come in one stream.
   */
  readonly overQuota?: 'wait' | 'put-off';
  readonly limits?: Partial<IngestionLimits>;
}

export interface Ingestion extends Service {
  readonly accept: Intake;
  /** Resolves when every message taken in has settled: committed, or given back. */
  readonly whenIdle: () => Promise<void>;
  readonly counts: () => IngestionCounts;
}

/** An arrival on its way: its verdict is worked out in other threads while the batch gathers. */
type Item = Promise<Verdict>;
/** A failure is its own arrival's alone: the others of the batch are stored without it. */
type Verdict = { readonly of: Kept | Astray | Advance } | { readonly failure: unknown };

/** MQTT or Kafka to verified readings (D4.1). */
export function createIngestion(context: IngestionContext): Ingestion {
  const limits = { ...defaultIngestionLimits, ...context.limits };
  const threads = createVerifyThreads();
  const register = createRegister(context.pool, limits, threads.verifierOf);
  const tally = createTally();
  const { died, die } = deathNotice();
  const inFlight = createInFlight();
  const held = 'kid' in context.signer ? [context.signer] : context.signer;
  const signer = (): Signer =>
    receiptSigner(held, { named: register.receiptKeys(), nowS: context.clock.nowS() });
  let running: Running | undefined;

  const verify: Intake = async (arrival) => {
    if (running === undefined) throw new Failed('stopped', 'ingestion does not run');
    const verdict = examine(arrival, register).then(
      (of) => ({ of }),
      (failure: unknown) => ({ failure }),
    );
    await running.batcher.submit(verdict, arrival.bytes.length);
    const ended = await verdict;
    if ('failure' in ended) throw ended.failure;
  };
  const pace = createPace(limits, () => performance.now());
  const quota =
    context.overQuota === 'put-off'
      ? createBacklog(
          { ...context, pace, verify, senderOf: ownSender(register), onDeath: die },
          limits,
        )
      : createHold(pace, verify);

  return {
    died,
    start: async () => {
      await describeServer(context.pool);
      const keepRollups = await areRollupsTables(context.pool);
      const keeping = createKeeping(context, { keepRollups }, limits);
      // First, so that no policy drops what a process that runs still takes for kept.
      await keeping.look();
      if (!keepRollups) await ensurePolicies(context.pool, limits);
      await register.refresh();
      if (register.receiptKeys().length > 0) signer();
      running = run(context, { limits, keeping, keepRollups, signer, tally, die });
      quota.start();
    },
    stop: async () => {
      const { batcher, receipts, housekeeping } = running ?? missing();
      await within(limits.stopMs, quota.stop());
      running = undefined;
      await within(limits.stopMs, batcher.idle());
      await housekeeping.stop();
      await receipts.stop();
      await threads.close();
    },
    accept: async (arrival) => {
      inFlight.enter();
      try {
        await quota.accept(arrival);
      } catch (error) {
        tally.notAcknowledged();
        if (error instanceof Fatal) die(error);
        if (!(error instanceof Failed || error instanceof Refused)) {
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
    counts: () => ({
      ...tally.read(),
      ...quota.counts(),
      receiptsLost: running?.receipts.lost() ?? 0,
    }),
  };
}

/** Over its quota a sender waits for its acknowledgement, and nobody else does. */
function createHold(pace: Pace, verify: Intake): Backlog {
  return {
    accept: async (arrival) => {
      const waitMs = pace.waitMs(arrival.sender);
      if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
      await verify(arrival);
    },
    start: () => undefined,
    stop: () => Promise.resolve(),
    counts: () => ({ putOff: 0, overflowed: 0 }),
  };
}

/**
 * Behind a broker that knows nothing of meters a topic says who sends. Topics that belong to no meter
 * have one quota, so that inventing them gains nothing.
 */
function ownSender(register: Register): (arrival: Arrival) => string {
  return ({ sender, topic }) => (register.keyOfTopic(topic) === undefined ? '' : sender);
}

/** Starts what works while ingestion runs. */
function run(
  { pool, clock, sendReceipt, logger }: IngestionContext,
  {
    limits,
    keeping,
    keepRollups,
    signer,
    tally,
    die,
  }: {
    readonly limits: IngestionLimits;
    readonly keeping: Keeping;
    readonly keepRollups: boolean;
    readonly signer: () => Signer;
    readonly tally: Tally;
    readonly die: (error: unknown) => void;
  },
): Running {
  const store = createStore(pool, { ...limits, keepRollups, horizons: keeping.horizons });
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
    { pool, clock, logger, keeping, keepRollups, onDeath: die },
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
