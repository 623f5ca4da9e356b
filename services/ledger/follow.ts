import { equalBytes, fromHex, toHex } from '#core/bytes.ts';
import { Failed, Fatal } from '#core/errors.ts';
import { advance } from '#core/certificate/fold.ts';
import { emptyState, type LogState } from '#core/certificate/state/state.ts';
import { decodeMemory, encodeMemory } from '#core/certificate/state/state-memory.ts';
import { memoryStore, unkeptRowsLimit } from '#core/certificate/state/state-store.ts';
import type { StateStore } from '#core/certificate/state/state-store.ts';
import type { Sql } from '#platform/postgres.ts';
import { readEntries, readEntriesByIndex, readFaults } from './log-store.ts';
import { readConsumption } from './record-store.ts';

/**
 * The fold over the log that this process follows. The table of entries is the truth: what other
 * processes appended is folded before anything is judged by it, and after a transaction that did not
 * commit the fold goes back to what was kept last, since it may know of entries that never were.
 */
export interface Follower {
  /** The state after the first `nextIndex` entries. Fatal when the table has lost what was folded. */
  readonly catchUp: (sql: Sql, nextIndex: number) => Promise<LogState>;
  /** The next `catchUp` starts from what was kept last. */
  readonly forget: () => void;
  /** Between transactions: keeps the fold where too much of it waits in memory. Failed('state-store'). */
  readonly keepIfDue: (sql: Sql) => Promise<void>;
  /** Keeps the fold and closes its store. The next `catchUp` opens it again. */
  readonly close: (sql: Sql) => Promise<void>;
}

const pageEntries = 2_000;
const inMemory = () => Promise.resolve(memoryStore());

/** `open` is asked for the store when it is needed, and again after `close`. */
export function createFollower(open: () => Promise<StateStore> = inMemory): Follower {
  let opened: Promise<StateStore> | undefined;
  let state: LogState | undefined;

  const openStore = (): Promise<StateStore> => {
    opened ??= open();
    opened.catch(() => {
      opened = undefined;
    });
    return opened;
  };
  const forget = (): void => {
    state = undefined;
  };
  const keep = async (sql: Sql, store: StateStore): Promise<void> => {
    if (state === undefined || state.size === 0) return;
    const landmarks = await readLandmarks(sql, state.size);
    await store.keep(encodeMemory(state, { landmarks } satisfies Kept));
  };

  /** Whatever comes of an error, nobody goes on with a state that it broke off in the middle of. */
  const attempt = async <T>(store: StateStore, work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      forget();
      // What breaks the fold itself may be in what was kept.
      if (!(error instanceof Failed || error instanceof Fatal)) await store.clear();
      throw error;
    }
  };

  return {
    async catchUp(sql, nextIndex) {
      const store = await openStore();
      // Somebody who read the state for himself may have been the first to see that a row is lost.
      if (store.isLost()) forget();
      const followed = (state ??= await attempt(store, () => resume(sql, store, nextIndex)));
      if (nextIndex < followed.size) {
        throw new Fatal(
          'log-shrunk',
          `${nextIndex} entries where ${followed.size} were read before`,
        );
      }
      await attempt(store, async () => {
        while (followed.size < nextIndex) {
          await followPage(sql, followed, Math.min(nextIndex, followed.size + pageEntries));
          if (store.unkeptRows() >= unkeptRowsLimit) await keep(sql, store);
        }
      });
      return followed;
    },
    forget,
    async keepIfDue(sql) {
      const store = await openStore();
      if (store.unkeptRows() >= unkeptRowsLimit) await keep(sql, store);
    },
    async close(sql) {
      if (opened === undefined) return;
      const store = await opened;
      try {
        await keep(sql, store);
      } catch (error) {
        // It is learnt again from what was kept before.
        if (!(error instanceof Failed)) throw error;
      } finally {
        state = undefined;
        opened = undefined;
        await store.close();
      }
    },
  };
}

/** What is kept beside the state. */
interface Kept {
  /** By which its log is known again. */
  readonly landmarks: ReadonlyMap<number, string>;
}

/**
 * The leaf hashes of the first entry and of those at 1, 2, 4, 8 … from the end. Entries need not name
 * those before them, so one alone may be the same in a log that went another way since.
 */
async function readLandmarks(sql: Sql, size: number): Promise<ReadonlyMap<number, string>> {
  const places = [0];
  for (let back = 1; back < size; back *= 2) places.push(size - back);
  const entries = await readEntriesByIndex(sql, places);
  return new Map(entries.map(({ index, leafHash }) => [index, toHex(leafHash)]));
}

/**
 * The state that was kept, where it is of this log: a database that was restored from an older copy has
 * fewer entries, or by now others in their places.
 */
async function resume(sql: Sql, store: StateStore, nextIndex: number): Promise<LogState> {
  await store.reset();
  const bytes = store.kept();
  const found = bytes && decodeMemory(bytes, store.tables);
  if (found !== undefined && found.state.size <= nextIndex) {
    const { landmarks } = found.extra as Kept;
    const read = await readLandmarks(sql, found.state.size);
    if ([...landmarks].every(([index, hash]) => read.get(index) === hash)) return found.state;
  }
  if (bytes !== undefined) await store.clear();
  return emptyState({ tables: store.tables });
}

/** Signatures were verified before the bytes were stored, and the hash says that these are they. */
async function followPage(sql: Sql, state: LogState, to: number): Promise<void> {
  const from = state.size;
  const faults = await readFaults(sql, from, to);
  const consumption = await readConsumption(sql, from, to);
  for (const { index, leafHash, data } of await readEntries(sql, from, to)) {
    const { ref } = advance(state, data, {
      signatures: 'trust',
      evidence: faults.get(index),
      consumptionWh: consumption.get(index),
    });
    if (!equalBytes(fromHex(ref.leafHash), leafHash)) {
      throw new Fatal('leaf-hash', `entry ${index} is not what its hash says`);
    }
  }
}
