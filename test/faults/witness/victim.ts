import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { decodeUtf8 } from '#core/bytes.ts';
import { Failed } from '#core/errors.ts';
import { formatNote, parseNote, withSignatures } from '#core/tlog/note.ts';
import { addCheckpoint, readMonitored, type CosignAnswer } from '#platform/witness-client.ts';
import { origin, type History } from '../../integration/witness/rig.ts';
import type { Said } from './said.ts';

const child = fileURLToPath(new URL('./witness.child.ts', import.meta.url));
const patience = { timeoutMs: 5_000 };
export const maxSize = 4_000;

/** A witness in a process of its own. */
export interface Victim {
  readonly url: string;
  readonly process: ChildProcess;
  /** The exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>;
  /** What it has written on its standard error. */
  readonly errors: () => string;
}

const running: ChildProcess[] = [];

/** Call it after each test. Resolves when none of them has a file open any more. */
export async function killAll(): Promise<void> {
  for (const one of running.splice(0)) {
    if (one.exitCode !== null || one.signalCode !== null) continue;
    one.kill('SIGKILL');
    await once(one, 'exit');
  }
}

export interface VictimOptions {
  /** Stands before the command, for limits that only a shell can set. */
  readonly shell?: string;
  /** How large its store grows; so small by itself that it is written anew every few moves. */
  readonly storeBytes?: number;
}

export async function startVictim(
  folder: string,
  { shell = '', storeBytes = 1_000 }: VictimOptions = {},
): Promise<Victim> {
  const command = `${shell} exec "$0" --import tsx "$1" "$2" 0 "$3"`;
  const words = [process.execPath, child, folder, String(storeBytes)];
  const started = spawn('bash', ['-c', command, ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
    // tsx writes no cache of its own where the size of files is limited.
    env: { ...process.env, TSX_DISABLE_CACHE: '1' },
  });
  running.push(started);
  let errors = '';
  started.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  const ended = once(started, 'close').then(
    ([code, signal]) => (code ?? signal) as number | string,
  );
  const url = await new Promise<string>((resolve, reject) => {
    started.stdout.once('data', (chunk: Buffer) => {
      resolve(chunk.toString().trim());
    });
    void ended.then((end) => {
      reject(new Error(`ended with ${end} before it served:\n${errors}`));
    });
  });
  return { url, process: started, ended, errors: () => errors };
}

/** Grows one history as fast as it can, until nobody answers any more or it is as large as wanted. */
export async function push(
  url: string,
  one: History,
  options: { readonly said: Said; readonly until?: number },
): Promise<void> {
  const { said, until = Infinity } = options;
  for (let known = 0; known < until;) {
    const to = Math.min(maxSize, known + 1 + (known % 3));
    let answer: CosignAnswer;
    try {
      answer = await addCheckpoint(url, await one.request(known, to), patience);
    } catch (error) {
      if (error instanceof Failed) return;
      throw error;
    }
    if (answer.result === 'cosigned') {
      said.take(formatNote(withSignatures(parseNote(one.note(to)), answer.signatures)));
      known = to;
    } else if (answer.result === 'conflict') {
      known = answer.size;
    } else {
      // The other history has won for good: this one goes on trying to catch it off its guard.
      expect(answer.status).toBe(422);
      known = 0;
    }
  }
}

/** Of the head that it shows, which is never below what was ever said; -1 for none. */
export async function sizeShown({ url }: Victim, said: Said): Promise<number> {
  const shown = await readMonitored(url, origin, patience);
  const size = shown === undefined ? -1 : Number(decodeUtf8(shown).split('\n')[1]);
  expect(size).toBeGreaterThanOrEqual(said.largest());
  if (shown !== undefined) said.take(shown);
  return size;
}
