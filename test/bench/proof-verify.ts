import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { verifyProof } from '#core/certificate/proof/verify.ts';
import { parsePolicy } from '#core/tlog/policy.ts';
import type { Say } from './figure.ts';

/** The offline verification of proof files, by the code of the server and by that of browsers (D7). */

/** Each file's figure is the median of as many fresh processes. */
const processes = 5;
const barMs = 50;
const timeLimitMs = 120_000;
const program = new URL('./proof-verify-browser.ts', import.meta.url).pathname;

export function benchVerification(
  files: readonly Uint8Array[],
  { policy, say }: { policy: string; say: Say },
): void {
  const trusted = parsePolicy(policy);
  const startedAt = performance.now();
  const verdicts = files.map((file) => verifyProof(file, { policy: trusted }).result);
  const elapsedMs = performance.now() - startedAt;
  if (verdicts.some((result) => result !== 'verified')) throw new Error('a proof is not verified');
  const each = elapsedMs / files.length;
  say({ case: 'a proof file verified, node', value: each, unit: 'ms', bar: barMs });

  const [first = 0, ...others] = inBrowserProcesses(files, policy);
  const code = 'code of browsers';
  say({ case: `a proof file verified, ${code}`, value: median(others), unit: 'ms', bar: barMs });
  say({
    case: `the slowest of ${others.length} proof files, ${code}`,
    value: Math.max(...others),
    unit: 'ms',
    bar: barMs,
  });
  say({ case: `the first proof file in a fresh process, ${code}`, value: first, unit: 'ms' });
}

/** Milliseconds for each file, the first one by a process that has just loaded its code. */
function inBrowserProcesses(files: readonly Uint8Array[], policy: string): readonly number[] {
  const root = mkdtempSync(join(tmpdir(), 'hourseal-bench-proofs-'));
  try {
    const [folder, policyPath] = [join(root, 'files'), join(root, 'policy')];
    mkdirSync(folder);
    writeFileSync(policyPath, policy);
    files.forEach((file, i) => {
      writeFileSync(join(folder, `${String(i).padStart(6, '0')}.json`), file);
    });
    const runs = Array.from({ length: processes }, () => run(folder, policyPath));
    return files.map((_, i) => median(runs.map((elapsedMs) => elapsedMs[i] ?? 0)));
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

function run(folder: string, policyPath: string): readonly number[] {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--conditions=browser', '--import', 'tsx', program, folder, policyPath],
    { encoding: 'utf8', timeout: timeLimitMs },
  );
  if (status !== 0) throw new Error(`proof-verify-browser: ${stderr}`);
  return JSON.parse(stdout) as number[];
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
