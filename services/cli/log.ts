import { existsSync } from 'node:fs';
import { cp, mkdir, readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Refused } from '#core/errors.ts';
import { places } from '#standalone/data-folder.ts';
import { exitCodes, type Terminal } from '#platform/terminal.ts';

/** The folder with the log's static files: a data folder's `log`, or an exported log itself. */
function logFolderOf(data: string): string {
  for (const folder of [places(data).log, data]) {
    if (existsSync(join(folder, 'checkpoint'))) return folder;
  }
  throw new Refused('log', `${data}: no published log is there (no checkpoint)`);
}

/**
 * `hourseal log export`: copies what is published. The checkpoint is copied first and put in place
 * last: what it covers was there before it, and a copy cut short is not a log.
 */
export async function exportLog(
  { data, to }: { data: string; to: string },
  terminal: Terminal,
): Promise<number> {
  const from = logFolderOf(data);
  if (existsSync(to) && (await readdir(to)).length > 0) {
    throw new Refused('folder', `${to} is not empty`);
  }
  await mkdir(to, { recursive: true });
  const pending = join(to, '.checkpoint');
  await cp(join(from, 'checkpoint'), pending);
  const isPublished = (source: string): boolean =>
    source === from || !(basename(source).startsWith('.') || basename(source) === 'checkpoint');
  await cp(from, to, { recursive: true, filter: isPublished });
  await cp(pending, join(to, 'checkpoint'));
  terminal.out(`${to}: check it with  npx hourseal log audit --data ${to}\n`);
  return exitCodes.verified;
}
