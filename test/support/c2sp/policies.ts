import fc from 'fast-check';

/** Policies for two parsers: right ones, and such that somebody has been careless with. */

export interface Party {
  readonly name: string;
  readonly vkey: string;
}

interface Plan {
  readonly witnesses: number;
  /** Of each group: how many of what is still in no group it takes, from where, and its threshold. */
  readonly groups: readonly {
    readonly take: number;
    readonly at: number;
    readonly needed: number;
  }[];
  readonly quorum: number;
}

const plan = (most: number): fc.Arbitrary<Plan> =>
  fc.record({
    witnesses: fc.integer({ min: 1, max: most }),
    groups: fc.array(
      fc.record({ take: fc.integer({ min: 1, max: 4 }), at: fc.nat(), needed: fc.nat() }),
      { maxLength: 5 },
    ),
    quorum: fc.nat(),
  });

/** The lines of one: groups of witnesses and of groups, nested as it comes, for one log. */
export function rightPolicies(log: string, witnesses: readonly Party[]): fc.Arbitrary<string[]> {
  return plan(witnesses.length).map((drawn) => {
    const named = witnesses.slice(0, drawn.witnesses);
    const lines = [
      `log ${log}`,
      ...named.map(({ name, vkey }) => `witness ${name} ${vkey} https://${name}.example/`),
    ];
    const free = named.map(({ name }) => name);
    for (const [i, { take, at, needed }] of drawn.groups.entries()) {
      const members = free.splice(at % free.length, take);
      const thresholds = ['any', 'all', ...members.map((_, j) => String(j + 1))];
      lines.push(`group g${i} ${pick(thresholds, needed)} ${members.join(' ')}`);
      free.push(`g${i}`);
    }
    // Most often what was defined last, since that has the most below it.
    const quorums = ['none', ...free, free.at(-1) ?? '', free.at(-1) ?? ''];
    return [...lines, `quorum ${pick(quorums, drawn.quorum)}`];
  });
}

type Edit = (lines: string[], a: number, b: number) => void;

const words = ['none', 'any', 'all', '1', '2', '01', '+1', '0', 'w0', 'w1', 'g0', 'g1', 'Log', '#'];

const edits: readonly Edit[] = [
  (lines, a, b) => lines.splice(a % lines.length, 0, pick(lines, b)),
  (lines, a) => lines.splice(a % lines.length, 1),
  (lines, a, b) => lines.splice(b % lines.length, 0, ...lines.splice(a % lines.length, 1)),
  (lines, a, b) => {
    change(lines, a, (line) => [...line, pick(words, b)]);
  },
  (lines, a, b) => {
    change(lines, a, (line) => line.with(b % line.length, pick(words, a ^ b)));
  },
  (lines, a, b) => {
    change(lines, a, (line) => line.with(b % line.length, pick(pick(lines, b).split(' '), a)));
  },
  (lines, a, b) => {
    change(lines, a, (line) => line.toSpliced(b % line.length, 1));
  },
  (lines, a, b) => lines.splice(a % lines.length, 0, pick(['', ' \t', '# note', '\t#', '\r'], b)),
  (lines, a) => {
    change(lines, a, (line) => [...line, '# note']);
  },
  (lines, a, b) => {
    change(lines, a, (line) => [`${line.join('\t ')}${pick([' ', '\t', '\r', '\u007f'], b)}`]);
  },
];

const noEnd = 'no end';

/** The text of a right policy after up to two edits; rarely without its last newline. */
export function carelessPolicies(log: string, witnesses: readonly Party[]): fc.Arbitrary<string> {
  const edit = fc.tuple(fc.constantFrom(...edits), fc.nat(), fc.nat());
  const end = fc.constantFrom('', '', '', '', '', '', '', noEnd);
  return fc
    .tuple(rightPolicies(log, witnesses), fc.array(edit, { maxLength: 2 }), end)
    .map(([lines, made, last]) => {
      const edited = [...lines];
      for (const [apply, a, b] of made) if (edited.length > 0) apply(edited, a, b);
      return `${edited.join('\n')}${last === noEnd ? '' : '\n'}`;
    });
}

function change(lines: string[], at: number, to: (words: string[]) => string[]): void {
  const i = at % lines.length;
  lines[i] = to((lines[i] ?? '').split(' ')).join(' ');
}

function pick<T>(list: readonly T[], at: number): T {
  const found = list[at % list.length];
  if (found === undefined) throw new RangeError('nothing to pick from');
  return found;
}
