import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { sha256 } from '#crypto';
import { utf8 } from '#core/bytes.ts';
import { pemFromSeed } from '#core/signer.node.ts';
import { formatVkey } from '#core/tlog/note.ts';
import { addCheckpoint } from '#platform/witness-client.ts';
import { createRig, history, logKey, witnessName } from './rig.ts';

const main = fileURLToPath(new URL('../../../services/witness/main.ts', import.meta.url));
const rig = createRig();
let environment: Record<string, string>;
let keyFile: string;

beforeEach(() => {
  const place = rig.folder();
  keyFile = join(place, 'key.pem');
  const logsFile = join(place, 'logs');
  writeFileSync(keyFile, pemFromSeed(sha256(utf8('a witness'))), { mode: 0o600 });
  writeFileSync(logsFile, `log ${formatVkey(logKey)}\n`);
  environment = {
    WITNESS_FOLDER: join(place, 'store', 'of', 'its own'),
    WITNESS_KEY_FILE: keyFile,
    WITNESS_NAME: witnessName,
    WITNESS_LOGS_FILE: logsFile,
    WITNESS_LISTEN: '127.0.0.1:0',
  };
});
afterEach(rig.clear);

interface Running {
  /** Where it serves; rejects when it ends before. */
  readonly url: Promise<string>;
  readonly stop: () => Promise<number>;
  /** What it said on standard error, once it has ended by itself. */
  readonly lastWords: () => Promise<string>;
}

function run(change: Readonly<Record<string, string>> = {}): Running {
  const started = spawn(process.execPath, ['--import', 'tsx', main], {
    env: { ...process.env, ...environment, ...change },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  const ended = once(started, 'close').then(([code]) => code as number);
  const url = new Promise<string>((resolve, reject) => {
    started.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      const [, found] = /"url":"([^"]*)"/.exec(said) ?? [];
      if (found !== undefined) resolve(found);
    });
    void ended.then(() => {
      reject(new Error(said));
    });
  });
  url.catch(() => undefined);
  return {
    url,
    stop: () => {
      started.kill('SIGTERM');
      return ended;
    },
    lastWords: async () => {
      expect(await ended).toBe(1);
      return said;
    },
  };
}

it('is run by its environment, and ends with 0 when it is asked to', async () => {
  const a = history('a');
  const patience = { timeoutMs: 10_000 };
  const first = run();
  expect(await addCheckpoint(await first.url, await a.request(0, 5), patience)).toMatchObject({
    result: 'cosigned',
  });
  expect(await first.stop()).toBe(0);
  const second = run();
  expect(await addCheckpoint(await second.url, await a.request(0, 6), patience)).toEqual({
    result: 'conflict',
    size: 5,
  });
  expect(await second.stop()).toBe(0);
});

it('says in its last words what must be changed', async () => {
  chmodSync(keyFile, 0o640);
  expect(await run().lastWords()).toContain(`chmod 600 ${keyFile}`);
  chmodSync(keyFile, 0o600);
  expect(await run({ WITNESS_NAME: '' }).lastWords()).toContain('WITNESS_NAME must be set');
  expect(await run({ WITNESS_AUDIT: 'on' }).lastWords()).toContain('/audit');
  const auditing = { WITNESS_AUDIT: 'on', WITNESS_NAME: 'w/audit' };
  expect(await run(auditing).lastWords()).toContain('no URL to audit it from');
  writeFileSync(environment.WITNESS_LOGS_FILE ?? '', 'log nonsense\n');
  expect(await run().lastWords()).toContain('line 1: not a verifier key');
});
