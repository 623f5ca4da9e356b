import { spawnSync } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { program, type Need } from './needs.ts';

/**
 * A real file system whose disk can be made to fail: ext4 on a file that takes room only for what is
 * written, in a tmpfs that is then filled. ext4 believes that it has free blocks; the first write into
 * one that it never used ends in EIO, at the fsync.
 */
export interface BadDisk {
  readonly folder: string;
  /** From now on what was never written cannot be. */
  readonly breakDown: () => void;
  readonly mend: () => void;
  /** Forgets what is in the cache alone, as a power cut does. Nobody may have a file open. */
  readonly remount: () => void;
  readonly remove: () => void;
}

const backingBytes = 4 * 1024 * 1024;
const imageBytes = 16 * 1024 * 1024;
const commandLimitMs = 30_000;

function run(program: string, ...words: readonly string[]): void {
  const { status, stderr, error } = spawnSync(program, words, {
    encoding: 'utf8',
    timeout: commandLimitMs,
  });
  if (status !== 0) throw new Error(`${program}: ${error?.message ?? stderr.trim()}`);
}

/** Throws where the machine lets nobody mount: in most containers. */
export function createBadDisk(): BadDisk {
  const root = mkdtempSync(join(tmpdir(), 'hourseal-bad-disk-'));
  const [backing, folder] = [join(root, 'backing'), join(root, 'disk')];
  const [image, filler] = [join(backing, 'image'), join(backing, 'filler')];
  const undo: (() => void)[] = [() => rmSync(root, { recursive: true })];
  const remove = (): void => {
    for (let step = undo.pop(); step !== undefined; step = undo.pop()) step();
  };
  try {
    mkdirSync(backing);
    mkdirSync(folder);
    run('mount', '-t', 'tmpfs', '-o', `size=${backingBytes}`, 'none', backing);
    undo.push(() => run('umount', backing));
    closeSync(openSync(image, 'w'));
    truncateSync(image, imageBytes);
    const features = ['-O', '^has_journal', '-E', 'lazy_itable_init=0,nodiscard'];
    run('mkfs.ext4', '-q', '-F', '-b', '1024', ...features, image);
    run('mount', '-o', 'loop', image, folder);
    undo.push(() => run('umount', folder));
  } catch (error) {
    remove();
    throw error;
  }
  return {
    folder,
    breakDown() {
      const file = openSync(filler, 'w');
      try {
        for (;;) writeSync(file, Buffer.alloc(4096));
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error;
      } finally {
        closeSync(file);
      }
    },
    mend: () => rmSync(filler),
    remount() {
      run('umount', folder);
      run('mount', '-o', 'loop', image, folder);
    },
    remove,
  };
}

/** `path`: where the program is that every part of it is made with. */
export function badDisks(): Need {
  try {
    createBadDisk().remove();
    return program('mount', 'mount');
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { reason: `no file system can be mounted here, which needs root and ext4: ${why}` };
  }
}
