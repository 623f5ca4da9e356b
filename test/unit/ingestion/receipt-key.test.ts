import { describe, expect, it } from 'vitest';
import { parseNamedKeys, receiptSigner } from '#ingestion/receipt-key.ts';
import { testSigner } from '#support/register.ts';

const [first, second, third] = [testSigner('one'), testSigner('two'), testSigner('three')];
const all = [third, first, second];

/** The log changed from the first to the second, and from that to the third, with overlaps. */
const named = parseNamedKeys([
  { jwk: first.jwk, until: 100 },
  { jwk: second.jwk, until: 200 },
  { jwk: third.jwk },
]);

describe('the key of receipts', () => {
  it.each([
    ['all of them', all, 0, third],
    ['the one before, while that is good', [first, second], 100, second],
    ['the one before that', [first], 100, first],
    ['the newest, after all', all, 201, third],
    ['the second, in its last second', [first, second], 200, second],
  ])('is the newest that the log names and that is here: %s', (...row) => {
    const [, held, nowS, expected] = row;
    expect(receiptSigner(held, { named, nowS }).kid).toBe(expected.kid);
  });

  it.each([
    ['none', [], 0],
    ['one that the log does not name', [testSigner('stranger')], 0],
    ['one that has ended', [first], 101],
    ['two that have ended', [first, second], 201],
  ])('is refused with %s', (_name, held, nowS) => {
    expect(() => receiptSigner(held, { named, nowS })).toThrow(
      expect.objectContaining({ code: 'ingestion-key' }),
    );
  });

  it.each([
    ['no list', { jwk: first.jwk }],
    ['an empty one', []],
    ['a key that is none', [{ jwk: { kty: 'OKP' } }]],
    ['an end that is no time', [{ jwk: first.jwk, until: -1 }]],
  ])('is not taken from %s', (_name, value) => {
    expect(() => parseNamedKeys(value)).toThrow(expect.objectContaining({ code: 'form' }));
  });
});
