// The entry of every worker thread: it teaches the thread to read TypeScript and then imports the
// module named in `workerData.module`. Plain JavaScript, because a worker inherits tsx neither from
// vitest nor reliably from the command line, and the same file must do under all of them.
import { workerData } from 'node:worker_threads';
import { register } from 'tsx/esm/api';

register();
await import(workerData.module);
