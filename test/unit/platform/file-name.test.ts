import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fileNameOf } from '#platform/file-name.ts';

const id = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/);

test('two ids have two names, also where capitals are not told apart', () => {
  fc.assert(
    fc.property(id, id, (one, other) => {
      fc.pre(one !== other);
      expect(fileNameOf(one).toLowerCase()).not.toBe(fileNameOf(other).toLowerCase());
    }),
  );
  const spellings = ['park', 'Park', 'pArk', 'PARK'].map((name) => fileNameOf(name).toLowerCase());
  expect(new Set(spellings).size).toBe(spellings.length);
});

test('an id without capitals is its own name', () => {
  expect(fileNameOf('wind-farm_2.a')).toBe('wind-farm_2.a');
});
