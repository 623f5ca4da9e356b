import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Refused } from '#core/errors.ts';
import { ed25519Type, formatVkey } from '#core/tlog/note.ts';
import {
  needsAuditor,
  parsePolicy,
  policyLimitBytes,
  quorumMet,
  quorumOverlap,
  requireAuditor,
  type Policy,
} from '#core/tlog/policy.ts';
import { fromBase64Url } from '#core/bytes.ts';
import { testKey, testVkey } from '#support/log-builder.ts';
import { witnessVkey } from '#support/proof-builder.ts';

const log = `log ${testVkey()}`;
const witness = (name: string): string => `witness ${name} ${witnessVkey(`${name}.example`)}`;
const xs = ['X1', 'X2', 'X3'].map(witness);
const ys = ['Y1', 'Y2', 'Y3'].map(witness);

function parse(...lines: readonly string[]): Policy {
  return parsePolicy(`${lines.join('\n')}\n`);
}

function refusal(...lines: readonly string[]): string {
  try {
    parse(...lines);
  } catch (error) {
    if (error instanceof Refused && error.code === 'policy') return error.message;
    throw error;
  }
  return 'accepted';
}

const met = (policy: Policy, ...names: readonly string[]): boolean =>
  quorumMet(policy, ({ name }) => names.includes(name));

describe('a policy', () => {
  it('is the example of the specification', () => {
    const policy = parse(
      log,
      '',
      ...xs,
      'group X-witnesses 2 X1 X2 X3',
      '',
      ...ys,
      'group Y-witnesses any Y1 Y2 Y3',
      '',
      'group X-and-Y all X-witnesses Y-witnesses',
      'quorum X-and-Y',
    );
    expect(policy.logs.map(({ key }) => key.name)).toEqual([testVkey().split('+')[0]]);
    expect(policy.witnesses.map(({ name }) => name)).toEqual(['X1', 'X2', 'X3', 'Y1', 'Y2', 'Y3']);
    expect(met(policy, 'X1', 'X3', 'Y2')).toBe(true);
    expect(met(policy, 'X1', 'X2', 'X3')).toBe(false);
    expect(met(policy, 'X1', 'Y1', 'Y2', 'Y3')).toBe(false);
    expect(met(policy)).toBe(false);
  });

  it('may have white space, comments, URLs, no log, and names in any script', () => {
    const policy = parse(
      '# Whom we trust — 信任',
      '  \t# and why',
      ' \t ',
      `\t${witness('X1')}  https://x1.example/  `,
      `witness \u212a ${witnessVkey('kelvin.example')}`,
      `witness K ${witnessVkey('ascii.example')}`,
      `log\t${testVkey()} \t https://log.example`,
      `log ${testVkey('second.example', 'second log')}`,
      'group all  all  X1   \u212a',
      'quorum all ',
    );
    expect(policy.witnesses[0]?.url).toBe('https://x1.example/');
    expect(policy.logs.map(({ url }) => url)).toEqual(['https://log.example', undefined]);
    expect(met(policy, 'X1', '\u212a')).toBe(true);
    expect(met(policy, 'X1', 'K')).toBe(false);
    expect(parse('quorum none').logs).toEqual([]);
  });

  it('is met by nobody at all where the quorum is none', () => {
    expect(met(parse(log, witness('X1'), 'quorum none'))).toBe(true);
  });

  it('may name one witness as its quorum, before others are defined', () => {
    const policy = parse(witness('X1'), 'quorum X1', witness('X2'));
    expect(met(policy, 'X1')).toBe(true);
    expect(met(policy, 'X2')).toBe(false);
  });

  it('holds 100 logs, witnesses and nested groups', () => {
    const many = Array.from({ length: 100 }, (_, i) => `w${i}`);
    const policy = parse(
      ...many.map((name) => `log ${testVkey(`${name}.log`, `${name} log`)}`),
      ...many.map(witness),
      ...many.map((name, i) => `group g${i} all ${name}${i === 0 ? '' : ` g${i - 1}`}`),
      'quorum g99',
    );
    expect(met(policy, ...many)).toBe(true);
    expect(met(policy, ...many.slice(1))).toBe(false);
  });
});

describe('what is no policy', () => {
  const two = [witness('X1'), witness('X2')];
  const plainKey = fromBase64Url(testKey('x').jwk.x);
  const vkeyOfLogType = formatVkey({ name: 'x', type: ed25519Type, publicKey: plainKey });
  it.each([
    ['without a quorum', [log], 'there is no quorum line'],
    ['with two quorums', ['quorum none', 'quorum none'], 'line 2: exactly one quorum'],
    ['with a quorum of two names', [...two, 'quorum X1 X2'], 'line 3: exactly one quorum'],
    ['with a quorum that is not defined', ['quorum X1'], 'line 1: X1 is not defined above'],
    ['with a quorum that is defined below', ['quorum X1', two[0]], 'line 1: X1 is not defined'],
    ['with a member that is defined below', ['group g any X1', two[0]], 'line 1: X1 is not'],
    ['with a group of itself', ['group g any g'], 'line 1: g is not defined above'],
    ['with none as a member', [...two, 'group g any X1 none'], 'line 3: none is not defined'],
    ['with none as a witness', [witness('none')], 'line 1: the name none is taken'],
    ['with none as a group', [...two, 'group none any X1'], 'line 3: the name none is taken'],
    ['with one name twice', [...two, 'group X1 any X2'], 'line 3: the name X1 is taken'],
    ['with a member twice', [...two, 'group g any X1 X1'], 'line 3: X1 is a member of a group'],
    [
      'with a member of two groups',
      [...two, 'group g any X1 X2', 'group h any X2'],
      'line 4: X2 is a member of a group already',
    ],
    [
      'with a group in two groups',
      [...two, 'group g any X1', 'group h any g', 'group i all g X2'],
      'line 5: g is a member of a group already',
    ],
    ['with an empty group', ['group g any'], 'line 1: an empty group'],
    ['with a group without threshold', ['group g'], 'line 1: an empty group'],
    ['with a threshold of 0', [...two, 'group g 0 X1'], 'line 3: a threshold of 0 of 1'],
    ['with too high a threshold', [...two, 'group g 3 X1 X2'], 'line 3: a threshold of 3 of 2'],
    [
      'with a threshold in another spelling',
      [...two, 'group g 01 X1'],
      'line 3: a threshold of 01',
    ],
    ['with a threshold that is no number', [...two, 'group g 1e0 X1'], 'line 3: a threshold'],
    ['with a threshold in upper case', [...two, 'group g ANY X1'], 'line 3: a threshold of ANY'],
    ['with an unknown keyword', ['witnes X1'], 'line 1: unknown keyword witnes'],
    ['with a keyword in upper case', ['QUORUM none'], 'line 1: unknown keyword QUORUM'],
    ['with a keyword alone', ['quorum'], 'line 1: quorum says nothing'],
    ['with a comment behind a line', ['quorum none # really'], 'line 1: exactly one quorum'],
    ['with a carriage return', ['quorum none\r'], 'line 1: a control character'],
    ['with a control character in a comment', ['# \u0000', 'quorum none'], 'line 1: a control'],
    ['with a delete character', ['# \u007f', 'quorum none'], 'line 1: a control character'],
    ['with a witness without key', ['witness X1'], 'line 1: not a witness line'],
    ['with a witness with too much', [`${witness('X1')} url more`], 'line 1: not a witness line'],
    ['with a log with too much', [`${log} url more`], 'line 1: not a log line'],
    ['with a key that is none', ['log nothing'], 'line 1: not a verifier key'],
    [
      'with a key id that does not fit',
      [log.replace(/\+[0-9a-f]{8}\+/, '+00000000+')],
      'line 1: the key id',
    ],
    ['with the key of a witness as a log', [`log ${witnessVkey('x')}`], 'line 1: not a log line'],
    [
      'with the key of a log as a witness',
      [`witness X1 ${vkeyOfLogType}`],
      'line 1: X1: not a witness',
    ],
    ['with one log twice', [log, log], 'line 2: the key of'],
    [
      'with one log key under two names',
      [log, `log ${testVkey('other.example')}`],
      'line 2: the key of other.example stands twice',
    ],
    ['with one witness twice', [two[0], witness('X1').replace('X1', 'X2')], 'line 2: the key of'],
  ])('is refused %s', (_name, lines, message) => {
    expect(refusal(...lines.map(String))).toContain(message);
  });

  it('is refused when it does not end its last line, is empty, or too large', () => {
    expect(() => parsePolicy('quorum none')).toThrow('the last line does not end');
    expect(() => parsePolicy('')).toThrow('there is no quorum line');
    expect(() => parsePolicy('\n')).toThrow('there is no quorum line');
    const comment = `#${' '.repeat(policyLimitBytes - 14)}\n`;
    expect(parsePolicy(`${comment}quorum none\n`).quorum).toBeUndefined();
    expect(() => parsePolicy(`${comment}\n\nquorum none\n`)).toThrow('above 64 KiB');
  });
});

/** A random policy: a forest of groups over a few witnesses, some of them auditing. */
type Shape =
  { readonly audits: boolean } | { readonly needed: number; readonly of: readonly Shape[] };
const { shape } = fc.letrec<{ shape: Shape; leaf: Shape; group: Shape }>((tie) => ({
  shape: fc.oneof({ depthSize: 'small', maxDepth: 3 }, tie('leaf'), tie('group')),
  leaf: fc.record({ audits: fc.boolean() }),
  group: fc
    .record({
      of: fc.array(tie('shape'), { minLength: 1, maxLength: 3 }),
      share: fc.integer({ min: 0, max: 99 }),
    })
    .map(({ of, share }) => ({ of, needed: 1 + Math.floor((share * of.length) / 100) })),
}));

/** The lines of a shape, and what a set of witnesses means for it, said in another way. */
function write(top: Shape): {
  lines: string[];
  auditors: boolean[];
  satisfied: (set: number) => boolean;
} {
  const lines: string[] = [];
  const auditors: boolean[] = [];
  let groups = 0;
  const add = (one: Shape): { name: string; satisfied: (set: number) => boolean } => {
    if ('audits' in one) {
      const index = auditors.push(one.audits) - 1;
      const key = `w${index}.example${one.audits ? '/audit' : ''}`;
      lines.push(`witness w${index} ${witnessVkey(key)}`);
      return { name: `w${index}`, satisfied: (set) => (set >> index) % 2 === 1 };
    }
    const members = one.of.map(add);
    groups += 1;
    const name = `g${groups}`;
    lines.push(`group ${name} ${one.needed} ${members.map((member) => member.name).join(' ')}`);
    const count = (set: number): number => members.filter((member) => member.satisfied(set)).length;
    return { name, satisfied: (set) => count(set) >= one.needed };
  };
  const { name, satisfied } = add(top);
  lines.push(`quorum ${name}`);
  return { lines, auditors, satisfied };
}

describe('two quorums of one policy', () => {
  const flat = (needed: number, n: number): Policy => {
    const names = Array.from({ length: n }, (_, i) => `w${i}`);
    return parse(...names.map(witness), `group g ${needed} ${names.join(' ')}`, 'quorum g');
  };

  it('share 2k - n witnesses where k of n are needed, and never fewer than none', () => {
    for (let n = 1; n <= 9; n++) {
      for (let k = 1; k <= n; k++) {
        expect({ n, k, shared: quorumOverlap(flat(k, n)) }).toEqual({
          n,
          k,
          shared: Math.max(0, 2 * k - n),
        });
      }
    }
  });

  it('share a liar too few with n = 3f, and one more than there are liars with n = 3f + 1', () => {
    for (let f = 1; f <= 30; f++) {
      expect(quorumOverlap(flat(2 * f, 3 * f))).toBe(f);
      expect(quorumOverlap(flat(2 * f + 1, 3 * f + 1))).toBe(f + 1);
    }
  });

  it('share the one witness that all need, and nobody where there is no quorum', () => {
    expect(quorumOverlap(parse(witness('X1'), 'quorum X1'))).toBe(1);
    expect(quorumOverlap(parse(witness('X1'), 'quorum none'))).toBe(0);
    const names = ['A', 'X1', 'X2'];
    const audited = ['group x any X1 X2', 'group g all A x', 'quorum g'];
    expect(quorumOverlap(parse(...names.map(witness), ...audited))).toBe(1);
  });

  it('share as many as the worst pair of subsets that meet it', () => {
    fc.assert(
      fc.property(
        shape.filter((top) => write(top).auditors.length <= 7),
        (top) => {
          const { lines, auditors, satisfied } = write(top);
          const sets = Array.from({ length: 2 ** auditors.length }, (_, set) => set);
          const quorums = sets.filter(satisfied);
          const shared = quorums.flatMap((a) => quorums.map((b) => bitsOf(a & b)));
          const fewest = shared.reduce((least, count) => Math.min(least, count), auditors.length);
          expect(quorumOverlap(parse(...lines))).toBe(fewest);
        },
      ),
      { numRuns: 100 },
    );
  });
});

function bitsOf(set: number): number {
  return set.toString(2).replaceAll('0', '').length;
}

describe('a policy that must be audited', () => {
  const audited = (name: string): string =>
    `witness ${name} ${witnessVkey(`${name}.example/audit`)}`;

  it('has an auditing witness on every path to its quorum', () => {
    requireAuditor(parse(audited('A'), 'quorum A'));
    requireAuditor(parse(audited('A'), witness('X1'), 'group g all A X1', 'quorum g'));
    requireAuditor(parse(audited('A'), audited('B'), 'group g any A B', 'quorum g'));
  });

  it.each([
    ['nobody need cosign', ['quorum none']],
    ['only plain witnesses are needed', [witness('X1'), 'quorum X1']],
    ['the auditing one need not', [audited('A'), witness('X1'), 'group g any A X1', 'quorum g']],
    [
      'two plain ones outvote it',
      [audited('A'), witness('X1'), witness('X2'), 'group g 2 A X1 X2', 'quorum g'],
    ],
  ])('is refused where %s', (_name, lines) => {
    const policy = parse(...lines);
    expect(() => {
      requireAuditor(policy);
    }).toThrow('without an auditing witness');
  });
});

describe('the quorum of any policy', () => {
  it('is met, and needs an auditor, exactly as every subset of its witnesses says', () => {
    fc.assert(
      fc.property(
        shape.filter((top) => write(top).auditors.length <= 7),
        (top) => {
          const { lines, auditors, satisfied } = write(top);
          const policy = parse(...lines);
          let isNeeded = true;
          for (let set = 0; set < 2 ** auditors.length; set++) {
            const signed = policy.witnesses.filter((_, i) => (set >> i) % 2 === 1);
            if (quorumMet(policy, (one) => signed.includes(one)) !== satisfied(set)) {
              expect.fail(`${set} of ${lines.join('; ')}`);
            }
            const isAudited = auditors.some((audits, i) => audits && (set >> i) % 2 === 1);
            if (satisfied(set) && !isAudited) isNeeded = false;
          }
          expect(needsAuditor(policy)).toBe(isNeeded);
        },
      ),
      { numRuns: 100 },
    );
  });

  it('needs no auditor where it is none, or where an auditor is only in the name of the policy', () => {
    expect(needsAuditor(parse('quorum none'))).toBe(false);
    const audited = `witness plain ${witnessVkey('x.example/audit')}`;
    expect(needsAuditor(parse(audited, 'quorum plain'))).toBe(true);
    const unaudited = `witness x/audit ${witnessVkey('x.example')}`;
    expect(needsAuditor(parse(unaudited, 'quorum x/audit'))).toBe(false);
    const nearly = `witness x ${witnessVkey('x.example/auditor')}`;
    expect(needsAuditor(parse(nearly, 'quorum x'))).toBe(false);
  });
});
