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

function report(name: string, counts: { passed?: number; failed?: number; skipped?: number }) {
  const text = JSON.stringify({
    numPassedTests: counts.passed ?? 0,
    numFailedTests: counts.failed ?? 0,
    numPendingTests: counts.skipped ?? 0,
    numTodoTests: 0,
    testResults: [],
  });
  writeFileSync(join(folder, 'test-reports', `${name}.json`), text);
}

function run(...words: string[]): { code: number | null; last: string | undefined } {
  const { status, stdout } = spawnSync(process.execPath, [sum, ...words], {
    cwd: folder,
    encoding: 'utf8',
  });
  return { code: status, last: stdout.trimEnd().split('\n').at(-1) };
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
  const testResults = [{ status: 'failed', assertionResults: [] }];
  const counts = { numPassedTests: 1, numFailedTests: 0, numPendingTests: 0, numTodoTests: 0 };
  writeFileSync(join(folder, 'test-reports/unit.json'), JSON.stringify({ ...counts, testResults }));
  expect(run('unit=1')).toEqual({ code: 1, last: '1 passed, 1 failed, 0 skipped' });
});

test('no test at all is not a success', () => {
  report('unit', {});
  expect(run('unit=0')).toEqual({ code: 1, last: '0 passed, 0 failed, 0 skipped' });
});
