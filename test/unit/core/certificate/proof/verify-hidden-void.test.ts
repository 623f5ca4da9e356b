import { describe, expect, it } from 'vitest';
import { toHex } from '#core/bytes.ts';
import { encodeProof, type ProofParts } from '#core/certificate/proof/proof.ts';
import { verifyProof, type Verdict } from '#core/certificate/proof/verify.ts';
import { encodePiece, encodeStateLeaf } from '#core/certificate/state/state-tree.ts';
import { inclusionPath, leafHash, treeRoot } from '#core/tlog/tree.ts';
import { testStartS } from '#support/log-builder.ts';
import {
  auditingWitness,
  createProofLog,
  enrolSolar,
  plainWitness,
  policyOf,
  sendHours,
  solarSeries,
  type PartsOptions,
  type ProofLog,
} from '#support/proof-builder.ts';

/**
 * An auditing witness cosigns a log with broken entries, once each has its `void`. A file need not show
 * that `void`: what it rests on must be such that there can be none.
 */

const hourS = 3600;
const cosigners = [plainWitness, auditingWitness];
const policy = policyOf(cosigners);

function measured(hours: number): ProofLog {
  const made = createProofLog();
  enrolSolar(made);
  sendHours(made, hours);
  made.log.time = testStartS + (hours + 1) * hourS;
  return made;
}

function cancel({ log }: ProofLog, from: number, to: number): void {
  const spec = {
    account: 'solar',
    beneficiary: 'solar',
    items: [{ series: solarSeries, from, to }],
    period: { from: testStartS, to: testStartS + hourS },
    purpose: 'our own use',
    ...log.once(),
  };
  expect(log.enter('cancel', spec).violation).toBeUndefined();
}

/** As an auditing witness asks before it cosigns; fillers aside, which are no entries at all. */
function requireEveryViolationVoid({ log }: ProofLog): void {
  const found = [...log.state.violations.values()].filter(({ code }) => code !== 'json');
  expect(found.map(({ voided }) => voided)).toEqual(found.map(() => true));
}

function step9({ steps }: Verdict): string {
  return `${steps[8]?.result ?? ''}: ${steps[8]?.reason ?? ''}`;
}

describe('a void that the file leaves out', () => {
  /** The hour at 10:00 is sealed twice, and 11:00 issues the very units that the second time claimed. */
  function sealedTwice(): { made: ProofLog; real: number; again: number } {
    const made = measured(2);
    made.seal('solar', testStartS);
    const again = made.seal('solar', testStartS, {
      certificates: { deficit: 0, issued: { from: 541, to: 1080 }, netted: 0 },
    }).judgement;
    expect(again.violation?.code).toBe('sealed');
    expect(made.log.void(again).violation).toBeUndefined();
    const real = made.seal('solar', testStartS + hourS).judgement.ref.index;
    cancel(made, 541, 1080);
    made.state();
    requireEveryViolationVoid(made);
    return { made, real, again: again.ref.index };
  }

  const bundle = { series: solarSeries, from: 541, to: 1080 };
  const check = (made: ProofLog, options: PartsOptions): Verdict =>
    verifyProof(encodeProof(made.parts(bundle, { cosigners, ...options })), { policy });

  it('does not give units of one hour to another one', () => {
    const { made, real, again } = sealedTwice();
    expect(check(made, { hour: real }).result).toBe('verified');
    const hours = new Set(made.sealed.keys());
    const withoutOthers = (indexes: readonly number[]) =>
      indexes.filter((index) => index === again || !hours.has(index));
    const verdict = check(made, { hour: again, entries: withoutOthers });
    expect(verdict.result).toBe('failed');
    expect(step9(verdict)).toBe(
      `fail: state proof: entry ${real} issued these units, and not entry ${again}`,
    );
  });

  /** A cancelled unit that a state says is active still: that state is void, and the next one right. */
  function lyingState(): { made: ProofLog; lie: ProofParts } {
    const made = measured(1);
    made.seal('solar', testStartS);
    const honest = made.parts({ series: solarSeries, from: 1, to: 540 });
    cancel(made, 1, 540);
    const [range] = made.log.state.stateTree.ranges;
    if (range === undefined) throw new Error('nothing was issued');
    const piece = encodePiece({
      ...range,
      owner: 'solar',
      state: 'active',
      lastIndex: range.index,
    });
    const leaf = encodeStateLeaf(range, treeRoot([leafHash(piece)]));
    const root = toHex(treeRoot([leafHash(leaf)]));
    const stated = { asOf: made.log.entries.length, count: 1, root };
    const evidence = { code: 'root', message: 'not the root' };
    const wrong = made.log.enter('state', stated, { evidence });
    const path = inclusionPath([leafHash(leaf)], 0);
    const state = {
      entry: wrong.ref.index,
      leaf: { data: leaf, index: 0, path },
      pieces: [{ data: piece, index: 0, path }],
      size: 1,
    };
    expect(made.log.void(wrong).violation).toBeUndefined();
    made.state();
    requireEveryViolationVoid(made);
    const shown = honest.entries.map(({ index }) => index);
    const options = { cosigners, entries: () => [...shown, wrong.ref.index] };
    const lie = made.parts({ series: solarSeries, from: 1, to: 540 }, options);
    return { made, lie: { ...lie, state } };
  }

  it('does not make a wrong state a right one', () => {
    const { lie } = lyingState();
    const verdict = verifyProof(encodeProof(lie), { policy });
    expect(verdict.result).toBe('undecided');
    expect(step9(verdict)).toMatch(/may say that the state is void$/);
  });
});

describe('a state with entries behind it', () => {
  it('is not believed, and one that ends the tree is', () => {
    const made = measured(1);
    made.seal('solar', testStartS);
    const { index } = made.state().ref;
    made.fill(2);
    const check = (size: number): Verdict => {
      const parts = made.parts({ series: solarSeries, from: 1, to: 9 }, { cosigners, size });
      return verifyProof(encodeProof(parts), { policy });
    };
    expect(check(index + 1).result).toBe('verified');
    expect(check(index + 2).result).toBe('undecided');
    expect(step9(check(index + 3))).toContain(
      `unknown: units 1 to 9 were active, owned by solar; entries from ${index + 1} to ${index + 2} may`,
    );
  });
});
