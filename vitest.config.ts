import { defineConfig } from 'vitest/config';
import { SkipReporter } from './test/support/skip-reporter.ts';

const minuteMs = 60_000;

/**
 * One project a room of test/. The unit project needs nothing but Node and runs its files side by
 * side; the others hold a database, a broker or a whole process, so their files take turns, and the
 * rooms run one after the other: on two cores a crash test must not starve a neighbour's deadline.
 */
const rooms = ['contract', 'integration', 'faults', 'e2e'].map((name, i) => ({
  extends: true as const,
  test: {
    name,
    include: [`test/${name}/**/*.test.ts`],
    fileParallelism: false,
    maxWorkers: 1,
    testTimeout: 3 * minuteMs,
    hookTimeout: 2 * minuteMs,
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
          testTimeout: 30_000,
          sequence: { groupOrder: 0 },
        },
      },
      ...rooms,
    ],
  },
});
