import fc from 'fast-check';
import { expect, test } from 'vitest';
import { concat, utf8 } from '#core/bytes.ts';
import { decodeFile, encodeFrame } from '#core/record-file.ts';

const payloads = fc.array(fc.uint8Array({ maxLength: 40 }), { minLength: 1, maxLength: 5 });

test('what was written is read back, in order', () => {
  fc.assert(
    fc.property(fc.array(payloads, { maxLength: 5 }), (groups) => {
      const file = concat(...groups.map((group) => encodeFrame(group)));
      const { records, wholeBytes } = decodeFile(file);
      expect(records).toEqual(groups.flat());
      expect(wholeBytes).toBe(file.length);
    }),
  );
});

test('wherever a crash tears the last frame, the records before it are whole and its own are gone', () => {
  const first = encodeFrame([utf8('one'), utf8('')]);
  const file = concat(first, encodeFrame([utf8('two'), utf8('three')]));
  for (let length = first.length; length < file.length; length++) {
    const torn = file.slice(0, length);
    const withZeros = concat(torn, new Uint8Array(file.length - length + 7));
    for (const bytes of [torn, withZeros]) {
      expect(decodeFile(bytes)).toEqual({
        records: [utf8('one'), utf8('')],
        wholeBytes: first.length,
      });
    }
  }
});

test('any changed byte before the last frame is damage, and never read as something else', () => {
  const first = encodeFrame([utf8('one'), utf8('two')]);
  const file = concat(first, encodeFrame([utf8('three')]));
  for (let at = 0; at < first.length; at++) {
    for (const bit of [1, 128]) {
      const bytes = Uint8Array.from(file);
      bytes[at] = (file[at] ?? 0) ^ bit;
      expect(() => decodeFile(bytes)).toThrow(expect.objectContaining({ code: 'record-file' }));
    }
  }
});

test('any changed byte of the last frame takes its records away, as a torn one', () => {
  const first = encodeFrame([utf8('one')]);
  const file = concat(first, encodeFrame([utf8('two')]));
  for (let at = first.length; at < file.length; at++) {
    const bytes = Uint8Array.from(file);
    bytes[at] = (file[at] ?? 0) ^ 1;
    expect(decodeFile(bytes).wholeBytes).toBe(first.length);
  }
});

test('an empty file holds nothing, and a foreign one is cut to nothing only by its caller', () => {
  expect(decodeFile(new Uint8Array())).toEqual({ records: [], wholeBytes: 0 });
  expect(decodeFile(utf8('not ours at all')).wholeBytes).toBe(0);
});

test('a frame too large to be read back is not written', () => {
  const half = new Uint8Array(33 * 1024 * 1024);
  expect(() => encodeFrame([half, half])).toThrow(RangeError);
});
