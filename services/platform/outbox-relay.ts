import { randomUUID } from 'node:crypto';
import { Failed } from '#core/errors.ts';
import type { Bus } from './bus.ts';
import type { Logger } from './logger.ts';
import { expandRow, newsTopics, omittedNews, type OutboxRow } from './news.ts';
import { deleteRows, holdLease, readRows, releaseLease, topicsWaiting } from './outbox-store.ts';
import type { Pool } from './postgres.ts';
import { rest } from './rest.ts';
import type { Service } from './shutdown.ts';

export interface RelayLimits {
  /** How long an idle relay rests. */
  readonly pollMs: number;
  /** A relay that was not heard of for so long is replaced by another. */
  readonly leaseMs: number;
  /** What is read and published together; a single larger row goes alone. */
  readonly roundRows: number;
  readonly roundBytes: number;
  /** The first pause after a failure, doubled up to the longest. */
  readonly retryMs: number;
  readonly longestRetryMs: number;
}

export const defaultRelayLimits: RelayLimits = {
  pollMs: 200,
  leaseMs: 15_000,
  roundRows: 16,
  roundBytes: 4 * 1024 * 1024,
  retryMs: 250,
  longestRetryMs: 10_000,
};

export interface RelayContext {
  readonly pool: Pool;
  readonly bus: Pick<Bus, 'publish'>;
  readonly logger: Logger;
  readonly limits?: Partial<RelayLimits>;
  /** Others are left in the outbox. */
  readonly topics?: readonly string[];
}

export interface Relay extends Required<Service> {
  /** Pieces of news delivered since the start. */
  readonly delivered: () => number;
}

/**
 * Publishes the rows of the outbox (D5, step 3), each topic's in their order, and deletes a row once
 * all that it holds is delivered. A crash in between: it is delivered again. Of several relays one
 * works; should two do for a moment, the second repeats what the first has published, and never
 * comes before it, since a row is there until it is delivered.
 *
 * Real time: it paces the load on the machine.
 */
export function createRelay(context: RelayContext): Relay {
  const { pool, logger } = context;
  const limits = { ...defaultRelayLimits, ...context.limits };
  const holder = randomUUID();
  const stopping = new AbortController();
  const lanes = (context.topics ?? newsTopics).map((topic) => createLane(topic, context, limits));
  let die: (error: Error) => void = () => undefined;
  const died = new Promise<Error>((resolve) => {
    die = resolve;
  });
  let holdsUntilMs = Number.NEGATIVE_INFINITY;
  let askAgainMs = Number.NEGATIVE_INFINITY;
  let running: Promise<void> | undefined;

  const holds = (): boolean => !stopping.signal.aborted && performance.now() < holdsUntilMs;

  const renew = async (): Promise<void> => {
    const nowMs = performance.now();
    if (nowMs < askAgainMs) return;
    askAgainMs = nowMs + limits.leaseMs / 3;
    const did = holds();
    const does = await holdLease(pool, { holder, leaseMs: limits.leaseMs });
    // From before the question was asked: never longer than the server thinks.
    holdsUntilMs = does ? nowMs + limits.leaseMs : Number.NEGATIVE_INFINITY;
    if (does !== did) logger.info(does ? 'relays the outbox' : 'another process relays the outbox');
  };

  const turn = async (): Promise<void> => {
    await renew();
    if (!holds()) return;
    const ready = lanes.filter((lane) => lane.isReady());
    const waiting = await topicsWaiting(
      pool,
      ready.map(({ topic }) => topic),
    );
    for (const lane of ready) if (waiting.has(lane.topic)) lane.begin(holds, die);
  };

  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      try {
        await turn();
      } catch (error) {
        if (!(error instanceof Failed)) throw error;
        logger.warn({ err: error }, 'the outbox cannot be read; it is tried again');
      }
      await rest(limits.pollMs, stopping.signal);
    }
  };

  return {
    died,
    start: () => {
      running = run().catch((error: unknown) => {
        die(error instanceof Error ? error : new Error(String(error)));
      });
      return Promise.resolve();
    },
    /** What is being published is waited for: the bus has limits of its own. */
    stop: async () => {
      stopping.abort();
      await running;
      await Promise.all(lanes.map((lane) => lane.idle()));
      // Otherwise the next one waits for the lease to run out.
      await releaseLease(pool, holder).catch((error: unknown) => {
        if (!(error instanceof Failed)) throw error;
      });
    },
    delivered: () => lanes.reduce((sum, lane) => sum + lane.delivered(), 0),
  };
}

interface Lane {
  readonly topic: string;
  readonly isReady: () => boolean;
  /** Publishes until there is nothing more, or it fails, or `goesOn` says no. */
  readonly begin: (goesOn: () => boolean, die: (error: Error) => void) => void;
  readonly idle: () => Promise<void>;
  readonly delivered: () => number;
}

function createLane(topic: string, { pool, bus, logger }: RelayContext, limits: RelayLimits): Lane {
  /** Pieces of news that the broker found too large, as `id part`, until their row is gone. */
  const tooLarge = new Set<string>();
  let working: Promise<void> | undefined;
  let notBeforeMs = Number.NEGATIVE_INFINITY;
  let retryMs = limits.retryMs;
  let failures = 0;
  let delivered = 0;

  const publishRow = async (row: OutboxRow): Promise<boolean> => {
    const outcomes = await Promise.allSettled(
      expandRow(row).map(({ key, value }, part) => {
        const name = `${row.id} ${part}`;
        const bytes = value.length;
        const told = tooLarge.has(name) ? omittedNews(row, { part, bytes }) : value;
        return bus.publish(topic, key, told).catch((error: unknown) => {
          const isNews = error instanceof Failed && error.code === 'kafka-too-large';
          if (isNews && told.length === bytes) tooLarge.add(name);
          throw error;
        });
      }),
    );
    delivered += outcomes.filter(({ status }) => status === 'fulfilled').length;
    const failure = outcomes.find(({ status }) => status === 'rejected');
    if (failure?.status === 'rejected') throw failure.reason;
    return true;
  };

  /** True when there may be more. */
  const round = async (): Promise<boolean> => {
    const rows = await readRows(pool, topic, limits);
    const outcomes = await Promise.allSettled(rows.map(publishRow));
    const done = rows.filter((_, i) => outcomes[i]?.status === 'fulfilled');
    await deleteRows(
      pool,
      done.map(({ id }) => id),
    );
    if (done.length > 0) tooLarge.clear();
    const failure = outcomes.find(({ status }) => status === 'rejected');
    if (failure?.status === 'rejected') throw failure.reason;
    return rows.length > 0;
  };

  const work = async (goesOn: () => boolean): Promise<void> => {
    try {
      while (goesOn() && (await round())) {
        retryMs = limits.retryMs;
        if (failures > 0) logger.info({ topic, failures }, 'news are delivered again');
        failures = 0;
      }
    } catch (error) {
      if (!(error instanceof Failed)) throw error;
      failures++;
      logger.warn({ err: error, topic, failures, retryMs }, 'news wait in the outbox');
      notBeforeMs = performance.now() + retryMs;
      retryMs = Math.min(limits.longestRetryMs, retryMs * 2);
    }
  };

  return {
    topic,
    isReady: () => working === undefined && performance.now() >= notBeforeMs,
    begin: (goesOn, die) => {
      working = work(goesOn)
        .catch((error: unknown) => {
          die(error instanceof Error ? error : new Error(String(error)));
        })
        .finally(() => {
          working = undefined;
        });
    },
    idle: () => working ?? Promise.resolve(),
    delivered: () => delivered,
  };
}
