import { randomBytes } from 'node:crypto';
import { mkdir, open, rename, rm } from 'node:fs/promises';
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
    await rm(temporary, { force: true });
    throw cause;
  }
  await syncFolder(folder);
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
  const wanted = resolve(path);
  const first = await mkdir(wanted, { recursive: true, mode });
  if (first === undefined) return;
  for (let made = wanted; ; made = dirname(made)) {
    await syncFolder(dirname(made));
    if (made === first) return;
  }
}
