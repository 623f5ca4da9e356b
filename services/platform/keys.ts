import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { link, open, rm, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Refused } from '#core/errors.ts';
import type { Alg } from '#core/keys.ts';
import type { Signer } from '#core/signer.ts';
import { signerFromPem } from '#core/signer.node.ts';
import { syncFolder } from './durable-file.ts';

/** A PKCS#8 PEM of either kind has a few hundred bytes. */
const longestKeyFileBytes = 16_384;

/**
 * Creates a private key in a new file (PKCS#8 PEM, mode 0600) and returns its signer. Keys are made
 * only where somebody asked for one in so many words: a service whose key is missing must not
 * invent another. Refused('key-exists') when the file is there, which is then left as it is.
 *
 * After a crash there is no file or a whole one: it gets its name by link(2), which is atomic and
 * fails where the name is taken.
 */
export async function createKeyFile(path: string, alg: Alg): Promise<Signer> {
  const pem = newPem(alg);
  const folder = dirname(path);
  const temporary = join(folder, `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
  try {
    const file = await open(temporary, 'wx', 0o600);
    try {
      await file.writeFile(pem);
      await file.sync();
    } finally {
      await file.close();
    }
    await link(temporary, path);
  } catch (cause) {
    if (errorCode(cause) === 'EEXIST') {
      throw new Refused('key-exists', `${path} exists already: it is left as it is`, { cause });
    }
    throw cause;
  } finally {
    await rm(temporary, { force: true });
  }
  await syncFolder(folder);
  return signerFromPem(pem);
}

function newPem(alg: Alg): string {
  const format = { type: 'pkcs8', format: 'pem' } as const;
  return alg === 'Ed25519'
    ? generateKeyPairSync('ed25519').privateKey.export(format).toString()
    : generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export(format).toString();
}

/**
 * The signer of a private key file. Refused with one line that names the file: 'key-missing',
 * 'key-readable' (by group or others: says the chmod), 'key' (truncated, or no such key).
 */
export async function readKeyFile(path: string): Promise<Signer> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (cause) {
    if (errorCode(cause) !== 'ENOENT') throw cause;
    throw new Refused('key-missing', `there is no key ${path}`, { cause });
  }
  try {
    const { mode, size } = await file.stat();
    if ((mode & 0o077) !== 0) {
      throw new Refused('key-readable', `others may read the key ${path}: chmod 600 ${path}`);
    }
    if (size > longestKeyFileBytes) throw new Refused('key', `${path} is too large for a key`);
    return signerFromPem(await file.readFile('utf8'));
  } catch (cause) {
    if (!(cause instanceof Refused) || cause.message.includes(path)) throw cause;
    throw new Refused(cause.code, `${path}: ${cause.message}`, { cause });
  } finally {
    await file.close();
  }
}

function errorCode(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
