import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { ensureFolder, writeFileDurably } from '#platform/durable-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'hourseal-durable-'));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

test('a file is replaced as a whole, and nothing else is left in its folder', async () => {
  const inside = join(folder, 'files');
  await ensureFolder(inside);
  const path = join(inside, 'checkpoint');
  await writeFileDurably(path, 'one');
  await Promise.all(['two', 'three'].map((text) => writeFileDurably(path, text)));
  expect(['two', 'three']).toContain(readFileSync(path, 'utf8'));
  await writeFileDurably(join(inside, 'bytes'), Uint8Array.of(0, 255), { mode: 0o600 });
  expect([...readFileSync(join(inside, 'bytes'))]).toEqual([0, 255]);
  expect(statSync(join(inside, 'bytes')).mode & 0o777).toBe(0o600);
  expect(readdirSync(inside).sort()).toEqual(['bytes', 'checkpoint']);
});

test('a write that fails leaves the old content and no temporary file', async () => {
  const inside = join(folder, 'failing');
  mkdirSync(join(inside, 'taken'), { recursive: true });
  await expect(writeFileDurably(join(inside, 'taken'), 'x')).rejects.toThrow();
  expect(readdirSync(inside)).toEqual(['taken']);
  await expect(writeFileDurably(join(inside, 'no', 'where'), 'x')).rejects.toThrow('ENOENT');
});

test('folders are made with what is above them, and one that exists keeps its mode', async () => {
  const deep = join(folder, 'a', 'b', 'c');
  await ensureFolder(deep, 0o700);
  expect(statSync(deep).mode & 0o777).toBe(0o700);
  chmodSync(deep, 0o750);
  await ensureFolder(deep, 0o700);
  expect(statSync(deep).mode & 0o777).toBe(0o750);
});

test('no folder is made where a file is', async () => {
  const path = join(folder, 'a file');
  await writeFileDurably(path, 'x');
  await expect(ensureFolder(path)).rejects.toThrow('EEXIST');
  await expect(ensureFolder(join(path, 'below'))).rejects.toThrow();
  expect(readFileSync(path, 'utf8')).toBe('x');
});
