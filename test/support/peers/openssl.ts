import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { concat, fromHex } from '#core/bytes.ts';

const run = promisify(execFile);
const limitMs = 30_000;

/** SubjectPublicKeyInfo of an Ed25519 key up to its 32 bytes (RFC 8410, section 4). */
const spkiPrefix = fromHex('302a300506032b6570032100');

/** The openssl command with keys and files in a folder of its own. */
export interface Openssl {
  /** `openssl pkeyutl -verify -rawin`; throws where it gives no verdict. */
  readonly verify: (signed: Signed) => Promise<boolean>;
  /** A fresh Ed25519 key of its own making; 32 bytes, and what signs with it. */
  readonly createKey: () => Promise<{
    readonly publicKey: Uint8Array;
    readonly sign: (message: Uint8Array) => Promise<Uint8Array>;
  }>;
  readonly close: () => void;
}

export interface Signed {
  readonly publicKey: Uint8Array;
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
}

export function openOpenssl(path: string): Openssl {
  const folder = mkdtempSync(join(tmpdir(), 'hourseal-openssl-'));
  const fileOf = async (bytes: Uint8Array): Promise<string> => {
    const file = join(folder, randomUUID());
    await writeFile(file, bytes);
    return file;
  };
  const openssl = (...args: string[]) => run(path, args, { timeout: limitMs });
  return {
    async verify({ publicKey, message, signature }) {
      const key = await fileOf(concat(spkiPrefix, publicKey));
      const [said, by] = [await fileOf(message), await fileOf(signature)];
      const how = ['-verify', '-rawin', '-pubin', '-keyform', 'DER', '-inkey', key];
      try {
        const { stdout } = await openssl('pkeyutl', ...how, '-in', said, '-sigfile', by);
        if (stdout.includes('Signature Verified Successfully')) return true;
        throw new Error(`openssl says ${stdout}`);
      } catch (error) {
        const { stdout = '' } = error as { stdout?: string };
        if (stdout.includes('Signature Verification Failure')) return false;
        throw error;
      }
    },
    async createKey() {
      const key = join(folder, `${randomUUID()}.pem`);
      await openssl('genpkey', '-algorithm', 'ed25519', '-out', key);
      const der = join(folder, randomUUID());
      await openssl('pkey', '-in', key, '-pubout', '-outform', 'DER', '-out', der);
      return {
        publicKey: Uint8Array.from(await readFile(der)).subarray(spkiPrefix.length),
        async sign(message) {
          const [said, out] = [await fileOf(message), join(folder, randomUUID())];
          await openssl('pkeyutl', '-sign', '-rawin', '-inkey', key, '-in', said, '-out', out);
          return Uint8Array.from(await readFile(out));
        },
      };
    },
    close() {
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
