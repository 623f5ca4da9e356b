import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { decodeUtf8, utf8 } from '#core/bytes.ts';
import { openAppendLog, type AppendLog } from '#platform/append-log.ts';
import { lockFolder, type FolderLock } from '#platform/folder-lock.ts';

const child = fileURLToPath(new URL('./append-log.child.ts', import.meta.url));
const name = 'records';
let folder: string;
let lock: FolderLock;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'hourseal-append-'));
  lock = await lockFolder(folder);
});

afterEach(async () => {
  await lock.release();
  rmSync(folder, { recursive: true, force: true });
});

async function reopen(): Promise<{ log: AppendLog; texts: string[] }> {
  const texts: string[] = [];
  const log = await openAppendLog({
    lock,
    name,
    onRecord: (record) => texts.push(decodeUtf8(record)),
  });
  return { log, texts };
}

async function contents(): Promise<string[]> {
  const { log, texts } = await reopen();
  await log.close();
  return texts;
}

test('what was appended is there after closing and opening, in order, in few frames', async () => {
  const { log } = await reopen();
  const texts = Array.from({ length: 500 }, (_, n) => `record ${n}`);
  await Promise.all(texts.map((text) => log.append(utf8(text))));
  expect(log.sizeBytes()).toBe(statSync(join(folder, name)).size);
  await log.close();
  expect(await contents()).toEqual(texts);
  expect(readFileSync(join(folder, name), 'latin1').split('HSf1').length).toBeLessThan(10);
});

test('a buffer that its owner changes after appending is kept as it was', async () => {
  const { log } = await reopen();
  const bytes = utf8('before');
  const appended = log.append(bytes);
  bytes.set(utf8('behind'));
  await appended;
  await log.close();
  expect(await contents()).toEqual(['before']);
});

test('a torn tail is cut off, and the next record takes its place', async () => {
  const { log } = await reopen();
  await log.append(utf8('one'));
  await log.close();
  const whole = statSync(join(folder, name)).size;
  appendFileSync(join(folder, name), readFileSync(join(folder, name)).subarray(0, whole - 1));
  const second = await reopen();
  expect(second.texts).toEqual(['one']);
  expect(statSync(join(folder, name)).size).toBe(whole);
  await second.log.append(utf8('two'));
  await second.log.close();
  expect(await contents()).toEqual(['one', 'two']);
});

test('what a crash left of writing the file anew is removed, and nothing else', async () => {
  const others = [`.${name}.0123456789a.tmp`, `.${name}x.0123456789ab.tmp`, `${name}.tmp`];
  for (const other of [...others, `.${name}.0123456789ab.tmp`]) {
    writeFileSync(join(folder, other), 'half');
  }
  await (await reopen()).log.close();
  expect(readdirSync(folder).sort()).toEqual([...others, 'lock', name].sort());
});

test('a damaged middle is refused with the name of the file, and nothing is changed', async () => {
  const { log } = await reopen();
  await log.append(utf8('one'));
  await log.append(utf8('two'));
  await log.close();
  const bytes = readFileSync(join(folder, name));
  bytes[20] = (bytes[20] ?? 0) ^ 1;
  writeFileSync(join(folder, name), bytes);
  const opening = reopen();
  await expect(opening).rejects.toMatchObject({ name: 'Refused', code: 'record-file' });
  await expect(opening).rejects.toThrow(join(folder, name));
  expect(readFileSync(join(folder, name)).equals(bytes)).toBe(true);
});

test('compacting puts the snapshot in the place of all records, and later ones follow it', async () => {
  const { log } = await reopen();
  const state: string[] = [];
  const append = (text: string): Promise<void> => {
    state.push(text);
    return log.append(utf8(text));
  };
  await Promise.all(['1', '2', '3'].map(append));
  const before = append('4');
  let snapshot = '';
  const compacting = log.compact(() => {
    snapshot = state.join('+');
    return [utf8(snapshot)];
  });
  const during = append('5');
  await Promise.all([before, compacting, during]);
  await append('6');
  expect(log.sizeBytes()).toBe(statSync(join(folder, name)).size);
  await log.close();
  const texts = await contents();
  expect(texts[0]).toBe(snapshot);
  expect(texts.join('+')).toBe('1+2+3+4+5+6');
  expect(readdirSync(folder).sort()).toEqual(['lock', name]);
  const { log: again } = await reopen();
  await again.compact(() => []);
  await again.close();
  expect(await contents()).toEqual([]);
});

test('a log in which appending never pauses is not compacted, and loses nothing', async () => {
  const { log } = await reopen();
  let appended = 0;
  let busy = true;
  const append = async (): Promise<void> => {
    while (busy) await log.append(utf8(String(appended++)));
  };
  const writers = [append(), append()];
  const compacting = log.compact(() => []);
  await expect(compacting).rejects.toMatchObject({ code: 'append-log-busy' });
  busy = false;
  await Promise.all(writers);
  await log.close();
  expect(await contents()).toHaveLength(appended);
});

test('a snapshot larger than a frame is kept whole', async () => {
  const { log } = await reopen();
  const megabyte = new Uint8Array(1024 * 1024).fill(65);
  await log.compact(() => Array.from({ length: 40 }, () => megabyte));
  await log.close();
  const texts = await contents();
  expect(texts.map(({ length }) => length)).toEqual(
    Array.from({ length: 40 }, () => megabyte.length),
  );
});

test('too large a record, too many waiting, and a closed log are refused', async () => {
  const { log } = await reopen();
  await expect(log.append(new Uint8Array(1024 * 1024 + 1))).rejects.toThrow(RangeError);
  const megabyte = new Uint8Array(1024 * 1024);
  const ends = await Promise.allSettled(Array.from({ length: 30 }, () => log.append(megabyte)));
  const refused = ends.filter(({ status }) => status === 'rejected');
  expect(refused[0]).toMatchObject({ reason: { code: 'append-log-full' } });
  await log.append(utf8('room again'));
  await log.close();
  await log.close();
  await expect(log.append(utf8('late'))).rejects.toMatchObject({ code: 'append-log-closed' });
});

test('after a failure of the disk nothing more is promised', async () => {
  const { log } = await reopen();
  await log.append(utf8('one'));
  rmSync(folder, { recursive: true });
  await expect(log.compact(() => [])).rejects.toMatchObject({ name: 'Fatal', code: 'append-log' });
  await expect(log.append(utf8('two'))).rejects.toMatchObject({ name: 'Fatal' });
  await log.close();
});

test('after kill -9 at any moment every record that was said to be durable is there, once', async () => {
  await lock.release();
  for (const count of [3, 120, 60]) {
    const running = spawn(process.execPath, ['--import', 'tsx', child, folder], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    running.stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString('utf8');
      if (said.split('\n').length > count) running.kill('SIGKILL');
    });
    await once(running, 'close');
    const last = Number(said.split('\n').at(-2));
    lock = await lockFolder(folder);
    const texts = await contents();
    await lock.release();
    expect(texts.length).toBeGreaterThan(last);
    expect(texts).toEqual(texts.map((_, n) => String(n)));
  }
});
