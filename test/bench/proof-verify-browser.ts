import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { verifyProof } from '#core/certificate/proof/verify.ts';
import { parsePolicy } from '#core/tlog/policy.ts';

/**
 * One process that verifies the proof files of a folder by the code that browsers run, for which it is
 * started with `--conditions=browser`: `proof-verify-browser.ts FOLDER POLICY`. Prints the milliseconds of
 * each, in the order of their names, as a JSON array: that of the first is what a fresh process takes;
 * it is verified many times before the second one follows, so that what these take is not compiling.
 * No file is timed twice, since its keys would be known the second time.
 */
const [folder = '', policyPath = ''] = process.argv.slice(2);
const warmUps = 30;

const policy = parsePolicy(readFileSync(policyPath, 'utf8'));
const files = readdirSync(folder)
  .sort()
  .map((name) => readFileSync(join(folder, name)));

function timed(file: Uint8Array): number {
  const startedAt = performance.now();
  const { result } = verifyProof(file, { policy });
  const elapsedMs = performance.now() - startedAt;
  if (result !== 'verified') throw new Error(`a proof file is ${result}`);
  return elapsedMs;
}

const [first, ...others] = files;
if (first === undefined) throw new Error('no proof file');
const elapsedMs = [timed(first)];
for (let i = 0; i < warmUps; i++) timed(first);
for (const file of others) elapsedMs.push(timed(file));
process.stdout.write(JSON.stringify(elapsedMs));
