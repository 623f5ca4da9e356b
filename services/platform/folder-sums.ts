import { createHash } from 'node:crypto';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileDurably } from './durable-file.ts';

/**
 * What the files of a folder hash to while nobody has it open, so that whoever opens it next sees
 * whether they are still what they were. By name, lowercase hex of SHA-256.
 */
export type FolderSums = ReadonlyMap<string, string>;

/** No file of a database is called that. */
const sumsFile = 'sums.json';

export interface TakenSums {
  /** None where the folder was not closed with `leaveSums`: then nothing is known of its files. */
  readonly sums: FolderSums;
  /** Every file that has a sum is as it was left. */
  readonly isIntact: boolean;
}

/** Reads and compares what was left, and takes it away: from now on the files change. */
export async function takeSums(folder: string): Promise<TakenSums> {
  const path = join(folder, sumsFile);
  const text = await orNothing(readFile(path, 'utf8'));
  await rm(path, { force: true });
  if (text === undefined) return { sums: new Map(), isIntact: true };
  const sums = parseSums(text);
  if (sums === undefined) return { sums: new Map(), isIntact: false };
  for (const [name, sum] of sums) {
    if ((await sumOf(folder, name)) !== sum) return { sums, isIntact: false };
  }
  return { sums, isIntact: true };
}

/** Leaves the sums of all files that `isKept` names; those in `known` never change once written. */
export async function leaveSums(
  folder: string,
  { known, isKept }: { known: FolderSums; isKept: (name: string) => boolean },
): Promise<void> {
  const sums: [string, string | undefined][] = [];
  for (const name of (await readdir(folder)).filter(isKept)) {
    sums.push([name, known.get(name) ?? (await sumOf(folder, name))]);
  }
  await writeFileDurably(join(folder, sumsFile), JSON.stringify(sums));
}

async function sumOf(folder: string, name: string): Promise<string | undefined> {
  const bytes = await orNothing(readFile(join(folder, name)));
  return bytes && createHash('sha256').update(bytes).digest('hex');
}

function parseSums(text: string): FolderSums | undefined {
  try {
    return new Map(JSON.parse(text) as [string, string][]);
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return undefined;
    throw error;
  }
}

/** What is read, or undefined where there is no such file. */
export async function orNothing<T>(read: Promise<T>): Promise<T | undefined> {
  try {
    return await read;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
