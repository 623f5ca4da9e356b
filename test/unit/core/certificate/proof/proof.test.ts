import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sha256 } from '#crypto';
import { concat, decodeUtf8, toHex, utf8 } from '#core/bytes.ts';
import { encodeProof, parseProof, proofLimitBytes } from '#core/certificate/proof/proof.ts';
import { verifyProof, type Verdict } from '#core/certificate/proof/verify.ts';
import { refusalCode } from '#core/errors.ts';
import { canonicalBytes } from '#core/jcs.ts';
import { leafHash } from '#core/tlog/tree.ts';
import {
  changeProof,
  honestBundle,
  honestLog,
  openProof,
  sealProof,
  smallBundle,
  smallLog,
  solarSeries,
} from '#support/proof-builder.ts';

const small = encodeProof(smallLog().parts(smallBundle));

function codeOf(file: Uint8Array): string {
  try {
    parseProof(file);
  } catch (error) {
    return refusalCode(error);
  }
  return 'accepted';
}

/** A file that cannot even be read fails at step 1, and nothing else is said of it. */
function requireFormFails({ result, steps, bundle, hourStart }: Verdict): void {
  expect(result).toBe('failed');
  expect(steps.map(({ number }) => number)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect(steps[0]?.result).toBe('fail');
  expect(steps.slice(1).every(({ result: later }) => later === 'unknown')).toBe(true);
  expect([bundle, hourStart]).toEqual([undefined, undefined]);
}

describe('a proof file with a byte changed', () => {
  it('fails at its first step, whichever byte it is', () => {
    const file = Uint8Array.from(small);
    for (let at = 0; at < file.length; at++) {
      const was = file[at] ?? 0;
      file[at] = was ^ (1 << (at % 8));
      const { result, steps } = verifyProof(file);
      if (result !== 'failed' || steps[0]?.result !== 'fail') expect.fail(`byte ${at} of ${was}`);
      file[at] = was;
    }
    expect(verifyProof(file).result).toBe('undecided');
  });

  it('fails with any value in any place, inserted and deleted', () => {
    const place = fc.nat(small.length - 1);
    fc.assert(
      fc.property(place, fc.integer({ min: 1, max: 255 }), fc.nat(2), (at, by, how) => {
        const value = Uint8Array.of((small[at] ?? 0) ^ by);
        const [before, after] = [small.subarray(0, at), small.subarray(at)];
        const changed = [
          concat(before, value, after.subarray(1)),
          concat(before, value, after),
          concat(before, after.subarray(1)),
        ];
        requireFormFails(verifyProof(changed[how] ?? small));
      }),
      { numRuns: 400 },
    );
  });

  it('is refused with every bit of a file of a few hundred bytes flipped', () => {
    const leaf = { data: utf8('x'), index: 0, path: [leafHash(utf8('y'))] };
    const file = encodeProof({
      bundle: { series: solarSeries, from: 1, to: 2 },
      checkpoint: 'note',
      entries: [leaf],
      hour: 1,
      messages: [],
      records: [],
    });
    expect(codeOf(file)).toBe('accepted');
    for (let at = 0; at < file.length * 8; at++) {
      const flipped = Uint8Array.from(file);
      flipped[at >> 3] = (file[at >> 3] ?? 0) ^ (1 << (at % 8));
      if (codeOf(flipped) === 'accepted') expect.fail(`bit ${at}`);
    }
  });

  it('fails when it is cut off anywhere, or goes on', () => {
    for (let end = 0; end < small.length; end += 37) {
      requireFormFails(verifyProof(small.subarray(0, end)));
    }
    requireFormFails(verifyProof(concat(small, utf8('\n'))));
    requireFormFails(verifyProof(concat(utf8('\ufeff'), small)));
  });
});

describe('a file of another form', () => {
  const nested = (depth: number): Uint8Array => utf8(`${'['.repeat(depth)}${']'.repeat(depth)}`);
  it.each([
    ['nothing', new Uint8Array(), 'json'],
    ['no text', Uint8Array.of(0xff, 0xfe), 'utf8'],
    ['no JSON', utf8('PK\u0003\u0004'), 'json'],
    ['null', utf8('null'), 'form'],
    ['an array', utf8('[]'), 'form'],
    ['no format', utf8('{}'), 'form'],
    ['some other JSON', utf8('{"format":"pdf"}'), 'form'],
    ['a later version', utf8('{"format":"hourseal-proof/v2"}'), 'version'],
    ['a version like no other', utf8('{"format":"hourseal-proof/v2\\nverified"}'), 'form'],
    ['deep nesting', nested(100_000), 'form'],
    ['a long array', utf8(`[${'0,'.repeat(100_000)}0]`), 'form'],
    [
      'deep nesting inside',
      utf8(`{"format":"hourseal-proof/v1","bundle":${'['.repeat(9999)}${']'.repeat(9999)}}`),
      'form',
    ],
    ['white space', concat(small, utf8(' ')), 'jcs'],
  ])('is refused: %s', (_name, file, code) => {
    expect(codeOf(file)).toBe(code);
    requireFormFails(verifyProof(file));
  });

  it('is refused with half a character, which has no canonical form', () => {
    const text = decodeUtf8(sealProof({ ...openProof(small), checkpoint: 'half' }));
    const tail = text.length - '"}'.length - 64;
    const body = text.slice(0, tail - ',"sum":"'.length).replace('"half"', '"\\ud800"');
    const sum = toHex(sha256(utf8(`${body}}`)));
    expect(codeOf(utf8(`${body},"sum":"${sum}"}`))).toBe('jcs');
  });

  it('is refused above 16 MiB before it is parsed', () => {
    expect(codeOf(new Uint8Array(proofLimitBytes + 1))).toBe('size');
    expect(codeOf(new Uint8Array(proofLimitBytes))).toBe('json');
  });

  it('is refused with a member too many, too few, out of order or beyond its limit', () => {
    const changed = (change: Parameters<typeof changeProof>[1]): string =>
      codeOf(changeProof(small, change));
    expect(changed((proof) => Object.assign(proof, { more: 1 }))).toBe('form');
    expect(changed((proof) => Reflect.deleteProperty(proof, 'records'))).toBe('form');
    expect(changed((proof) => (proof.entries = []))).toBe('form');
    expect(changed((proof) => proof.entries.reverse())).toBe('form');
    expect(changed((proof) => proof.messages.reverse())).toBe('form');
    expect(changed((proof) => proof.messages.push(...proof.messages.slice(-1)))).toBe('form');
    expect(changed((proof) => (proof.hour = 0))).toBe('form');
    expect(changed((proof) => (proof.hour = 5.5))).toBe('form');
    expect(changed((proof) => (proof.bundle.series = 'allowance/solar'))).toBe('form');
    expect(changed((proof) => (proof.records[0] = { data: 'A', index: 0, path: [] }))).toBe(
      'accepted', // The base64 is looked at by who reads it; the verifier names the record.
    );
    expect(
      changed((proof) => {
        const [path = []] = proof.entries.map((entry) => entry.path);
        path.push(...Array.from({ length: 65 }, () => path[0] ?? ''));
      }),
    ).toBe('form');
  });

  it('is refused with a sum that is another one, however it is spelled', () => {
    const { sum = '', ...body } = openProof(small);
    const withSum = (other: string): string => codeOf(canonicalBytes({ ...body, sum: other }));
    expect(withSum(sum)).toBe('accepted');
    expect(withSum(sum.toUpperCase())).toBe('form');
    expect(withSum(`${sum.slice(0, -1)}${sum.endsWith('0') ? '1' : '0'}`)).toBe('sum');
    expect(codeOf(canonicalBytes(body))).toBe('form');
    expect(codeOf(sealProof(body))).toBe('accepted');
  });
});

describe('the size of a proof file', () => {
  it('stays below 64 KB: two meters, 15 readings, five cancels, a log of ten million', () => {
    const made = honestLog();
    for (let i = 0; i < 5; i++) {
      made.log.cancel('solar', [{ series: solarSeries, from: 541 + 7 * i, to: 541 + 7 * i }]);
    }
    const parts = made.parts(honestBundle);
    const path = Array.from({ length: 24 }, (_, i) => leafHash(Uint8Array.of(i)));
    const far = parts.entries.map((entry) => ({ ...entry, index: entry.index + 9_000_000, path }));
    const file = encodeProof({ ...parts, entries: far, hour: parts.hour + 9_000_000 });
    expect(parts.entries).toHaveLength(14);
    expect(parts.messages).toHaveLength(4);
    expect(file.length).toBeLessThan(48 * 1024);
    expect(verifyProof(encodeProof(parts)).result).toBe('undecided');
  });
});
