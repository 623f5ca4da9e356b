import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { lockFolder } from '#platform/folder-lock.ts';

const folder = mkdtempSync(join(tmpdir(), 'hourseal-lock-'));
const child = fileURLToPath(new URL('./folder-lock.child.ts', import.meta.url));
const started: ChildProcess[] = [];

afterAll(() => {
  for (const process of started) process.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

async function inAnotherProcess(): Promise<{ said: string; process: ChildProcess }> {
  const running = spawn(process.execPath, ['--import', 'tsx', child, folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  started.push(running);
  const [said] = (await once(running.stdout, 'data')) as [Buffer];
  return { said: said.toString('utf8').trim(), process: running };
}

test('a folder is held once, also within one process, until it is released', async () => {
  const lock = await lockFolder(folder);
  const second = lockFolder(folder);
  await expect(second).rejects.toMatchObject({ name: 'Refused', code: 'folder-in-use' });
  await expect(second).rejects.toThrow(`${folder} is in use by this process (${process.pid})`);
  await lock.release();
  await lock.release();
  const again = await lockFolder(folder);
  await again.release();
});

test('another process is refused with the name of the holder', async () => {
  const lock = await lockFolder(folder);
  const { said } = await inAnotherProcess();
  expect(said).toBe(`Refused: ${folder} is in use by process ${process.pid}`);
  await lock.release();
});

test('a holder killed with SIGKILL leaves the folder free, and nothing to clean up', async () => {
  for (let round = 0; round < 2; round++) {
    const { said, process: holder } = await inAnotherProcess();
    expect(said).toBe('locked');
    await expect(lockFolder(folder)).rejects.toThrow(`process ${String(holder.pid)}`);
    holder.kill('SIGKILL');
    await once(holder, 'exit');
  }
  const lock = await lockFolder(folder);
  await lock.release();
  expect(readdirSync(folder)).toEqual(['lock']);
});

test('a folder that is not there is an error of the file system', async () => {
  await expect(lockFolder(join(folder, 'nowhere'))).rejects.toThrow('ENOENT');
});
