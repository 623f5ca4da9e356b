import { Worker } from 'node:worker_threads';

/**
 * Starts a worker thread on a TypeScript module (a file URL, usually
 * `new URL('./x.worker.ts', import.meta.url)`). `data` arrives there as `workerData.data`.
 * The caller owns the thread: it listens for 'error' and 'exit', and ends it.
 */
export function startTypescriptWorker(module: URL, data: unknown): Worker {
  return new Worker(new URL('./typescript-worker.mjs', import.meta.url), {
    workerData: { module: module.href, data },
    execArgv: [],
  });
}
