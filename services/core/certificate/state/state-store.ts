import { memoryTables, type LogTables } from './tables.ts';

/**
 * Where a fold over a log keeps what it has learnt. All of it follows from the log, so it may be lost at
 * any time; what is read from it again is as of one `keep`, never anything in between.
 */
export interface StateStore {
  /**
   * As of the last `keep`, with every row set since. After `reset` and `clear` there are others, and
   * these throw Failed('state-store'): whoever still holds a state of theirs must ask for it again.
   */
  readonly tables: LogTables;
  /** What was kept last, beside the tables; undefined where that is nothing. */
  readonly kept: () => Uint8Array | undefined;
  /**
   * Keeps every row set so far and `memory`, all together or not at all. Failed('state-store'): then
   * the rows wait on, and it may be tried again. One at a time.
   */
  readonly keep: (memory: Uint8Array) => Promise<void>;
  /** Rows set since the last `keep`: they wait in memory. */
  readonly unkeptRows: () => number;
  /**
   * A row could not be read since the last `reset` or `clear`, with Failed('state-store'). Who needed it
   * has stopped in the middle of something, and must not go on before a `reset`; until then nothing is kept.
   */
  readonly isLost: () => boolean;
  /** Goes back to the last `keep`, or to nothing where that is damaged. Failed('state-store'). */
  readonly reset: () => Promise<void>;
  /** Forgets everything. Failed('state-store'). */
  readonly clear: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/** How many rows may wait in memory before somebody should keep them: of some 200 bytes, tiles of 1,000. */
export const unkeptRowsLimit = 25_000;

/** A store that keeps nothing: going back to the last `keep` is starting again. */
export function memoryStore(): StateStore {
  let tables = memoryTables();
  const reset = (): Promise<void> => {
    tables = memoryTables();
    return Promise.resolve();
  };
  return {
    get tables() {
      return tables;
    },
    kept: () => undefined,
    keep: () => Promise.resolve(),
    unkeptRows: () => 0,
    isLost: () => false,
    reset,
    clear: reset,
    close: () => Promise.resolve(),
  };
}
