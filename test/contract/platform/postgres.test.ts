import { setTimeout } from 'node:timers/promises';
import { beforeAll, expect, test } from 'vitest';
import { Failed } from '#core/errors.ts';
import { sqlState, violatedConstraint } from '#platform/postgres-errors.ts';
import { createPool, describeServer, inTransaction } from '#platform/postgres.ts';
import { onEachEngine, onPostgres, type TestPostgres } from '#support/postgres.ts';

const startLimitMs = 120_000;

onEachEngine('postgres', (start, engine) => {
  let database: TestPostgres;
  beforeAll(async () => {
    database = await start({ migrated: false });
    await database.pool.run('create extension btree_gist');
    await database.pool.run('create table note (writer int not null, n bigint not null)');
  }, startLimitMs);

  test('bigint, bytea and their arrays are decoded once, exactly', async () => {
    const hash = Uint8Array.of(0, 255, 92, 34, 44);
    const row = await database.pool.row(
      'select $1::bigint as n, $2::bytea as hash, $3::bigint[] as ns, $4::bytea[] as hashes, $5::int8[] as none',
      [2 ** 53 - 1, hash, [1, null, -5], [hash, hash], []],
    );
    expect(row).toStrictEqual({
      n: 2 ** 53 - 1,
      hash,
      ns: [1, null, -5],
      hashes: [hash, hash],
      none: [],
    });
  });

  test('a bigint that is not a safe integer is an error, never a rounded number', async () => {
    await expect(database.pool.rows('select 9007199254740993::bigint as n')).rejects.toThrow(
      RangeError,
    );
    expect(await database.pool.row('select 1 as fine')).toEqual({ fine: 1 });
  });

  test('statements and transactions of many connections never mix', async () => {
    const writers = Array.from({ length: 12 }, async (_, writer) => {
      for (let n = 0; n < 40; n++) {
        await inTransaction(database.pool, async (sql) => {
          await sql.run('insert into note values ($1, $2)', [writer, n]);
          const seen = await sql.row<{ count: number }>(
            'select count(*) from note where writer = $1',
            [writer],
          );
          expect(seen.count).toBe(n + 1);
        });
        const one = await database.pool.row<{ a: number; b: string }>(
          `select $1::int as a, $2::text as b, ${writer} as c`,
          [n, `writer ${writer}`],
        );
        expect(one).toEqual({ a: n, b: `writer ${writer}`, c: writer });
        if (n % 10 === 0) {
          await expect(database.pool.run('select $1::int / 0', [n])).rejects.toThrow('zero');
        }
      }
    });
    await Promise.all(writers);
    expect(await database.pool.row('select count(*) from note')).toEqual({ count: 480 });
  });

  test('what is not committed is not seen by another connection', async () => {
    let inside: () => void = () => undefined;
    const begun = new Promise<void>((resolve) => (inside = resolve));
    const writing = inTransaction(database.pool, async (sql) => {
      await sql.run('insert into note values (-1, 1)');
      inside();
      await setTimeout(30);
      await sql.run('insert into note values (-1, 2)');
    });
    await begun;
    const seen = await database.pool.row<{ count: number }>(
      'select count(*) from note where writer = -1',
    );
    expect([0, 2]).toContain(seen.count);
    await writing;
  });

  test('a transaction whose work throws leaves nothing', async () => {
    const oops = new Error('oops');
    const work = inTransaction(database.pool, async (sql) => {
      await sql.run('insert into note values (-2, 1)');
      throw oops;
    });
    await expect(work).rejects.toBe(oops);
    expect(await database.pool.rows('select 1 from note where writer = -2')).toEqual([]);
  });

  test('a transaction that swallowed an error does not pass for committed', async () => {
    const work = inTransaction(database.pool, async (sql) => {
      await sql.run('insert into note values (-3, 1)');
      await sql.run('select 1 / 0').catch(() => undefined);
    });
    await expect(work).rejects.toMatchObject({ code: 'rolled-back' });
    expect(await database.pool.rows('select 1 from note where writer = -3')).toEqual([]);
  });

  test('a transaction over its limit is given up, and others go on', async () => {
    const work = inTransaction(
      database.pool,
      async (sql) => {
        await sql.run('insert into note values (-4, 1)');
        await setTimeout(400);
        await sql.run('insert into note values (-4, 2)');
      },
      { timeoutMs: 100 },
    );
    await expect(work).rejects.toMatchObject({ code: 'transaction-timeout' });
    expect(await database.pool.rows('select 1 from note where writer = -4')).toEqual([]);
  });

  test('a connection that ends in mid-transaction or after an error frees the session', async () => {
    const other = createPool(database.connection, { limits: { maxConnections: 1 } });
    const client = await other.pg.connect();
    client.on('error', () => undefined);
    await client.query('begin');
    await client.query('insert into note values (-5, 1)');
    await expect(client.query('select $1::int / 0', [1])).rejects.toThrow('zero');
    client.release(true);
    await other.close();
    expect(await database.pool.rows('select 1 from note where writer = -5')).toEqual([]);
  });

  test('a broken constraint is told by its name', async () => {
    await database.pool.run(`create table stay (
      plant text not null, during int8range not null,
      constraint stay_overlap exclude using gist (plant with =, during with &&))`);
    const insert = 'insert into stay values ($1, int8range($2::bigint, $3::bigint))';
    await database.pool.run(insert, ['a', 0, 10]);
    await database.pool.run(insert, ['a', 10, 20]);
    await database.pool.run(insert, ['b', 5, 15]);
    const error: unknown = await database.pool.run(insert, ['a', 9, 11]).catch((e: unknown) => e);
    expect(violatedConstraint(error)).toBe('stay_overlap');
    expect(sqlState(error)).toBe('23P01');
    expect(error).not.toBeInstanceOf(Failed);
  });

  test('one row means one row', async () => {
    const none = database.pool.row('select 1 where false');
    await expect(none).rejects.toMatchObject({ code: 'row-count' });
    const two = database.pool.row('select generate_series(1, 2)');
    await expect(two).rejects.toMatchObject({ code: 'row-count' });
  });

  test('the server says what it is', async () => {
    const { versionNumber, version, timescale } = await describeServer(database.pool);
    expect(versionNumber).toBeGreaterThanOrEqual(150_000);
    expect(version).toMatch(/^\d+/);
    if (engine === 'pglite') expect(timescale).toBeUndefined();
  });

  test('a database that is gone fails with one code, and may be tried again', async () => {
    const pool = createPool({ host: '/nowhere', port: 5432, user: 'a', database: 'b' });
    await expect(pool.rows('select 1')).rejects.toMatchObject({ code: 'database-down' });
    await expect(inTransaction(pool, () => Promise.resolve())).rejects.toBeInstanceOf(Failed);
    await pool.close();
  });

  test('a thousand rows go in with one statement', async () => {
    await database.pool.run('create table reading (n bigint, hash bytea)');
    const ns = Array.from({ length: 1000 }, (_, n) => n);
    const hashes = ns.map((n) => Uint8Array.of(n & 255, n >> 8));
    const written = await database.pool.run(
      'insert into reading select * from unnest($1::bigint[], $2::bytea[])',
      [ns, hashes],
    );
    expect(written).toBe(1000);
    const last = await database.pool.row('select hash from reading where n = 999');
    expect(last).toEqual({ hash: Uint8Array.of(999 & 255, 999 >> 8) });
  });
});

onPostgres('two connections that race', (start) => {
  let database: TestPostgres;
  beforeAll(async () => {
    database = await start({ migrated: false });
    await database.pool.run('create table head (id int primary key, size bigint not null)');
    await database.pool.run('insert into head values (1, 0), (2, 0)');
  }, startLimitMs);

  test('a serialization conflict fails with its code', async () => {
    const move = (): Promise<number> =>
      inTransaction(
        database.pool,
        async (sql) => {
          const { size } = await sql.row<{ size: number }>('select size from head where id = 1');
          await setTimeout(50);
          return sql.run('update head set size = $1 where id = 1', [size + 1]);
        },
        { isolation: 'serializable' },
      );
    const [, second] = (await Promise.allSettled([move(), move()])).sort((a, b) =>
      a.status < b.status ? -1 : 1,
    );
    expect(second).toMatchObject({ status: 'rejected', reason: { code: 'serialization' } });
  });

  test('a deadlock fails with its code for one of the two', async () => {
    const lock = (first: number, second: number): Promise<void> =>
      inTransaction(database.pool, async (sql) => {
        await sql.run('update head set size = size where id = $1', [first]);
        await setTimeout(100);
        await sql.run('update head set size = size where id = $1', [second]);
      });
    const ends = await Promise.allSettled([lock(1, 2), lock(2, 1)]);
    const refused = ends.filter(({ status }) => status === 'rejected');
    expect(refused).toMatchObject([{ reason: { code: 'deadlock' } }]);
  });

  test('a statement over its limit is stopped by the server', async () => {
    const pool = createPool(database.connection, { limits: { statementTimeoutMs: 100 } });
    const sleeping = pool.rows('select pg_sleep(30)');
    await expect(sleeping).rejects.toMatchObject({ code: 'statement-timeout' });
    await pool.close();
  });

  test('a connection that the server ends fails the statement and is replaced', async () => {
    const heard: Error[] = [];
    const pool = createPool(database.connection, {
      limits: { maxConnections: 1 },
      onIdleError: (error) => heard.push(error),
    });
    const { pid } = await pool.row<{ pid: number }>('select pg_backend_pid() as pid');
    await database.pool.run('select pg_terminate_backend($1, 5000)', [pid]);
    await setTimeout(50);
    const next = await pool.row<{ pid: number }>('select pg_backend_pid() as pid');
    expect(next.pid).not.toBe(pid);
    expect(heard).toHaveLength(1);
    const sleeping = expect(pool.rows('select pg_sleep(30)')).rejects.toMatchObject({
      code: 'database-down',
    });
    await setTimeout(100);
    await database.pool.run('select pg_terminate_backend($1, 5000)', [next.pid]);
    await sleeping;
    await pool.close();
  });
});

onPostgres('a pipelined connection', (start) => {
  test('runs steps in their order, and tells of the first that failed', async () => {
    const { connection, pool: plain } = await start({ migrated: false });
    const pool = createPool(connection, { pipelined: true });
    await plain.run('create table step (n int primary key)');
    const insert = 'insert into step select $1::int where (select count(*) from step) = $1::int';
    for (const target of [pool, plain]) {
      await plain.run('truncate step');
      await inTransaction(target, async (sql) => {
        const written: number[] = [];
        await sql.pipeline(
          Array.from({ length: 20 }, (_, n) => async () => {
            written.push(await sql.run(insert, [n]));
          }),
        );
        expect(written).toEqual(Array(20).fill(1));
      });
      const doubled = inTransaction(target, (sql) =>
        sql.pipeline([
          () => sql.run('insert into step values (100)').then(() => undefined),
          async () => {
            await sql.run('select 1');
            throw new Failed('raced', 'what the answer says');
          },
          () => sql.run('insert into step values (1)').then(() => undefined),
          () => sql.run('insert into step values (101)').then(() => undefined),
        ]),
      );
      await expect(doubled).rejects.toMatchObject({ code: 'raced' });
      // The first step's second statement comes after the failure, and is not its cause.
      const cause = inTransaction(target, (sql) =>
        sql.pipeline([
          async () => {
            await sql.run('select 1');
            await sql.run('select 2');
          },
          () => sql.run('insert into step values (1)').then(() => undefined),
        ]),
      );
      await expect(cause).rejects.toMatchObject({ constraint: 'step_pkey' });
      const { n } = await plain.row<{ n: number }>('select count(*) as n from step');
      expect(n).toBe(20);
    }
    expect(await pool.row('select 1 as fine')).toEqual({ fine: 1 });
    await pool.close();
  });

  test('does not wait for an answer before it sends the next statement', async () => {
    const { connection } = await start({ migrated: false });
    const pool = createPool(connection, { pipelined: true });
    const ended: string[] = [];
    await inTransaction(pool, (sql) =>
      sql.pipeline([
        () => sql.run('select pg_sleep(0.2)').then(() => void ended.push('first')),
        // Sent while the server sleeps: the two begin at the same time on this side.
        () => {
          ended.push('sent');
          return sql.run('select 1').then(() => void ended.push('second'));
        },
      ]),
    );
    expect(ended).toEqual(['sent', 'first', 'second']);
    await pool.close();
  });
});
