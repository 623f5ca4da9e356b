import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeUtf8, toHex } from '#core/bytes.ts';
import { parseEntry } from '#core/certificate/entry.ts';
import { isKnownKind, specOf, unsignedKinds, type Kind } from '#core/certificate/kinds.ts';
import { advanceStateTree, stateRoot } from '#core/certificate/state/state-tree.ts';
import { Refused } from '#core/errors.ts';
import {
  type LogBuilder,
  createBusyLog,
  testHash,
  testKey,
  testRules,
} from '#support/log-builder.ts';
import { testStartS, testVkey } from '#support/log-builder.ts';
import {
  correctRecord,
  createEmissionLog,
  emissionRules,
  enterRecord,
  sealDays,
} from '#support/emission-log.ts';
import { testPolicy } from '#support/test-policy.ts';

const ajv = new Ajv2020({ strict: false });
const kid = testKey('SOLAR-1 key 0').kid;
const reason = { evidence: [testHash('evidence')], reason: 'because' };

/** A sound spec of every kind, of both forms where there are two. */
function examples(): [Kind, object][] {
  const log = createBusyLog();
  const plant = { plant: 'factory', metersRoot: testHash('m'), batchRoot: testHash('b') };
  const hour = {
    ...plant,
    commitment: testHash('c'),
    interval: { seconds: 3600, start: testStartS },
  };
  log.hour('solar', testStartS, 10);
  log.cancel('solar', [{ series: 'energy/solar', from: 1, to: 2 }]);
  log.correct('solar', testStartS, 5);
  enterTrade(log);
  const { ref } = log.enter('hour', hour);
  log.enter('hour-correction', { ...hour, amends: ref, prev: ref });
  log.enter('plant-change', { capacityW: 5, plant: 'solar', schemes: ['one'], ...log.once() });
  const registers = { exportWh: 1 };
  const exchange = { closing: registers, meter: 'SOLAR-1', opening: registers, serial: 's', t: 9 };
  log.enter('exchange', { ...exchange, ...log.once() });
  const said = { class: 'B', clock: 'unreliable', point: 'a cabinet' };
  log.enter('meter-change', { meter: 'SOLAR-1', ...said, ...log.once() });
  log.enter('fork', { evidence: testHash('e'), kid, seq: 1 });
  const decisions = [
    { effect: 'accept-late', from: 1, kid, to: 2 },
    { effect: 'keep-fork', hash: testHash('h'), kid, seq: 1 },
    { effect: 'break', meter: 'SOLAR-1', t: 5 },
  ];
  for (const spec of decisions) log.enter('decision', { ...reason, ...spec, ...log.once() });
  log.enter('unfreeze', { ...reason, id: kid, what: 'key', ...log.once() });
  log.enter('freeze', { ...reason, id: kid, what: 'key', ...log.once() });
  log.enter('key-end', { kid, lastSeq: 1, lastT: 1, ...log.once() });
  const end = { closing: registers, endsAt: log.time, meter: 'SOLAR-1' };
  log.enter('meter-change', { ...end, ...log.once() });
  const changed = { emissions: emissionRules, stateEveryS: 3600, version: 2 };
  log.enter('rules', { ...testRules, ...changed, ...log.once() });
  enterLogKinds(log);
  expect([...log.state.violations.values()]).toEqual([]);
  log.void(log.hour('none', testStartS, 1));
  return [...log.entries, ...emissionEntries()].flatMap((bytes): [Kind, object][] => {
    const { kind, spec } = parseEntry(bytes);
    if (kind === 'genesis')
      return [
        [kind, spec],
        [kind, { ...spec, policy: testPolicy() }],
      ];
    return isKnownKind(kind) ? [[kind, spec]] : [];
  });
}

/** What happens to units 3 and 4, in every form. */
function enterTrade(log: LogBuilder): void {
  const items = [{ series: 'energy/solar', from: 3, to: 3 }];
  const evidence = [testHash('evidence')];
  log.enter('lock', { items, reason: 'because', evidence, ...log.once() });
  log.enter('unlock', { items, reason: 'because', evidence: [], ...log.once() });
  const terms = { currency: 'EUR', payBy: log.time + 60, priceMinor: 5000 };
  const payKey = testKey('payment provider').jwk;
  const seller = { account: 'solar', counterparty: 'factory', items };
  const told = { ...terms, payKey, reference: 'invoice 1' };
  const { ref: offer } = log.enter('offer', { ...seller, terms: told, ...log.once() });
  log.enter('refuse', { account: 'factory', offer, items, ...log.once() });
  const { ref: second } = log.enter('offer', { account: 'solar', items, terms, ...log.once() });
  const buyer = { account: 'factory', offer: second };
  const accepted = { ...buyer, items, reference: 'order 1', ...log.once() };
  const { ref: accept } = log.enter('accept', accepted);
  const paid = { accept, account: 'solar', items, reference: 'payment 1' };
  log.enter('settle', { ...paid, ...log.once() });
  log.enter('withdraw', { items, reason: 'because', evidence, ...log.once() });
}

/** Factors, and records of both ways in which emissions are known, one of them with substitutes. */
function emissionEntries(): readonly Uint8Array[] {
  const log = createEmissionLog();
  sealDays(log, 'wind', { hourOf: (hour) => (hour === 12 ? { validS: 9 } : {}) });
  sealDays(log, 'solar');
  for (const plant of ['wind', 'solar']) enterRecord(log, plant);
  log.correct('solar', testStartS, 7);
  correctRecord(log, 'solar');
  expect([...log.state.violations.values()]).toEqual([]);
  return log.entries.filter((bytes) => !/"kind":"(hour|genesis)/.test(decodeUtf8(bytes)));
}

/** The state, and what changes the keys of log, issuing body, ingestion and accounts; then its end. */
function enterLogKinds(log: LogBuilder): void {
  advanceStateTree(log.state.stateTree, log.state.size);
  const { asOf, count } = log.state.stateTree;
  log.enter('state', { asOf, count, root: toHex(stateRoot(log.state.stateTree)) });
  const until = { previousUntil: log.time + 3600 };
  log.enter('log-key', { logKey: testVkey(undefined, 'log 2'), ...until, ...log.once() });
  log.enter('ingestion-key', { jwk: testKey('ingestion 2').jwk, ...until, ...log.once() });
  log.enter('policy', { policy: testPolicy(), ...log.once() });
  log.enter('issuer-key', { add: testKey('issuing 2').jwk, threshold: 2, ...log.once() });
  const removed = { remove: testKey('issuing 2').kid, threshold: 1 };
  log.enter('issuer-key', { ...removed, ...log.once() });
  for (const cause of ['change', 'loss']) {
    const { jwk } = testKey(`wind account after ${cause}`);
    log.enter('account-key', { account: 'wind', cause, jwk, ...log.once() });
  }
  log.enter('log-close', { next: 'log.example/next', reason: 'its year is over', ...log.once() });
}

type Path = readonly (string | number)[];
type Json = Record<string | number, unknown>;

function pathsOf(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path];
  const inner = Object.entries(value).flatMap(([name, item]) => pathsOf(item, [...path, name]));
  return path.length === 0 ? inner : [path, ...inner];
}

/** A copy of `value` in which the place at `path` is set, or removed where `by` is undefined. */
function bent(value: unknown, path: Path, by: unknown): unknown {
  const copy = structuredClone(value);
  const holder = path.slice(0, -1).reduce((at, name) => at[name] as Json, copy as Json);
  const last = path.at(-1) ?? '';
  if (by !== undefined) holder[last] = by;
  else if (Array.isArray(holder)) holder.splice(Number(last), 1);
  else Reflect.deleteProperty(holder, last);
  return copy;
}

const replacement = fc.constantFrom<unknown>(
  ...[undefined, null, true, '', 'x', 'Solar 1', 'x'.repeat(300), 'e\u00e9\n', '\u0000', '\ud800'],
  ...[-1, 0, 1, 0.5, 3600, 2 ** 53 - 1, 2 ** 53, 1e300, [], {}, [1], { extra: 1 }],
  ...[testHash('other'), 'A'.repeat(43), 'solar', 'public', 'energy/x', 'measured', 'break'],
);

function parses(kind: Kind, spec: unknown): boolean {
  try {
    specOf[kind].parse(spec);
    return true;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    expect(error.code).toBe('form');
    return false;
  }
}

describe('the spec of each kind', () => {
  const all = examples();

  it('has an example of every kind', () => {
    expect(new Set(all.map(([kind]) => kind))).toEqual(new Set(Object.keys(specOf)));
  });

  it.each(Object.keys(specOf))('%s: parser and JSON Schema agree, whatever is bent', (name) => {
    if (!isKnownKind(name)) throw new Error(name);
    const validate = ajv.compile(specOf[name].schema);
    const specs = all.flatMap(([kind, spec]) => (kind === name ? [spec] : []));
    const verdicts = new Set<boolean>();
    for (const spec of specs) expect([parses(name, spec), validate(spec)]).toEqual([true, true]);
    const change = fc
      .constantFrom(...specs)
      .chain((spec) =>
        fc
          .tuple(fc.constantFrom(...pathsOf(spec), ['extra']), replacement)
          .map(([path, by]) => bent(spec, path, by)),
      );
    fc.assert(
      fc.property(change, (spec) => {
        const verdict = parses(name, spec);
        verdicts.add(verdict);
        expect(validate(spec), JSON.stringify(spec)).toBe(verdict);
      }),
      { numRuns: 150 },
    );
    expect(verdicts.has(false)).toBe(true);
  });

  it('carries a nonce and an end wherever it is signed', () => {
    for (const [kind, spec] of all) {
      expect('nonce' in spec && 'notAfter' in spec, kind).toBe(!unsignedKinds.has(kind));
      if (!unsignedKinds.has(kind))
        expect(parses(kind, bent(spec, ['nonce'], undefined))).toBe(false);
    }
  });

  it('knows no kind by the name of a prototype’s member', () => {
    for (const name of ['constructor', 'toString', '__proto__', 'claim']) {
      expect(isKnownKind(name)).toBe(false);
    }
  });
});
