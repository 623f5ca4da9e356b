import type { Reporter, TestCase, TestModule, Vitest } from 'vitest/node';

/** What the machine lacks is said aloud: every skipped test, with its reason, after the results. */
export class SkipReporter implements Reporter {
  private filtered = false;

  /** `-t PATTERN` leaves out on request; only what nobody asked to leave out is worth telling. */
  onInit(vitest: Vitest): void {
    this.filtered = vitest.config.testNamePattern !== undefined;
  }

  onTestRunEnd(modules: readonly TestModule[]): void {
    const skipped = modules.flatMap((module) => [...module.children.allTests('skipped')]);
    if (this.filtered || skipped.length === 0) return;
    process.stdout.write(`\n${skipped.length} skipped:\n`);
    for (const test of skipped) process.stdout.write(`  ${describeSkip(test)}\n`);
    if (process.env.HOURSEAL_CI === undefined) return;
    process.stdout.write('In CI a skipped test is a failure.\n');
    process.exitCode = 1;
  }
}

/** The reason given to `skip`, or that of `describeWith`; a title may also bear its own. */
function describeSkip(test: TestCase): string {
  const result = test.result();
  const note = result.state === 'skipped' ? result.note : undefined;
  const reason = note ?? test.meta().skipReason;
  const title = `${test.module.relativeModuleId} > ${test.fullName}`;
  return reason === undefined ? title : `${title}\n    ${reason}`;
}
