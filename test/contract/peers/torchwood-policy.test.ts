import { rmSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { refusalCode } from '#core/errors.ts';
import { formatVkey } from '#core/tlog/note.ts';
import { parsePolicy } from '#core/tlog/policy.ts';
import { carelessPolicies, rightPolicies } from '#support/c2sp/policies.ts';
import { askHelper, buildC2sp, buildLimitMs, c2spModules } from '#support/c2sp/programs.ts';
import type { C2spPrograms } from '#support/c2sp/programs.ts';
import {
  proofBy,
  proofWitnesses as witnesses,
  theyAccept,
  weAccept,
} from '#support/c2sp/proofs.ts';
import { describeWith } from '#support/needs.ts';
import * as peers from '#support/peers/claims.ts';
import { at } from '#support/peers/claims.ts';

const logVkey = formatVkey(peers.logKey);
const seed = Number(process.env.HOURSEAL_FUZZ_SEED ?? 20_260_101);

/** Why ours refuses what torchwood takes, in the words of c2sp.org/tlog-policy. */
const explained: readonly { readonly reason: RegExp; readonly words: string }[] = [
  {
    reason: /: a control character$/,
    words: 'The only allowed control characters are tab and newline',
  },
  { reason: /^the last line does not end$/, words: 'each line is terminated by ASCII newline' },
  { reason: / stands twice$/, words: 'Duplicate logs … Duplicate witnesses … are not allowed' },
  { reason: /the name none is taken$/, words: 'The special name `none` is predefined' },
  {
    reason: / is a member of a group already$/,
    words: 'Each defined name can be listed as a group member at most once',
  },
  {
    reason: /: a threshold of (\+|0)\d of \d$/,
    words: 'it must be written in decimal: one number, one spelling',
  },
  {
    reason: /: \w+ is not defined above$/,
    words: 'the quorum line must specify a witness or group defined earlier',
  },
  { reason: /: not a log line$/, words: 'log <vkey> [<url>]' },
  { reason: /: not a witness line$/, words: 'witness <name> <vkey> [<url>]' },
  { reason: /: exactly one quorum with one name$/, words: 'quorum <name>' },
];

/** torchwood takes the rest of any line from `#` on for a comment; whole lines alone can be one. */
const commentWords = 'comment lines (lines starting with "#", possibly preceded by whitespace)';
const commentBehindWords = /^[ \t]*[^# \t\n][^\n]*#/m;

describeWith([c2spModules], "torchwood's policy", () => {
  let programs: C2spPrograms;
  beforeAll(() => {
    programs = buildC2sp(c2spModules);
  }, buildLimitMs);
  afterAll(() => {
    rmSync(programs.folder, { recursive: true, force: true });
  });

  it('has the same quorums as ours, nested as they may be, whoever cosigned', async () => {
    const masks = fc.array(fc.nat({ max: 63 }), { minLength: 4, maxLength: 4 });
    const drawn = fc.sample(fc.tuple(rightPolicies(logVkey, witnesses), masks), {
      numRuns: 150,
      seed,
    });
    const cases = await Promise.all(
      drawn.flatMap(([lines, cosigned], i) =>
        cosigned.map(async (mask) => {
          const by = witnesses.filter((_, bit) => ((mask >> bit) & 1) === 1);
          return { policy: `${lines.join('\n')}\n`, ...(await proofBy(by, 1 + (i % 40))) };
        }),
      ),
    );
    const ours = cases.map(weAccept);
    expect(await theyAccept(programs, cases)).toEqual(ours);
    // As many of each as make this worth something, and groups in groups.
    expect(ours.filter((accepted) => accepted).length).toBeGreaterThan(150);
    expect(ours.filter((accepted) => !accepted).length).toBeGreaterThan(150);
    const nested = drawn.filter(([lines]) => lines.some((line) => /^group .* g\d/.test(line)));
    expect(nested.length).toBeGreaterThan(30);
  });

  it('is none where ours is none, or ours says by which words of the specification', async () => {
    const texts = fc.sample(carelessPolicies(logVkey, witnesses), { numRuns: 6_000, seed });
    const theirs = (await askHelper(programs, 'policies', texts)) as readonly string[];
    const needed = new Set<string>();
    const unexplained: unknown[] = [];
    let alike = 0;
    for (const [i, text] of texts.entries()) {
      const ours = refusalOf(text);
      const their = at(theirs, i);
      if ((ours === '') === (their === '')) alike += 1;
      else {
        const words = commentBehindWords.test(text)
          ? commentWords
          : explained.find(({ reason }) => their === '' && reason.test(ours))?.words;
        if (words === undefined) unexplained.push({ text, ours, their });
        else needed.add(words);
      }
    }
    expect(unexplained).toEqual([]);
    expect(alike).toBeGreaterThan(4_000);
    // No excuse that nothing needs.
    const all = [commentWords, ...explained.map(({ words }) => words)];
    expect([...needed].sort()).toEqual(all.sort());
  });

  it('differs from ours where the specification speaks for ours', async () => {
    const [w0, w1] = [at(witnesses, 0), at(witnesses, 1)];
    const witness = (name: string) => `witness ${name} ${w0.vkey}`;
    const first = `log ${logVkey}`;
    const second = `log ${formatVkey(peers.otherLogKey)}`;
    const proof = await proofBy([w0], 20);
    const unknown = await proofBy([w1], 20);
    const both = async (...lines: readonly string[]) => {
      const policy = `${lines.join('\n')}\n`;
      const cases = [
        { policy, ...proof },
        { policy, ...unknown },
      ];
      return { ours: cases.map(weAccept), theirs: await theyAccept(programs, cases) };
    };
    // "When the policy is used for verifying a proof, all of the listed logs are accepted": one signs.
    expect(await both(first, second, witness('w'), 'quorum w')).toEqual({
      ours: [true, false],
      theirs: [false, false],
    });
    // "'whitespace' … means sequences of ASCII space and tab characters *only*"
    for (const name of ['no\u00a0break', 'ideographic\u3000space']) {
      expect(await both(first, witness(name), `quorum ${name}`)).toEqual({
        ours: [true, false],
        theirs: [false, false],
      });
    }
    // "An application where the appropriate log(s) are known from other context may accept a policy
    // with an empty set of logs": neither takes a proof by it.
    expect(await both(witness('w'), 'quorum w')).toEqual({
      ours: [false, false],
      theirs: [false, false],
    });
  });
});

/** Our words for why it is none; empty for a policy. */
function refusalOf(text: string): string {
  try {
    parsePolicy(text);
    return '';
  } catch (error) {
    expect(refusalCode(error)).toBe('policy');
    return (error as Error).message;
  }
}
