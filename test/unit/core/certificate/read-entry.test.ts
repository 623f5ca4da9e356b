import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toHex, utf8 } from '#core/bytes.ts';
import { parseEntry } from '#core/certificate/entry.ts';
import { specOf, isKnownKind, unsignedKinds } from '#core/certificate/kinds.ts';
import { readEntry } from '#core/certificate/read-entry.ts';
import { refusalCode } from '#core/errors.ts';
import { canonicalBytes } from '#core/jcs.ts';
import { asJson, onPage } from '../fuzz-formats.ts';
import { inputs } from '../fuzz-input.ts';

const runs = Number(process.env.HOURSEAL_FUZZ_RUNS ?? 150);
const seeds = [...onPage]
  .filter(([name]) => name.startsWith('entry-'))
  .map(([, text]) => utf8(text.slice(0, -1)));
const unsigned = seeds.filter((seed) => {
  const { kind } = parseEntry(seed);
  return isKnownKind(kind) && unsignedKinds.has(kind);
});

/** The entry with its spec, or why not; the message too, for people go by it. */
function outcome(read: (bytes: Uint8Array) => unknown, bytes: Uint8Array): unknown {
  try {
    return read(bytes);
  } catch (error) {
    return { code: refusalCode(error), message: (error as Error).message };
  }
}

/** Every member in its order, which `toEqual` does not look at. */
const told = (value: unknown): string => JSON.stringify(value);

function requireSame(bytes: Uint8Array): void {
  const expected = outcome(parseEntry, bytes);
  const found = outcome((input) => readEntry(input).entry, bytes);
  expect(found).toEqual(expected);
  expect(told(found)).toBe(told(expected));
}

/** Of a whole entry the spec would be taken as it is. */
function requireRightSpec(bytes: Uint8Array): void {
  const { kind, spec } = parseEntry(bytes);
  if (!isKnownKind(kind)) throw new Error(`${toHex(bytes)}: a whole entry of no kind`);
  expect(specOf[kind].parse(spec)).toBe(spec);
}

function isWhole(bytes: Uint8Array): boolean {
  try {
    return readEntry(bytes).isWhole;
  } catch (error) {
    refusalCode(error);
    return false;
  }
}

describe('reading an entry', () => {
  it('tells every kind that nobody signs, and no other, to be whole', () => {
    expect(unsigned.length).toBeGreaterThanOrEqual(unsignedKinds.size);
    for (const seed of seeds) expect(isWhole(seed)).toBe(unsigned.includes(seed));
  });

  it.each([
    ['whatever may befall an entry', seeds],
    ['an entry that nobody signs', unsigned],
  ])('reads %s as the parser does', (_what, from) => {
    let whole = 0;
    fc.assert(
      fc.property(inputs({ seeds: from, json: asJson }), (bytes) => {
        requireSame(bytes);
        if (!isWhole(bytes)) return;
        whole += 1;
        requireRightSpec(bytes);
      }),
      { numRuns: runs * 20 },
    );
    if (from === unsigned) expect(whole).toBeGreaterThan(0);
  });

  it('refuses what is too long, however right it is', () => {
    const [seed = utf8('')] = unsigned;
    requireSame(canonicalBytes({ ...parseEntry(seed), auth: Array(800).fill('a..b'.repeat(22)) }));
    requireSame(utf8(' '.repeat(65_536)));
  });

  it('takes the kind from where it stands, not from the spec', () => {
    const entry = { apiVersion: 'hourseal/v1', auth: [], kind: 'void', time: 1 };
    const spec = { asOf: 1, count: 0, root: '0'.repeat(64) };
    const bytes = canonicalBytes({ ...entry, spec });
    requireSame(bytes);
    expect(isWhole(bytes)).toBe(false);
    expect(isWhole(canonicalBytes({ ...entry, kind: 'state', spec }))).toBe(true);
  });
});
