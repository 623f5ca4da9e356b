import type { Advance, Astray, Kept } from './plan.ts';
import type { Committed } from './store.ts';

/** What happened since the start, counted by message. */
export interface IngestionCounts {
  readonly stored: number;
  readonly readings: number;
  readonly duplicates: number;
  readonly forks: number;
  /** By reason code, kept and not kept. */
  readonly refused: Readonly<Record<string, number>>;
  readonly notAcknowledged: number;
  readonly receiptsLost: number;
  /** Acknowledged before they were verified, and not acknowledged because too many wait. */
  readonly putOff: number;
  readonly overflowed: number;
}

export interface Tally {
  readonly count: (batch: readonly (Kept | Astray | Advance)[], committed: Committed) => void;
  readonly notAcknowledged: () => void;
  readonly read: () => Omit<IngestionCounts, 'receiptsLost' | 'putOff' | 'overflowed'>;
}

export function createTally(): Tally {
  const counts = { stored: 0, readings: 0, duplicates: 0, forks: 0, notAcknowledged: 0 };
  const refused: Record<string, number> = {};
  const refuse = (code: string): void => {
    refused[code] = (refused[code] ?? 0) + 1;
  };
  return {
    count: (batch, { stored, forks, progress }) => {
      for (const item of batch) if (item.kind === 'astray') refuse(item.code);
      for (const { kept, code } of stored) {
        if (code === undefined) counts.readings += kept.parsed.message.readings.length;
        else refuse(code);
      }
      counts.stored += stored.length;
      counts.forks += forks.length;
      for (const { duplicates } of progress) counts.duplicates += duplicates;
    },
    notAcknowledged: () => {
      counts.notAcknowledged++;
    },
    read: () => ({ ...counts, refused: { ...refused } }),
  };
}
