import type { Hash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Where databases lie that were made once, so that tests only copy them. */
export const cacheFolder = fileURLToPath(
  new URL('../../node_modules/.cache/hourseal', import.meta.url),
);
const migrationsFolder = fileURLToPath(new URL('../../infra/migrations', import.meta.url));

/** What is migrated is named by all that it is made of. */
export async function addMigrations(key: Hash): Promise<void> {
  for (const name of (await readdir(migrationsFolder)).sort()) {
    key.update(name).update(await readFile(join(migrationsFolder, name)));
  }
}
