import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Item } from '#core/certificate/specs/parts.ts';
import { encodeProof } from '#core/certificate/proof/proof.ts';
import type { Ledger } from '#ledger/service.ts';
import { ensureFolder, writeFileDurably } from '#platform/durable-file.ts';
import { fileNameOf } from '#platform/file-name.ts';
import type { Pool } from '#platform/postgres.ts';

/** Writes a proof file for every range of certificates as it is issued. */
export interface ProofFiles {
  /** Writes those that a published checkpoint covers and that are not there yet. */
  readonly write: () => Promise<void>;
  readonly count: () => number;
  /** Path of the one written last. */
  readonly latest: () => string | undefined;
}

/** As issued: what became of the units since stands in the proof itself. */
const issuedSql = `
  select series, issued_index, hour_start, min(lower(range)) as "from", max(upper(range)) - 1 as "to"
    from bundle where issued_index > $1
   group by series, issued_index, hour_start order by issued_index limit $2`;

interface IssuedRow {
  readonly series: string;
  readonly issued_index: number;
  readonly hour_start: number;
  readonly from: number;
  readonly to: number;
}

const pageRows = 500;

export function createProofFiles({
  ledger,
  pool,
  folder,
}: {
  readonly ledger: Ledger;
  readonly pool: Pool;
  readonly folder: string;
}): ProofFiles {
  let doneIndex = -1;
  let count = 0;
  let latest: string | undefined;

  const writeOne = async (
    proofs: Awaited<ReturnType<Ledger['proofs']>>,
    row: IssuedRow,
  ): Promise<void> => {
    const { series, from, to } = row;
    const bundle: Item = { from, series, to };
    const plant = series.slice(series.indexOf('/') + 1);
    const hour = new Date(row.hour_start * 1000).toISOString().slice(0, 13);
    const place = join(folder, fileNameOf(plant));
    const path = join(place, `${hour}Z.${from}-${to}.hourseal.json`);
    if (!existsSync(path)) {
      await ensureFolder(place);
      await writeFileDurably(path, encodeProof(await proofs.collect(bundle)));
    }
    count++;
    latest = path;
  };

  return {
    async write() {
      const proofs = await ledger.proofs();
      for (;;) {
        const rows = await pool.rows<IssuedRow>(issuedSql, [doneIndex, pageRows]);
        for (const row of rows) {
          if (row.issued_index >= proofs.size) return;
          await writeOne(proofs, row);
          doneIndex = row.issued_index;
        }
        if (rows.length < pageRows) return;
      }
    },
    count: () => count,
    latest: () => latest,
  };
}
