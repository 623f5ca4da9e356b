import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Bench, Figure, Scale } from './figure.ts';

/** A replay whose live state lies on the disk, and proofs from tiles at that size (issue 3, D7). */

const entries: Readonly<Record<Scale, number>> = { s: 50_000, m: 1_000_000, l: 10_000_000 };
const program = new URL('./memory-fold.ts', import.meta.url).pathname;

interface Measured {
  readonly entriesPerS: number;
  readonly peakMiB: number;
  readonly proofP50Ms: number;
  readonly proofP99Ms: number;
  /** Of these, what lies in the state store. */
  readonly rangeP50Ms: number;
  readonly rangeP99Ms: number;
}

export const bench: Bench = async ({ scale, report }) => {
  const folder = mkdtempSync(join(tmpdir(), 'hourseal-memory-'));
  try {
    const args = ['--import', 'tsx', program, folder, String(entries[scale])];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    const measured = JSON.parse(stdout) as Measured;
    const { entriesPerS, peakMiB, proofP50Ms, proofP99Ms, rangeP50Ms, rangeP99Ms } = measured;
    const figures: readonly Omit<Figure, 'engine'>[] = [
      { case: 'state on disk: most that is ever resident', value: peakMiB, unit: 'MiB', bar: 512 },
      { case: 'state on disk: entries replayed', value: entriesPerS, unit: '1/s', bar: 50_000 },
      { case: 'an entry and a range proved from disk, p50', value: proofP50Ms, unit: 'ms', bar: 5 },
      { case: 'an entry and a range proved from disk, p99', value: proofP99Ms, unit: 'ms', bar: 5 },
      { case: 'of that, the range from its tables, p50', value: rangeP50Ms, unit: 'ms' },
      { case: 'of that, the range from its tables, p99', value: rangeP99Ms, unit: 'ms' },
    ];
    for (const figure of figures) {
      report({ ...figure, case: `${figure.case}, ${entries[scale]} entries`, engine: 'leveldb' });
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};
