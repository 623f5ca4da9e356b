import { Failed } from '#core/errors.ts';
import type { Clock } from './clock.ts';

/** News between services (D5, step 3): the database is the truth, losing one costs only time. */
export interface News {
  readonly topic: string;
  /** What keeps its order: a plant, a log. */
  readonly key: string;
  readonly value: Uint8Array;
}

/**
 * At least once, in the order of publication for one key: what a handler does must be safe to do
 * twice. Whoever is not subscribed when news come never hears of them.
 */
export interface Bus {
  /**
   * Resolves once every subscriber has handled it, so that an outbox row may then go. Failed when
   * one did not, or has too much waiting ('bus-full'): publish it again, after what came before it
   * under its key.
   */
  readonly publish: (topic: string, key: string, value: Uint8Array) => Promise<void>;
  readonly subscribe: (topic: string, handler: Handler) => Subscription;
}

export type Handler = (news: News) => Promise<void>;

export interface Subscription {
  /** Waits for the handler that runs; what waits behind it fails. */
  readonly close: () => Promise<void>;
}

export interface BusLimits {
  /** News that wait for one subscriber. */
  readonly maxWaiting: number;
  readonly maxAttempts: number;
  /** Doubled with every attempt. */
  readonly retryDelayMs: number;
}

export const defaultBusLimits: BusLimits = {
  maxWaiting: 10_000,
  maxAttempts: 5,
  retryDelayMs: 100,
};

/** Delivery inside this process. One subscriber handles one piece of news at a time. */
export function inProcessBus(clock: Clock, limits: BusLimits = defaultBusLimits): Bus {
  const subscribers = new Map<string, Set<Subscriber>>();
  return {
    publish: async (topic, key, value) => {
      const news = { topic, key, value };
      const given = [...(subscribers.get(topic) ?? [])].map(({ take }) => take(news));
      const failure = (await Promise.allSettled(given)).find(({ status }) => status === 'rejected');
      if (failure?.status === 'rejected') throw failure.reason;
    },
    subscribe: (topic, handler) => {
      const subscriber = subscriberOf(handler, clock, limits);
      const others = subscribers.get(topic) ?? new Set();
      subscribers.set(topic, others.add(subscriber));
      return {
        close: () => {
          others.delete(subscriber);
          return subscriber.close();
        },
      };
    },
  };
}

interface Subscriber {
  readonly take: (news: News) => Promise<void>;
  readonly close: () => Promise<void>;
}

interface Waiting {
  readonly news: News;
  readonly handled: () => void;
  readonly failed: (error: Failed) => void;
}

function subscriberOf(handler: Handler, clock: Clock, limits: BusLimits): Subscriber {
  let waiting: Waiting[] = [];
  let working: Promise<void> | undefined;
  const closing = new AbortController();

  const attempt = async (news: News): Promise<void> => {
    for (let attempts = 1; ; attempts++) {
      try {
        await handler(news);
        return;
      } catch (cause) {
        if (attempts >= limits.maxAttempts || closing.signal.aborted) throw cause;
        await clock.sleep(limits.retryDelayMs * 2 ** (attempts - 1), closing.signal);
      }
    }
  };

  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      try {
        await attempt(next.news);
        next.handled();
      } catch (cause) {
        failAll([next, ...withdrawKey(next.news.key)], cause);
      }
    }
    working = undefined;
  };

  /** What follows under the same key must not overtake what failed. */
  const withdrawKey = (key: string): Waiting[] => {
    const behind = waiting.filter(({ news }) => news.key === key);
    waiting = waiting.filter(({ news }) => news.key !== key);
    return behind;
  };

  return {
    take: (news) =>
      new Promise((handled, failed) => {
        if (closing.signal.aborted || waiting.length >= limits.maxWaiting) {
          const code = closing.signal.aborted ? 'bus-closed' : 'bus-full';
          failed(new Failed(code, `a subscriber of ${news.topic} takes no more news`));
          return;
        }
        waiting.push({ news, handled, failed });
        working ??= work();
      }),
    close: async () => {
      closing.abort(new Failed('bus-closed', 'the subscriber has closed'));
      failAll(waiting.splice(0), closing.signal.reason);
      await working;
    },
  };
}

function failAll(all: readonly Waiting[], cause: unknown): void {
  for (const { news, failed } of all) {
    failed(new Failed('bus-delivery', `news of ${news.topic} were not handled`, { cause }));
  }
}
