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
import { benchSeal } from './ledger-seal.ts';

/** Appending, sealing, auditing and cosigning (D7, rows 4 to 7). */

/** Plants, hours of each, and entries to append alone. */
const sizes: Readonly<Record<Scale, { plants: number; hours: number; entries: number }>> = {
  s: { plants: 20, hours: 24, entries: 5_000 },
  m: { plants: 100, hours: 240, entries: 50_000 },
  l: { plants: 1_000, hours: 720, entries: 500_000 },
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
  await benchSeal(pool, { root, ...sizes[scale], say });
  await benchAudit(join(root, 'sealed'), say);
});

export const cosign: Bench = part(({ pool, scale, say }) => benchCosigning(pool, { scale, say }));

export const bench: Bench = async (context) => {
  await append(context);
  await seal(context);
  await cosign(context);
};
