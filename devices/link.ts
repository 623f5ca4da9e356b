import { Failed } from '#core/errors.ts';
import { backoffMs, type BackoffOptions } from './backoff.ts';
import { createChanges } from './changes.ts';
import type { DeviceClock } from './clock.ts';
import type { Connection } from './connection.ts';
import type { GatewayEvent } from './gateway-events.ts';

export interface LinkOptions {
  /** Failed('connect') is tried again; any other error ends the link. */
  readonly open: () => Promise<Connection>;
  readonly onOpen: (connection: Connection) => void;
  readonly onClose: () => void;
  readonly backoff: BackoffOptions;
  readonly sleep: DeviceClock['sleep'];
  readonly emit: (event: GatewayEvent) => void;
}

/** Keeps one connection at a time, for as long as it is wanted. */
export interface Link {
  /** Runs until the signal aborts, and then rejects with its reason. */
  readonly run: (signal: AbortSignal) => Promise<never>;
  readonly pause: () => Promise<void>;
  readonly resume: () => void;
  readonly isPaused: () => boolean;
  /** What is sent gets through: the next loss is waited out from the shortest time again. */
  readonly works: () => void;
  /** Ends the present connection, if any; unless the signal aborts, another one follows. */
  readonly end: (reason: string) => Promise<void>;
}

export function createLink(options: LinkOptions): Link {
  const { backoff, emit } = options;
  const changes = createChanges();
  let connection: Connection | undefined;
  let paused = false;
  let attempt = 0;

  async function run(signal: AbortSignal): Promise<never> {
    for (;;) {
      while (isPaused()) await changes.next(signal);
      const reason = await connectOnce(signal);
      signal.throwIfAborted();
      const retryInMs = isPaused() ? 0 : backoffMs(attempt++, backoff);
      emit({ kind: 'disconnected', reason, retryInMs });
      if (retryInMs > 0) await options.sleep(retryInMs, signal);
    }
  }

  /** One connection from its password to its end; returns the reason of the end. */
  async function connectOnce(signal: AbortSignal): Promise<string> {
    let opened: Connection;
    try {
      opened = await options.open();
    } catch (error) {
      if (error instanceof Failed && error.code === 'connect') return error.message;
      throw error;
    }
    if (signal.aborted || isPaused()) {
      await opened.end('offline');
      return 'offline';
    }
    connection = opened;
    emit({ kind: 'connected' });
    options.onOpen(opened);
    const reason = await opened.closed;
    connection = undefined;
    options.onClose();
    return reason;
  }

  function isPaused(): boolean {
    return paused;
  }

  return {
    run,
    async pause() {
      paused = true;
      await connection?.end('offline');
    },
    resume() {
      paused = false;
      attempt = 0;
      changes.notify();
    },
    isPaused,
    works() {
      attempt = 0;
    },
    async end(reason) {
      await connection?.end(reason);
    },
  };
}
