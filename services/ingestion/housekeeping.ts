import { Failed } from '#core/errors.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/logger.ts';
import type { Pool } from '#platform/postgres.ts';
import { rest } from '#platform/rest.ts';
import type { Keeping } from './keeping.ts';
import { createLateReadings, type LateLimits } from './late-readings.ts';
import { createRetention, type RetentionLimits } from './retention.ts';
import { rollUp } from './rollup.ts';
import { validateSome, type ValidationLimits } from './validation/step.ts';

export interface HousekeepingLimits extends LateLimits, RetentionLimits, ValidationLimits {
  /** A pause lets touches of the same hours gather, so that each is computed once for many. */
  readonly rollupEveryMs: number;
  readonly rollupBatches: number;
  /** News that nobody fetched; the database is the truth, so they may go (D5, step 3). */
  readonly outboxKeptS: number;
  /** The newest ones that are kept, however young the others are: while Kafka is away they pile up. */
  readonly outboxKeptRows: number;
  readonly unsignedKeptS: number;
  readonly sweepRows: number;
}

const sweepOutboxSql = `
  delete from outbox where outbox_id in (
    select outbox_id from outbox
     where created_at < $1 or outbox_id <= (select max(outbox_id) - $3 from outbox)
     order by outbox_id limit $2)`;
const sweepQuarantineSql = `
  delete from quarantine where quarantine_id in (
    select quarantine_id from quarantine
     where not signed and received_at < $1 limit $2)`;

const sweepEveryMs = 60_000;

export interface Housekeeping {
  /** Ends the work under way; rejects with what ended it before, if anything did. */
  readonly stop: () => Promise<void>;
}

/**
 * What ingestion does when nobody waits: roll-ups, readings that came late, validation, and rows whose
 * time is over. In real time, since it paces the load on the machine. A failing database is tried again;
 * anything else is an error of ours, told to `onDeath`.
 */
export function startHousekeeping(
  context: {
    readonly pool: Pool;
    readonly clock: Clock;
    readonly logger: Logger;
    readonly keeping: Keeping;
    readonly keepRollups: boolean;
    readonly onDeath: (error: Error) => void;
  },
  limits: HousekeepingLimits,
): Housekeeping {
  const { pool, clock, keeping, logger } = context;
  const late = createLateReadings(pool, limits);
  const retention = createRetention(pool, limits);
  const stopping = new AbortController();
  let sweptMs = Number.NEGATIVE_INFINITY;

  const sweepOutbox = async (nowS: number): Promise<void> => {
    const { outboxKeptS, outboxKeptRows, sweepRows } = limits;
    let dropped = 0;
    for (let page = sweepRows; page === sweepRows && !stopping.signal.aborted; dropped += page) {
      page = await pool.run(sweepOutboxSql, [nowS - outboxKeptS, sweepRows, outboxKeptRows]);
    }
    if (dropped === 0) return;
    logger.warn({ dropped, outboxKeptS, outboxKeptRows }, 'news that nobody fetched were dropped');
  };

  /** What TimescaleDB does by its policies; ordinary tables are kept by us. */
  const keepTables = async (): Promise<false> => {
    await rollUp(pool, limits.rollupBatches);
    await retention.drop(keeping.horizons().keptFromS);
    return false;
  };

  /** Whether more waits to be done soon. */
  const turn = async (): Promise<boolean> => {
    if (performance.now() - sweptMs > sweepEveryMs) {
      sweptMs = performance.now();
      const nowS = clock.nowS();
      await sweepOutbox(nowS);
      await pool.run(sweepQuarantineSql, [nowS - limits.unsignedKeptS, limits.sweepRows]);
      await keeping.look();
    }
    const again = context.keepRollups ? await keepTables() : await late.turn();
    await validateSome(pool, limits, { nowS: clock.nowS(), signal: stopping.signal });
    return again;
  };

  const work = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      let again = false;
      try {
        again = await turn();
      } catch (error) {
        if (!(error instanceof Failed)) throw error;
        logger.warn({ err: error }, 'housekeeping failed, to be tried again');
      }
      await rest(again ? limits.lateEveryMs : limits.rollupEveryMs, stopping.signal);
    }
    // Where this fails, the lease ends by itself.
    if (!context.keepRollups) await late.release().catch(ignoreFailed);
  };
  const ended = work().catch((error: unknown) => {
    context.onDeath(error instanceof Error ? error : new Error(String(error)));
  });
  return {
    stop: async () => {
      stopping.abort();
      await ended;
    },
  };
}

function ignoreFailed(error: unknown): void {
  if (!(error instanceof Failed)) throw error;
}
