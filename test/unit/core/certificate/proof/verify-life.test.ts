import { describe, expect, it } from 'vitest';
import { toBase64, utf8 } from '#core/bytes.ts';
import { encodeProof, type ProofParts } from '#core/certificate/proof/proof.ts';
import { verifyProof, type Verdict } from '#core/certificate/proof/verify.ts';
import { testStartS } from '#support/log-builder.ts';
import {
  auditingWitness,
  changeProof,
  createProofLog,
  enrolSolar,
  plainWitness,
  policyOf,
  sendHours,
  solarSeries,
  type PartsOptions,
  type ProofLog,
} from '#support/proof-builder.ts';

/** Step 9: what the file tells of the bundle's life, against what a `state` of the log says of it. */

const hourS = 3600;
const cosigners = [plainWitness, auditingWitness];
const policy = policyOf(cosigners);
const bundle = { series: solarSeries, from: 1, to: 100 };

/** Three hours of `solar`, sealed; certificates from 1 on. */
function sealed(): ProofLog {
  const made = createProofLog();
  enrolSolar(made);
  sendHours(made, 3);
  made.log.time = testStartS + 4 * hourS;
  for (let i = 0; i < 3; i++) made.seal('solar', testStartS + i * hourS);
  return made;
}

function check(made: ProofLog, options: PartsOptions = {}, trust = { policy }): Verdict {
  return verifyProof(encodeProof(made.parts(bundle, { cosigners, ...options })), trust);
}

function step9({ steps }: Verdict): string {
  const step = steps[8];
  return `${step?.result ?? ''}: ${step?.reason ?? ''}`;
}

function cancelled(made: ProofLog, from: number, to: number): number {
  const spec = {
    account: 'solar',
    beneficiary: 'solar',
    items: [{ series: solarSeries, from, to }],
    period: { from: testStartS, to: testStartS + hourS },
    purpose: 'our own use',
    ...made.log.once(),
  };
  const { violation, ref } = made.log.enter('cancel', spec);
  expect(violation).toBeUndefined();
  return ref.index;
}

describe('a certificate with a state proof', () => {
  it('is verified in all nine steps', () => {
    const made = sealed();
    expect(made.state().violation).toBeUndefined();
    const verdict = check(made);
    expect(verdict.steps.map(({ result }) => result)).toEqual(Array(9).fill('pass'));
    expect(verdict.result).toBe('verified');
    expect(step9(verdict)).toMatch(
      /^pass: units 1 to 100 are active, owned by solar; state as of \d+ entries, seen by a quorum at 2\d{3}-/,
    );
  });

  it('is verified when parts of it were cancelled, at units that other parts were cut at', () => {
    const made = sealed();
    cancelled(made, 20, 30);
    cancelled(made, 90, 300);
    cancelled(made, 400, 410);
    made.state();
    const verdict = check(made);
    expect(verdict.result).toBe('verified');
    expect(step9(verdict)).toContain('units 20 to 30 are cancelled, owned by solar');
    expect(step9(verdict)).toContain('units 90 to 100 are cancelled, owned by solar');
  });

  it('still is when an older state is the newest one, as long as nothing happened since', () => {
    const made = sealed();
    made.state();
    made.fill(20);
    cancelled(made, 101, 110);
    expect(check(made).result).toBe('verified');
  });

  it.each([1, 2, 3, 7, 20])('is verified after %d states', (count) => {
    const made = sealed();
    for (let i = 0; i < count; i++) {
      cancelled(made, 200 + i, 200 + i);
      expect(made.state().violation).toBeUndefined();
    }
    expect(check(made).result).toBe('verified');
  });
});

describe('what only a state proof can tell', () => {
  it('is unknown without one', () => {
    expect(step9(check(sealed()))).toContain('unknown: units 1 to 100 were active');
  });

  it('is unknown where the state is older than the last entry of the bundle', () => {
    const made = sealed();
    made.state();
    const index = cancelled(made, 5, 5);
    const verdict = check(made, { size: index + 1 });
    expect(step9(verdict)).toContain(`entry ${index} is newer than the state`);
  });

  it('is unknown without a policy, and with one that needs no auditing witness', () => {
    const made = sealed();
    made.state();
    const file = encodeProof(made.parts(bundle, { cosigners }));
    for (const options of [{}, { policy: policyOf([plainWitness]) }]) {
      expect(step9(verifyProof(file, options))).toContain('unknown: ');
      expect(verifyProof(file, options).result).toBe('undecided');
    }
  });

  it('is not looked at where the quorum is missing', () => {
    const made = sealed();
    made.state();
    const verdict = check(made, { cosigners: [plainWitness] });
    expect(verdict.result).toBe('failed');
    expect(step9(verdict)).toContain('unknown: not looked at: it rests on step 3');
  });

  it('is unknown where the operator keeps the key of the owner', () => {
    const made = createProofLog();
    enrolSolar(made, { custody: 'operator' });
    sendHours(made, 1);
    made.log.time = testStartS + 2 * hourS;
    made.seal('solar', testStartS);
    made.state();
    expect(step9(check(made))).toContain('the operator keeps the key of solar');
    expect(check(made).result).toBe('undecided');
  });
});

describe('a file that leaves something out', () => {
  const withoutEntry =
    (left: number): NonNullable<PartsOptions['entries']> =>
    (indexes) =>
      indexes.filter((index) => index !== left);

  it('fails where units were cancelled', () => {
    const made = sealed();
    const index = cancelled(made, 20, 30);
    made.state();
    const verdict = check(made, { entries: withoutEntry(index) });
    expect(verdict.result).toBe('failed');
    expect(step9(verdict)).toMatch(
      /^fail: as of \d+ entries units 20 to 30 were cancelled, owned by solar since entry \d+: the file leaves something out$/,
    );
  });

  it('fails where the state entry itself is not there', () => {
    const made = sealed();
    const { index } = made.state().ref;
    expect(step9(check(made, { entries: withoutEntry(index) }))).toMatch(
      /^fail: entry \d+ is not a state$/,
    );
  });

  it('fails where a void says that the state was wrong', () => {
    const made = sealed();
    const { ref } = made.state();
    made.log.enter('void', { code: 'root', index: ref.index, leafHash: ref.leafHash });
    const also = (indexes: readonly number[]) => [...indexes, ref.index + 1];
    const verdict = check(made, { entries: also, size: ref.index + 2 });
    expect(verdict.result).toBe('failed');
    expect(step9(verdict)).toContain(`entry ${ref.index} (state) is void`);
  });
});

describe('a state proof that is not that of the bundle', () => {
  const made = sealed();
  cancelled(made, 20, 30);
  made.state();
  const parts = made.parts(bundle, { cosigners });
  type Shown = NonNullable<ProofParts['state']>;
  const bent = (bend: (shown: Shown) => Shown): string => {
    const { state } = parts;
    if (state === undefined) throw new Error('no state');
    return step9(verifyProof(encodeProof({ ...parts, state: bend(state) }), { policy }));
  };
  const others = made.parts({ series: solarSeries, from: 600, to: 700 }).state;

  it('fails with the leaf of another range', () => {
    expect(bent((shown) => ({ ...shown, leaf: others?.leaf ?? shown.leaf }))).toContain(
      'the leaf is not that of the range',
    );
  });

  it('fails with a piece left out, in front, in the middle and behind', () => {
    for (const left of [0, 1, 2]) {
      expect(
        bent((shown) => ({ ...shown, pieces: shown.pieces.filter((_, i) => i !== left) })),
      ).toContain('fail: state proof: its pieces are not those of the bundle');
    }
  });

  it('fails with a piece of another owner, state or entry', () => {
    for (const [from, to] of [
      ['solar', 'lunar'],
      ['active', 'cancelled'],
    ] as const) {
      const change = (data: Uint8Array): Uint8Array =>
        utf8(new TextDecoder().decode(data).replace(from, to));
      expect(
        bent((shown) => ({
          ...shown,
          pieces: shown.pieces.map((piece, i) =>
            i === 0 ? { ...piece, data: change(piece.data) } : piece,
          ),
        })),
      ).toMatch(/^fail: state proof: /);
    }
  });

  it('fails with another size of the pieces, index of the leaf, or path', () => {
    expect(bent((shown) => ({ ...shown, size: shown.size + 3 }))).toMatch(/^fail: state proof: /);
    expect(bent((shown) => ({ ...shown, leaf: { ...shown.leaf, index: 1 } }))).toMatch(
      /^fail: state proof: /,
    );
    expect(
      bent((shown) => ({ ...shown, leaf: { ...shown.leaf, path: shown.leaf.path.slice(1) } })),
    ).toMatch(/^fail: state proof: /);
  });

  it('fails with an entry that is no state', () => {
    expect(bent((shown) => ({ ...shown, entry: 1 }))).toMatch(/^fail: entry 1 is not a state$/);
  });

  it('fails with bytes that are no leaf or piece, though they are in their tree', () => {
    const file = changeProof(encodeProof(parts), (proof) => {
      if (proof.state !== undefined) proof.state.leaf.data = toBase64(utf8('{}'));
    });
    expect(step9(verifyProof(file, { policy }))).toMatch(/^fail: state proof: /);
  });
});
