import { expect, test } from 'vitest';
import { createLogger } from '#platform/logger.ts';

function capture(): { lines: () => unknown[]; destination: { write: (line: string) => void } } {
  const written: string[] = [];
  return {
    lines: () => written.map((line): unknown => JSON.parse(line)),
    destination: { write: (line) => written.push(line) },
  };
}

test('a line is JSON with level and time by name, and children add to it', () => {
  const { lines, destination } = capture();
  const logger = createLogger({ name: 'ledger', destination });
  logger.child({ plant: 'p1' }).info({ hours: 3 }, 'sealed');
  logger.debug('not at this level');
  expect(lines()).toEqual([
    expect.objectContaining({
      level: 'info',
      name: 'ledger',
      plant: 'p1',
      hours: 3,
      msg: 'sealed',
    }),
  ]);
  expect(lines()[0]).toMatchObject({ time: expect.stringMatching(/^\d{4}-.*Z$/) as string });
});

test('an error comes with its code and its causes', () => {
  const { lines, destination } = capture();
  const error = new Error('outer', { cause: new Error('inner') });
  createLogger({ name: 'x', destination }).error({ err: error }, 'failed');
  expect(JSON.stringify(lines())).toContain('outer: inner');
});

test('secrets are not written, at the top or one level down', () => {
  const { lines, destination } = capture();
  const logger = createLogger({ name: 'x', level: 'debug', destination });
  logger.info({
    password: 'hunter2',
    config: { databaseUrl: 'hunter2', d: 'hunter2' },
    pem: 'hunter2',
  });
  logger.child({ token: 'hunter2' }).debug('child');
  expect(JSON.stringify(lines())).not.toContain('hunter2');
  expect(lines()[0]).toMatchObject({ password: '[redacted]' });
});
