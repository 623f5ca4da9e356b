import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';

/**
 * Writes a whole file so that after any crash there is either the old content or the new one, and
 * after this returns always the new one: temporary file in the same folder, fsync, rename, fsync of
 * the folder. A crash before the rename leaves a file `.{name}.{random}.tmp`, which nobody reads.
 */
export async function writeFileDurably(
  path: string,
  bytes: Uint8Array | string,
  options: { readonly mode?: number } = {},
): Promise<void> {
  const folder = dirname(path);
  const temporary = join(folder, `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
  try {
    const file = await open(temporary, 'wx', options.mode ?? 0o644);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (cause) {
    // What went wrong first is what counts; a file that stays is as one that a crash leaves.
    await rm(temporary, { force: true }).catch(() => undefined);
    throw cause;
  }
  await syncFolder(folder);
}

/** Removes what crashes left of writing this file. Only for whoever alone writes it. */
export async function removeLeftovers(path: string): Promise<void> {
  const folder = dirname(path);
  const start = `.${basename(path)}.`;
  for (const name of await readdir(folder)) {
    const rest = name.startsWith(start) ? name.slice(start.length) : '';
    if (/^[0-9a-f]{12}[.]tmp$/.test(rest)) await rm(join(folder, name), { force: true });
  }
}

/** Makes the names in a folder durable: a rename or a creation is only safe after this. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Creates a folder and what is missing above it, durably. The mode is for folders made here; one
 * that exists keeps its own.
 */
export async function ensureFolder(path: string, mode = 0o755): Promise<void> {
  const missing: string[] = [];
  let there = resolve(path);
  for (; !existsSync(there); there = dirname(there)) missing.unshift(there);
  // An earlier process may have made it and failed to sync its name. As each name is durable before
  // anything is made below it, no other one can be missing.
  await mkdir(there, { recursive: true });
  await syncNameOf(there);
  for (const folder of missing) {
    await mkdir(folder, { recursive: true, mode });
    await syncFolder(dirname(folder));
  }
}

/** Of a folder that was there. Where we may not read the one above, we have not made it either. */
async function syncNameOf(folder: string): Promise<void> {
  try {
    await syncFolder(dirname(folder));
  } catch (error) {
    const notOurs = error instanceof Error && 'code' in error && error.code === 'EACCES';
    if (!notOurs) throw error;
  }
}
