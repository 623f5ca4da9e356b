import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sqlState } from '#platform/postgres-errors.ts';
import { migrate } from '#platform/migrate.ts';
import { onEachEngine, type TestPostgres } from '#support/postgres.ts';

const startLimitMs = 120_000;
const child = fileURLToPath(new URL('./migrate.child.ts', import.meta.url));
const folders: string[] = [];

afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function migrations(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'hourseal-migrations-'));
  folders.push(folder);
  for (const [name, sql] of Object.entries(files)) writeFileSync(join(folder, name), sql);
  return folder;
}

/** Another process that migrates; its answer is what it applied. */
function migrateElsewhere(connectionString: string, folder: string): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const process_ = spawn(process.execPath, ['--import', 'tsx', child, connectionString, folder], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    process_.stdout.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')));
    process_.once('error', reject);
    process_.once('close', (code) => {
      if (code === 0) resolve(JSON.parse(text) as string[]);
      else reject(new Error(`the process ended with ${String(code)}`));
    });
  });
}

const slow = {
  '0001_first.sql': 'create table first (n int); select pg_sleep(0.3);',
  '0002_second.sql': `
    insert into first values (1);
    do $$ begin
      if exists (select 1 from pg_extension where extname = 'timescaledb') then
        create table with_timescale ();
      else
        create table without_timescale ();
      end if;
    end $$;`,
};

onEachEngine('migrate', (start) => {
  let empty: TestPostgres;
  let other: TestPostgres;
  beforeAll(async () => {
    empty = await start({ migrated: false });
    other = await start({ migrated: false });
  }, startLimitMs);

  test('the migrations of the project apply to an empty database, once', async () => {
    const applied = await migrate(empty.connection);
    expect(applied[0]).toBe('0001-extensions');
    expect(await migrate(empty.connection)).toEqual([]);
    const extensions = await empty.pool.rows(
      "select 1 from pg_extension where extname = 'btree_gist'",
    );
    expect(extensions).toHaveLength(1);
  });

  test(
    'two processes and this one at once wait for each other, and one of them does it',
    async () => {
      const folder = migrations(slow);
      const url = other.connectionString;
      const all = await Promise.all([
        migrateElsewhere(url, folder),
        migrateElsewhere(url, folder),
        migrate(url, { folder }),
        migrate(url, { folder }),
      ]);
      expect(all.flat().sort()).toEqual(['0001_first', '0002_second']);
      expect(await other.pool.row('select count(*) from first')).toEqual({ count: 1 });
      const tables = await other.pool.rows(
        "select table_name from information_schema.tables where table_name like 'with%timescale'",
      );
      expect(tables).toHaveLength(1);
    },
    startLimitMs,
  );

  test('a migration that fails leaves everything as it was, its neighbours included', async () => {
    const folder = migrations({
      ...slow,
      '0003_third.sql': 'create table third (n int);',
      '0004_fourth.sql': 'create table fourth (n int); select 1 / 0;',
    });
    const failing = migrate(other.connection, { folder });
    await expect(failing).rejects.toMatchObject({ code: 'migration' });
    expect(await failing.catch(sqlState)).toBe('22012');
    const left = await other.pool.row("select to_regclass('third') as third");
    expect(left).toEqual({ third: null });
    expect(await migrate(other.connection, { folder: migrations(slow) })).toEqual([]);
  });

  test('a database of a later version is refused and left alone', async () => {
    const folder = migrations({ '0001_first.sql': slow['0001_first.sql'] });
    const refused = migrate(other.connection, { folder });
    await expect(refused).rejects.toMatchObject({ code: 'database-newer' });
    await expect(refused).rejects.toThrow('0002_second');
  });

  test('a migration numbered below one that was applied is refused', async () => {
    const folder = migrations({ ...slow, '0000_before.sql': 'create table before (n int);' });
    const refused = migrate(other.connection, { folder });
    await expect(refused).rejects.toMatchObject({ code: 'migration' });
    expect(await other.pool.row("select to_regclass('before') as before")).toEqual({
      before: null,
    });
  });
});
