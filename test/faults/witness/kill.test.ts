import {
  closeSync,
  fdatasyncSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { addCheckpoint } from '#platform/witness-client.ts';
import { badDisks, createBadDisk, type BadDisk } from '#support/bad-disk.ts';
import { describeWhereAllowed } from '#support/needs.ts';
import { history } from '../../integration/witness/rig.ts';
import { whatIsSaid } from './said.ts';
import { killAll, maxSize, push, sizeShown, startVictim } from './victim.ts';

const rounds = Number(process.env.HOURSEAL_FAULT_ROUNDS ?? 4);
const maxAnswers = 30;
const maxPauseMs = 20;
const patience = { timeoutMs: 5_000 };

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hourseal-witness-kill-'));
});
afterEach(async () => {
  await killAll();
  rmSync(folder, { recursive: true, force: true });
});

it('is killed at any moment, and never signs two roots for one size, nor falls back', async () => {
  const histories = ['a', 'a', 'b'].map((name) => history(name, { maxSize }));
  const said = whatIsSaid();
  for (let round = 0; round < rounds; round++) {
    const victim = await startVictim(folder);
    await sizeShown(victim, said);
    const pushing = histories.map((one) => push(victim.url, one, { said }));
    // Not before it has said something: how long that takes is the machine's affair.
    const enough = said.count() + 1 + Math.floor(Math.random() * maxAnswers);
    while (said.count() < enough) await setTimeout(1);
    await setTimeout(Math.random() * maxPauseMs);
    victim.process.kill('SIGKILL');
    expect(await victim.ended).toBe('SIGKILL');
    await Promise.all(pushing);
  }
  expect(said.count()).toBeGreaterThan(rounds);
});

it('stops when the disk takes no more, without a signature for what is not stored', async () => {
  const one = history('a', { maxSize });
  const said = whatIsSaid();
  // Files of at most 1,024 bytes: as good as a full disk, with a real error of the kernel.
  const victim = await startVictim(folder, { shell: 'ulimit -f 1;' });
  await push(victim.url, one, { said });
  expect(await victim.ended).toBe(1);
  expect(said.largest()).toBeGreaterThan(0);
  const next = await startVictim(folder);
  // Perhaps one more than anybody was told; never less.
  const size = await sizeShown(next, said);
  expect(await addCheckpoint(next.url, await one.request(size, maxSize), patience)).toMatchObject({
    result: 'cosigned',
  });
  next.process.kill('SIGTERM');
  expect(await next.ended).toBe(0);
});

it('does not start where it may not write', async () => {
  await expect(startVictim(folder, { shell: 'ulimit -f 0;' })).rejects.toThrow(
    /ended with 1 before it served/,
  );
});

/** What the full backing store is called depends on the kernel. */
const diskError = /(?:EIO|ENOSPC): [^\n]*sync/;

describeWhereAllowed(badDisks(), 'on a file system whose disk breaks', () => {
  let disk: BadDisk;
  beforeEach(() => {
    disk = createBadDisk();
  });
  afterEach(async () => {
    await killAll();
    disk.remove();
  });

  it('the system says once that it could not write, and then that it has', () => {
    const [before, sizeBytes] = ['on the disk', 200_000];
    const path = join(disk.folder, 'file');
    writeFileSync(path, before, { flush: true });
    const file = openSync(path, 'a');
    disk.breakDown();
    writeSync(file, 'x'.repeat(sizeBytes));
    try {
      expect(() => {
        fdatasyncSync(file);
      }).toThrow(diskError);
      fdatasyncSync(file);
      expect(readFileSync(path)).toHaveLength(sizeBytes + before.length);
      disk.mend();
      fdatasyncSync(file);
    } finally {
      closeSync(file);
    }
    disk.remount();
    expect(readFileSync(path, 'utf8')).not.toBe(before + 'x'.repeat(sizeBytes));
  });

  it('a witness on a disk that fails dies of it, and knows afterwards what it said', async () => {
    const [a, b] = [history('a', { maxSize }), history('b', { maxSize })];
    const said = whatIsSaid();
    const folder = join(disk.folder, 'store');
    // It only grows, into blocks that were never written.
    const first = await startVictim(folder, { storeBytes: 1_000_000 });
    await push(first.url, a, { said, until: 20 });
    disk.breakDown();
    await push(first.url, a, { said });
    expect(await first.ended).toBe(1);
    expect(first.errors()).toMatch(diskError);
    expect(said.largest()).toBeGreaterThanOrEqual(20);
    // It starts only where it can write all that it knows, should it find room.
    const early = await startVictim(folder).catch((error: unknown) => {
      expect(String(error)).toMatch(diskError);
    });
    if (early !== undefined) await sizeShown(early, said);
    await killAll();
    disk.mend();
    const second = await startVictim(folder);
    await sizeShown(second, said);
    await push(second.url, a, { said, until: said.largest() + 5 });
    second.process.kill('SIGKILL');
    await second.ended;
    disk.remount();
    const third = await startVictim(folder);
    const size = await sizeShown(third, said);
    const ask = async (one: typeof a, from: number, to: number): Promise<unknown> =>
      addCheckpoint(third.url, await one.request(from, to), patience);
    expect(await ask(b, size, size + 1)).toMatchObject({ result: 'refused', status: 422 });
    expect(await ask(a, size, size + 1)).toMatchObject({ result: 'cosigned' });
    third.process.kill('SIGTERM');
    expect(await third.ended).toBe(0);
  });
});
