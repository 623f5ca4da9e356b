import { integer, readConfig, type Variables } from '#platform/config.ts';
import type { BatchLimits } from './batcher.ts';
import type { HousekeepingLimits } from './housekeeping.ts';
import type { PaceLimits } from './pace.ts';
import type { ReceiptLimits } from './receipts.ts';
import type { RegisterLimits } from './register.ts';
import type { StoreLimits } from './store.ts';

export interface IngestionLimits
  extends
    BatchLimits,
    PaceLimits,
    ReceiptLimits,
    RegisterLimits,
    HousekeepingLimits,
    Omit<StoreLimits, 'keepRollups'> {
  /** How long `stop` waits for what was taken in. */
  readonly stopMs: number;
}

export const defaultIngestionLimits: IngestionLimits = {
  batchMessages: 1000,
  batchBytes: 8 * 1024 * 1024,
  gatherMs: 2,
  queueMessages: 50_000,
  queueBytes: 256 * 1024 * 1024,
  messagesPerSecond: 500,
  burstMessages: 5_000,
  longestWaitMs: 10_000,
  sendersLimit: 100_000,
  receiptEveryMs: 2_000,
  receiptTurnMs: 20,
  receiptsPerTurn: 20,
  refusedPerKey: 1_000,
  refreshEveryMs: 1_000,
  looksPerSecond: 5,
  cachedHeads: 100_000,
  unsignedRowsPerSender: 256,
  unsignedKeptS: 30 * 86_400,
  rollupEveryMs: 5_000,
  rollupBatches: 1_000,
  outboxKeptS: 86_400,
  sweepRows: 10_000,
  stopMs: 20_000,
};

/** Environment of ingestion; everything else of `IngestionLimits` is fixed in this file. */
export const ingestionVariables = {
  batchMessages: integer('INGESTION_BATCH_MESSAGES', {
    about: 'Messages that one transaction stores at most',
    unit: 'messages',
    min: 1,
    max: 10_000,
    default: defaultIngestionLimits.batchMessages,
  }),
  gatherMs: integer('INGESTION_GATHER_MS', {
    about: 'How long the first message after a quiet time waits for others',
    unit: 'ms',
    min: 0,
    max: 1_000,
    default: defaultIngestionLimits.gatherMs,
  }),
  messagesPerSecond: integer('INGESTION_MESSAGES_PER_SECOND', {
    about: 'Quota of one sender; what is beyond it is acknowledged later',
    unit: 'messages/s',
    min: 1,
    max: 1_000_000,
    default: defaultIngestionLimits.messagesPerSecond,
  }),
  burstMessages: integer('INGESTION_BURST_MESSAGES', {
    about: 'What one sender may send at once after a pause',
    unit: 'messages',
    min: 1,
    max: 1_000_000,
    default: defaultIngestionLimits.burstMessages,
  }),
  receiptEveryMs: integer('INGESTION_RECEIPT_EVERY_MS', {
    about: 'Least time between two receipts of one key',
    unit: 'ms',
    min: 0,
    max: 60_000,
    default: defaultIngestionLimits.receiptEveryMs,
  }),
  unsignedRowsPerSender: integer('INGESTION_UNSIGNED_ROWS', {
    about: 'Refused messages without a valid signature kept for each sender',
    unit: 'rows',
    min: 1,
    max: 1_000_000,
    default: defaultIngestionLimits.unsignedRowsPerSender,
  }),
} satisfies Variables;

/** The limits for an environment. Refused('config') with everything that is wrong. */
export function readIngestionLimits(
  environment: Readonly<Record<string, string | undefined>>,
): IngestionLimits {
  return { ...defaultIngestionLimits, ...readConfig(ingestionVariables, environment) };
}
