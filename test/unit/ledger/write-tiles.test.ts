import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { tilePath, tilesOfGrowth } from '#core/tlog/tile.ts';
import { openLogFolder } from '#ledger/log-folder.ts';
import { removeSuperseded } from '#ledger/write-tiles.ts';

const root = mkdtempSync(join(tmpdir(), 'hourseal-tiles-'));
afterAll(() => {
  rmSync(root, { recursive: true, force: true });
});

/** A log published at 300, passed over at 400, published at 600: with all the tiles it had. */
it('leaves every partial tile that a published size had, at every level', async () => {
  const folder = openLogFolder(root);
  const had = new Map<number, string[]>();
  for (const [from, to] of [
    [0, 300],
    [300, 400],
    [400, 600],
  ] as const) {
    const paths = [...tilesOfGrowth({ from, to })].map(tilePath);
    had.set(to, paths);
    await folder.write(paths.map((path) => ({ path, bytes: Uint8Array.of(1) })));
  }
  await removeSuperseded(folder, { superseded: [400], kept: [600, 600] });
  for (const size of [300, 600]) {
    for (const path of had.get(size) ?? []) expect(await folder.read(path), path).toBeDefined();
  }
  expect(await folder.read('tile/0/001.p/144')).toBeUndefined();
  expect(await folder.read('tile/entries/001.p/144')).toBeUndefined();
  expect(await folder.read('tile/1/000.p/1')).toBeDefined();
});
