// Sums the reports of every test run: node .ci/sum.mjs NAME=EXIT-CODE…, where NAME is that run's
// report, test-reports/NAME.json. The unit tests run twice (in `npm run check` and in the README's
// test command) and count twice: the line is a sum over runs, not a count of distinct tests.
// What failed is told again before that line, so that the end of a long log says it.
// Ends non-zero unless every run ended with 0, left its report, and failed and skipped nothing.
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';

const toldLines = 40;
const messageLines = 4;
const lineCharacters = 200;

const total = { passed: 0, failed: 0, skipped: 0 };
const failures = [];
let bad = false;

/** What one run's report says; a run that left none, or left one it could not finish, failed. */
function count(name) {
  let report;
  try {
    report = JSON.parse(readFileSync(`test-reports/${name}.json`, 'utf8'));
  } catch (error) {
    failures.push([`${name}: no report (${error.message})`]);
    return { passed: 0, failed: 1, skipped: 0 };
  }
  const failed = report.testResults.filter(({ status }) => status === 'failed');
  // A file that does not load has no tests to fail, and must not pass for that.
  const unloaded = failed.filter(({ assertionResults }) => !assertionResults.some(isFailed));
  for (const file of failed) failures.push(...failuresOf(name, file));
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + unloaded.length,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

function isFailed({ status }) {
  return status === 'failed';
}

/** The lines to tell of each failed test of a file, or of the file as a whole. */
function failuresOf(run, { name, message, assertionResults }) {
  const path = relative('.', name ?? '');
  const tests = assertionResults.filter(isFailed);
  if (tests.length === 0) return [[`${run}: ${path} as a whole`, ...firstLines(message)]];
  return tests.map((test) => [
    `${run}: ${path} > ${test.fullName}`,
    ...firstLines((test.failureMessages ?? []).map(timeLimit(test)).join('\n')),
  ]);
}

/** The report of a test that was given up for its time names no cause, only where it is written. */
function timeLimit({ duration }) {
  return (message) =>
    message.replace('STACK_TRACE_ERROR', `given up after ${Math.round(duration)} ms`);
}

/** Of a message, not of its stack. */
function firstLines(message = '') {
  const lines = message.split('\n').filter((line) => line.trim() !== '' && !/^ +at /.test(line));
  return lines.slice(0, messageLines).map((line) => `    ${line.trim()}`);
}

/** Every failure by its name, as far as the limit goes, and as many messages as fit beside them. */
function tell() {
  const names = failures.length;
  let room = toldLines - names;
  for (const [name, ...message] of failures.slice(0, toldLines - 1)) {
    const shown = message.slice(0, Math.max(0, room));
    room -= shown.length;
    for (const line of [name, ...shown]) console.log(line.slice(0, lineCharacters));
  }
  if (names >= toldLines) console.log(`and ${names - toldLines + 1} more`);
}

const untold =
  '    and no test failed: an error outside of them, or a step before them; it is told above';

for (const argument of process.argv.slice(2)) {
  const [name, exitCode] = argument.split('=');
  const counted = count(name);
  if (exitCode !== '0') {
    const isUntold = counted.failed === 0 && counted.skipped === 0;
    failures.push([`${name}: ended with exit code ${exitCode}`, ...(isUntold ? [untold] : [])]);
    bad = true;
    if (isUntold) counted.failed = 1;
  }
  for (const key of Object.keys(total)) total[key] += counted[key];
}
tell();
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exitCode = bad || total.passed === 0 || total.failed > 0 || total.skipped > 0 ? 1 : 0;
