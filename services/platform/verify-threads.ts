import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { Failed, Fatal } from '#core/errors.ts';
import type { PublicKey } from '#core/keys.ts';
import { hasLibsodium, judgeOf } from './libsodium.ts';
import { verifierOf, type VerifyAsync } from './verify.ts';

/**
 * Ed25519 by libsodium (libsodium.ts), in threads that are told many signatures at a time: a job in
 * libuv's pool costs the event loop nearly as much as it saves it. Other algorithms, and machines for
 * which libsodium is not there, go by `verifierOf`. The verdicts are those of the core on every input.
 */
export interface VerifyThreads {
  /** Rejects with Fatal('verify-thread') when a thread has died, Failed('stopped') after `close`. */
  readonly verifierOf: (key: PublicKey) => VerifyAsync;
  readonly close: () => Promise<void>;
}

export interface VerifyThreadsOptions {
  /** Threads, which start with the first signature; the event loop needs a core of its own. */
  readonly count?: number;
  readonly libsodium?: boolean;
}

/** Threads by which a single event loop would be busy with the rest of its work alone. */
const threadsLimit = 4;
/** Of one task: some milliseconds, so that the first of many do not wait for the last. */
const taskSignatures = 64;

/** What a thread is told: for each signature its key, itself and what it signs, one after another. */
interface Task {
  readonly id: number;
  /** Of what each signs. */
  readonly lengths: Uint32Array;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

interface Answer {
  readonly id: number;
  readonly verdicts: Uint8Array;
}

interface Asked {
  readonly key: Uint8Array;
  readonly signature: Uint8Array;
  readonly message: Uint8Array;
  readonly resolve: (good: boolean) => void;
  readonly reject: (error: Error) => void;
}

/** The caller bounds how many signatures wait. */
export function createVerifyThreads({
  count = Math.min(threadsLimit, Math.max(1, availableParallelism() - 1)),
  libsodium = hasLibsodium,
}: VerifyThreadsOptions = {}): VerifyThreads {
  let threads: readonly Thread[] | undefined;
  let collected: Asked[] = [];

  const send = (): void => {
    const asked = collected;
    if (asked.length === 0) return;
    collected = [];
    threads ??= Array.from({ length: count }, startThread);
    const [first, ...others] = threads;
    if (first === undefined) {
      for (const { reject } of asked) reject(new Failed('stopped', 'verification has ended'));
    } else others.reduce((least, it) => (it.load() < least.load() ? it : least), first).ask(asked);
  };
  const ask = (parts: Omit<Asked, 'resolve' | 'reject'>): Promise<boolean> =>
    new Promise((resolve, reject) => {
      // After what all sockets have brought in this turn.
      if (collected.length === 0) setImmediate(send);
      collected.push({ ...parts, resolve, reject });
      if (collected.length === taskSignatures) send();
    });

  return {
    verifierOf: (key) => {
      const byOpenssl = verifierOf(key);
      if (!libsodium || key.alg !== 'Ed25519') return byOpenssl;
      return (message, signature) => {
        const judge = judgeOf(signature);
        if (judge === 'libsodium') return ask({ key: key.raw, signature, message });
        return judge === 'openssl' ? byOpenssl(message, signature) : Promise.resolve(false);
      };
    },
    close: async () => {
      const running = threads ?? [];
      threads = [];
      await Promise.all(running.map(({ end }) => end()));
    },
  };
}

interface Thread {
  /** Signatures that are not answered. */
  readonly load: () => number;
  readonly ask: (asked: readonly Asked[]) => void;
  readonly end: () => Promise<void>;
}

function startThread(): Thread {
  const worker = new Worker(new URL('./verify.worker.mjs', import.meta.url), { execArgv: [] });
  const sent = new Map<number, readonly Asked[]>();
  let load = 0;
  let tasks = 0;
  let broken: Error | undefined;

  const breakOff = (error: Error): void => {
    broken ??= error;
    for (const asked of sent.values()) for (const { reject } of asked) reject(broken);
    sent.clear();
    load = 0;
  };
  const die = (cause: unknown): void => {
    breakOff(new Fatal('verify-thread', 'a thread that verifies signatures has died', { cause }));
  };
  worker.unref();
  worker.on('error', die);
  worker.on('exit', (code) => {
    die(new Error(`it ended with code ${code}`));
  });
  worker.on('message', ({ id, verdicts }: Answer) => {
    const asked = sent.get(id) ?? [];
    sent.delete(id);
    // A thread without work does not keep the process from ending.
    if (sent.size === 0) worker.unref();
    load -= asked.length;
    for (const [i, { resolve }] of asked.entries()) resolve(verdicts[i] === 1);
  });
  return {
    load: () => load,
    ask: (asked) => {
      if (broken !== undefined) {
        for (const { reject } of asked) reject(broken);
        return;
      }
      const task = taskOf(tasks++, asked);
      sent.set(task.id, asked);
      load += asked.length;
      worker.ref();
      worker.postMessage(task, [task.bytes.buffer]);
    },
    end: async () => {
      breakOff(new Failed('stopped', 'verification has ended'));
      await worker.terminate();
    },
  };
}

function taskOf(id: number, asked: readonly Asked[]): Task {
  const lengths = Uint32Array.from(asked, ({ message }) => message.length);
  const parts = asked.flatMap(({ key, signature, message }) => [key, signature, message]);
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return { id, lengths, bytes };
}
