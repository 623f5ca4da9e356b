import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Refused } from '#core/errors.ts';
import type { Signer } from '#core/signer.ts';
import { createKeyFile, readKeyFile } from '#platform/keys.ts';

/**
 * The keys that one party had, one after the other: `log.pem`, then `log+2.pem`, `log+3.pem` (no id has
 * a plus: an account may be called `mill-2`). While a key is changed two of them are in use, so all that
 * are there are read (D3.3).
 */

/** Oldest first, at least one. Refused as `readKeyFile`: 'key-missing', 'key-readable', 'key'. */
export async function readKeyRing(folder: string, name: string): Promise<readonly Signer[]> {
  const signers: Signer[] = [];
  for (const number of await numbersOf(folder, name)) {
    signers.push(await readKeyFile(fileOf(folder, name, number)));
  }
  if (signers.length === 0) {
    throw new Refused('key-missing', `there is no key ${fileOf(folder, name, 1)}`);
  }
  return signers;
}

/** The newest of them. */
export async function readNewestKey(folder: string, name: string): Promise<Signer> {
  const newest = (await numbersOf(folder, name)).at(-1) ?? 1;
  return readKeyFile(fileOf(folder, name, newest));
}

/** Creates the next one; only a command that says so in so many words may call this. */
export async function addToKeyRing(
  folder: string,
  name: string,
): Promise<{ readonly signer: Signer; readonly file: string }> {
  const next = ((await numbersOf(folder, name)).at(-1) ?? 0) + 1;
  const file = fileOf(folder, name, next);
  return { signer: await createKeyFile(file, 'Ed25519'), file };
}

function fileOf(folder: string, name: string, number: number): string {
  return join(folder, number === 1 ? `${name}.pem` : `${name}+${number}.pem`);
}

/** Ascending. */
async function numbersOf(folder: string, name: string): Promise<readonly number[]> {
  let files: string[];
  try {
    files = await readdir(folder);
  } catch (cause) {
    throw new Refused('key-missing', `there is no folder ${folder}`, { cause });
  }
  return files
    .flatMap((file) => {
      if (file === `${name}.pem`) return [1];
      const [, digits] = /^(.+)\+([2-9]|[1-9][0-9]{1,3})\.pem$/.exec(file)?.slice(1) ?? [];
      return digits !== undefined && file === `${name}+${digits}.pem` ? [Number(digits)] : [];
    })
    .sort((a, b) => a - b);
}
