import { parentPort } from 'node:worker_threads';
import { createHourWork } from '#core/certificate/audit/hour-proof.ts';
import { Failed } from '#core/errors.ts';
import type { Answer, Answers, Task } from './hour-thread.ts';
import { readFolderFile } from './log-reader.ts';
import { createSignatureMemory } from './signature-check.ts';

/**
 * A thread that judges hours (core/certificate/audit/hour-proof.ts): it reads, parses, hashes, verifies
 * and recomputes. Anything that is wrong with itself it says by dying.
 */
const port = parentPort;
if (port === null) throw new Error('hour.worker.ts runs as a worker thread only');

/** Larger files are left to whoever asks: he reads one at a time. */
const fileLimitBytes = 4 * 1024 * 1024;

const verified = createHourWork(createSignatureMemory());
const trusted = createHourWork(() => undefined);

function readFrom(folder: string): (path: string) => Uint8Array | undefined {
  return (path) => {
    try {
      return readFolderFile(folder, path, fileLimitBytes);
    } catch (error) {
      // Whoever asks reads it again, and says why it cannot be read.
      if (!(error instanceof Failed)) throw error;
      return undefined;
    }
  };
}

function readGiven(
  files: ReadonlyMap<string, Uint8Array>,
): (path: string) => Uint8Array | undefined {
  return (path) => {
    const bytes = files.get(path);
    return bytes !== undefined && bytes.length <= fileLimitBytes ? bytes : undefined;
  };
}

function answer({ folder, signatures, registers, jobs }: Task): Answer[] {
  const work = signatures === 'verify' ? verified : trusted;
  return jobs.map((job) => {
    const register = registers[job.register] ?? '';
    if ('leaves' in job) return work.ahead(register, job.leaves);
    const { entry, records, files } = job;
    const read = files === undefined ? readFrom(folder ?? '') : readGiven(files);
    return work.prove({ register, entry, records }, read) ?? false;
  });
}

port.on('message', (task: Task) => {
  port.postMessage({ id: task.id, answers: answer(task) } satisfies Answers);
});
