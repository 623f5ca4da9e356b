import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { program, type Need } from './needs.ts';

/** A disk of its own, in memory, that can be filled to the last byte. */
export interface SmallDisk {
  /** Anybody's. */
  readonly folder: string;
  readonly fill: () => void;
  readonly makeRoom: () => void;
  readonly remove: () => void;
}

const chunk = Buffer.alloc(64 * 1024);

/** Throws where the machine lets nobody mount: in most containers. */
export function createSmallDisk(sizeMiB: number): SmallDisk {
  // Where a server of another user gets to, which root's own temporary folder may not be.
  const root = mkdtempSync('/tmp/hourseal-small-disk-');
  const filler = join(root, 'filler');
  try {
    run('mount', '-t', 'tmpfs', '-o', `size=${sizeMiB}m,mode=0777`, 'none', root);
  } catch (error) {
    rmSync(root, { recursive: true });
    throw error;
  }
  return {
    folder: root,
    fill() {
      const file = openSync(filler, 'a');
      try {
        for (let size = chunk.length; size >= 1;) {
          try {
            writeSync(file, chunk, 0, size);
          } catch (cause) {
            if (!(cause instanceof Error && 'code' in cause && cause.code === 'ENOSPC'))
              throw cause;
            size = Math.floor(size / 2);
          }
        }
      } finally {
        closeSync(file);
      }
    },
    makeRoom: () => rmSync(filler),
    remove() {
      run('umount', root);
      rmSync(root, { recursive: true });
    },
  };
}

function run(name: string, ...words: readonly string[]): void {
  const { status, stderr, error } = spawnSync(name, words, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${name}: ${error?.message ?? stderr.trim()}`);
}

/** Tries it. */
export function smallDiskNeed(): Need {
  const mount = program('mount', 'mount');
  if (mount.path === undefined) return mount;
  try {
    createSmallDisk(1).remove();
    return mount;
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    return { reason: `no small disk can be mounted here: ${cause}` };
  }
}
