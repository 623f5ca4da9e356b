import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { concat, decodeUtf8, utf8 } from '#core/bytes.ts';
import { formatAddCheckpoint, maxRequestBytes } from '#core/tlog/add-checkpoint.ts';
import { formatCheckpoint, verifyCheckpoint } from '#core/tlog/checkpoint.ts';
import {
  cosignatureType,
  ed25519Type,
  formatNote,
  noteSigner,
  parseNote,
  parseVkey,
  signNote,
  verifierKeyOf,
  withSignatures,
} from '#core/tlog/note.ts';
import { addCheckpoint } from '#platform/witness-client.ts';
import type { Witness } from '#witness/service.ts';
import {
  createRig,
  history,
  logKey,
  logSigner,
  origin,
  post,
  testKey,
  witnessName,
  witnessSigner,
} from './rig.ts';

const rig = createRig();
const a = history('a');
const cosigner = verifierKeyOf(witnessName, cosignatureType, witnessSigner);
const patience = { timeoutMs: 10_000 };
let witness: Witness;

beforeEach(async () => {
  witness = await rig.start();
});
afterEach(rig.clear);

const ask = async (from: number, to: number, of = a): ReturnType<typeof addCheckpoint> =>
  addCheckpoint(witness.url(), await of.request(from, to), patience);
const submit = async (
  from: number,
  to: number,
  change: Partial<Parameters<typeof formatAddCheckpoint>[0]> = {},
): ReturnType<typeof post> =>
  post(witness, formatAddCheckpoint({ ...(await a.request(from, to)), ...change }));

/** A checkpoint at any size and root, signed by the log as it stands. */
function signedText(text: string): Uint8Array {
  return formatNote(signNote({ text }, [noteSigner(origin, logSigner)]));
}

describe('add-checkpoint answers', () => {
  it('200 with a cosignature that completes the note, from 0, further on, and again', async () => {
    for (const [from, to] of [
      [0, 0],
      [0, 1],
      [1, 5],
      [5, 5],
      [5, 64],
    ] as const) {
      const answer = await ask(from, to);
      if (answer.result !== 'cosigned') throw new Error(JSON.stringify(answer));
      const note = formatNote(withSignatures(parseNote(a.note(to)), answer.signatures));
      const verified = verifyCheckpoint(note, { log: logKey, cosigners: [cosigner] });
      expect(verified).toMatchObject({ origin, size: to, root: a.root(to) });
      expect(verified.cosignatures).toHaveLength(1);
    }
    const raw = await submit(64, 64);
    expect(raw).toMatchObject({ status: 200, type: 'text/plain; charset=utf-8' });
    expect(raw.text).toMatch(/^\u2014 witness\.example\/one [A-Za-z0-9+/=]+\n$/);
  });

  it('200 to a note that others signed too, with its own signature alone', async () => {
    const strangers = ['x', 'y'].map((name) => noteSigner(`${name}.example`, testKey(name)));
    const { text } = parseNote(a.note(5));
    const note = formatNote(signNote({ text }, [...strangers, noteSigner(origin, logSigner)]));
    const { status, text: answer } = await submit(0, 5, { note });
    expect(status).toBe(200);
    expect(answer.split('\n')).toHaveLength(2);
  });

  it.each([
    ['an empty body', ''],
    ['no empty line', 'old 0\n'],
    ['another spelling of the size', `old 00\n\n${decodeUtf8(a.note(5))}`],
    ['64 hashes', `old 0\n${`${'A'.repeat(43)}=\n`.repeat(64)}\n${decodeUtf8(a.note(5))}`],
    [
      'a note without a signature',
      `old 0\n\n${formatCheckpoint({ origin, size: 5, root: a.root(5) })}`,
    ],
    [
      'a note with extension lines',
      `old 0\n\n${decodeUtf8(signedText(`${parseNote(a.note(5)).text}more\n`))}`,
    ],
    ['an old size above the new one', `old 6\n\n${decodeUtf8(a.note(5))}`],
  ])('400 to %s', async (_what, body) => {
    expect(await post(witness, body)).toMatchObject({ status: 400 });
    expect(await ask(0, 5)).toMatchObject({ result: 'cosigned' });
  });

  it('403 without a signature by the log, with a bad one, with one by a stranger in its name', async () => {
    const other = history('a', { signer: testKey('somebody') });
    expect(await submit(0, 5, { note: other.note(5) })).toMatchObject({ status: 403 });
    const note = parseNote(a.note(5));
    const signatures = note.signatures.map((one) => ({
      ...one,
      signature: one.signature.with(9, 1),
    }));
    const bad = formatNote({ ...note, signatures });
    expect(await submit(0, 5, { note: bad })).toMatchObject({ status: 403 });
    const goodAndBad = formatNote({ ...note, signatures: [...note.signatures, ...signatures] });
    expect(await submit(0, 5, { note: goodAndBad })).toMatchObject({ status: 403 });
    // A known key that signs badly is not made good by an old size that is wrong too.
    expect(await submit(0, 5, { note: bad, oldSize: 4 })).toMatchObject({ status: 403 });
  });

  it('404 to a log that it does not watch, signed or not', async () => {
    const name = 'log.example/other';
    const text = formatCheckpoint({ origin: name, size: 5, root: a.root(5) });
    const note = formatNote(signNote({ text }, [noteSigner(name, testKey('other'))]));
    expect(await submit(0, 5, { note })).toMatchObject({ status: 404 });
  });

  it('409 with the size, whatever the proof is worth', async () => {
    const nothing = await submit(3, 5);
    expect(nothing).toEqual({
      status: 409,
      type: 'text/x.tlog.size',
      text: '0\n',
      retryAfter: null,
    });
    expect(await ask(0, 5)).toMatchObject({ result: 'cosigned' });
    for (const old of [0, 3, 4, 6]) {
      expect(await ask(old, 9)).toEqual({ result: 'conflict', size: 5 });
    }
    // Smaller than the head: the log cannot have it cosigned by any old size.
    expect(await ask(0, 4)).toEqual({ result: 'conflict', size: 5 });
    expect(await ask(4, 4)).toEqual({ result: 'conflict', size: 5 });
    expect(await submit(4, 4, { oldSize: 5 })).toMatchObject({ status: 400 });
  });

  it('422 to a proof that is wrong, missing or too much, and to two roots for one size', async () => {
    const { proof } = await a.request(3, 5);
    expect(await submit(0, 5, { proof })).toMatchObject({ status: 422 });
    expect(await ask(0, 5)).toMatchObject({ result: 'cosigned' });
    const right = (await a.request(5, 9)).proof;
    const b = history('b', { common: 4 });
    for (const wrong of [[], right.slice(1), [...right, ...right], right.toReversed()]) {
      expect(await submit(5, 9, { proof: wrong })).toMatchObject({ status: 422 });
    }
    expect(await submit(5, 5, { proof: right })).toMatchObject({ status: 422 });
    expect(await ask(5, 9, b)).toMatchObject({ result: 'refused', status: 422 });
    expect(await ask(5, 5, b)).toMatchObject({ result: 'refused', status: 422 });
    expect(await ask(5, 9)).toMatchObject({ result: 'cosigned' });
  });

  it('422 to size 0 with another root than the empty tree has', async () => {
    const wrong = signedText(`${origin}\n0\n${Buffer.from(a.root(5)).toString('base64')}\n`);
    expect(await submit(0, 0, { note: wrong })).toMatchObject({ status: 422 });
    expect(await ask(0, 0)).toMatchObject({ result: 'cosigned' });
    expect(await submit(0, 0, { note: wrong })).toMatchObject({ status: 422 });
    expect(await ask(0, 5)).toMatchObject({ result: 'cosigned' });
  });

  it('405 to another method, 413 to too long a body, 415 to a compressed one, 404 elsewhere', async () => {
    const got = await fetch(`${witness.url()}/add-checkpoint`);
    expect([got.status, got.headers.get('allow')]).toEqual([405, 'POST']);
    const long = concat(utf8('old 0\n\n'), new Uint8Array(maxRequestBytes));
    expect(await post(witness, long)).toMatchObject({ status: 413 });
    expect(await post(witness, 'x', { 'content-encoding': 'gzip' })).toMatchObject({ status: 415 });
    for (const path of ['/', '/add-checkpoint/', '/Add-Checkpoint', '/monitor', '/%ff']) {
      const { status } = await fetch(`${witness.url()}${path}`, { method: 'POST', body: 'x' });
      expect([400, 404]).toContain(status);
    }
    expect(await ask(0, 5)).toMatchObject({ result: 'cosigned' });
  });
});

describe('a log that changes its key', () => {
  it('is cosigned by either key while both are trusted, and a bad signature by one spoils it', async () => {
    const newSigner = testKey('log, next');
    const newKey = verifierKeyOf(origin, ed25519Type, newSigner);
    witness = await rig.start({ logs: [{ key: logKey }, { key: newKey }] });
    expect(await ask(0, 3)).toMatchObject({ result: 'cosigned' });
    const next = history('a', { signer: newSigner });
    expect(await ask(3, 5, next)).toMatchObject({ result: 'cosigned' });
    const { text, signatures } = parseNote(next.note(9));
    const spoiled = formatNote({
      text,
      signatures: [...signatures, ...parseNote(a.note(8)).signatures],
    });
    expect(await submit(5, 9, { note: spoiled })).toMatchObject({ status: 403 });
  });
});

describe('its verifier key', () => {
  it('is that of its name and signer, for everybody to read', async () => {
    const text = await (await fetch(`${witness.url()}/vkey`)).text();
    expect(parseVkey(text.trimEnd())).toMatchObject({ name: witnessName, keyId: cosigner.keyId });
    expect(text).toBe(`${witness.vkey}\n`);
  });
});
