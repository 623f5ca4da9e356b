import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { program } from '#support/needs.ts';

const root = resolve(import.meta.dirname, '../../..');
const timeoutMs = 100_000;

const config = `
import { SkipReporter } from '${root}/test/support/skip-reporter.ts';
export default { test: { reporters: [new SkipReporter()], include: ['*.test.ts'] } };
`;
const suite = `
import { test } from '${root}/node_modules/vitest/dist/index.js';
import { describeWith, program } from '${root}/test/support/needs.ts';
describeWith([program('no-such-program', 'no-such-package')], 'needs a program', () => {
  test('that nobody has', () => { throw new Error('ran'); });
});
test('has nothing to do today', ({ skip }) => { skip('not on a Sunday'); });
test('runs', () => {});
`;

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hourseal-skips-'));
  await writeFile(join(folder, 'vitest.config.ts'), config);
  await writeFile(join(folder, 'skips.test.ts'), suite);
});

afterAll(() => rm(folder, { recursive: true, force: true }));

interface Ended {
  readonly code: number | null;
  readonly output: string;
}

function runSuite(environment: Record<string, string>): Promise<Ended> {
  const { HOURSEAL_CI: _ci, VITEST: _vitest, ...inherited } = process.env;
  return new Promise((resolveRun, reject) => {
    const child = spawn(
      process.execPath,
      [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--root', folder],
      { cwd: root, env: { ...inherited, ...environment }, timeout: timeoutMs },
    );
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.once('error', reject);
    child.once('close', (code) => resolveRun({ code, output }));
  });
}

test('every skipped test is printed with what is missing and how to get it', async () => {
  const { code, output } = await runSuite({});
  expect(output).toContain('2 skipped:');
  expect(output).toContain('needs a program > that nobody has');
  expect(output).toContain('no-such-program is not installed: apt install no-such-package');
  expect(output).toContain('not on a Sunday');
  expect(code).toBe(0);
});

test('a skipped test is a failure in CI', async () => {
  const { code, output } = await runSuite({ HOURSEAL_CI: '1' });
  expect(output).toContain('In CI a skipped test is a failure.');
  expect(code).toBe(1);
});

test('a program is found on the PATH, and a missing one says how to get it', () => {
  expect(program('sh', 'dash').path).toMatch(/\/sh$/);
  expect(program('no-such-program', 'nothing')).toEqual({
    reason: 'no-such-program is not installed: apt install nothing',
  });
});
