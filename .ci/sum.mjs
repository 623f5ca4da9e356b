// Sums the reports of every test run: node .ci/sum.mjs NAME=EXIT-CODE…, where NAME is that run's
// report, test-reports/NAME.json. The unit tests run twice (in `npm run check` and in the README's
// test command) and count twice: the line is a sum over runs, not a count of distinct tests.
// Ends non-zero unless every run ended with 0, left its report, and failed and skipped nothing.
import { readFileSync } from 'node:fs';

const total = { passed: 0, failed: 0, skipped: 0 };
let bad = false;

/** What one run's report says; a run that left none, or left one it could not finish, failed. */
function count(name) {
  let report;
  try {
    report = JSON.parse(readFileSync(`test-reports/${name}.json`, 'utf8'));
  } catch (error) {
    console.log(`${name}: no report (${error.message})`);
    return { passed: 0, failed: 1, skipped: 0 };
  }
  // A file that does not load has no tests to fail, and must not pass for that.
  const unloaded = report.testResults.filter(
    ({ status, assertionResults }) =>
      status === 'failed' && !assertionResults.some((test) => test.status === 'failed'),
  );
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + unloaded.length,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

for (const argument of process.argv.slice(2)) {
  const [name, exitCode] = argument.split('=');
  const counted = count(name);
  if (exitCode !== '0') {
    console.log(`${name}: ended with exit code ${exitCode}`);
    bad = true;
    if (counted.failed === 0 && counted.skipped === 0) counted.failed = 1;
  }
  for (const key of Object.keys(total)) total[key] += counted[key];
}
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exitCode = bad || total.passed === 0 || total.failed > 0 || total.skipped > 0 ? 1 : 0;
