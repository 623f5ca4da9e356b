import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toHex, utf8 } from '#core/bytes.ts';
import { withoutSum, withSum } from '#platform/state-tables.ts';

describe('a row with its sum', () => {
  it('comes back, whatever it is, wherever in a buffer it lies', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), fc.uint8Array(), (key, row) => {
        const bytes = withSum(key, row);
        const within = new Uint8Array(bytes.length + 5);
        within.set(bytes, 3);
        for (const one of [bytes, within.subarray(3, 3 + bytes.length)]) {
          expect(toHex(withoutSum(key, one) ?? utf8('none'))).toBe(toHex(row));
        }
      }),
    );
  });

  it.each(['', 'a row'])('of %j is none of another key, nor with a bit of it changed', (text) => {
    const bytes = withSum('kid 1', utf8(text));
    expect(withoutSum('kid 2', bytes)).toBeUndefined();
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const changed = bytes.map((byte, i) => (i === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte));
      expect(withoutSum('kid 1', changed)).toBeUndefined();
    }
    for (let length = 0; length < bytes.length; length++) {
      expect(withoutSum('kid 1', bytes.subarray(0, length))).toBeUndefined();
    }
  });
});
