import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { sha256 } from '#crypto';
import { decodeUtf8, fromBase64, toBase64, toHex, utf8 } from '#core/bytes.ts';
import {
  encodeDishonoured,
  encodeEquivocation,
  meansEvidence,
  parseEvidence,
} from '#core/certificate/misbehaviour/misbehaviour.ts';
import { verifyMisbehaviour } from '#core/certificate/misbehaviour/verify-misbehaviour.ts';
import { parseMessage } from '#core/energy/message.ts';
import { buildReceipt, emptyChain, extendChain, openReceipt } from '#core/energy/receipt.ts';
import { refusalCode } from '#core/errors.ts';
import { canonicalBytes } from '#core/jcs.ts';
import { parsePublicJwk } from '#core/keys.ts';
import { cosignatureSigner, signCheckpoint } from '#core/tlog/checkpoint.ts';
import { boundaryAt } from '#core/tlog/equivocation.ts';
import { noteSigner, parseVkey } from '#core/tlog/note.ts';
import { parsePolicy } from '#core/tlog/policy.ts';
import { leafHash, treeRoot } from '#core/tlog/tree.ts';
import {
  dishonouredExample,
  equivocationExample,
  memoryReader,
} from '#support/evidence-examples.ts';
import { exampleOnPage as example } from '#support/formats-page.ts';
import { testKey, testOrigin, testVkey } from '#support/log-builder.ts';
import { honestProof } from '#support/proof-builder.ts';
import { witnessVkey } from '#support/test-policy.ts';

const policy = parsePolicy(`log ${testVkey()}\nwitness one ${witnessVkey('one')}\nquorum none\n`);
const equivocation = utf8(example('evidence-equivocation'));
const vector = new URL(
  '../../../../vectors/dishonoured-receipt.hourseal-evidence.json',
  import.meta.url,
);
const dishonoured = new Uint8Array(readFileSync(vector));

/** The file with some members changed, its sum made to fit again. */
function changed(bytes: Uint8Array, change: object): Uint8Array {
  const { sum: _sum, ...body } = JSON.parse(decodeUtf8(bytes)) as Record<string, unknown>;
  const next = Object.fromEntries(
    Object.entries({ ...body, ...change }).filter(([, value]) => value !== undefined),
  );
  return canonicalBytes({ ...next, sum: toHex(sha256(canonicalBytes(next))) });
}

function found(bytes: Uint8Array, trusting = policy): readonly string[] {
  const { result, steps } = verifyMisbehaviour(bytes, { policy: trusting });
  return [result, ...steps.filter((step) => step.result === 'fail').map(({ name }) => name)];
}

const leaves = (texts: readonly string[]) => texts.map((text) => leafHash(utf8(text)));
const one = leaves(Array.from({ length: 12 }, (_, i) => `entry ${i}`));
const two = leaves(Array.from({ length: 12 }, (_, i) => (i < 4 ? `entry ${i}` : `other ${i}`)));
const logSigner = noteSigner(testOrigin, testKey('log'));
const cosigner = cosignatureSigner('witness.example/one', testKey('witness one'), 1_767_261_610);

function note(tree: readonly Uint8Array[], size: number, signers = [logSigner]): Uint8Array {
  return signCheckpoint({ origin: testOrigin, size, root: treeRoot(tree.slice(0, size)) }, signers);
}

/** A pair as evidence, with the second's own boundary. */
async function pairOf(
  first: { tree: readonly Uint8Array[]; size: number },
  second: { tree: readonly Uint8Array[]; size: number },
  { vkeys = [testVkey()], signers = [logSigner] } = {},
): Promise<Uint8Array> {
  const place = { size: first.size, total: second.size };
  return encodeEquivocation({
    first: note(first.tree, first.size, signers),
    second: note(second.tree, second.size, signers),
    boundary:
      first.size === second.size
        ? undefined
        : await boundaryAt(place, memoryReader(second.tree.slice(0, second.size))),
    keys: vkeys.map(parseVkey),
  });
}

describe('the evidence of FORMATS.md', () => {
  it('is what the code writes, and proved to whoever knows the log', async () => {
    expect(decodeUtf8(await equivocationExample(example))).toBe(decodeUtf8(equivocation));
    expect(dishonouredExample(example)).toEqual(dishonoured);
    for (const bytes of [equivocation, dishonoured]) {
      expect(meansEvidence(bytes)).toBe(true);
      const verdict = verifyMisbehaviour(bytes, { policy });
      expect([verdict.result, verdict.steps.map(({ result }) => result)]).toEqual([
        'proved',
        verdict.steps.map(() => 'pass'),
      ]);
      expect(verdict.claim).toContain(testOrigin);
    }
  });

  it('accuses nobody whom the verifier does not know', () => {
    const stranger = parsePolicy(`log ${testVkey(testOrigin, 'stranger')}\nquorum none\n`);
    for (const bytes of [equivocation, dishonoured]) {
      const { result, steps } = verifyMisbehaviour(bytes);
      expect(result).toBe('undecided');
      expect(steps.filter((step) => step.result !== 'pass').map(({ name }) => name)).toEqual([
        'accused',
      ]);
      expect(found(bytes, stranger)[0]).toBe('unproved');
    }
  });

  it('is told by its sum from every file with one byte changed', () => {
    for (const bytes of [equivocation, dishonoured]) {
      for (let i = 0; i < bytes.length; i++) {
        const flipped = Uint8Array.from(bytes);
        flipped[i] = (flipped[i] ?? 0) ^ 1;
        const { result, claim } = verifyMisbehaviour(flipped, { policy });
        if (result !== 'unproved' || claim !== undefined)
          expect([i, result]).toEqual([i, 'unproved']);
      }
    }
  });

  it('is not taken for a proof file, nor a proof file for it', () => {
    expect(meansEvidence(honestProof())).toBe(false);
    expect(meansEvidence(Uint8Array.of(0xff, 0xfe))).toBe(false);
    expect(found(honestProof())).toEqual(['unproved', 'form']);
  });
});

describe('the form of evidence', () => {
  it.each([
    ['version', { format: 'hourseal-evidence/v2' }],
    ['form', { format: 'hourseal-proof/v1' }],
    ['form', { kind: 'theft' }],
    ['form', { keys: [] }],
    ['form', { below: undefined }],
    ['form', { more: 1 }],
    ['form', { first: 7 }],
  ])('is refused with %s where it is changed to %j', (code, change) => {
    let refused = 'read';
    try {
      parseEvidence(changed(equivocation, change));
    } catch (error) {
      refused = refusalCode(error);
    }
    expect(refused).toBe(code);
  });

  it('is told to be of another version, or no evidence, before its sum is looked at', () => {
    const codeOf = (text: string): string => {
      try {
        parseEvidence(utf8(text));
      } catch (error) {
        return refusalCode(error);
      }
      return 'read';
    };
    const text = decodeUtf8(equivocation);
    expect(codeOf(text.replace('hourseal-evidence/v1', 'hourseal-evidence/v2'))).toBe('version');
    expect(codeOf(text.replace('hourseal-evidence/v1', 'hourseal-evidence/v1x'))).toBe('form');
    expect(codeOf('{"format":"hourseal-evidence/v1"}')).toBe('form');
    expect(codeOf(text.slice(0, -1))).toBe('json');
    expect(codeOf(text.replace('equivocation', 'equivocatiom'))).toBe('sum');
  });

  it('is refused where entries do not ascend, and in another spelling', () => {
    const { entries } = JSON.parse(decodeUtf8(dishonoured)) as { entries: object[] };
    expect(() => parseEvidence(changed(dishonoured, { entries: entries.toReversed() }))).toThrow(
      'ascending',
    );
    expect(() => parseEvidence(utf8(` ${decodeUtf8(equivocation)}`))).toThrow('sum');
    expect(() => parseEvidence(new Uint8Array(16 * 1024 * 1024 + 1))).toThrow('above');
  });
});

describe('equivocation', () => {
  it('is proved of two roots at one size, and of sizes that do not extend each other', async () => {
    const same = await pairOf({ tree: one, size: 9 }, { tree: two, size: 9 });
    expect(found(same)).toEqual(['proved']);
    expect(found(await pairOf({ tree: two, size: 5 }, { tree: one, size: 12 }))).toEqual([
      'proved',
    ]);
  });

  it('is never proved of one history', async () => {
    for (let a = 1; a < 12; a++) {
      const pair = await pairOf({ tree: one, size: a }, { tree: one, size: 12 });
      expect(found(pair)).toEqual(['unproved', 'contradiction']);
    }
    expect(found(await pairOf({ tree: one, size: 12 }, { tree: one, size: 12 }))).toEqual([
      'unproved',
      'contradiction',
    ]);
    expect(found(await pairOf({ tree: two, size: 4 }, { tree: one, size: 12 }))).toEqual([
      'unproved',
      'contradiction',
    ]);
  });

  it('is not proved by hashes that were swapped, changed, or taken from another tree', async () => {
    const { below, above, first, second } = JSON.parse(decodeUtf8(equivocation)) as Record<
      'below' | 'above',
      string[]
    > & { first: string; second: string };
    const flip = (hash: string): string =>
      toBase64(fromBase64(hash).map((byte, i) => (i === 0 ? byte ^ 1 : byte)));
    for (const change of [
      { below: below.toReversed() },
      { above: above.toReversed() },
      { below: above, above: below },
      ...below.map((_, i) => ({ below: below.map((hash, k) => (k === i ? flip(hash) : hash)) })),
      ...above.map((_, i) => ({ above: above.map((hash, k) => (k === i ? flip(hash) : hash)) })),
      { below: undefined, above: undefined },
      { first: second, second: first },
      { second: first },
    ]) {
      expect(found(changed(equivocation, change))).toEqual(['unproved', 'contradiction']);
    }
  });

  it('needs both signatures, by the key that it names', async () => {
    const parts = { first: note(two, 5), second: note(one, 5), keys: [parseVkey(testVkey())] };
    const forger = noteSigner(testOrigin, testKey('forger'));
    expect(found(encodeEquivocation(parts))).toEqual(['proved']);
    expect(found(encodeEquivocation({ ...parts, first: note(two, 5, [forger]) }))).toEqual([
      'unproved',
      'first',
    ]);
    expect(found(encodeEquivocation({ ...parts, second: note(one, 5, [forger]) }))).toEqual([
      'unproved',
      'second',
    ]);
    const forged = testVkey(testOrigin, 'forger');
    const byForger = await pairOf(
      { tree: two, size: 5 },
      { tree: one, size: 9 },
      { vkeys: [forged], signers: [forger] },
    );
    expect(found(byForger)).toEqual(['unproved', 'accused']);
    const another = testVkey('log.example/another');
    expect(found(changed(encodeEquivocation(parts), { keys: [another] }))[1]).toBe('first');
  });

  it('is proved of a witness that cosigned both', async () => {
    const vkeys = [witnessVkey('one')];
    const signers = [logSigner, cosigner];
    const pair = await pairOf({ tree: two, size: 5 }, { tree: one, size: 9 }, { vkeys, signers });
    expect(found(pair)).toEqual(['proved']);
    expect(verifyMisbehaviour(pair, { policy }).claim).toContain(
      'the witness witness.example/one cosigned',
    );
    const uncosigned = changed(pair, { first: decodeUtf8(note(two, 5)) });
    expect(found(uncosigned)).toEqual(['unproved', 'first']);
  });

  it('is proved of a log that changed its key, where the policy names both', async () => {
    const next = noteSigner(testOrigin, testKey('next'));
    const keys = [testVkey(), testVkey(testOrigin, 'next')];
    const pair = {
      first: note(two, 5),
      second: note(one, 9, [next]),
      boundary: await boundaryAt({ size: 5, total: 9 }, memoryReader(one.slice(0, 9))),
      keys: keys.map(parseVkey),
    };
    const both = parsePolicy(`${keys.map((key) => `log ${key}\n`).join('')}quorum none\n`);
    expect(found(encodeEquivocation(pair), both)).toEqual(['proved']);
    expect(found(encodeEquivocation(pair))).toEqual(['unproved', 'accused']);
    const swapped = encodeEquivocation({ ...pair, keys: pair.keys.toReversed() });
    expect(found(swapped, both)).toEqual(['unproved', 'first', 'second']);
    const twice = changed(encodeEquivocation(pair), { keys: [keys[0], keys[0]] });
    expect(found(twice, both)).toEqual(['unproved', 'first', 'second', 'accused']);
  });
});

describe('a dishonoured receipt', () => {
  const file = JSON.parse(decodeUtf8(dishonoured)) as {
    entries: { data: string; index: number; path: string[] }[];
    record: { data: string; index: number; path: string[] };
    opened: { chain: string; hashes: string[] };
  };
  const hashes = example('hour-messages')
    .split('\n')
    .slice(0, 3)
    .map((jws) => parseMessage(utf8(jws)).hash);
  const chains = hashes.reduce<Uint8Array[]>(
    (all, hash) => [...all, extendChain(all.at(-1) ?? emptyChain, hash)],
    [emptyChain],
  );
  const shown = openReceipt(utf8(example('receipt-jws')), parsePublicJwk(testKey('ingestion').jwk));
  const receipt = (throughSeq: number, chain: Uint8Array, signer = testKey('ingestion')): string =>
    buildReceipt(signer, { ...shown, missing: [], refused: [], throughSeq, chain: toHex(chain) });
  const wrong = sha256(utf8('another chain'));

  it('is proved at the same number, below it and above it', () => {
    const same = changed(dishonoured, { opened: undefined, receipt: receipt(3, wrong) });
    expect(found(same)).toEqual(['proved']);
    const more = [hashes[0] ?? wrong, wrong];
    const longer = more.reduce(extendChain, wrong);
    const above = changed(dishonoured, {
      opened: { chain: toHex(wrong), hashes: more.map(toHex) },
      receipt: receipt(5, longer),
    });
    expect(found(above)).toEqual(['proved']);
    const none = changed(dishonoured, {
      opened: { chain: toHex(emptyChain), hashes: hashes.map(toHex) },
      receipt: receipt(0, wrong),
    });
    expect(found(none)).toEqual(['proved']);
  });

  it('is never proved of a receipt that the log honours', () => {
    for (let n = 0; n < 3; n++) {
      const opened = { chain: toHex(chains[n] ?? wrong), hashes: hashes.slice(n).map(toHex) };
      const honoured = changed(dishonoured, { opened, receipt: receipt(n, chains[n] ?? wrong) });
      expect(found(honoured)).toEqual(['unproved', 'contradiction']);
    }
    const [last] = chains.slice(-1);
    const same = changed(dishonoured, { opened: undefined, receipt: receipt(3, last ?? wrong) });
    expect(found(same)).toEqual(['unproved', 'contradiction']);
    const later = changed(dishonoured, {
      opened: { chain: toHex(last ?? wrong), hashes: [toHex(wrong)] },
      receipt: receipt(4, extendChain(last ?? wrong, wrong)),
    });
    expect(found(later)).toEqual(['unproved', 'contradiction']);
  });

  it('is not proved by hashes that lead elsewhere, or are too many or too few', () => {
    const { chain, hashes: between } = file.opened;
    for (const opened of [
      { chain: toHex(wrong), hashes: between },
      { chain, hashes: [toHex(wrong)] },
      { chain, hashes: [...between, ...between] },
      undefined,
    ]) {
      expect(found(changed(dishonoured, { opened }))).toEqual(['unproved', 'contradiction']);
    }
  });

  it('needs a receipt by a key that the log named, and a record of that hour', () => {
    const forged = receipt(2, wrong, testKey('forger'));
    expect(found(changed(dishonoured, { receipt: forged }))).toEqual(['unproved', 'receipt']);
    const other = fromBase64(file.record.data);
    other[20] = (other[20] ?? 0) ^ 1;
    const record = { ...file.record, data: toBase64(other) };
    expect(found(changed(dishonoured, { record }))).toEqual(['unproved', 'record']);
    expect(found(changed(dishonoured, { records: 1 }))).toEqual(['unproved', 'record']);
    expect(found(changed(dishonoured, { hour: 11 }))).toEqual(['unproved', 'receipt']);
    const stranger = buildReceipt(testKey('ingestion'), { ...shown, kid: testKey('forger').kid });
    expect(found(changed(dishonoured, { receipt: stranger }))).toEqual(['unproved', 'record']);
  });

  it('needs entries that are in the log, and a checkpoint that the log signed', () => {
    const [genesis, hour] = file.entries;
    if (genesis === undefined || hour === undefined) throw new Error('two entries');
    const moved = [genesis, { ...hour, index: hour.index - 1 }];
    expect(found(changed(dishonoured, { entries: moved, hour: hour.index - 1 }))).toEqual([
      'unproved',
      'entries',
    ]);
    const checkpoint = decodeUtf8(note(one, 9, [noteSigner(testOrigin, testKey('forger'))]));
    expect(found(changed(dishonoured, { checkpoint }))[1]).toBe('checkpoint');
    const headless = changed(dishonoured, { entries: [{ ...genesis, index: 1 }, hour] });
    expect(found(headless)[1]).toBe('checkpoint');
  });

  it('is written as it was read', () => {
    const leaf = ({ data, index, path }: (typeof file)['record']) => ({
      data: fromBase64(data),
      index,
      path: path.map(fromBase64),
    });
    const evidence = parseEvidence(dishonoured);
    if (evidence.kind !== 'dishonoured-receipt') throw new Error(evidence.kind);
    const { checkpoint, hour, receipt: jws, records } = evidence;
    const again = encodeDishonoured({
      checkpoint: utf8(checkpoint),
      entries: file.entries.map(leaf),
      hour,
      receipt: jws,
      record: leaf(file.record),
      records,
      opened: { chain: chains[2] ?? wrong, hashes: hashes.slice(2) },
    });
    expect(again).toEqual(dishonoured);
  });
});
