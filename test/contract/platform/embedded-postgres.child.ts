import { startEmbeddedPostgres } from '#platform/embedded-postgres.ts';
import { createPool } from '#platform/postgres.ts';

/** Writes numbers, one transaction each, and says each after its commit, until it is killed. */
const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error('usage: FOLDER');
const { connection } = await startEmbeddedPostgres({ folder });
const pool = createPool(connection);
await pool.run('create table if not exists kept (n bigint primary key)');
const { last } = await pool.row<{ last: number }>('select coalesce(max(n), 0) as last from kept');
for (let n = last + 1; ; n++) {
  await pool.run('insert into kept values ($1)', [n]);
  process.stdout.write(`${n}\n`);
}
