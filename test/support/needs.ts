import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { describe } from 'vitest';

declare module 'vitest' {
  interface TaskMeta {
    /** What this machine lacks and how to get it; printed by the skip reporter. */
    skipReason?: string;
  }
}

/** Something that a test needs beside Node. */
export interface Need {
  /** The full path of what was found; absent where it is missing. */
  readonly path?: string;
  /** What is missing and how to get it, in one line. */
  readonly reason: string;
}

/** A program on the PATH. */
export function program(name: string, aptPackage: string): Need {
  const reason = `${name} is not installed: apt install ${aptPackage}`;
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  const path = folders.map((folder) => join(folder, name)).find(isExecutable);
  return path === undefined ? { reason } : { path, reason };
}

const downloadLimitMs = 120_000;

/**
 * Go, and the modules that the go.sum in `folder` pins; they are fetched now where they are not here
 * yet, so that a build needs no network and what it fails on is a failure. With `toolchain` `auto`
 * that includes the Go that go.mod asks for, where the one here is older.
 */
export function goModules(folder: string, toolchain: 'local' | 'auto' = 'local'): Need {
  const go = program('go', 'golang-go');
  if (go.path === undefined) return go;
  const { status, stderr, error } = spawnSync(go.path, ['mod', 'download'], {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, GOTOOLCHAIN: toolchain },
    timeout: downloadLimitMs,
  });
  if (status === 0) return go;
  const cause = error?.message ?? stderr.trim().split('\n').at(-1) ?? '';
  return { reason: `no Go modules (go mod download in ${folder}): ${cause}` };
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false; // Absent or not ours to run: for a test that is the same.
  }
}

/** A `describe` whose tests are skipped, aloud, where the machine lacks one of `needs`. */
export function describeWith(needs: readonly Need[], title: string, body: () => void): void {
  const reasons = needs.filter((need) => need.path === undefined).map((need) => need.reason);
  if (reasons.length === 0) describe(title, body);
  else describe(title, { skip: true, meta: { skipReason: reasons.join('; ') } }, body);
}

/**
 * The same for what a machine forbids, such as mounting, and no package brings. In CI, where a skipped
 * test is a failure, such tests are left out, as aloud: the machine that CI gets is not ours to choose.
 */
export function describeWhereAllowed(need: Need, title: string, body: () => void): void {
  if (need.path === undefined && process.env.HOURSEAL_CI !== undefined) {
    process.stdout.write(`left out: ${title}: ${need.reason}\n`);
  } else describeWith([need], title, body);
}
