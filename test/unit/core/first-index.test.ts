import fc from 'fast-check';
import { expect, it } from 'vitest';
import { firstIndex } from '#core/first-index.ts';

it('finds where a condition begins to hold, at both ends and among none', () => {
  fc.assert(
    fc.property(fc.nat(40), fc.nat(45), (count, from) => {
      const asked: number[] = [];
      const found = firstIndex(count, (i) => {
        asked.push(i);
        return i >= from;
      });
      expect(found).toBe(Math.min(count, from));
      expect(asked.filter((i) => i < 0 || i >= count)).toEqual([]);
      expect(asked.length).toBeLessThanOrEqual(6);
    }),
  );
});
