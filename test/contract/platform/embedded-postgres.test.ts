import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { startEmbeddedPostgres } from '#platform/embedded-postgres.ts';
import { createPool } from '#platform/postgres.ts';
import { copyEmptyDatabase } from '#support/postgres.ts';

const startLimitMs = 120_000;
const root = mkdtempSync(join(tmpdir(), 'hourseal-embedded-'));
const child = fileURLToPath(new URL('./embedded-postgres.child.ts', import.meta.url));

afterAll(() => {
  rmSync(root, { recursive: true, force: true });
});

test(
  'what one run wrote is there in the next, and the folder is ours alone meanwhile',
  async () => {
    const folder = join(root, 'twice');
    const first = await startEmbeddedPostgres({ folder });
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(first.connection.host).toBe(folder);
    await expect(startEmbeddedPostgres({ folder })).rejects.toMatchObject({
      code: 'folder-in-use',
    });
    const pool = createPool(first.connectionString);
    await pool.run('create table kept as select 7 as n');
    await pool.close();
    await first.stop();
    await first.stop();
    const second = await startEmbeddedPostgres({ folder });
    const again = createPool(second.connection);
    expect(await again.row('select n from kept')).toEqual({ n: 7 });
    await again.close();
    await second.stop();
  },
  startLimitMs,
);

test(
  'stopping with connections open and a transaction in progress rolls it back and ends',
  async () => {
    const folder = join(root, 'twice');
    const first = await startEmbeddedPostgres({ folder });
    const pool = createPool(first.connection);
    const client = await pool.pg.connect();
    client.on('error', () => undefined);
    await client.query('begin');
    await client.query('insert into kept values (8)');
    await first.stop();
    client.release(true);
    await pool.close();
    const second = await startEmbeddedPostgres({ folder });
    const again = createPool(second.connection);
    expect(await again.rows('select n from kept')).toEqual([{ n: 7 }]);
    await again.close();
    await second.stop();
  },
  startLimitMs,
);

test(
  'a data folder with a path too long for a socket works all the same',
  async () => {
    const folder = join(root, 'long'.repeat(20), 'long'.repeat(20));
    await copyEmptyDatabase(folder);
    const { connection, stop } = await startEmbeddedPostgres({ folder });
    expect(connection.host.startsWith(tmpdir())).toBe(true);
    expect(statSync(connection.host).mode & 0o777).toBe(0o700);
    const pool = createPool(connection);
    expect(await pool.row('select 1 as n')).toEqual({ n: 1 });
    await pool.close();
    await stop();
    expect(() => statSync(connection.host)).toThrow('ENOENT');
  },
  startLimitMs,
);

test(
  'a start that is called off, at once or half-way, leaves the folder free and the next one whole',
  async () => {
    const folder = join(root, 'called-off');
    const reason = new Error('enough');
    const atOnce = AbortSignal.abort(reason);
    await expect(startEmbeddedPostgres({ folder, signal: atOnce })).rejects.toBe(reason);
    const halfWay = new AbortController();
    const starting = startEmbeddedPostgres({ folder, signal: halfWay.signal });
    const refused = expect(starting).rejects.toMatchObject({ code: 'embedded-postgres' });
    while (!existsSync(join(folder, 'pgdata', 'base'))) await setTimeout(5);
    halfWay.abort(reason);
    await refused;
    const { connection, stop } = await startEmbeddedPostgres({ folder });
    const pool = createPool(connection);
    expect(await pool.row('select count(*) > 0 as whole from pg_class')).toEqual({ whole: true });
    await pool.close();
    await stop();
    expect(readdirSync(folder).sort()).toEqual(['lock', 'pgdata']);
  },
  startLimitMs,
);

/** Lets the child say `count` numbers, kills it with SIGKILL, and returns the last it said. */
async function runAndKill(folder: string, count: number): Promise<number> {
  const running = spawn(process.execPath, ['--import', 'tsx', child, folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  running.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString('utf8');
    if (text.split('\n').length > count) running.kill('SIGKILL');
  });
  await new Promise((resolve) => running.once('close', resolve));
  expect(running.signalCode).toBe('SIGKILL');
  return Number(text.split('\n').at(-2));
}

test(
  'after kill -9 every committed transaction is there, time after time',
  async () => {
    const folder = join(root, 'killed');
    await copyEmptyDatabase(folder);
    for (const count of [1, 40, 150]) {
      const said = await runAndKill(folder, count);
      const { connection, stop } = await startEmbeddedPostgres({ folder });
      const pool = createPool(connection);
      const kept = await pool.row<{ count: number; max: number }>(
        'select count(*), max(n) from kept',
      );
      expect(kept.max).toBeGreaterThanOrEqual(said);
      expect(kept.count).toBe(kept.max);
      await pool.close();
      await stop();
    }
  },
  2 * startLimitMs,
);
