import type { Logger } from './logger.ts';

/** What every service, and everything composed of services, looks like from outside. */
export interface Service {
  /** Resolves when it does its work. When it rejects, nothing of it is left running. */
  readonly start: () => Promise<void>;
  /** Finishes what was begun, lets go of everything. Called once, after `start` has resolved. */
  readonly stop: () => Promise<void>;
  /** Resolves with the reason when it can go on no longer. */
  readonly died?: Promise<Error>;
}

/** The part of `process` that this needs, so that tests can stand in for it. */
export interface Host {
  readonly on: (signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void) => unknown;
  readonly off: (signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void) => unknown;
  readonly exit: (code: number) => void;
}

const numbers = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1 } as const;
type HandledSignal = keyof typeof numbers;
const handled: readonly HandledSignal[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];
const stopLimitMs = 30_000;

/**
 * Runs a service until a signal asks for its end, or until it dies. The first signal stops it
 * gracefully within `stopLimitMs`; a second one, or the limit, ends the process at once, which every
 * part survives by design.
 *
 * Returns the exit code: 0 after a signal and a clean stop, 1 when it did not start, died or did not
 * stop cleanly. A forced end exits with 128 + the signal's number, or 1 for the limit.
 */
export async function runUntilSignal(
  service: Service,
  options: {
    readonly logger: Pick<Logger, 'info' | 'error' | 'fatal'>;
    readonly stopLimitMs?: number;
    readonly host?: Host;
  },
): Promise<number> {
  const { logger } = options;
  const host = options.host ?? process;
  const limitMs = options.stopLimitMs ?? stopLimitMs;
  const force = (code: number, why: string): void => {
    logger.fatal(`${why}: ending at once`);
    host.exit(code);
  };
  let first: HandledSignal | undefined;
  let limit: NodeJS.Timeout | undefined;
  let askedToStop: () => void = () => undefined;
  const asked = new Promise<undefined>((resolve) => {
    askedToStop = () => {
      resolve(undefined);
    };
  });
  const beginLimit = (): void => {
    limit ??= setTimeout(() => {
      force(1, `not stopped within ${limitMs} ms`);
    }, limitMs);
  };
  const listener = (signal: NodeJS.Signals): void => {
    if (!isHandled(signal)) return;
    if (first !== undefined) {
      force(128 + numbers[signal], `${signal} after ${first}`);
      return;
    }
    first = signal;
    logger.info(`${signal}: stopping; once more to end at once`);
    beginLimit();
    askedToStop();
  };
  for (const signal of handled) host.on(signal, listener);
  try {
    await service.start();
    const died = await Promise.race([asked, service.died ?? asked]);
    if (died !== undefined) logger.fatal({ err: died }, 'cannot go on');
    beginLimit();
    await service.stop();
    return died === undefined ? 0 : 1;
  } catch (error) {
    logger.fatal({ err: error }, 'failed');
    return 1;
  } finally {
    clearTimeout(limit);
    for (const signal of handled) host.off(signal, listener);
  }
}

function isHandled(signal: NodeJS.Signals): signal is HandledSignal {
  return Object.hasOwn(numbers, signal);
}
