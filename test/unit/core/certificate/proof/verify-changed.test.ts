import { describe, expect, it } from 'vitest';
import { decodeUtf8, fromBase64, toBase64, utf8 } from '#core/bytes.ts';
import { encodeProof } from '#core/certificate/proof/proof.ts';
import { verifyProof } from '#core/certificate/proof/verify.ts';
import type { StepName } from '#core/certificate/proof/ladder.ts';
import { testKey, testOrigin } from '#support/log-builder.ts';
import {
  auxiliaryMeter,
  changeProof,
  checkpointOf,
  everyMinute,
  honestBundle,
  honestLog,
  openProof,
  productionMeter,
  sealProof,
  smallBundle,
  smallLog,
  solarSeries,
  type ProofJson,
} from '#support/proof-builder.ts';

/**
 * Somebody changes a proof file and makes its sum fit again, so that step 1 is no hindrance. The log
 * and its meters are honest; whoever changes the file has none of their keys.
 */

const made = honestLog();
const file = encodeProof(made.parts(honestBundle));
const small = encodeProof(smallLog().parts(smallBundle));

function failedSteps(changed: Uint8Array): readonly StepName[] {
  const { steps, result } = verifyProof(changed);
  const failed = steps.filter((step) => step.result === 'fail');
  expect(result).toBe(failed.length > 0 ? 'failed' : 'undecided');
  return failed.map(({ name }) => name);
}

function firstFailed(change: (proof: ProofJson) => void, of = file): StepName | undefined {
  return failedSteps(changeProof(of, change))[0];
}

function at<T>(list: readonly T[], index: number): T {
  const found = list.at(index);
  if (found === undefined) throw new Error(`nothing at ${index}`);
  return found;
}

const isKind =
  (kind: string) =>
  ({ data }: { data: string }) =>
    decodeUtf8(fromBase64(data)).includes(`"kind":"${kind}"`);

function without(proof: ProofJson, isGone: (entry: ProofJson['entries'][number]) => boolean): void {
  const kept = proof.entries.filter((entry) => !isGone(entry));
  expect(kept.length).toBeLessThan(proof.entries.length);
  proof.entries = kept;
}

function edit(leaf: { data: string }, from: string, to: string): void {
  const text = decodeUtf8(fromBase64(leaf.data));
  expect(text).toContain(from);
  leaf.data = toBase64(utf8(text.replace(from, to)));
}

type Change = readonly [string, StepName, (proof: ProofJson) => void];

const changes: readonly Change[] = [
  ['a bundle beyond what was issued', 'issue', ({ bundle }) => (bundle.to += 1)],
  ['a bundle from before what was issued', 'issue', ({ bundle }) => (bundle.from -= 1)],
  ['an empty bundle', 'form', ({ bundle }) => (bundle.to = bundle.from - 1)],
  ['the series of another plant', 'form', ({ bundle }) => (bundle.series = 'energy/wind')],
  ['an entry that is no hour', 'form', (proof) => (proof.hour = at(proof.entries, -2).index)],
  ['an entry that is not there', 'form', (proof) => (proof.hour += 1)],
  ['no genesis', 'form', (proof) => proof.entries.shift()],
  ['no account', 'signatures', (proof) => without(proof, isKind('account'))],
  ['no plant', 'signatures', (proof) => without(proof, isKind('plant'))],
  ['no meter', 'signatures', (proof) => without(proof, isKind('meter'))],
  ['no keys', 'signatures', (proof) => without(proof, isKind('key'))],
  ['no hour', 'form', (proof) => without(proof, isKind('hour'))],
  [
    'two entries of the log swapped',
    'entries',
    ({ entries: [, a, b] }) => {
      if (a !== undefined && b !== undefined) [a.data, b.data] = [b.data, a.data];
    },
  ],
  ['an entry at another index', 'entries', ({ entries }) => (at(entries, 3).index -= 1)],
  [
    'an entry beyond the tree',
    'entries',
    (proof) => {
      at(proof.entries, -1).index += 1000;
      proof.hour += 1000;
    },
  ],
  ['a path cut short', 'entries', ({ entries }) => at(entries, 3).path.pop()],
  [
    'a path made longer',
    'entries',
    ({ entries }) => at(entries, 3).path.push(at(at(entries, 3).path, 0)),
  ],
  ['a path reversed', 'entries', ({ entries }) => at(entries, 3).path.reverse()],
  [
    'more capacity',
    'entries',
    ({ entries }) => {
      edit(at(entries.filter(isKind('plant')), 0), '1000000', '2000000');
    },
  ],
  [
    'more energy in the hour',
    'entries',
    ({ entries }) => {
      edit(at(entries, -1), '"generation":540', '"generation":541');
    },
  ],
  [
    'more energy in the record',
    'evidence',
    ({ records }) => {
      edit(at(records, 1), '"energy":{"exportWh":600}', '"energy":{"exportWh":601}');
    },
  ],
  [
    'a verdict more',
    'evidence',
    ({ records }) => {
      edit(at(records, 1), '"verdicts":[]', '"verdicts":["gap"]');
    },
  ],
  [
    'no record of the auxiliary meter',
    'evidence',
    (proof) => (proof.records = proof.records.slice(1)),
  ],
  ['only the record of the auxiliary meter', 'evidence', ({ records }) => records.pop()],
  ['no record', 'evidence', (proof) => (proof.records = [])],
  ['a record twice', 'evidence', ({ records }) => records.push({ ...at(records, 1), index: 2 })],
  [
    'an auxiliary meter left out as if it had never been',
    'evidence',
    (proof) => {
      without(proof, ({ data }) => decodeUtf8(fromBase64(data)).includes(auxiliaryMeter));
      proof.records = [{ ...at(proof.records, 1), index: 0, path: [] }];
    },
  ],
  ['a later arrival', 'evidence', ({ messages }) => (at(messages, 0).receivedAt += 1)],
  ['a message at another leaf', 'evidence', ({ messages }) => (at(messages, -1).index += 1)],
  ['no message at all', 'energy', (proof) => (proof.messages = [])],
  ['no first message', 'energy', ({ messages }) => messages.shift()],
  ['no last message', 'energy', ({ messages }) => messages.pop()],
  [
    'the messages of the meters swapped',
    'evidence',
    ({ messages }) => {
      const [a, b] = [at(messages, 0), at(messages, 2)];
      [a.jws, b.jws] = [b.jws, a.jws];
    },
  ],
  [
    'a message with another signature',
    'evidence',
    ({ messages }) => {
      const [a, b] = [at(messages, 0), at(messages, 1)];
      a.jws = [...a.jws.split('.').slice(0, 2), at(b.jws.split('.'), 2)].join('.');
    },
  ],
];

describe('a changed proof whose sum fits', () => {
  it('is the honest one as long as nothing is changed', () => {
    expect(firstFailed(() => undefined)).toBeUndefined();
  });

  it.each(changes)('fails: %s', (_name, step, change) => {
    expect(firstFailed(change)).toBe(step);
  });

  it('fails with the hour, evidence or checkpoint of another honest proof', () => {
    const other = openProof(encodeProof(made.parts({ series: solarSeries, from: 1, to: 540 })));
    expect(firstFailed((proof) => Object.assign(proof, { hour: other.hour }))).toBe('form');
    const both = (proof: ProofJson): void => {
      proof.entries = [...proof.entries, at(other.entries, -1)].sort((a, b) => a.index - b.index);
    };
    expect(firstFailed(both)).toBeUndefined();
    const ofOther = (proof: ProofJson): void => {
      both(proof);
      proof.hour = other.hour;
    };
    expect(firstFailed(ofOther)).toBe('evidence');
    expect(firstFailed(({ bundle }) => Object.assign(bundle, other.bundle))).toBe('issue');
    const withEvidence = (proof: ProofJson): void => {
      proof.messages = other.messages;
      proof.records = other.records;
    };
    expect(firstFailed(withEvidence)).toBe('evidence');
    const smaller = checkpointOf(made.log, made.log.entries.length - 1);
    expect(firstFailed((proof) => (proof.checkpoint = smaller))).toBe('entries');
    const younger = checkpointOf(made.log, openProof(file).hour);
    expect(firstFailed((proof) => (proof.checkpoint = younger))).toBe('entries');
    const strange = checkpointOf(honestLog({ fillers: 6 }).log, made.log.entries.length);
    expect(firstFailed((proof) => (proof.checkpoint = strange))).toBe('entries');
  });

  it('fails with a checkpoint that is not signed, not by the log, or of another log', () => {
    const [text = ''] = openProof(file).checkpoint.split('\n\n');
    const unsigned = openProof(encodeProof(made.parts(honestBundle, { cosigners: ['a.witness'] })));
    const [, signatures = ''] = unsigned.checkpoint.split('\n\n');
    const cosignatureOnly = at(signatures.trimEnd().split('\n'), -1);
    for (const checkpoint of [
      `${text}\n`,
      `${text}\n\n`,
      `${text}\n\n${cosignatureOnly}\n`,
      openProof(file).checkpoint.replace(testOrigin, 'log.example/another'),
      openProof(file).checkpoint.replaceAll(testOrigin, 'log.example/another'),
      'nothing',
    ]) {
      expect(firstFailed((proof) => (proof.checkpoint = checkpoint))).toBe('checkpoint');
    }
  });

  it('fails with a message that its meter signed but the log never had', () => {
    const stranger = smallLog();
    stranger.send(productionMeter, everyMinute('exportWh', 61, 1), { seq: 7 });
    const other = openProof(encodeProof(stranger.parts(smallBundle)));
    const changed = changeProof(small, (proof) => {
      at(proof.messages, 1).receivedAt = at(other.messages, 1).receivedAt + 1;
    });
    expect(failedSteps(changed)).toEqual(['evidence']);
  });

  it('leaves all that rests on the entries unknown where one is not in the log, also what cannot be read', () => {
    const changed = changeProof(small, ({ entries, messages, records }) => {
      at(entries, 1).path = [];
      at(messages, 0).jws = at(messages, 0).jws.slice(1);
      at(records, 0).data = toBase64(utf8('{}'));
    });
    const { steps } = verifyProof(changed);
    const [, , , entries, ...above] = steps.map(({ result }) => result);
    expect([entries, new Set(above)]).toEqual(['fail', new Set(['unknown'])]);
  });

  it('refuses a hash with trailing bits in its base64 as a file without its form', () => {
    const changed = changeProof(small, ({ entries: [first] }) => {
      if (first === undefined) throw new Error('no entry');
      const [hash = ''] = first.path;
      expect(hash).toMatch(/[AEIMQUYcgkosw048]=$/);
      const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
      const last = letters.charAt(letters.indexOf(hash.charAt(42)) + 1);
      first.path = [`${hash.slice(0, 42)}${last}=`, ...first.path.slice(1)];
    });
    expect(failedSteps(changed)).toEqual(['form']);
  });

  it('never throws, and fails, whatever single value is changed, dropped, doubled or moved', () => {
    const survivors: string[] = [];
    for (const [place, changed] of mutations(openProof(small))) {
      const { result } = verifyProof(sealProof(changed));
      if (result !== 'failed') survivors.push(place);
    }
    // A bundle may be any part of what was issued.
    expect(survivors).toEqual(['bundle.from = 2', 'bundle.to = 599', 'bundle.to = 1']);
    expect(testKey('log').kid).toHaveLength(43);
  });
});

/** Every copy of `root` in which one value, somewhere, is another one. */
function* mutations(root: unknown): Generator<readonly [string, unknown]> {
  for (const path of pathsOf(root)) {
    if (at(path, 0) === 'sum') continue;
    const name = path.join('.');
    for (const [what, change] of changesOf(valueAt(root, path))) {
      const copy: unknown = structuredClone(root);
      const parent = valueAt(copy, path.slice(0, -1)) as Record<string, unknown>;
      parent[at(path, -1)] = change;
      yield [`${name} = ${what}`, copy];
    }
    const list = valueAt(root, path);
    if (!Array.isArray(list)) continue;
    for (const index of list.keys()) {
      const copy: unknown = structuredClone(root);
      (valueAt(copy, path) as unknown[]).splice(index, 1);
      yield [`${name} without ${index}`, copy];
    }
  }
}

function* pathsOf(value: unknown, path: readonly string[] = []): Generator<readonly string[]> {
  if (path.length > 0) yield path;
  if (typeof value !== 'object' || value === null) return;
  for (const name of Object.keys(value)) {
    yield* pathsOf((value as Record<string, unknown>)[name], [...path, name]);
  }
}

function valueAt(root: unknown, path: readonly string[]): unknown {
  return path.reduce((value, name) => (value as Record<string, unknown>)[name], root);
}

function changesOf(value: unknown): (readonly [string, unknown])[] {
  const strange: unknown[] = [null, -1, '', [], {}];
  const near: unknown[] = [];
  if (typeof value === 'number') near.push(value + 1, value - 1, 2 ** 53 - 1, value === 1 ? 0 : 1);
  if (typeof value === 'string') {
    for (const place of [0, 0.3, 0.6, 0.98]) {
      const index = Math.floor(value.length * place);
      const other = value[index] === 'A' ? 'B' : 'A';
      near.push(value.slice(0, index) + other + value.slice(index + 1));
    }
    near.push(`${value}A`, value.slice(0, -1), value.slice(4));
  }
  return [...new Set([...near, ...strange])]
    .filter((changed) => JSON.stringify(changed) !== JSON.stringify(value))
    .map((changed) => [JSON.stringify(changed).slice(0, 40), changed]);
}
