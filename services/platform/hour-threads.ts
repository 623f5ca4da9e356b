import { availableParallelism } from 'node:os';
import { concurrentReads } from '#core/certificate/audit/audit-fetch.ts';
import type { LogRead } from '#core/certificate/audit/audit-files.ts';
import { hourPaths, type HourProver } from '#core/certificate/audit/hour-proof.ts';
import { Failed } from '#core/errors.ts';
import { createGate } from './gate.ts';
import { startHourThread, type HourThread, type TaskSource } from './hour-thread.ts';

/** Judges hours in worker threads, one a core, while the event loop folds what they have judged. */

/** Where the evidence lies: in a folder, which the threads read by themselves, or behind a `read`. */
export type HourSource = { readonly folder: string } | { readonly read: LogRead };

export interface HourThreads {
  /**
   * `trust` believes every signature of a meter. The prover rejects with Fatal('audit-thread') when a
   * thread has died, and after `close` with Failed('audit-thread').
   */
  readonly proverOf: (source: HourSource, signatures?: 'verify' | 'trust') => HourProver;
  readonly close: () => Promise<void>;
}

/** The event loop folds about as fast as so many threads judge. */
const threadsLimit = 6;
/** A plant stays with its thread, which has met its messages before, until that has so much more to do. */
const behindLimit = 32;
/** Plants whose thread is remembered. */
const homesLimit = 100_000;
/** Of files that were read and are not judged yet; those that are being read come on top. */
const waitingLimitBytes = 64 * 1024 * 1024;

export interface HourThreadsOptions {
  readonly count?: number;
  /** So many entries are worth the second or so that it takes to start the threads. */
  readonly worthEntries?: number;
}

/** They start with the first question, and do not keep the process from ending. */
export function createHourThreads({
  count = Math.min(threadsLimit, availableParallelism()),
  worthEntries = 4_096,
}: HourThreadsOptions = {}): HourThreads {
  let threads: readonly HourThread[] | undefined;
  const homes = new Map<string, HourThread>();

  const threadOf = (plant: string): HourThread => {
    threads ??= Array.from({ length: count }, startHourThread);
    const [least] = threads.toSorted((a, b) => a.load() - b.load());
    if (least === undefined) throw new Failed('audit-thread', 'the audit has ended');
    const home = homes.get(plant);
    if (home !== undefined && home.load() - least.load() <= behindLimit) return home;
    if (homes.size >= homesLimit) homes.clear();
    homes.set(plant, least);
    return least;
  };

  return {
    proverOf(source, signatures = 'verify') {
      const folder = 'folder' in source ? source.folder : undefined;
      const filesOf = 'folder' in source ? atOnce : readingWith(source.read);
      const isWorth = (entries: number): boolean =>
        threads !== undefined || entries >= worthEntries;
      return { isWorth, ...proverOf(threadOf, { source: { folder, signatures }, filesOf }) };
    },
    async close() {
      const running = threads ?? [];
      threads = [];
      homes.clear();
      await Promise.all(running.map(({ end }) => end()));
    },
  };
}

type Files = ReadonlyMap<string, Uint8Array>;

/** Gives `judge` the files of an hour; what it judges is undefined where one of them is not there. */
type WithFiles = (
  paths: () => readonly string[],
  judge: (files: Files | undefined) => Promise<string | undefined>,
) => Promise<string | undefined>;

/** The thread reads them. */
const atOnce: WithFiles = (_paths, judge) => judge(undefined);

function readingWith(read: LogRead): WithFiles {
  const gate = createGate({ limit: concurrentReads, limitWeight: waitingLimitBytes });
  return async (paths, judge) => {
    const entered = await gate.enter();
    try {
      let bytes = 0;
      const files = new Map<string, Uint8Array>();
      for (const path of paths()) {
        const file = await read(path);
        if (file === undefined) return undefined;
        files.set(path, file);
        bytes += file.length;
      }
      entered.weigh(bytes);
      return await judge(files);
    } finally {
      entered.leave();
    }
  };
}

function proverOf(
  threadOf: (plant: string) => HourThread,
  { source, filesOf }: { readonly source: TaskSource; readonly filesOf: WithFiles },
): Pick<HourProver, 'prove' | 'ahead'> {
  return {
    prove: ({ plant, register, entry: { kind, spec }, records }) =>
      filesOf(
        () => hourPaths({ kind, spec }),
        async (files) => {
          // Of their own bytes: a view would take the whole bundle along.
          const own = records.map((record) => record.slice());
          const job = { entry: { kind, spec }, records: own, files };
          const answer = await threadOf(plant).ask(source, register, job);
          return typeof answer === 'string' ? answer : undefined;
        },
      ),
    async ahead({ plant, register, leaves }) {
      const own = leaves.map((leaf) => leaf.slice());
      return (await threadOf(plant).ask(source, register, { leaves: own })) === true;
    },
  };
}
