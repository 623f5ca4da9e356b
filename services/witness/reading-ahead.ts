import { Fatal } from '#core/errors.ts';
import { systemClock, type Clock } from '#platform/clock.ts';
import { createAhead, type AheadLimits, type AheadSource, type LookAhead } from './ahead.ts';
import type { Auditor } from './auditor.ts';
import type { ReadOpen } from './open-reader.ts';

export interface ReadingAheadOptions {
  readonly read: ReadOpen;
  /** In real time, whatever the clock of the log: this waits for a network. */
  readonly clock?: Pick<Clock, 'nowMs' | 'sleep'>;
  readonly random?: () => number;
  readonly limits?: Partial<AheadLimits>;
}

/** How often it is looked what is due. */
const lookEveryMs = 1_000;

/** An auditor that reads ahead while nothing is being judged, from `start` until it is closed. */
export interface AheadAuditor extends Auditor {
  readonly start: () => void;
  /** What `start` does again and again, once. */
  readonly look: LookAhead;
}

export function readingAhead(
  auditor: Auditor & AheadSource,
  options: ReadingAheadOptions,
): AheadAuditor {
  const { clock = systemClock, random = Math.random, limits = {}, read } = options;
  const stopping = new AbortController();
  let looking: Promise<unknown> = Promise.resolve();
  let judging = 0;
  let broken: Fatal | undefined;
  const look = createAhead({
    ...{ read, random, limits },
    source: auditor,
    isBusy: () => judging > 0,
    nowMs: clock.nowMs,
  });
  const keepLooking = async (): Promise<never> => {
    for (;;) {
      await clock.sleep(lookEveryMs, stopping.signal);
      await look(stopping.signal);
    }
  };
  return {
    look,
    start() {
      looking = keepLooking().catch((cause: unknown) => {
        if (!stopping.signal.aborted) broken = new Fatal('audit', 'reading ahead broke', { cause });
      });
    },
    async judge(checkpoint, signal) {
      if (broken !== undefined) throw broken;
      judging += 1;
      try {
        await auditor.judge(checkpoint, signal);
      } finally {
        judging -= 1;
      }
    },
    async close() {
      stopping.abort();
      await looking;
      await auditor.close?.();
    },
  };
}
