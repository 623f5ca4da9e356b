import type { HourQuestion } from '#core/certificate/audit/hour-proof.ts';
import { Failed, Fatal } from '#core/errors.ts';
import { startTypescriptWorker } from './typescript-worker.ts';

/** One thread that judges hours (hour.worker.ts), and what is said to it. */

/** Whom the thread believes, and where it reads: the folder, unless files come along with a job. */
export interface TaskSource {
  readonly folder: string | undefined;
  readonly signatures: 'verify' | 'trust';
}

/** What a thread is sent at a time. */
export interface Task extends TaskSource {
  readonly id: number;
  readonly registers: readonly string[];
  readonly jobs: readonly ((ProveJob | AheadJob) & { readonly register: number })[];
}

/** Of an hour. */
export interface ProveJob extends Pick<HourQuestion, 'entry' | 'records'> {
  /** By path. */
  readonly files: ReadonlyMap<string, Uint8Array> | undefined;
}

/** Of leaves of hours that are not sealed yet. */
export interface AheadJob {
  readonly leaves: readonly Uint8Array[];
}

/** `HourWork.prove` or `ahead`: what is shown, or whether it could be said. */
export type Answer = string | boolean;

/** One for each job. */
export interface Answers {
  readonly id: number;
  readonly answers: readonly Answer[];
}

export interface HourThread {
  /** Jobs that are not answered. */
  readonly load: () => number;
  /** Rejects with Fatal('audit-thread') when the thread has died, Failed('audit-thread') when it was ended. */
  readonly ask: (source: TaskSource, register: string, job: ProveJob | AheadJob) => Promise<Answer>;
  readonly end: () => Promise<void>;
}

/** A message to a thread and back costs about as much as one hour. */
const jobsOfTask = 32;
/** For one task. */
const taskLimitMs = 600_000;

interface Asked {
  readonly register: string;
  readonly job: ProveJob | AheadJob;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
}

interface Sent {
  readonly asked: readonly Asked[];
  readonly timer: NodeJS.Timeout;
}

export function startHourThread(): HourThread {
  const worker = startTypescriptWorker(new URL('./hour.worker.ts', import.meta.url), undefined);
  const sent = new Map<number, Sent>();
  let collected: { readonly source: TaskSource; readonly asked: Asked[] } | undefined;
  let tasks = 0;
  let load = 0;
  let broken: Error | undefined;

  /** Nothing that is under way is ever answered. */
  const breakOff = (error: Error): void => {
    broken ??= error;
    const lost = [...sent.values(), ...(collected === undefined ? [] : [collected])];
    collected = undefined;
    for (const { timer } of sent.values()) clearTimeout(timer);
    sent.clear();
    load = 0;
    for (const { asked } of lost) for (const { reject } of asked) reject(broken);
  };
  const die = (cause: unknown): void => {
    breakOff(new Fatal('audit-thread', 'a thread of the audit has died', { cause }));
  };

  const send = (): void => {
    if (collected === undefined) return;
    const { source, asked } = collected;
    collected = undefined;
    const id = tasks++;
    const timer = setTimeout(() => {
      die(new Error(`no answer within ${taskLimitMs} ms`));
      void worker.terminate();
    }, taskLimitMs);
    sent.set(id, { asked, timer });
    // A thread without work does not keep the process from ending.
    worker.ref();
    worker.postMessage(taskOf(id, source, asked));
  };

  worker.unref();
  worker.on('error', die);
  worker.on('exit', (code) => {
    die(new Error(`it ended with code ${code}`));
  });
  worker.on('message', ({ id, answers }: Answers) => {
    const task = sent.get(id);
    if (task === undefined) return;
    sent.delete(id);
    clearTimeout(task.timer);
    if (sent.size === 0) worker.unref();
    load -= task.asked.length;
    for (const [i, { resolve, reject }] of task.asked.entries()) {
      const answer = answers[i];
      if (answer === undefined) reject(new Fatal('audit-thread', 'a job without an answer'));
      else resolve(answer);
    }
  });

  return {
    load: () => load,
    ask(source, register, job) {
      if (broken !== undefined) return Promise.reject(broken);
      if (collected !== undefined && !isSame(collected.source, source)) send();
      const into = (collected ??= begin(source));
      load += 1;
      return new Promise((resolve, reject) => {
        into.asked.push({ register, job, resolve, reject });
        if (into.asked.length === jobsOfTask) send();
      });
    },
    async end() {
      breakOff(new Failed('audit-thread', 'the audit has ended'));
      await worker.terminate();
    },
  };

  /** What is asked for in the same turn goes as one. */
  function begin(source: TaskSource): NonNullable<typeof collected> {
    const begun = { source, asked: [] };
    queueMicrotask(() => {
      if (collected === begun) send();
    });
    return begun;
  }
}

function isSame(a: TaskSource, b: TaskSource): boolean {
  return a.folder === b.folder && a.signatures === b.signatures;
}

/** Each register goes along once. */
function taskOf(id: number, source: TaskSource, asked: readonly Asked[]): Task {
  const places = new Map<string, number>();
  const jobs = asked.map(({ register: text, job }) => {
    const register = places.get(text) ?? places.size;
    places.set(text, register);
    return { ...job, register };
  });
  return { ...source, id, registers: [...places.keys()], jobs };
}
