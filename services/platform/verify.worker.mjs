// A thread that verifies Ed25519 signatures by libsodium, for verify-threads.ts, which says what a task
// looks like. Plain JavaScript, because a thread that first learns to read TypeScript takes half a
// second to start.
import { parentPort } from 'node:worker_threads';
import { crypto_sign_verify_detached } from 'sodium-native';

const keyBytes = 32;
const signatureBytes = 64;

/** One byte for each signature: 1 is good. */
function verdictsOf(lengths, bytes) {
  const verdicts = new Uint8Array(lengths.length);
  let at = 0;
  const next = (length) => bytes.subarray(at, (at += length));
  for (const [i, length] of lengths.entries()) {
    const key = next(keyBytes);
    const signature = next(signatureBytes);
    const message = next(length);
    verdicts[i] = crypto_sign_verify_detached(signature, message, key) ? 1 : 0;
  }
  return verdicts;
}

parentPort.on('message', ({ id, lengths, bytes }) => {
  parentPort.postMessage({ id, verdicts: verdictsOf(lengths, bytes) });
});
