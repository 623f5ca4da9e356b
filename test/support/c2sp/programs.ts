import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { goModules, type Need } from '../needs.ts';

/** Other people's C2SP programs: torchwood and Tessera behind main.go beside this file. */
export interface C2spPrograms {
  readonly helper: string;
  /** torchwood's `litewitness`, where it was asked for. */
  readonly litewitness: string;
  /** Where they are; the caller's to remove. */
  readonly folder: string;
}

const source = fileURLToPath(new URL('.', import.meta.url));
/** The first build compiles an SQLite in Go, and Go's own library. */
export const buildLimitMs = 900_000;
const answerLimitMs = 150_000;
const litewitnessPackage = 'filippo.io/torchwood/cmd/litewitness';

/** Go 1.24 with the modules, for `describeWith`; they are fetched now if they are not here yet. */
export const c2spModules: Need = goModules(source, 'auto');

/** Builds from what go.sum pins, without a network. */
export function buildC2sp(go: Need, { withLitewitness = false } = {}): C2spPrograms {
  if (go.path === undefined) throw new Error(go.reason);
  const folder = mkdtempSync(join(tmpdir(), 'hourseal-c2sp-'));
  const programs = { helper: join(folder, 'c2sp'), litewitness: join(folder, 'litewitness') };
  build(go.path, programs.helper, '.');
  if (withLitewitness) build(go.path, programs.litewitness, litewitnessPackage);
  return { ...programs, folder };
}

function build(go: string, to: string, what: string): void {
  // Without C: a compiler for it is no part of what the tests need.
  const env = { ...process.env, CGO_ENABLED: '0', GOPROXY: 'off', GOTOOLCHAIN: 'auto' };
  const flags = ['-trimpath', '-buildvcs=false', '-mod=readonly', '-o', to];
  execFileSync(go, ['build', ...flags, what], { cwd: source, env, timeout: buildLimitMs });
}

/** One question to the helper: its answer, or an error with what it says. */
export async function askHelper(
  { helper }: C2spPrograms,
  op: string,
  question: unknown,
): Promise<unknown> {
  const child = spawn(helper, {
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: answerLimitMs,
    killSignal: 'SIGKILL',
  });
  child.stdin.end(JSON.stringify({ op, with: question }));
  const [answer, complaint] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ]);
  if (child.exitCode !== 0) throw new Error(`the C2SP helper, asked to ${op}: ${complaint}`);
  return JSON.parse(answer);
}
