import { defineConfig } from 'vitest/config';
import { SkipReporter } from './test/support/skip-reporter.ts';

const minuteMs = 60_000;

/**
 * One project a room of test/. Every file has folders, databases and ports of its own, so two run side by
 * side; the rooms run one after the other, because a crash test must not starve the deadlines of others.
 * No test has a tight limit: one that hangs ends, and a busy machine fails none.
 */
const rooms = ['contract', 'integration', 'faults', 'e2e'].map((name, i) => ({
  extends: true as const,
  test: {
    name,
    include: [`test/${name}/**/*.test.ts`],
    maxWorkers: 2,
    // The cut cables of a fault test, each in an installation of its own, which mostly waits.
    maxConcurrency: 8,
    testTimeout: 5 * minuteMs,
    hookTimeout: 3 * minuteMs,
    sequence: { groupOrder: i + 1 },
  },
}));

export default defineConfig({
  test: {
    environment: 'node',
    pool: 'forks',
    maxWorkers: 2,
    restoreMocks: true,
    unstubEnvs: true,
    reporters: ['default', 'json', new SkipReporter()],
    outputFile: { json: 'test-reports/all.json' },
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          maxWorkers: 2,
          testTimeout: 2 * minuteMs,
          hookTimeout: 2 * minuteMs,
          sequence: { groupOrder: 0 },
        },
      },
      ...rooms,
    ],
  },
});
