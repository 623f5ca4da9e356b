import { randomBytes } from 'node:crypto';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClassicLevel } from 'classic-level';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { StateStore } from '#core/certificate/state/state-store.ts';
import { Failed } from '#core/errors.ts';
import { openStateStore } from '#platform/state-store.ts';
import { withSum } from '#platform/state-tables.ts';
import { expectRows, keepsIn, memoryOf, setRows, spoilRows } from './kept-rows.ts';

const root = mkdtempSync(join(tmpdir(), 'hourseal-state-'));
/** A store that was closed, and one of the same rows whose process has died. */
const closed = join(root, 'closed');
const crashed = join(root, 'crashed');
let folder: string;
let count = 0;
const keeps = 5;

beforeAll(async () => {
  // Opened again, a store has its rows in tables of their own; what came last is in a log yet.
  for (const upTo of [2, 3, keeps]) {
    const store = await openStateStore(closed);
    for (let keep = keepsIn(store) + 1; keep <= upTo; keep++) {
      setRows(store.tables, keep);
      await store.keep(memoryOf(keep, 60_000));
    }
    if (upTo === keeps) cpSync(closed, crashed, { recursive: true });
    await store.close();
  }
});
beforeEach(() => {
  folder = join(root, `${count++}`);
});
afterAll(() => {
  rmSync(root, { recursive: true });
});

const damages: Record<string, (path: string) => void> = {
  'garbled in its midst': (path) => {
    const bytes = readFileSync(path);
    const isHit = (i: number) => i >= bytes.length / 3 && i < bytes.length / 2;
    writeFileSync(
      path,
      bytes.map((byte, i) => (isHit(i) ? byte ^ 0x5a : byte)),
    );
  },
  'with one bit flipped': (path) => {
    const bytes = readFileSync(path);
    const hit = Math.floor(bytes.length / 2);
    writeFileSync(
      path,
      bytes.map((byte, i) => (i === hit ? byte ^ 1 : byte)),
    );
  },
  'garbled at its end': (path) => {
    const bytes = readFileSync(path);
    writeFileSync(
      path,
      bytes.map((byte, i) => (i >= bytes.length - 40 ? byte ^ 0x5a : byte)),
    );
  },
  'cut in two': (path) => truncateSync(path, Math.floor(readFileSync(path).length / 2)),
  empty: (path) => truncateSync(path, 0),
  missing: (path) => rmSync(path),
};
const howMany = Object.keys(damages).length;

/** Every file of a folder that says something, each damaged in each way, and what becomes of it. */
async function damageEach(
  from: string,
  body: (file: { name: string; how: string }) => Promise<void>,
): Promise<number> {
  let cases = 0;
  for (const name of readdirSync(from)) {
    if (name === 'LOCK' || name.startsWith('LOG')) continue;
    for (const [how, damage] of Object.entries(damages)) {
      folder = join(root, `${count++}`);
      cpSync(from, folder, { recursive: true });
      damage(join(folder, name));
      cases++;
      try {
        await body({ name, how });
      } catch (cause) {
        throw new Error(`${name} ${how}`, { cause });
      }
    }
  }
  return cases;
}

/** It can be filled and kept as any other. */
async function expectUsable(store: StateStore): Promise<void> {
  const next = keepsIn(store) + 1;
  setRows(store.tables, next);
  await store.keep(memoryOf(next));
  await store.close();
  const again = await openStateStore(folder);
  expect(keepsIn(again)).toBe(next);
  expectRows(again.tables, next);
  await again.close();
}

const kinds = (from: string) =>
  new Set(readdirSync(from).map((name) => name.replaceAll(/\d/g, '').replace(/^-/, '')));

test('the folders have files of every kind', () => {
  for (const kind of ['CURRENT', 'MANIFEST-', '.ldb', '.log']) {
    expect(kinds(closed)).toContain(kind);
    expect(kinds(crashed)).toContain(kind);
  }
  expect([existsSync(join(closed, 'sums.json')), existsSync(join(crashed, 'sums.json'))]).toEqual([
    true,
    false,
  ]);
});

describe('a store that was closed', () => {
  test('is what it was, also once more', async () => {
    cpSync(closed, folder, { recursive: true });
    const store = await openStateStore(folder);
    expect(keepsIn(store)).toBe(keeps);
    expectRows(store.tables, keeps);
    await expectUsable(store);
  });

  test('is empty where any file is damaged, whichever and however', async () => {
    const cases = await damageEach(closed, async ({ name, how }) => {
      const store = await openStateStore(folder);
      // Without sums nobody can tell but the database; nothing else is wrong with this one.
      const left = name === 'sums.json' && how === 'missing' ? keeps : 0;
      expect(keepsIn(store)).toBe(left);
      expectRows(store.tables, left);
      await expectUsable(store);
    });
    expect(cases).toBeGreaterThanOrEqual(6 * howMany);
  });

  test('and lost a log file that was the newest, with its sums, is as of an earlier keep', async () => {
    const cases = await damageEach(closed, async ({ name, how }) => {
      if (!name.endsWith('.log') || how !== 'missing') return;
      rmSync(join(folder, 'sums.json'));
      const store = await openStateStore(folder);
      expect(keepsIn(store)).toBe(3);
      expectRows(store.tables, 3);
      await expectUsable(store);
    });
    expect(cases).toBeGreaterThan(0);
  });
});

describe('a store whose process died', () => {
  /** As of one keep, or a row has failed that had to be read. Says how many keeps it has. */
  const readAll = (store: StateStore): number | Failed => {
    try {
      const found = keepsIn(store);
      expectRows(store.tables, found);
      return found;
    } catch (error) {
      if (!(error instanceof Failed)) throw error;
      return error;
    }
  };

  const mayKeep = async (store: StateStore): Promise<boolean> => {
    try {
      setRows(store.tables, keepsIn(store) + 1);
      await store.keep(memoryOf(keepsIn(store) + 1));
      return true;
    } catch (error) {
      if (!(error instanceof Failed)) throw error;
      return false;
    }
  };

  test('is what it was', async () => {
    cpSync(crashed, folder, { recursive: true });
    const store = await openStateStore(folder);
    expect(readAll(store)).toBe(keeps);
    await expectUsable(store);
  });

  /** What has become of a store that was damaged in so many ways: how many keeps it has, or 'lost'. */
  const outcomesOf = async (
    from: string,
    isMeant: (file: { name: string; how: string }) => boolean = () => true,
  ): Promise<ReadonlySet<unknown>> => {
    const outcomes = new Set<unknown>();
    await damageEach(from, async (file) => {
      if (!isMeant(file)) return;
      const store = await openStateStore(folder);
      const found = readAll(store);
      if (!(found instanceof Failed)) outcomes.add(found);
      // What nobody reads any more, the database comes upon when it tidies up.
      const isLost = found instanceof Failed || !(await mayKeep(store));
      if (isLost) {
        expect(file.name).toMatch(/ldb$/);
        outcomes.add('lost');
        expect(store.isLost()).toBe(true);
        await expect(store.keep(memoryOf(9))).rejects.toMatchObject({ code: 'state-store' });
        await store.reset();
        expect([store.isLost(), keepsIn(store)]).toEqual([false, 0]);
        expectRows(store.tables, 0);
      }
      await expectUsable(store);
    });
    return outcomes;
  };

  test('and is damaged besides is as of one keep, or begins anew', async () => {
    const outcomes = await outcomesOf(crashed);
    expect([...outcomes]).toEqual(expect.arrayContaining([0, 3]));
    for (const outcome of outcomes) expect(outcome).toBeTypeOf('number');
  });

  test('and has lost half of a table of which it need not know fails where that is read', async () => {
    const large = join(root, 'large');
    cpSync(crashed, large, { recursive: true });
    const database = new ClassicLevel<string, Uint8Array>(large, { valueEncoding: 'view' });
    await database.open();
    const batch = database.batch();
    for (let row = 100; row < 400; row++) {
      const key = `hour/q/${row}`;
      batch.put(key, withSum(key, randomBytes(20_000)));
    }
    await batch.write();
    // Into several tables, of which one has what tells how often it was kept.
    await database.compactRange('', '~');
    await database.close();
    const isCutTable = ({ name, how }: { name: string; how: string }) =>
      name.endsWith('.ldb') && how === 'cut in two';
    const outcomes = await outcomesOf(large, isCutTable);
    expect(outcomes).toContain('lost');
    for (const outcome of outcomes) expect(['lost', 0, keeps]).toContain(outcome);
  });

  test('never takes a row for none, wherever a bit of its tables is flipped', async () => {
    const places = 12;
    let cases = 0;
    for (const name of readdirSync(crashed).filter((one) => one.endsWith('.ldb'))) {
      const bytes = readFileSync(join(crashed, name));
      for (let place = 0; place < places; place++) {
        folder = join(root, `${count++}`);
        cpSync(crashed, folder, { recursive: true });
        const hit = Math.floor((bytes.length * place) / places);
        writeFileSync(
          join(folder, name),
          bytes.map((byte, i) => (i === hit ? byte ^ 1 : byte)),
        );
        const store = await openStateStore(folder);
        if (keepsIn(store) !== 0) throw new Error(`${name}: byte ${hit} of ${bytes.length}`);
        expectRows(store.tables, 0);
        await store.close();
        cases++;
      }
    }
    expect(cases).toBeGreaterThanOrEqual(2 * places);
  });

  test('with a batch dropped out of the midst of its log is empty', async () => {
    cpSync(crashed, folder, { recursive: true });
    const [log = ''] = readdirSync(folder).filter((name) => name.endsWith('.log'));
    const bytes = readFileSync(join(folder, log));
    // Longer than a block of the log, so that what follows is found again.
    const fourth = bytes.indexOf('4 xxx');
    expect(fourth).toBeGreaterThan(0);
    bytes[fourth] = 0x39;
    writeFileSync(join(folder, log), bytes);
    const store = await openStateStore(folder);
    expect(readAll(store)).toBe(0);
    await expectUsable(store);
  });
});

describe('a store that is found to be damaged while it is open', () => {
  beforeEach(async () => {
    cpSync(closed, folder, { recursive: true });
    await spoilRows(folder, ['nonce/kid 25']);
  });

  test('is not kept on, and is gone once it is closed', async () => {
    const store = await openStateStore(folder);
    expect(store.isLost()).toBe(false);
    const read = () => expectRows(store.tables, keeps);
    expect(read).toThrow(Failed);
    expect(store.isLost()).toBe(true);
    await expect(store.keep(memoryOf(6))).rejects.toMatchObject({ code: 'state-store' });
    await store.close();
    const again = await openStateStore(folder);
    expect(again.kept()).toBeUndefined();
    expectRows(again.tables, 0);
    await expectUsable(again);
  });

  test('is empty once it goes back', async () => {
    const store = await openStateStore(folder);
    expect(() => store.tables.nonces.has('kid 25')).toThrow(Failed);
    await store.reset();
    expect([store.isLost(), store.kept()]).toEqual([false, undefined]);
    expectRows(store.tables, 0);
    await expectUsable(store);
  });

  test('is clear once it is cleared', async () => {
    const store = await openStateStore(folder);
    expect(() => store.tables.nonces.has('kid 25')).toThrow('nonce/kid 25 is not what was written');
    await store.clear();
    expect([store.isLost(), store.kept()]).toEqual([false, undefined]);
    await expectUsable(store);
  });
});
