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
