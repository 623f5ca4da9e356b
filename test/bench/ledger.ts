import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startTestPostgres } from '#support/postgres.ts';
import { findPostgresBinaries } from '#support/real-postgres.ts';
import type { Pool } from '#platform/postgres.ts';
import { benchCosigning } from './cosign.ts';
import type { Bench, Say, Scale } from './figure.ts';
import { benchAppend } from './ledger-append.ts';
import { benchAudit } from './ledger-audit.ts';
import { benchSeal, sealLog, type Sealing } from './ledger-seal.ts';

/** Appending, sealing, auditing and cosigning (D7, rows 4 to 7). */

/** Plants, hours of each, and entries to append alone. */
const sizes: Readonly<Record<Scale, { plants: number; hours: number; entries: number }>> = {
  s: { plants: 20, hours: 24, entries: 5_000 },
  m: { plants: 100, hours: 240, entries: 50_000 },
  l: { plants: 1_000, hours: 720, entries: 500_000 },
};

/** Of the log that is made to be audited alone. */
const auditedSizes: Readonly<Record<Scale, Sealing>> = {
  s: { plants: 20, hours: 12, messagesPerHour: 15 },
  m: { plants: 100, hours: 48, messagesPerHour: 15 },
  l: { plants: 1_000, hours: 240, messagesPerHour: 15 },
};

/** What a part needs: a database of its own, a folder that goes away, and how much to do. */
interface PartContext {
  readonly pool: Pool;
  readonly root: string;
  readonly scale: Scale;
  readonly say: Say;
}

/** A part as a benchmark of its own. */
function part(run: (context: PartContext) => Promise<void>): Bench {
  return async ({ scale, report }) => {
    const real =
      process.env.TEST_POSTGRES_URL !== undefined || findPostgresBinaries() !== undefined;
    const engine = real ? 'postgresql' : 'pglite';
    const root = mkdtempSync(join(tmpdir(), 'hourseal-bench-'));
    const database = await startTestPostgres(real ? 'postgres' : 'pglite');
    const say: Say = (figure) => {
      report({ ...figure, engine });
    };
    try {
      await run({ pool: database.pool, root, scale, say });
    } finally {
      await database.stop();
      rmSync(root, { recursive: true, force: true });
    }
  };
}

export const append: Bench = part(({ pool, root, scale, say }) =>
  benchAppend(pool, { root, entries: sizes[scale].entries, say }),
);

export const seal: Bench = part(async ({ pool, root, scale, say }) => {
  const sealing = { ...sizes[scale], messagesPerHour: 1 };
  await benchSeal(pool, { root, ...sealing, say });
  await benchAudit(join(root, 'sealed'), sealing, say);
});

/** As many messages an hour as where hours are cosigned (D7, row 5). */
export const audit: Bench = part(async ({ pool, root, scale, say }) => {
  const sealing = auditedSizes[scale];
  await sealLog(pool, root, sealing);
  await benchAudit(join(root, 'sealed'), sealing, say);
});

export const cosign: Bench = part(({ pool, scale, say }) => benchCosigning(pool, { scale, say }));

export const bench: Bench = async (context) => {
  await append(context);
  await seal(context);
  await audit(context);
  await cosign(context);
};
