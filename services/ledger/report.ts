import { toHex } from '#core/bytes.ts';
import { sha256 } from '#crypto';
import { encodeMessageLeaf } from '#core/energy/batch.ts';
import { encodeFramed, evidencePath } from '#core/energy/evidence-file.ts';
import type { Logger } from '#platform/logger.ts';
import type { Pool, Sql } from '#platform/postgres.ts';
import type { Draft } from './draft.ts';
import { noteFork, readOpenForks } from './due-store.ts';
import type { LogFolder } from './log-folder.ts';
import type { LogFile } from './many-files.ts';
import type { Sequencer } from './sequence.ts';

export interface ReportContext {
  readonly pool: Pool;
  readonly folder: LogFolder;
  readonly sequencer: Sequencer;
  readonly logger: Logger;
  readonly limits: { readonly forksPerStep: number };
}

/** Enters forks that ingestion found and voids for entries that broke a rule (D3.3); how many. */
export async function report({
  sequencer,
  pool,
  folder,
  limits,
  logger,
}: ReportContext): Promise<number> {
  const state = await sequencer.state();
  if (state.genesis === undefined) return 0;
  const forks = await readOpenForks(pool, limits.forksPerStep);
  const files: LogFile[] = [];
  const forkDrafts = forks.map((fork): Draft => {
    const bytes = encodeFramed(
      [fork.first, fork.second].map(({ receivedAt, jws }) =>
        encodeMessageLeaf({ receivedAt, bytes: jws }),
      ),
    );
    const evidence = toHex(sha256(bytes));
    files.push({ path: evidencePath(evidence), bytes });
    return { type: 'fork', kid: fork.kid, seq: fork.seq, evidence };
  });
  const voids = [...state.violations].flatMap(([index, { voided, leafHash, code }]): Draft[] =>
    voided ? [] : [{ type: 'void', index, leafHash, code }],
  );
  if (forkDrafts.length + voids.length === 0) return 0;
  if (files.length > 0) await folder.writeNew(files);
  const outcomes = await sequencer.sequence([...forkDrafts, ...voids], {
    alongside: async (sql: Sql, results) => {
      for (const [i, fork] of forks.entries()) {
        const outcome = results[i];
        // The second fork under one seq says nothing new: it is noted with the first.
        await noteFork(sql, fork, outcome?.result === 'sequenced' ? outcome.ref.index : undefined);
      }
    },
  });
  const refused = outcomes.filter(({ result }) => result === 'refused');
  if (refused.length > 0) logger.warn({ refused }, 'forks or voids were not entered');
  return outcomes.length - refused.length;
}
