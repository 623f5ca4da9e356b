import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

const sum = resolve(import.meta.dirname, '../../../.ci/sum.mjs');
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hourseal-sum-'));
  mkdirSync(join(folder, 'test-reports'));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

interface Counts {
  readonly passed?: number;
  readonly failed?: number;
  readonly skipped?: number;
}

function report(name: string, counts: Counts, testResults: readonly object[] = []) {
  const text = JSON.stringify({
    numPassedTests: counts.passed ?? 0,
    numFailedTests: counts.failed ?? 0,
    numPendingTests: counts.skipped ?? 0,
    numTodoTests: 0,
    testResults,
  });
  writeFileSync(join(folder, 'test-reports', `${name}.json`), text);
}

interface Sum {
  readonly code: number | null;
  readonly last: string | undefined;
}

function tell(...words: string[]): Sum & { told: string[] } {
  const { status, stdout } = spawnSync(process.execPath, [sum, ...words], {
    cwd: folder,
    encoding: 'utf8',
  });
  const told = stdout.trimEnd().split('\n');
  const last = told.pop();
  return { code: status, last, told };
}

function run(...words: string[]): Sum {
  const { code, last } = tell(...words);
  return { code, last };
}

/** A file of the report: its failed tests by name with their messages, or its own message. */
function file(name: string, failed: Record<string, string> | string): object {
  const assertionResults =
    typeof failed === 'string'
      ? []
      : Object.entries(failed).map(([fullName, message]) => ({
          fullName,
          status: 'failed',
          duration: 12.3,
          failureMessages: [message],
        }));
  const message = typeof failed === 'string' ? failed : '';
  return { name: join(folder, name), status: 'failed', message, assertionResults };
}

test('adds up the runs and ends with 0 when all passed', () => {
  report('unit', { passed: 3 });
  report('all', { passed: 4 });
  expect(run('unit=0', 'all=0')).toEqual({ code: 0, last: '7 passed, 0 failed, 0 skipped' });
});

test('a failed test ends with 1', () => {
  report('unit', { passed: 3, failed: 2 });
  expect(run('unit=1')).toEqual({ code: 1, last: '3 passed, 2 failed, 0 skipped' });
});

test('a skipped test ends with 1, even if its run ended with 0', () => {
  report('unit', { passed: 3, skipped: 1 });
  expect(run('unit=0')).toEqual({ code: 1, last: '3 passed, 0 failed, 1 skipped' });
});

test('a missing report counts as a failure', () => {
  report('unit', { passed: 3 });
  expect(run('unit=0', 'all=0')).toEqual({ code: 1, last: '3 passed, 1 failed, 0 skipped' });
});

test('a run that ended badly though every test passed counts as a failure', () => {
  report('unit', { passed: 3 });
  expect(run('unit=1')).toEqual({ code: 1, last: '3 passed, 1 failed, 0 skipped' });
});

test('a file that did not load counts as a failure', () => {
  report('unit', { passed: 1 }, [file('a.test.ts', 'no module')]);
  expect(run('unit=1')).toEqual({ code: 1, last: '1 passed, 1 failed, 0 skipped' });
});

test('no test at all is not a success', () => {
  report('unit', {});
  expect(run('unit=0')).toEqual({ code: 1, last: '0 passed, 0 failed, 0 skipped' });
});

test('tells what failed, by run, file and name, with the beginning of its message', () => {
  const message =
    'Error: Property failed\n{ seed: 7 }\n    at a.ts:1\n\nCounterexample: [1]\nfour\nfive';
  const good = { fullName: 'is good', status: 'passed', failureMessages: [] };
  const passed = { name: join(folder, 'c.test.ts'), status: 'passed', assertionResults: [good] };
  report('unit', { passed: 1, failed: 1 }, [
    file('test/a.test.ts', { 'numbers are even': message }),
    file('b.test.ts', 'Cannot find module\nfrom b'),
    passed,
  ]);
  const { told, last } = tell('unit=1');
  expect(told).toEqual([
    'unit: test/a.test.ts > numbers are even',
    '    Error: Property failed',
    '    { seed: 7 }',
    '    Counterexample: [1]',
    '    four',
    'unit: b.test.ts as a whole',
    '    Cannot find module',
    '    from b',
    'unit: ended with exit code 1',
  ]);
  expect(last).toBe('1 passed, 2 failed, 0 skipped');
});

test('says where to look when a run failed and no test of it did', () => {
  report('unit', { passed: 1 });
  const { told, last } = tell('unit=1');
  expect(told).toEqual([
    'unit: ended with exit code 1',
    '    and no test failed: an error outside of them, or a step before them; it is told above',
  ]);
  expect(last).toBe('1 passed, 1 failed, 0 skipped');
});

test('says nothing but the sum where nothing failed', () => {
  report('unit', { passed: 1 });
  expect(tell('unit=0').told).toEqual([]);
});

test('says of a test that ran out of time that it did', () => {
  report('unit', { failed: 1 }, [file('a.test.ts', { hangs: 'Error: STACK_TRACE_ERROR' })]);
  expect(tell('unit=1').told).toContain('    Error: given up after 12 ms');
});

test.each([1, 9, 39, 40, 41, 500])('of %d failures it tells no more than 40 lines', (count) => {
  const names = Array.from({ length: count }, (_, n) => `test ${n}`);
  const failed = names.map((name) => [name, `${'long '.repeat(100)}\ntwo\nthree\nfour\nfive`]);
  report('all', { failed: count }, [
    file('a.test.ts', Object.fromEntries(failed) as Record<string, string>),
  ]);
  const { told, last } = tell('all=0');
  expect(told.length).toBe(Math.min(40, 5 * count));
  for (const line of told) expect(line.length).toBeLessThanOrEqual(200);
  const named = told.filter((line) => line.startsWith('all: a.test.ts > test '));
  expect(named).toHaveLength(Math.min(count, 39));
  expect(told.includes(`and ${count - 39} more`)).toBe(count > 39);
  expect(last).toBe(`0 passed, ${count} failed, 0 skipped`);
});
