import { describe, expect, it } from 'vitest';
import { Failed, Fatal, Refused, worse } from '#core/errors.ts';

const failed = new Failed('busy', 'later');
const otherFailed = new Failed('disk', 'later too');
const fatal = new Fatal('lost', 'never');
const bug = new TypeError('a bug');
const rejected = (reason: unknown): PromiseSettledResult<unknown> => ({
  status: 'rejected',
  reason,
});

describe('of two errors side by side', () => {
  it.each([
    ['nothing went wrong beside it', failed, { status: 'fulfilled', value: 1 } as const, failed],
    ['both may pass', failed, rejected(otherFailed), failed],
    ['the other one is fatal', failed, rejected(fatal), fatal],
    ['the other one is a bug', failed, rejected(bug), bug],
    ['it is fatal itself', fatal, rejected(failed), fatal],
    ['it is a bug itself', bug, rejected(fatal), bug],
    ['it is refused', new Refused('form', 'wrong'), rejected(failed), new Refused('form', 'wrong')],
  ])('goes by the one that never passes, where %s', (...[, error, beside, expected]) => {
    expect(worse(error, beside)).toStrictEqual(expected);
  });
});
