import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concat, equalBytes, toHex, utf8 } from '#core/bytes.ts';
import { refusalCode } from '#core/errors.ts';
import { inputs } from './fuzz-input.ts';
import type { Target } from './fuzz-formats.ts';
import { targets } from './fuzz-targets.ts';

/**
 * Every parser of services/core, fed with bytes that it should never see. It accepts what it then
 * writes again in the same bytes, or it refuses; nothing else may happen. `HOURSEAL_FUZZ_RUNS` says how
 * many inputs each gets, `HOURSEAL_FUZZ_SEED` repeats the run whose seed a failure has printed.
 */
const runs = Number(process.env.HOURSEAL_FUZZ_RUNS ?? 150);
const seed = process.env.HOURSEAL_FUZZ_SEED;
const perInputMs = 100;

/** The code of the refusal, or what came out. Any other error is thrown on. */
function judge({ parse }: Target, input: Uint8Array): { code: string } | { again?: Uint8Array } {
  try {
    const again = parse(input);
    return again === undefined ? {} : { again };
  } catch (error) {
    return { code: refusalCode(error) };
  }
}

/** Below every limit, so that it is looked into: what a careless pattern chokes on. */
const sizeBytes = 60_000;
const monotonous = [
  ...[
    'A',
    '=',
    '\n',
    '\n\n',
    ' ',
    '\t ',
    '0',
    '9',
    '.',
    '[',
    '{"a":',
    '"',
    '\\u0000',
    '+',
    'x001/',
  ],
  ...[
    '\u2014 ',
    '\u2014 a b\n',
    'group a any a\n',
    'e\u0301',
    '\u0300',
    'HSf1',
    '\0',
    '\0\0\0\x01',
  ],
].map((unit) => utf8(unit.repeat(Math.ceil(sizeBytes / unit.length))).slice(0, sizeBytes));

describe.each(targets)('the parser of $name', (target) => {
  const { seeds, accepted = seeds.length, slower = 1 } = target;
  const numRuns = Math.ceil(runs / slower);

  it('accepts what is right', () => {
    for (const input of seeds.slice(0, accepted)) {
      const verdict = judge(target, input);
      expect(verdict).not.toHaveProperty('code');
      if ('again' in verdict) expect(toHex(verdict.again ?? utf8(''))).toBe(toHex(input));
    }
  });

  it(
    'refuses everything else, or writes it again in the same bytes',
    () => {
      const property = fc.property(inputs(target), (input) => {
        const verdict = judge(target, input);
        return !('again' in verdict) || equalBytes(verdict.again ?? utf8(''), input);
      });
      fc.assert(property, { numRuns, ...(seed !== undefined && { seed: Number(seed) }) });
    },
    120_000 + numRuns * perInputMs,
  );

  it('comes to an end on long and monotonous input, alone and after a good beginning', () => {
    const [first = utf8('')] = seeds;
    const beginning = first.subarray(0, Math.floor(first.length / 2));
    for (const rest of monotonous) {
      for (const input of [rest, concat(beginning, rest)]) {
        const verdict = judge(target, input);
        if ('again' in verdict) expect(equalBytes(verdict.again ?? utf8(''), input)).toBe(true);
      }
    }
  });
});
