import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { sha256 } from '#crypto';
import { decodeUtf8, fromBase64, fromHex, toHex, utf8 } from '#core/bytes.ts';
import { commitmentOf, commitmentSalt, encodeOpening } from '#core/certificate/commitment.ts';
import { parseOpening } from '#core/certificate/commitment.ts';
import { encodeEntry, parseAuth, parseEntry, type Entry } from '#core/certificate/entry.ts';
import { advance } from '#core/certificate/fold.ts';
import { specOf } from '#core/certificate/kinds.ts';
import { stateLeafShape, statePieceShape } from '#core/certificate/specs/state.ts';
import { encodeProof, parseProof } from '#core/certificate/proof/proof.ts';
import { judgeStateEvidence } from '#core/certificate/rules/state.ts';
import { verifyProof } from '#core/certificate/proof/verify.ts';
import { encodeMessageLeaf, parseMessageLeaf } from '#core/energy/batch.ts';
import { encodeFramed, parseFramed } from '#core/energy/evidence-file.ts';
import { parseMessage } from '#core/energy/message.ts';
import { encodeMeterRecord, metersRoot, parseMeterRecord } from '#core/energy/meter-record.ts';
import { parseCanonical } from '#core/jcs.ts';
import { array, boolean, integer, object, optional, pattern, text } from '#core/shape.ts';
import { formatVkey } from '#core/tlog/note.ts';
import { parsePolicy, quorumMet, needsAuditor } from '#core/tlog/policy.ts';
import { leafHash, treeRoot } from '#core/tlog/tree.ts';
import { fences, formatsPage, replaceChapter, replaceFences } from '#support/formats-page.ts';
import { grammarBlocks } from '#support/formats-shapes.ts';
import { grammarOf } from '#support/grammar.ts';
import { replayLog } from '#support/replay-log.ts';
import type { DayEntry } from '#support/worked-day-parties.ts';
import { dayChapter, provedBundle } from '#support/worked-day-page.ts';
import { story } from '#support/worked-day-story.ts';

const mark = ' example=';
const onPage = new Map(
  [...fences((info) => info.includes(mark))].map(([info, content]) => [
    info.slice(info.indexOf(mark) + mark.length),
    content,
  ]),
);

/** An example without its last newline. */
function example(name: string): string {
  const found = onPage.get(name);
  if (found === undefined) throw new Error(`${formatsPage} has no example ${name}`);
  return found.slice(0, -1);
}

const listed = example('worked-day')
  .split('\n')
  .map((line) => {
    const [index = '', hash = '', name = ''] = line.trim().split(' ');
    return { index: Number(index), hash, name, bytes: utf8(example(`entry-${name}`)) };
  });

function readVector(name: string): string {
  return readFileSync(new URL(`../../vectors/${name}`, import.meta.url), 'utf8');
}

function entryOf(name: string): Entry {
  return parseEntry(utf8(example(`entry-${name}`)));
}

describe('the grammars of FORMATS.md', () => {
  it('are those of the shapes that the code parses by, none missing, none too many', () => {
    expect(fences((info) => info.startsWith('grammar'))).toEqual(grammarBlocks());
  });

  it('change when a limit, a name, a choice or what is optional changes', () => {
    const base = { a: integer(1, 9), b: array(text(8), { min: 0, max: 2 }), c: boolean };
    const others = [
      base,
      { ...base, a: integer(1) },
      { ...base, a: integer(1, 8) },
      { ...base, a: optional(integer(1, 9)) },
      { ...base, b: array(text(8), { min: 1, max: 2 }) },
      { ...base, b: array(text(9), { min: 0, max: 2 }) },
      { ...base, c: pattern('true|false') },
      { ...base, d: boolean },
    ];
    expect(new Set(others.map((members) => grammarOf(object(members)))).size).toBe(others.length);
  });

  it('cannot leave a block open', () => {
    expect(() => replaceFences('```text\nno end\n', (_info, content) => content)).toThrow('closed');
  });
});

/** Kinds that came after the day was written: `kinds.test.ts` has an example of each. */
const youngerKinds: ReadonlySet<string> = new Set([
  ...['accept', 'claim', 'lock', 'offer', 'refuse', 'settle', 'unclaim', 'unlock', 'withdraw'],
]);

describe('the worked day of FORMATS.md', () => {
  it('is that of the vectors, in the words of its story', () => {
    const { entries } = JSON.parse(readVector('worked-day.json')) as { entries: DayEntry[] };
    expect(
      replaceChapter(readFileSync(formatsPage, 'utf8'), 'A worked day', dayChapter(entries)),
    ).toBe(readFileSync(formatsPage, 'utf8'));
    expect(() => replaceChapter('# Page', 'A worked day', '')).toThrow('no chapter');
  });

  it('has every older kind of entry and decision, in the bytes that the code writes', () => {
    const kinds = new Set<string>();
    const effects = new Set<string>();
    for (const { bytes, hash } of listed) {
      const { apiVersion: _version, ...entry } = parseEntry(bytes);
      expect(encodeEntry(entry)).toEqual(bytes);
      expect(toHex(leafHash(bytes))).toBe(hash);
      kinds.add(entry.kind);
      if (entry.kind === 'decision') effects.add(specOf.decision.parse(entry.spec).effect);
    }
    const due = Object.keys(specOf).filter((kind) => !youngerKinds.has(kind));
    expect([...kinds].sort()).toEqual(due.sort());
    expect([...effects].sort()).toEqual(['accept-late', 'break', 'keep-fork', 'set-aside']);
  });

  it('is sound, signatures included, but for the entries that a void names', () => {
    const { state, judgements } = replayLog(listed.map(({ bytes }) => bytes));
    const codes = new Map(
      ['void', 'void-hour'].map((name) => {
        const { index, code } = specOf.void.parse(entryOf(name).spec);
        return [index, code] as const;
      }),
    );
    expect([...codes.values()]).toEqual(['frozen', 'batch']);
    judgements.forEach(({ ref, violation }, i) => {
      expect(ref).toEqual({ index: listed[i]?.index, leafHash: listed[i]?.hash });
      expect(violation?.code).toBe(codes.get(ref.index));
    });
    expect([...state.violations.values()].every(({ voided }) => voided)).toBe(true);
    const { issuedWh, withdrawnWh, deficitWh, certifiedWh } = state.plants.get('solar') ?? {};
    expect({ issuedWh, withdrawnWh, deficitWh, certifiedWh }).toEqual({
      issuedWh: 9400,
      withdrawnWh: 800,
      deficitWh: 0,
      certifiedWh: 8600,
    });
  });

  it('signs what it says it signs, as the vectors made from the design do', () => {
    const account = entryOf('account');
    const { origin } = specOf.genesis.parse(entryOf('genesis').spec);
    const signed = parseAuth(account, origin);
    expect(signed.map(({ payload }) => decodeUtf8(payload))).toEqual(
      signed.map(() => example('signed-account')),
    );
    const vector = JSON.parse(readVector('entries.json')) as { jcs: string; signed: string };
    expect(vector.jcs).toBe(example('entry-account'));
    expect(vector.signed).toBe(example('signed-account'));
  });

  it('shows messages and records that lead to the roots of their hour', () => {
    const hour = specOf.hour.parse(entryOf('hour').spec);
    const leaves = example('hour-messages')
      .split('\n')
      .map((jws) => {
        const bytes = utf8(jws);
        const last = parseMessage(bytes).message.readings.at(-1)?.t ?? 0;
        return encodeMessageLeaf({ receivedAt: last + 5, bytes });
      });
    expect(toHex(treeRoot(leaves.map(leafHash)))).toBe(hour.batchRoot);
    const records = example('hour-records')
      .split('\n')
      .map((line) => {
        const record = parseMeterRecord(utf8(line));
        expect(decodeUtf8(encodeMeterRecord(record))).toBe(line);
        return record;
      });
    expect(toHex(metersRoot(records))).toBe(hour.metersRoot);
    const [fed, taken] = records.map(({ energy }) => energy);
    expect('generation' in hour && hour.generation).toBe(
      (fed?.exportWh ?? 0) - (taken?.importWh ?? 0),
    );
  });

  it('shows an opening that fits the commitment of its hour', () => {
    const hour = specOf.hour.parse(entryOf('hour-committed').spec);
    const bytes = fromHex(example('opening'));
    const { opening, salt, records } = parseOpening(bytes);
    expect(encodeOpening({ opening, salt, records })).toEqual(bytes);
    expect('commitment' in hour && hour.commitment).toBe(toHex(commitmentOf(salt, opening)));
    expect(hour.metersRoot).toBe(toHex(treeRoot(records.map(leafHash))));
    const { origin } = specOf.genesis.parse(entryOf('genesis').spec);
    const secret = sha256(utf8('hourseal test site secret mill'));
    const place = { origin, plant: hour.plant, start: hour.interval.start, version: 1 };
    expect(toHex(commitmentSalt(secret, place))).toBe(toHex(salt));
    expect(example('opening-salt')).toBe(toHex(salt));
  });

  it('shows the leaves of a state, and pieces of one, that lead to its root', () => {
    const stated = specOf.state.parse(entryOf('state').spec);
    const [pieces = [], leaves = []] = ['state-pieces', 'state-leaves'].map((name) =>
      example(name)
        .split('\n')
        .map((line) => {
          const [hash = '', data = ''] = line.split(' ');
          expect(toHex(leafHash(utf8(data)))).toBe(hash);
          return { hash: fromHex(hash), value: parseCanonical(utf8(data)) };
        }),
    );
    const ranges = leaves.map(({ value }) => stateLeafShape.parse(value));
    expect(ranges).toHaveLength(stated.count);
    expect(toHex(treeRoot(leaves.map(({ hash }) => hash)))).toBe(stated.root);
    expect(ranges[0]?.pieces).toBe(toHex(treeRoot(pieces.map(({ hash }) => hash))));
    const parts = pieces.map(({ value }) => statePieceShape.parse(value));
    expect(parts.map(({ from, to, state }) => [from, to, state])).toEqual([
      [1, 1500, 'cancelled'],
      [1501, 1900, 'withdrawn'],
    ]);
  });

  it('states of every size what the entries below it left', () => {
    const { state } = replayLog([]);
    for (const { index, name, bytes } of listed) {
      const entry = parseEntry(bytes);
      if (entry.kind === 'state') {
        const spec = specOf.state.parse(entry.spec);
        expect(judgeStateEvidence(state, spec), name).toBeUndefined();
        const other = { ...spec, root: toHex(sha256(bytes)) };
        expect(judgeStateEvidence(state, other)?.code).toBe('root');
      }
      const broken = name === 'broken-hour' ? { code: 'batch', message: 'no file' } : undefined;
      expect(advance(state, bytes, { evidence: broken }).ref.index).toBe(index);
    }
    expect(state.latestState?.ref.index).toBe(listed.findIndex(({ name }) => name === 'state-22'));
  });

  it('shows the evidence of its fork', () => {
    const bytes = fromHex(example('fork-evidence'));
    const fork = specOf.fork.parse(entryOf('fork').spec);
    expect(toHex(sha256(bytes))).toBe(fork.evidence);
    const parts = parseFramed(bytes, 2);
    expect(encodeFramed(parts)).toEqual(bytes);
    const [first, second] = parts.map((leaf) => parseMessageLeaf(leaf).parsed);
    expect(first?.jws.header.kid).toBe(fork.kid);
    expect([first?.message.seq, second?.message.seq]).toEqual([fork.seq, fork.seq]);
    expect(first?.hash).not.toEqual(second?.hash);
    const decision = specOf.decision.parse(entryOf('decision-keep-fork').spec);
    expect('hash' in decision && decision.hash).toBe(toHex(second?.hash ?? utf8('')));
  });
});

const noLeaf = { data: utf8(''), index: 0, path: [] };

describe('the proof file beside FORMATS.md', () => {
  const bytes = new Uint8Array(
    readFileSync(new URL('../../vectors/proof-example.hourseal.json', import.meta.url)),
  );

  it('is of the worked day and passes every step that can be decided without a policy', () => {
    expect(parseProof(bytes).bundle).toEqual(provedBundle);
    const { steps, result } = verifyProof(bytes);
    expect(result).toBe('undecided');
    const undecided = steps.filter(({ result: is }) => is !== 'pass').map(({ name }) => name);
    expect(undecided).toEqual(['quorum', 'issue', 'life']);
    expect(steps.some(({ result: is }) => is === 'fail')).toBe(false);
  });

  it('is written again as it was read, from the entries on the page', () => {
    const proof = parseProof(bytes);
    const decoded = <T extends { data: string; path: readonly string[] }>(list: readonly T[]) =>
      list.map((one) => ({ ...one, data: fromBase64(one.data), path: one.path.map(fromBase64) }));
    const messages = proof.messages.map((one) => ({ ...one, path: one.path.map(fromBase64) }));
    const { bundle, checkpoint, hour } = proof;
    const lists = { entries: decoded(proof.entries), records: decoded(proof.records), messages };
    if (proof.state === undefined) throw new Error('no state covers the bundle');
    const { entry, leaf, pieces, size } = proof.state;
    const state = { entry, leaf: decoded([leaf])[0] ?? noLeaf, pieces: decoded(pieces), size };
    expect(encodeProof({ bundle, checkpoint, hour, ...lists, state })).toEqual(bytes);
    for (const { index, data } of lists.entries) expect(data).toEqual(listed[index]?.bytes);
  });
});

describe('the policy on FORMATS.md', () => {
  it('trusts the keys of the page and cannot be met without its auditor', () => {
    const policy = parsePolicy(`${example('policy')}\n`);
    const keys = [...policy.logs, ...policy.witnesses].map(({ key }) => formatVkey(key));
    expect(keys).toEqual(example('vkeys').split('\n'));
    expect(needsAuditor(policy)).toBe(true);
    expect(quorumMet(policy, () => true)).toBe(true);
    expect(quorumMet(policy, ({ name }) => name === 'two')).toBe(false);
  });
});

describe('every example of FORMATS.md', () => {
  it('is read by a test', () => {
    const here = fileURLToPath(new URL('.', import.meta.url));
    const tests = readdirSync(here, { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.test.ts'))
      .map((path) => readFileSync(`${here}${path}`, 'utf8'))
      .filter((source) => source.includes('#support/formats-'))
      .join('');
    const entries = new Set(story.map(({ name }) => `entry-${name}`));
    const unread = [...onPage.keys()].filter(
      (name) => !entries.has(name) && !tests.includes(`'${name}'`),
    );
    expect(unread).toEqual([]);
  });
});
