import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { formatsPage } from '../formats-page.ts';
import { program, type Need } from '../needs.ts';

/** The second verifier of proof files, in Go, behind main.go beside this file. */

/** A proof file, and the text of the policy that it is held against. */
export interface Question {
  readonly name: string;
  readonly file: Uint8Array;
  readonly policy?: string;
}

export interface TheirStep {
  readonly result: 'pass' | 'fail' | 'unknown';
  readonly reason: string;
}

export interface SecondVerifier {
  /** The nine steps of each; one process for all of them. */
  readonly verify: (questions: readonly Question[]) => TheirStep[][];
}

const source = fileURLToPath(new URL('.', import.meta.url));
const buildTimeoutMs = 240_000;
const answerTimeoutMs = 150_000;
const answerLimitBytes = 64 * 1024 * 1024;

/** Go alone: the program needs no module but its own. */
export const goAlone: Need = program('go', 'golang-go');

/** Builds it in a temporary folder, which is the caller's to remove. */
export function buildSecondVerifier(go: Need): {
  readonly verifier: SecondVerifier;
  readonly folder: string;
} {
  if (go.path === undefined) throw new Error(go.reason);
  const folder = mkdtempSync(join(tmpdir(), 'hourseal-second-verifier-'));
  const built = join(folder, 'second-verifier');
  const env = { ...process.env, CGO_ENABLED: '0', GOPROXY: 'off', GOTOOLCHAIN: 'local' };
  const flags = ['-trimpath', '-buildvcs=false', '-mod=readonly', '-o', built];
  execFileSync(go.path, ['build', ...flags, '.'], { cwd: source, env, timeout: buildTimeoutMs });
  return { verifier: { verify: (questions) => verify(built, questions) }, folder };
}

function verify(built: string, questions: readonly Question[]): TheirStep[][] {
  const lines = questions.map(({ file, policy }) =>
    JSON.stringify({ file: Buffer.from(file).toString('base64'), policy }),
  );
  const { status, stdout, stderr, error } = spawnSync(built, [formatsPage], {
    input: lines.join('\n'),
    encoding: 'utf8',
    maxBuffer: answerLimitBytes,
    timeout: answerTimeoutMs,
  });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`the second verifier: ${stderr}`);
  const answers = stdout.trimEnd().split('\n');
  return answers.map((line) => JSON.parse(line) as TheirStep[]);
}
