import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { changeProof, honestProof } from '#support/proof-builder.ts';

const command = resolve('services/cli/hourseal.mjs');
const timeoutMs = 60_000;

let folder = '';
let good = '';
let bad = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hourseal-verify-'));
  [good, bad] = [join(folder, 'good.hourseal.json'), join(folder, 'bad.hourseal.json')];
  const proof = honestProof();
  await writeFile(good, proof);
  await writeFile(
    bad,
    changeProof(proof, ({ bundle }) => (bundle.to += 1)),
  );
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

interface Ended {
  readonly code: number | string | null | undefined;
  readonly out: string;
  readonly err: string;
}

/** Run from another folder: a certificate is checked wherever somebody happens to stand. */
function hourseal(...args: readonly string[]): Promise<Ended> {
  return new Promise((done) => {
    const options = { cwd: folder, timeout: timeoutMs };
    execFile(process.execPath, [command, ...args], options, (error, out, err) => {
      done({ code: error === null ? 0 : error.code, out, err });
    });
  });
}

describe('the command hourseal verify', () => {
  it('ends with the code that scripts rely upon, and keeps to its channels', async () => {
    const undecided = await hourseal('verify', good);
    expect([undecided.code, undecided.err]).toEqual([4, '']);
    expect(undecided.out).toContain('7 ✓ pass');
    const failed = await hourseal('verify', '--json', bad);
    expect([failed.code, failed.err]).toEqual([1, '']);
    expect(JSON.parse(failed.out)).toMatchObject({ file: bad, result: 'failed' });
    const unreadable = await hourseal('verify', folder);
    expect(unreadable).toEqual({
      code: 3,
      out: '',
      err: `hourseal: ${folder}: a directory, not a file\n`,
    });
    const noPolicy = await hourseal('verify', '--policy', join(folder, 'none'), good);
    expect([noPolicy.code, noPolicy.out]).toEqual([3, '']);
    expect(noPolicy.err.trimEnd().split('\n')).toHaveLength(1);
    const usage = await hourseal('verify');
    expect([usage.code, usage.out]).toEqual([2, '']);
  });
});
