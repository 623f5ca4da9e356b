import { createReadStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { printable } from '#core/certificate/proof/ladder.ts';
import { concat, decodeUtf8 } from '#core/bytes.ts';
import { Refused, within } from '#core/errors.ts';
import { parsePolicy, policyLimitBytes, type Policy } from '#core/tlog/policy.ts';

/** A policy file that somebody names. Refused('unreadable' | 'utf8' | 'policy') with one line. */
export async function readPolicy(file: string): Promise<Policy> {
  return (await readPolicyFile(file)).policy;
}

/** The same, with the text that it was read from: a log holds that. */
export async function readPolicyFile(file: string): Promise<{ text: string; policy: Policy }> {
  const bytes = await readLimited(file, policyLimitBytes);
  try {
    return within(file, () => {
      const text = decodeUtf8(bytes);
      return { text, policy: parsePolicy(text) };
    });
  } catch (cause) {
    if (!(cause instanceof Refused)) throw cause;
    throw new Refused(cause.code, printable(cause.message), { cause });
  }
}

/**
 * Refused('unreadable') with one line. Never more than the limit is read, so that a pipe or a device,
 * whose size nobody can tell beforehand, costs no more than a file.
 */
export async function readLimited(file: string, limitBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    const stream = createReadStream(file, { end: limitBytes });
    for await (const chunk of stream as AsyncIterable<Uint8Array>) {
      chunks.push(chunk);
      length += chunk.length;
    }
  } catch (cause) {
    throw new Refused('unreadable', `${file}: ${whyUnreadable(cause)}`, { cause });
  }
  if (length > limitBytes) {
    throw new Refused('unreadable', `${file}: more than the ${limitBytes} bytes that are read`);
  }
  return concat(...chunks);
}

function whyUnreadable(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  if (code === 'ENOENT') return 'there is no such file';
  if (code === 'EISDIR') return 'a directory, not a file';
  return `cannot be read (${cause instanceof Error ? cause.message : String(cause)})`;
}

/** A file that is not there yet; nothing of anybody's is overwritten. Refused('unwritable'). */
export async function writeNewFile(file: string, bytes: Uint8Array): Promise<void> {
  try {
    await writeFile(file, bytes, { flag: 'wx' });
  } catch (cause) {
    const isThere = cause instanceof Error && 'code' in cause && cause.code === 'EEXIST';
    const said = cause instanceof Error ? cause.message : String(cause);
    const why = isThere ? 'is there already' : `cannot be written (${said})`;
    throw new Refused('unwritable', `${file}: ${why}`, { cause });
  }
}
