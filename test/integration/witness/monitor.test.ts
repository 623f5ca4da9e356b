import { afterEach, expect, it } from 'vitest';
import { sha256 } from '#crypto';
import { decodeUtf8, toHex, utf8 } from '#core/bytes.ts';
import { verifyCheckpoint } from '#core/tlog/checkpoint.ts';
import {
  cosignatureType,
  noteSigner,
  parseNote,
  signNote,
  formatNote,
  verifierKeyOf,
} from '#core/tlog/note.ts';
import { addCheckpoint, readMonitored } from '#platform/witness-client.ts';
import {
  createRig,
  history,
  logKey,
  logSigner,
  origin,
  testKey,
  witnessName,
  witnessSigner,
} from './rig.ts';

const rig = createRig();
afterEach(rig.clear);
const patience = { timeoutMs: 10_000 };
const hash = toHex(sha256(utf8(origin)));
const a = history('a');
const b = history('b');

it('shows the newest cosigned checkpoint with the signatures of the log and its own alone', async () => {
  const witness = await rig.start();
  expect(await readMonitored(witness.url(), origin, patience)).toBeUndefined();
  const { text } = parseNote(a.note(5));
  const signers = [noteSigner('x.example', testKey('x')), noteSigner(origin, logSigner)];
  const note = formatNote(signNote({ text }, signers));
  await addCheckpoint(witness.url(), { ...(await a.request(0, 5)), note }, patience);
  const shown = await readMonitored(`${witness.url()}/`, origin, patience);
  if (shown === undefined) throw new Error('nothing is shown');
  const names = parseNote(shown).signatures.map(({ name }) => name);
  expect(names).toEqual([origin, witnessName]);
  const cosigners = [verifierKeyOf(witnessName, cosignatureType, witnessSigner)];
  expect(verifyCheckpoint(shown, { log: logKey, cosigners })).toMatchObject({ size: 5 });
  await addCheckpoint(witness.url(), await a.request(5, 6), patience);
  const response = await fetch(`${witness.url()}/monitor/${hash}/checkpoint`);
  expect(response.headers.get('cache-control')).toBe('public, max-age=10');
  expect(response.headers.get('content-type')).toBe('text/plain; charset=utf-8');
  expect((await response.text()).split('\n')[1]).toBe('6');
});

it('has nothing about logs that it does not watch, in capitals, or in odd places', async () => {
  const witness = await rig.start();
  await addCheckpoint(witness.url(), await a.request(0, 5), patience);
  expect(await readMonitored(witness.url(), 'log.example/other', patience)).toBeUndefined();
  for (const path of [
    `monitor/${hash.toUpperCase()}/checkpoint`,
    `monitor/${hash}/checkpoint/`,
    `monitor/${hash}`,
    'monitor/__proto__/checkpoint',
    'monitor/../vkey/x',
    `monitor/${hash}/refusal`,
    `monitor/${hash}/contradiction`,
  ]) {
    expect((await fetch(`${witness.url()}/${path}`)).status).toBe(404);
  }
  expect((await fetch(`${witness.url()}/monitor/%ff/checkpoint`)).status).toBe(400);
});

it('keeps the first proof that the log lied, by whatever request it came, over a restart', async () => {
  const folder = rig.folder();
  const witness = await rig.start({ folder });
  const url = witness.url();
  await addCheckpoint(url, await a.request(0, 5), patience);
  const shown = async (at: string): Promise<unknown> => {
    const response = await fetch(`${at}/monitor/${hash}/contradiction`);
    return response.status === 200 ? response.json() : response.status;
  };
  // Neither of these proves anything: another size, and another proof.
  await addCheckpoint(url, { ...(await a.request(5, 6)), proof: [] }, patience);
  await addCheckpoint(url, await b.request(5, 6), patience);
  expect(await shown(url)).toBe(404);
  expect(await addCheckpoint(url, await b.request(0, 5), patience)).toEqual({
    result: 'conflict',
    size: 5,
  });
  const proof = {
    cosigned: decodeUtf8(a.note(5)),
    refused: decodeUtf8(b.note(5)),
    size: 5,
    time: expect.any(Number) as number,
  };
  expect(await shown(url)).toEqual(proof);
  await addCheckpoint(url, await history('c').request(5, 5), patience);
  expect(await shown(url)).toEqual(proof);
  await rig.stop(witness);
  const again = await rig.start({ folder });
  expect(await shown(again.url())).toEqual(proof);
  expect(await addCheckpoint(again.url(), await a.request(5, 9), patience)).toMatchObject({
    result: 'cosigned',
  });
});
