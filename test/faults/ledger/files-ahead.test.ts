import { mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { utf8 } from '#core/bytes.ts';
import { encodeBatchFile } from '#core/energy/batch.ts';
import { Failed, Fatal } from '#core/errors.ts';
import { openLogFolder, withFailures } from '#ledger/log-folder.ts';
import type { LogFile } from '#ledger/many-files.ts';
import { badDisks, createBadDisk } from '#support/bad-disk.ts';
import { describeWith } from '#support/needs.ts';
import { removeTestFolders, scratchFolder } from '#support/test-ledger.ts';

removeTestFolders();

let root: string;
beforeEach(() => {
  root = scratchFolder();
});

const quarantined = { code: 'late', hash: 'ab'.repeat(32), kid: 'A'.repeat(43), seq: 7 };
const batch = (text: string, list: (typeof quarantined)[] = []): Uint8Array =>
  encodeBatchFile({ leaves: [utf8(text), utf8(`${text} too`)], quarantined: list });
const fileOf = (i: number): LogFile => ({ path: `batch/${i}`, bytes: batch(`leaf ${i}`) });
const some = [fileOf(1), fileOf(2), { path: 'private/batch/3', bytes: batch('three') }];

const packsIn = (folder: string): string[] =>
  readdirSync(join(folder, '.ahead')).filter((name) => !name.startsWith('.'));
const bytesIn = (folder: string, { path }: LogFile): Uint8Array =>
  Uint8Array.from(readFileSync(join(folder, path)));
function expectWhole(folder: string, files: readonly LogFile[]): void {
  for (const file of files) expect(bytesIn(folder, file), file.path).toEqual(file.bytes);
}

/** What a crash leaves of a file: nothing, its beginning, or its length without all of its bytes. */
function remains({ path, bytes }: LogFile): [string, () => void][] {
  const write = (left: Uint8Array) => () => {
    writeFileSync(join(root, path), left);
  };
  const gone = (): void => {
    rmSync(join(root, path));
  };
  const cuts = Array.from(bytes, (_, length) => bytes.subarray(0, length));
  const holes = Array.from(bytes, (_, from) => bytes.map((byte, i) => (i < from ? byte : 0)));
  return [
    ['missing', gone],
    ...[...cuts, ...holes].map((left, i): [string, () => void] => [`remains ${i}`, write(left)]),
  ];
}

describe('files that are written ahead', () => {
  test('are whole again after a crash, whatever it left of them', async () => {
    const files = [fileOf(1), fileOf(2)];
    for (const [what, crash] of remains(fileOf(1))) {
      rmSync(root, { recursive: true, force: true });
      expect(await openLogFolder(root).writeNew(files)).toEqual(new Map());
      crash();
      await openLogFolder(root).recover();
      expect(bytesIn(root, fileOf(1)), what).toEqual(fileOf(1).bytes);
      expectWhole(root, files);
    }
  });

  test('are whole again after a crash before any of them was created', async () => {
    await openLogFolder(root).writeNew(some);
    rmSync(join(root, 'batch'), { recursive: true });
    rmSync(join(root, 'private'), { recursive: true });
    await openLogFolder(root).recover();
    expectWhole(root, some);
  });

  test('are no longer ahead once they are settled, and then no more is there to settle', async () => {
    const folder = openLogFolder(root);
    await folder.writeNew([fileOf(1)]);
    await folder.writeNew([fileOf(2)]);
    expect(packsIn(root)).toHaveLength(2);
    expect([await folder.settle(), await folder.settle(), await folder.settle()]).toEqual([
      true,
      true,
      false,
    ]);
    expect(packsIn(root)).toEqual([]);
    expectWhole(root, [fileOf(1), fileOf(2)]);
  });

  test('of a process that died are settled by the next', async () => {
    await openLogFolder(root).writeNew(some);
    const next = openLogFolder(root);
    expect(await next.settle()).toBe(false);
    await next.recover();
    expect(await next.settle()).toBe(true);
    expect(packsIn(root)).toEqual([]);
    expectWhole(root, some);
  });

  test('stand where they stood, with another list, and a crash brings none in their place', async () => {
    const [standing, other] = [batch('same'), batch('same', [quarantined])];
    for (const [first, second] of [
      [standing, other],
      [other, standing],
    ] as const) {
      rmSync(root, { recursive: true, force: true });
      const path = 'batch/9';
      await openLogFolder(root).writeNew([{ path, bytes: first }]);
      const folder = openLogFolder(root);
      expect(await folder.writeNew([{ path, bytes: second }, fileOf(1)])).toEqual(
        new Map([[path, first]]),
      );
      const next = openLogFolder(root);
      await next.recover();
      while (await next.settle());
      expect(bytesIn(root, { path, bytes: first })).toEqual(first);
    }
  });

  test('that another process is in the middle of are finished as its own pack says', async () => {
    const [its, ours] = [batch('same', [quarantined]), batch('same')];
    const path = 'batch/9';
    for (const length of [0, 3, ours.length - 1, its.length - 1]) {
      rmSync(root, { recursive: true, force: true });
      const living = openLogFolder(root);
      await living.recover();
      await openLogFolder(root).writeNew([{ path, bytes: its }]);
      truncateSync(join(root, path), length);
      const there = await living.writeNew([{ path, bytes: ours }]);
      expect(there, `${length}`).toEqual(new Map([[path, its]]));
    }
  });

  test('are written after all where something was in the way', async () => {
    const folder = openLogFolder(root);
    mkdirSync(join(root, 'batch', '2'), { recursive: true });
    await expect(withFailures(folder).writeNew(some)).rejects.toBeInstanceOf(Failed);
    rmSync(join(root, 'batch', '2'), { recursive: true });
    truncateSync(join(root, 'batch', '1'), 5);
    const there = await folder.writeNew(some);
    expect([...there.keys()].sort()).toEqual(some.map(({ path }) => path).sort());
    expectWhole(root, some);
  });

  test('are settled before there are too many of them', async () => {
    const folder = openLogFolder(root, { unsettledLimitBytes: 1_000 });
    const files = Array.from({ length: 40 }, (_, i) => fileOf(i));
    for (const file of files) {
      await folder.writeNew([file]);
      const sizes = packsIn(root).map((name) => readFileSync(join(root, '.ahead', name)).length);
      expect(sizes.reduce((sum, size) => sum + size)).toBeLessThanOrEqual(1_000);
    }
    expect(packsIn(root).length).toBeGreaterThan(1);
    expectWhole(root, files);
  });

  test('are nobody else to read than the ledger, and no pack is one without its name', async () => {
    await openLogFolder(root).writeNew(some);
    const [name = ''] = packsIn(root);
    const pack = readFileSync(join(root, '.ahead', name));
    rmSync(join(root, '.ahead', name));
    writeFileSync(join(root, '.ahead', `.${name}.0123.tmp`), pack.subarray(0, 20));
    const next = openLogFolder(root);
    await next.recover();
    expect(await next.settle()).toBe(false);
    writeFileSync(join(root, '.ahead', name), pack.subarray(0, 20));
    await expect(openLogFolder(root).recover()).rejects.toBeInstanceOf(Fatal);
  });

  test('are written again where one of them was lost when it was settled', async () => {
    const folder = openLogFolder(root);
    await folder.writeNew(some);
    rmSync(join(root, 'batch', '1'));
    await expect(folder.settle()).rejects.toMatchObject({ code: 'ENOENT' });
    expect(packsIn(root)).toHaveLength(1);
    expect(await folder.settle()).toBe(true);
    expectWhole(root, some);
  });
});

describeWith([badDisks()], 'files that are written ahead on a real disk', () => {
  const files = Array.from({ length: 50 }, (_, i) => fileOf(i));

  /** The disk has no journal: only where names were before do new ones survive, without their bytes. */
  const useNames = (folder: string): void => {
    mkdirSync(join(folder, 'batch'), { recursive: true });
    const names = Array.from({ length: 4 * files.length }, (_, i) => join(folder, 'batch', `${i}`));
    for (const name of names) writeFileSync(name, '');
    for (const name of names) rmSync(name);
  };

  test('survive that the power goes, which loses what was not synced', async () => {
    const disk = createBadDisk();
    try {
      const folder = join(disk.folder, 'log');
      useNames(folder);
      disk.remount();
      await openLogFolder(folder).writeNew(files);
      disk.breakDown();
      disk.remount();
      disk.mend();
      const isWhole = ({ path, bytes }: LogFile): boolean => {
        try {
          return Buffer.compare(readFileSync(join(folder, path)), bytes) === 0;
        } catch {
          return false; // Missing, or where even its name was lost.
        }
      };
      expect(files.filter(isWhole).length).toBeLessThan(files.length);
      const next = openLogFolder(folder);
      await next.recover();
      expectWhole(folder, files);
      while (await next.settle());
      disk.remount();
      expectWhole(folder, files);
    } finally {
      disk.remove();
    }
  });

  test('are not given up when the disk says that it lost them', async () => {
    const disk = createBadDisk();
    try {
      const folder = join(disk.folder, 'log');
      const log = openLogFolder(folder);
      await log.writeNew(files);
      disk.breakDown();
      await expect(withFailures(log).settle()).rejects.toBeInstanceOf(Failed);
      expect(packsIn(folder)).toHaveLength(1);
      disk.mend();
      while (await log.settle());
      expect(packsIn(folder)).toEqual([]);
      disk.remount();
      expectWhole(folder, files);
    } finally {
      disk.remove();
    }
  });
});
