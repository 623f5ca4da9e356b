import { equalBytes, fromHex } from '#core/bytes.ts';
import { Fatal } from '#core/errors.ts';
import { advance } from '#core/certificate/fold.ts';
import { emptyState, type LogState } from '#core/certificate/state.ts';
import type { Sql } from '#platform/postgres.ts';
import { readEntries, readFaults } from './log-store.ts';

/**
 * The fold over the log that this process keeps in memory. The table is the truth: what other
 * processes appended is folded before anything is judged by it, and after a transaction that did not
 * commit the fold is thrown away, since it may know of entries that never were.
 */
export interface Follower {
  /** The state after the first `nextIndex` entries. Fatal when the table has lost what was folded. */
  readonly catchUp: (sql: Sql, nextIndex: number) => Promise<LogState>;
  /** The next `catchUp` starts from the first entry. */
  readonly forget: () => void;
}

const pageEntries = 2_000;

export function createFollower(): Follower {
  let state = emptyState();
  return {
    async catchUp(sql, nextIndex) {
      if (nextIndex < state.size) {
        throw new Fatal('log-shrunk', `${nextIndex} entries where ${state.size} were read before`);
      }
      while (state.size < nextIndex) {
        await followPage(sql, state, Math.min(nextIndex, state.size + pageEntries));
      }
      return state;
    },
    forget() {
      state = emptyState();
    },
  };
}

/** Signatures were verified before the bytes were stored, and the hash says that these are they. */
async function followPage(sql: Sql, state: LogState, to: number): Promise<void> {
  const from = state.size;
  const faults = await readFaults(sql, from, to);
  for (const { index, leafHash, data } of await readEntries(sql, from, to)) {
    const { ref } = advance(state, data, { signatures: 'trust', evidence: faults.get(index) });
    if (!equalBytes(fromHex(ref.leafHash), leafHash)) {
      throw new Fatal('leaf-hash', `entry ${index} is not what its hash says`);
    }
  }
}
