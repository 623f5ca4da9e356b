import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ClassicLevel } from 'classic-level';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { utf8 } from '#core/bytes.ts';
import { Failed, Refused } from '#core/errors.ts';
import { openStateStore } from '#platform/state-store.ts';
import { withSum } from '#platform/state-tables.ts';
import { describeWith, program } from '#support/needs.ts';
import { expectRows, keepsIn, memoryOf, setRows } from './kept-rows.ts';

const child = fileURLToPath(new URL('./state-store.child.ts', import.meta.url));
const rounds = Number(process.env.HOURSEAL_FAULT_ROUNDS ?? 3);
const root = mkdtempSync(join(tmpdir(), 'hourseal-state-'));
const children: ChildProcess[] = [];
let count = 0;
let folder: string;

beforeEach(() => {
  folder = join(root, `${count++}`, 'deep', 'state');
});
afterAll(() => {
  for (const one of children) one.kill('SIGKILL');
  rmSync(root, { recursive: true });
});

function start(mode: 'keep' | 'hold' | 'full') {
  const process_ = spawn(process.execPath, ['--import', 'tsx', child, folder, mode], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(process_);
  const said: unknown[] = [];
  createInterface(process_.stdout).on('line', (line) => said.push(JSON.parse(line)));
  const ended = once(process_, 'close');
  const hasSpoken = async (): Promise<void> => {
    while (said.length === 0 && process_.exitCode === null) await setTimeout(5);
  };
  const kill = async (): Promise<void> => {
    process_.kill('SIGKILL');
    await ended;
  };
  return { said, ended, hasSpoken, kill };
}

const keep = async (keeps: number, memoryBytes = 0): Promise<void> => {
  const store = await openStateStore(folder);
  for (let one = keepsIn(store) + 1; one <= keeps; one++) {
    setRows(store.tables, one);
    await store.keep(memoryOf(one, memoryBytes));
  }
  await store.close();
};

const expectKept = async (keeps: number): Promise<void> => {
  const store = await openStateStore(folder);
  expect(keepsIn(store)).toBe(keeps);
  expectRows(store.tables, keeps);
  await store.close();
};

describe('what was set', () => {
  test('is there at once, and after reopening as far as it was kept', async () => {
    const store = await openStateStore(folder);
    expect(store.kept()).toBeUndefined();
    expectRows(store.tables, 0);
    for (const one of [1, 2, 3]) {
      setRows(store.tables, one);
      expectRows(store.tables, one);
      expect(store.unkeptRows()).toBeGreaterThan(100);
      const keeping = store.keep(memoryOf(one));
      expectRows(store.tables, one);
      await keeping;
      expect(store.unkeptRows()).toBe(0);
    }
    setRows(store.tables, 4);
    expectRows(store.tables, 4);
    await store.close();
    await expectKept(3);
    await expectKept(3);
  });

  test('while it is being kept belongs to the next keep, and is not lost', async () => {
    const store = await openStateStore(folder);
    setRows(store.tables, 1);
    const keeping = store.keep(memoryOf(1, 2_000_000));
    setRows(store.tables, 2);
    await expect(store.keep(memoryOf(2))).rejects.toThrow('another one is under way');
    await keeping;
    expectRows(store.tables, 2);
    const copy = join(root, 'copy of a crash');
    cpSync(folder, copy, { recursive: true });
    const crashed = await openStateStore(copy);
    expectRows(crashed.tables, 1);
    await crashed.close();
    await store.keep(memoryOf(2));
    await store.close();
    await expectKept(2);
  });

  test('of several plants and series is not taken for that of others', async () => {
    const { tables, close } = await openStateStore(folder);
    const names = ['a', 'a/b', 'a/0', 'A', 'ä', ''];
    for (const [i, name] of names.entries()) tables.placesOf(name).set(i, i);
    for (const [i, name] of names.entries()) {
      expect(names.map((_, at) => tables.placesOf(name).get(at))).toEqual(
        names.map((_, at) => (at === i ? i : undefined)),
      );
    }
    await close();
  });
});

describe('going back', () => {
  test('leaves what was kept, and the tables from before throw', async () => {
    const store = await openStateStore(folder);
    setRows(store.tables, 1);
    await store.keep(memoryOf(1));
    const before = store.tables;
    const hours = before.hoursOf('p');
    const tilesBefore = before.tilesOf(0);
    setRows(before, 2);
    await store.reset();
    expect([store.unkeptRows(), keepsIn(store)]).toEqual([0, 1]);
    expectRows(store.tables, 1);
    const stale = [
      () => before.nonces.has('kid 20'),
      () => before.tilesOf(0).get(20),
      () => tilesBefore.get(20),
      () => before.ranges.set(1, {} as never),
      () => hours.get(20),
      () => before.hoursOf('another').has(20),
      () => before.placesOf('energy/p').get(20),
    ];
    for (const ask of stale) {
      expect(ask).toThrow(Failed);
      expect(ask).toThrow(expect.objectContaining({ code: 'state-store' }));
    }
    expect([store.unkeptRows(), store.isLost()]).toEqual([0, false]);
    await store.close();
    await expectKept(1);
  });

  test('to nothing forgets all, for good', async () => {
    const store = await openStateStore(folder);
    setRows(store.tables, 1);
    await store.keep(memoryOf(1));
    const before = store.tables;
    setRows(before, 2);
    await store.clear();
    expect(() => before.tilesOf(0).get(20)).toThrow(Failed);
    expect([store.kept(), store.unkeptRows()]).toEqual([undefined, 0]);
    expectRows(store.tables, 0);
    setRows(store.tables, 1);
    await store.keep(memoryOf(1));
    await store.close();
    await expectKept(1);
  });

  test('once it is closed is no more, and what is asked then has failed', async () => {
    const store = await openStateStore(folder);
    await store.close();
    expect(() => store.kept()).toThrow(Failed);
    expect(() => store.tables.nonces.has('kid 1')).toThrow(Failed);
  });
});

describe('a folder', () => {
  test('is made for its owner alone, with what is above it', async () => {
    await keep(1);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
  });

  test('that somebody has open is refused, here and to another process', async () => {
    const inUse = { name: Refused.name, code: 'folder-in-use' };
    const store = await openStateStore(folder);
    await expect(openStateStore(folder)).rejects.toMatchObject(inUse);
    setRows(store.tables, 1);
    await store.keep(memoryOf(1));
    await store.close();
    const other = start('hold');
    await other.hasSpoken();
    await expect(openStateStore(folder)).rejects.toMatchObject(inUse);
    await other.kill();
    await expectKept(2);
  });

  test('that is none, or not ours, has failed, and nothing in it is touched', async () => {
    mkdirSync(join(folder, '..'), { recursive: true });
    writeFileSync(folder, 'a file');
    const error: unknown = await openStateStore(folder).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ name: Failed.name, code: 'state-store' });
    expect(readFileSync(folder, 'utf8')).toBe('a file');
  });

  test('keeps what is not the database’s, also where that is made anew', async () => {
    await keep(2);
    writeFileSync(join(folder, 'notes of mine'), 'mine');
    writeFileSync(join(folder, 'CURRENT'), 'garbage');
    await expectKept(0);
    expect(readFileSync(join(folder, 'notes of mine'), 'utf8')).toBe('mine');
  });

  test.each(['0', '999', '', 'garbage'])('of version %j is emptied', async (version) => {
    await keep(2);
    const database = new ClassicLevel<string, Uint8Array>(folder, { valueEncoding: 'view' });
    await database.put('version', withSum('version', utf8(version)));
    await database.close();
    rmSync(join(folder, 'sums.json'));
    await expectKept(0);
    await keep(1);
    await expectKept(1);
  });
});

test('a process that is killed at any moment leaves one and the same keep', async () => {
  let least = 0;
  for (let round = 0; round < rounds; round++) {
    const { said, hasSpoken, kill } = start('keep');
    await hasSpoken();
    await setTimeout(Math.random() * 800);
    await kill();
    const promised = Number(said.at(-1));
    expect(promised).toBeGreaterThan(least);
    const store = await openStateStore(folder);
    least = keepsIn(store);
    expect(least - promised).toBeGreaterThanOrEqual(0);
    // One may be on the disk of which the process could not tell any more.
    expect(least - promised).toBeLessThanOrEqual(1);
    expectRows(store.tables, least);
    await store.close();
  }
});

describeWith([program('prlimit', 'util-linux')], 'a full disk', () => {
  test('fails a keep, loses nothing, and is got over', async () => {
    const { said, ended } = start('full');
    expect((await ended)[0]).toBe(0);
    expect(said).toEqual([
      {
        first: 'Failed state-store',
        before: { keeps: 1, waits: true },
        again: 'Failed state-store',
        between: { isLost: false, keeps: 1 },
        later: 'kept',
        last: 'kept',
      },
    ]);
    await expectKept(3);
  });
});
