import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createKeyFile } from '#platform/keys.ts';
import { addToKeyRing, readKeyRing, readNewestKey } from '#standalone/key-ring.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hourseal-ring-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

const kidsOf = async (name: string): Promise<readonly string[]> =>
  (await readKeyRing(folder, name)).map(({ kid }) => kid);

test('keys come in the order in which they were made, past the ninth', async () => {
  const kids: string[] = [];
  for (let i = 0; i < 11; i++) kids.push((await addToKeyRing(folder, 'mill')).signer.kid);
  expect(await kidsOf('mill')).toEqual(kids);
  expect((await readNewestKey(folder, 'mill')).kid).toBe(kids.at(-1));
});

test('the second key of one is not the first of another that is called like it', async () => {
  const first = await createKeyFile(join(folder, 'mill.pem'), 'Ed25519');
  const other = await createKeyFile(join(folder, 'mill-2.pem'), 'Ed25519');
  expect(await kidsOf('mill')).toEqual([first.kid]);
  const second = await addToKeyRing(folder, 'mill');
  expect(await kidsOf('mill')).toEqual([first.kid, second.signer.kid]);
  expect(await kidsOf('mill-2')).toEqual([other.kid]);
});

test('a ring without a key, or without a folder, is refused', async () => {
  await expect(readKeyRing(folder, 'mill')).rejects.toMatchObject({ code: 'key-missing' });
  await expect(readKeyRing(join(folder, 'none'), 'mill')).rejects.toMatchObject({
    code: 'key-missing',
  });
});
