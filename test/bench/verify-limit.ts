import { spawnSync } from 'node:child_process';
import { generateKeyPairSync, sign, verify } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { fileURLToPath } from 'node:url';

const seconds = 3;
const workers = 2;

/**
 * How many Ed25519 signatures this machine verifies in a second on two cores when it does nothing
 * else: by `openssl speed`, or without it by node:crypto, one worker a core.
 */
export async function verifyLimit(): Promise<number> {
  const openssl = spawnSync(
    'openssl',
    ['speed', '-seconds', String(seconds), '-multi', String(workers), 'ed25519'],
    { encoding: 'utf8' },
  );
  if (openssl.status === 0) {
    const last = /EdDSA \(Ed25519\).*\s([0-9.]+)\s*$/m.exec(openssl.stdout);
    if (last?.[1] !== undefined) return Number(last[1]);
  }
  const counts = await Promise.all(
    Array.from({ length: Math.min(workers, availableParallelism()) }, countInWorker),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

function countInWorker(): Promise<number> {
  const path = fileURLToPath(import.meta.url);
  const worker = new Worker(path, { execArgv: [...process.execArgv] });
  return new Promise((resolve, reject) => {
    worker.once('message', (count: number) => {
      resolve(count);
    });
    worker.once('error', reject);
  });
}

function countHere(): number {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const message = Buffer.alloc(320, 7);
  const signature = sign(null, message, privateKey);
  const end = performance.now() + seconds * 1000;
  let count = 0;
  while (performance.now() < end) {
    verify(null, message, publicKey, signature);
    count++;
  }
  return count / seconds;
}

if (!isMainThread && parentPort !== null) parentPort.postMessage(countHere());
