import { Failed } from '#core/errors.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/logger.ts';
import type { Service } from '#platform/shutdown.ts';

export interface LoopContext {
  readonly step: () => Promise<unknown>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly pollEveryMs: number;
  readonly retryAfterMs: number;
}

/**
 * Steps again and again, with a rest by the clock. What failed is tried again; anything else, and
 * before all what is fatal, ends the service: `died` says why, and starting it again recovers.
 */
export function createLoop(context: LoopContext): Required<Service> {
  const { step, clock, logger, pollEveryMs, retryAfterMs } = context;
  const stopping = new AbortController();
  let running: Promise<void> | undefined;
  let die: (reason: Error) => void = () => undefined;
  const died = new Promise<Error>((resolve) => {
    die = resolve;
  });

  const rest = async (ms: number): Promise<void> => {
    try {
      await clock.sleep(ms, stopping.signal);
    } catch (error) {
      if (!stopping.signal.aborted) throw error;
    }
  };

  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      try {
        await step();
        await rest(pollEveryMs);
      } catch (error) {
        if (!(error instanceof Failed)) {
          die(error instanceof Error ? error : new Error(String(error)));
          return;
        }
        logger.warn({ err: error }, 'a step of the ledger failed; it is tried again');
        await rest(retryAfterMs);
      }
    }
  };

  return {
    died,
    async start() {
      // The first step recovers what an earlier process left; a service that cannot do that is not up.
      await step();
      running = run();
    },
    async stop() {
      stopping.abort();
      await running;
    },
  };
}
