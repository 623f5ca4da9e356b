import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { createLedger, type Ledger, type LedgerContext } from '#ledger/service.ts';
import { createLogger } from '#platform/logger.ts';
import { manualClock, type ManualClock } from '#platform/clock.ts';
import type { Pool } from '#platform/postgres.ts';
import type { LedgerLimits } from '#ledger/config.ts';
import type { SignedDraft } from '#core/certificate/entry.ts';
import { logSigner } from './log-people.ts';

/** A ledger on a database of the test's, with folders of its own and a clock that stands still. */
export interface TestLedger {
  readonly ledger: Ledger;
  readonly clock: ManualClock;
  readonly folder: string;
  readonly secretsFolder: string;
  /** Enters actions and fails when one is refused. */
  readonly enter: (...actions: readonly SignedDraft[]) => Promise<void>;
  /** Moves the clock and lets the ledger work. */
  readonly stepAt: (timeS: number) => ReturnType<Ledger['step']>;
}

/** 2026-01-01T00:00:00Z */
export const testStartS = 1_767_225_600;

const folders: string[] = [];

/** Removes what `createTestLedger` made; call it once in a test file. */
export function removeTestFolders(): void {
  afterAll(() => {
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
  });
}

export function scratchFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'hourseal-ledger-'));
  folders.push(folder);
  return folder;
}

export function createTestLedger(
  pool: Pool,
  options: {
    readonly folder?: string;
    readonly startS?: number;
    readonly limits?: Partial<LedgerLimits>;
    /** What else the ledger is told: its signers, say, or another folder. */
    readonly context?: Partial<LedgerContext>;
  } = {},
): TestLedger {
  const root = options.folder ?? scratchFolder();
  const folder = join(root, 'log');
  const secretsFolder = join(root, 'secrets');
  const clock = manualClock((options.startS ?? testStartS) * 1000);
  const logger = createLogger({ name: 'test', level: 'silent' });
  const ledger = createLedger({
    pool,
    clock,
    signer: logSigner,
    folder,
    secretsFolder,
    logger,
    ...(options.limits !== undefined && { limits: options.limits }),
    ...options.context,
  });
  return {
    ledger,
    clock,
    folder,
    secretsFolder,
    async enter(...actions) {
      for (const [i, outcome] of (await ledger.submit(actions)).entries()) {
        if (outcome.result === 'refused') {
          throw new Error(
            `action ${i} (${actions[i]?.kind ?? ''}): ${outcome.code} ${outcome.message}`,
          );
        }
      }
    },
    async stepAt(timeS) {
      await clock.advance(timeS * 1000);
      return ledger.step();
    },
  };
}
