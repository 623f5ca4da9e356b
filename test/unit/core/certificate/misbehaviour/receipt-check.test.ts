import { describe, expect, it } from 'vitest';
import { sha256 } from '#crypto';
import { toHex, utf8 } from '#core/bytes.ts';
import { encodeEntry, parseEntry, signedDraft } from '#core/certificate/entry.ts';
import {
  checkReceipt,
  type ReceiptQuestion,
} from '#core/certificate/misbehaviour/receipt-check.ts';
import { chainsOver, compareStated } from '#core/certificate/misbehaviour/receipt-chains.ts';
import { verifyMisbehaviour } from '#core/certificate/misbehaviour/verify-misbehaviour.ts';
import { encodeBatchFile, encodeMessageLeaf } from '#core/energy/batch.ts';
import { encodeFramed } from '#core/energy/evidence-file.ts';
import { parseMessage } from '#core/energy/message.ts';
import { buildReceipt, emptyChain, extendChain } from '#core/energy/receipt.ts';
import { signCheckpoint } from '#core/tlog/checkpoint.ts';
import { noteSigner } from '#core/tlog/note.ts';
import { encodeBundle } from '#core/tlog/tile.ts';
import { growTileEdge } from '#core/tlog/tile-edge.ts';
import { leafHash, treeRoot } from '#core/tlog/tree.ts';
import { exampleOnPage as example } from '#support/formats-page.ts';
import { testKey, testOrigin } from '#support/log-builder.ts';

/** The worked day of FORMATS.md up to its first hour, as files in memory, with what is put after it. */
const names = example('worked-day')
  .split('\n')
  .map((line) => line.trim().split(' ')[2] ?? '');
const hour = names.indexOf('hour');
const begin = names.slice(0, hour + 1).map((name) => utf8(example(`entry-${name}`)));
const records = example('hour-records').split('\n').map(utf8);
const messages = example('hour-messages').split('\n').map(utf8).slice(0, 3);
const hashes = messages.map((jws) => parseMessage(jws).hash);
const kid = testKey('solar meter').kid;
const hourEntry = parseEntry(begin[hour] ?? utf8(''));
const { batchRoot } = hourEntry.spec as { batchRoot: string };
const ref = { index: hour, leafHash: toHex(leafHash(begin[hour] ?? utf8(''))) };

interface Log {
  readonly entries?: readonly Uint8Array[];
  readonly records?: readonly Uint8Array[];
  readonly files?: Readonly<Record<string, Uint8Array>>;
  readonly without?: readonly string[];
  readonly signer?: string;
}

function logOf({
  entries = begin,
  records: own = records,
  files = {},
  without = [],
  signer = 'log',
}: Log = {}) {
  const size = entries.length;
  const leaves = entries.map(leafHash);
  const none = utf8('');
  const parts = entries.map((_, i) => (i === hour ? encodeFramed(own) : none));
  const note = signCheckpoint({ origin: testOrigin, size, root: treeRoot(leaves) }, [
    noteSigner(testOrigin, testKey(signer)),
  ]);
  const all = new Map<string, Uint8Array>([
    ...growTileEdge({ size: 0, rows: [] }, leaves).tiles,
    ['checkpoint', note],
    [`tile/entries/000.p/${size}`, encodeBundle(entries)],
    [`meters/000.p/${size}`, encodeFramed(parts)],
    [
      `batch/${batchRoot}`,
      encodeBatchFile({
        leaves: messages.map((bytes) => encodeMessageLeaf({ receivedAt: 1, bytes })),
        quarantined: [],
      }),
    ],
    ...Object.entries(files),
  ]);
  for (const path of without) all.delete(path);
  return (path: string) => Promise.resolve(all.get(path));
}

const wrong = sha256(utf8('never sent'));

function receipt(shown: readonly Uint8Array[], signer = 'ingestion'): string {
  const chain = toHex(shown.reduce(extendChain, emptyChain));
  return buildReceipt(testKey(signer), {
    chain,
    kid,
    missing: [],
    refused: [],
    throughSeq: shown.length,
  });
}
const dishonoured = receipt([wrong, ...hashes.slice(1)]);

const ask = (text: string, log: Log = {}, more: Partial<ReceiptQuestion> = {}) =>
  checkReceipt({ receipt: text, read: logOf(log), ...more });

const unsigned = (kind: string, spec: object): Uint8Array =>
  encodeEntry({ auth: [], kind, spec, time: hourEntry.time });
const correction = unsigned('hour-correction', {
  ...hourEntry.spec,
  amends: ref,
  certificates: { deficit: 0, netted: 0, withdrawn: [] },
  metersRoot: toHex(wrong),
});
const voidOf = (index: number, entry: Uint8Array): Uint8Array =>
  unsigned('void', { code: 'batch', index, leafHash: toHex(leafHash(entry)) });

describe('a receipt and the records of a log', () => {
  it('agree, or contradict each other in a file that proves it', async () => {
    expect(await ask(receipt(hashes))).toMatchObject({ confirmedSeq: 3, contradiction: undefined });
    const { contradiction } = await ask(dishonoured);
    expect(contradiction?.entry).toBe(hour);
    const { result, steps } = verifyMisbehaviour(contradiction?.evidence ?? utf8(''));
    expect(result).toBe('undecided');
    expect(steps.filter((step) => step.result !== 'pass').map(({ name }) => name)).toEqual([
      'accused',
    ]);
  });

  it('are compared by what the batch files show, and not at all without them', async () => {
    const without = [`batch/${batchRoot}`];
    expect(await ask(receipt(hashes.slice(0, 2)))).toMatchObject({ confirmedSeq: 2, unopened: 0 });
    expect(await ask(receipt(hashes.slice(0, 2)), { without })).toMatchObject({
      confirmedSeq: 0,
      statements: 1,
      unopened: 1,
      contradiction: undefined,
    });
    const files = { [`batch/${batchRoot}`]: utf8('garbage') };
    expect(await ask(receipt([wrong]), { files })).toMatchObject({ unopened: 1 });
    expect((await ask(dishonoured, { without })).contradiction?.entry).toBe(hour);
  });

  it('are held against nobody where the log has taken the hour back', async () => {
    const corrected = await ask(dishonoured, { entries: [...begin, correction] });
    expect(corrected).toMatchObject({ takenBack: [hour], contradiction: undefined });
    const voided = [...begin, voidOf(hour, begin[hour] ?? utf8(''))];
    expect(await ask(dishonoured, { entries: voided })).toMatchObject({ takenBack: [hour] });
    const again = [...begin, correction, voidOf(hour + 1, correction)];
    const { takenBack, contradiction } = await ask(dishonoured, { entries: again });
    expect([takenBack, contradiction?.entry]).toEqual([[], hour]);
  });

  it('say nothing by records that the entry does not name', async () => {
    const [first = utf8(''), ...rest] = records;
    const changed = first.with(first.indexOf(0x33), 0x34);
    expect(await ask(dishonoured, { records: [changed, ...rest] })).toMatchObject({
      statements: 0,
      contradiction: undefined,
    });
  });

  it('are nothing without the entries, and no evidence without the tiles', async () => {
    const size = begin.length;
    const missing = { without: [`tile/entries/000.p/${size}`] };
    await expect(ask(dishonoured, missing)).rejects.toMatchObject({ code: 'evidence-missing' });
    const noTile = { without: [`tile/0/000.p/${size}`] };
    await expect(ask(dishonoured, noTile)).rejects.toMatchObject({ code: 'tile-missing' });
    const files = { [`tile/0/000.p/${size}`]: new Uint8Array(32 * size) };
    await expect(ask(dishonoured, { files })).rejects.toMatchObject({ code: 'log' });
    await expect(ask(dishonoured, { signer: 'forger' })).rejects.toMatchObject({ code: 'log' });
  });

  it('may be of any ingestion key that the log named, told with what names it', async () => {
    const { spec } = parseEntry(begin[0] ?? utf8(''));
    const { origin } = spec as { origin: string };
    const next = testKey('next ingestion');
    const draft = signedDraft(
      {
        kind: 'ingestion-key',
        origin,
        spec: {
          jwk: next.jwk,
          nonce: 'k1',
          notAfter: 1_767_348_000,
          previousUntil: hourEntry.time,
        },
      },
      [testKey('issuing body')],
    );
    const entries = [...begin, encodeEntry({ ...draft, time: hourEntry.time })];
    const signedByNext = buildReceipt(next, {
      chain: toHex(wrong),
      kid,
      missing: [],
      refused: [],
      throughSeq: 3,
    });
    const { contradiction } = await ask(signedByNext, { entries });
    expect(verifyMisbehaviour(contradiction?.evidence ?? utf8('')).result).toBe('undecided');
    await expect(ask(signedByNext)).rejects.toMatchObject({ code: 'key' });
    // One that nobody signed names no key.
    const forged = [...begin, unsigned('ingestion-key', draft.spec)];
    await expect(ask(signedByNext, { entries: forged })).rejects.toMatchObject({ code: 'key' });
  });
});

describe('a chain that somebody stated', () => {
  const shown = new Map(hashes.map((hash, i) => [i + 1, toHex(hash)]));
  const stated = (count: number, of = hashes) => ({
    throughSeq: count,
    chain: toHex(of.slice(0, count).reduce(extendChain, emptyChain)),
  });

  it('is opened at every lower number by the messages in between', () => {
    for (let low = 0; low <= 3; low++) {
      const opened = chainsOver(shown).open(stated(3), low);
      expect(toHex(opened?.chain ?? wrong)).toBe(stated(low).chain);
      expect(opened?.hashes).toEqual(hashes.slice(low));
    }
  });

  it('is not opened by other messages, above itself, or across a gap', () => {
    const { open } = chainsOver(shown);
    expect(open({ throughSeq: 3, chain: toHex(wrong) }, 1)).toBeUndefined();
    expect(open(stated(2), 3)).toBeUndefined();
    expect(open(stated(4, [...hashes, wrong]), 1)).toBeUndefined();
    const gap = new Map([...shown].filter(([seq]) => seq !== 2));
    expect(chainsOver(gap).open(stated(3), 1)).toBeUndefined();
    // What was stated at the gap bridges it, from there on alone.
    const bridged = chainsOver(gap, [stated(2)]);
    expect(bridged.open(stated(3), 2)?.hashes).toEqual(hashes.slice(2));
    expect(bridged.open(stated(3), 1)).toBeUndefined();
  });

  it('is compared with another at the lower of both numbers', () => {
    const sources = [chainsOver(shown)];
    expect(compareStated(stated(3), stated(3), [])).toMatchObject({ seq: 3, agree: true });
    expect(compareStated(stated(3), stated(1), sources)).toMatchObject({ seq: 1, agree: true });
    expect(compareStated(stated(1), stated(3), sources)).toMatchObject({ seq: 1, agree: true });
    const other = stated(1, [wrong]);
    expect(compareStated(other, stated(3), sources)).toMatchObject({ seq: 1, agree: false });
    expect(compareStated(stated(3), other, sources)).toMatchObject({ seq: 1, agree: false });
    expect(compareStated(stated(3), stated(1), [])).toBeUndefined();
  });
});
