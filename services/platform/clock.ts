import { setImmediate, setTimeout } from 'node:timers/promises';

/**
 * Time, injected everywhere (D6): code that reads it in any other way cannot run on the demo clock.
 * Limits that guard against hanging machines and networks (a connection, a shutdown) are not the
 * subject of this: they stay in real time.
 */
export interface Clock {
  /** Unix time in milliseconds, a whole number. */
  readonly nowMs: () => number;
  /** Unix time in whole seconds, floored. */
  readonly nowS: () => number;
  /** Rejects with the signal's reason once that aborts. Zero and less returns at the next turn. */
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
}

/** What a timer of Node can hold; longer sleeps take several. */
const longestTimerMs = 2 ** 31 - 1;

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  nowS: () => Math.floor(Date.now() / 1000),
  sleep: async (ms, signal) => {
    for (let leftMs = Math.max(0, ms); ; leftMs -= longestTimerMs) {
      signal?.throwIfAborted();
      await interruptible(
        setTimeout(Math.min(leftMs, longestTimerMs), undefined, { signal }),
        signal,
      );
      if (leftMs <= longestTimerMs) return;
    }
  },
};

/** Node's timers reject with an error of their own; callers want the reason they gave. */
async function interruptible(timer: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  try {
    await timer;
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}

/** A clock that stands still until its owner steps it. */
export interface ManualClock extends Clock {
  /**
   * Steps to `toMs`, waking on the way whoever sleeps, in the order of their waking times and, at
   * one time, in the order in which they fell asleep; those see the time they asked for. Between
   * two times `settled` is awaited, so that what one waking caused (another sleep, say) counts for
   * the next. RangeError when `toMs` is past; Error when a step is under way.
   */
  readonly advance: (toMs: number) => Promise<void>;
  readonly pendingSleepers: () => number;
  /** When the next sleeper wakes; undefined when nobody sleeps. */
  readonly nextWakeMs: () => number | undefined;
}

interface Sleeper {
  readonly wakeMs: number;
  readonly wake: () => void;
}

/**
 * `settled` is the owner's word that nothing is in flight any more (D6: no time limit is bent). By
 * default it is a few turns of the event loop, which suffices where all work is in memory.
 */
export function manualClock(
  startMs: number,
  options: { readonly settled?: () => Promise<void> } = {},
): ManualClock {
  if (!Number.isSafeInteger(startMs)) throw new RangeError('startMs: not a whole number');
  const settled = options.settled ?? someTurns;
  /** In the order of waking; equal times in the order of arrival. */
  const sleepers: Sleeper[] = [];
  let currentMs = startMs;
  let stepping = false;

  const sleep = async (ms: number, signal?: AbortSignal): Promise<void> => {
    signal?.throwIfAborted();
    if (!(ms > 0)) return setImmediate();
    await new Promise<void>((resolve, reject) => {
      const leave = (): void => {
        sleepers.splice(sleepers.indexOf(sleeper), 1);
        // The reason is the caller's own, whatever it is.
        reject(signal?.reason as Error);
      };
      const wake = (): void => {
        signal?.removeEventListener('abort', leave);
        resolve();
      };
      const sleeper = { wakeMs: currentMs + Math.ceil(ms), wake };
      const after = sleepers.findLastIndex(({ wakeMs }) => wakeMs <= sleeper.wakeMs);
      sleepers.splice(after + 1, 0, sleeper);
      signal?.addEventListener('abort', leave, { once: true });
    });
  };

  const advance = async (toMs: number): Promise<void> => {
    if (!Number.isSafeInteger(toMs)) throw new RangeError('toMs: not a whole number');
    if (toMs < currentMs) throw new RangeError(`toMs: ${toMs} is past, it is ${currentMs}`);
    if (stepping) throw new Error('the clock is being stepped already');
    stepping = true;
    try {
      await settled();
      for (let next = sleepers[0]; next !== undefined && next.wakeMs <= toMs; next = sleepers[0]) {
        currentMs = next.wakeMs;
        while (sleepers[0]?.wakeMs === currentMs) sleepers.shift()?.wake();
        await settled();
      }
      currentMs = toMs;
    } finally {
      stepping = false;
    }
  };

  return {
    nowMs: () => currentMs,
    nowS: () => Math.floor(currentMs / 1000),
    sleep,
    advance,
    pendingSleepers: () => sleepers.length,
    nextWakeMs: () => sleepers[0]?.wakeMs,
  };
}

const turns = 4;

async function someTurns(): Promise<void> {
  for (let i = 0; i < turns; i++) await setImmediate();
}
