import { describe, expect, test } from 'vitest';
import { fromHex, toHex, utf8 } from '#core/bytes.ts';
import { Refused } from '#core/errors.ts';
import { commitmentOf, commitmentSalt, encodeOpening } from '#core/certificate/commitment.ts';
import { hmacSha256, parseOpening } from '#core/certificate/commitment.ts';

describe('HMAC-SHA-256', () => {
  test.each([
    // RFC 4231, test cases 1, 2 and 6.
    [
      '0b'.repeat(20),
      utf8('Hi There'),
      'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7',
    ],
    [
      toHex(utf8('Jefe')),
      utf8('what do ya want for nothing?'),
      '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
    ],
    [
      'aa'.repeat(131),
      utf8('Test Using Larger Than Block-Size Key - Hash Key First'),
      '60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54',
    ],
  ])('is that of RFC 4231 (key %s)', (key, message, expected) => {
    expect(toHex(hmacSha256(fromHex(key), message))).toBe(expected);
  });
});

describe('commitments', () => {
  const secret = new Uint8Array(32).fill(7);
  const place = { origin: 'log.example/a', plant: 'p', start: 3600, version: 1 };
  const opening = { consumption: 5, messages: 2, quality: 'measured' } as const;

  test('every part of the place changes the salt, and every figure the commitment', () => {
    const salts = [
      commitmentSalt(secret, place),
      commitmentSalt(secret, { ...place, version: 2 }),
      commitmentSalt(secret, { ...place, start: 7200 }),
      commitmentSalt(secret, { ...place, plant: 'q' }),
      commitmentSalt(secret, { ...place, origin: 'log.example/b' }),
      commitmentSalt(new Uint8Array(32).fill(8), place),
    ].map(toHex);
    expect(new Set(salts).size).toBe(salts.length);
    const salt = commitmentSalt(secret, place);
    const commitments = [opening, { ...opening, consumption: 6 }, { ...opening, messages: 3 }];
    expect(new Set(commitments.map((one) => toHex(commitmentOf(salt, one)))).size).toBe(3);
  });

  test('a secret of another length is a mistake of ours', () => {
    expect(() => commitmentSalt(new Uint8Array(31), place)).toThrow(RangeError);
  });

  test('an opening file comes back as it was, and nothing else passes for one', () => {
    const whole = { opening, salt: new Uint8Array(32).fill(1), records: [utf8('{}'), utf8('[]')] };
    const bytes = encodeOpening(whole);
    expect(parseOpening(bytes)).toEqual(whole);
    for (const wrong of [
      bytes.subarray(1),
      bytes.subarray(0, -1),
      bytes.subarray(0, 36),
      new Uint8Array(0),
    ]) {
      expect(() => parseOpening(wrong)).toThrow(Refused);
    }
  });
});
