import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { createPool, inTransaction, type Pool } from '#platform/postgres.ts';
import { describeWith } from '#support/needs.ts';
import { ownPostgres, startBreakablePostgres, type BreakablePostgres } from '#support/postgres.ts';
import { insertLogSetting } from '#support/register.ts';
import { startTcpProxy, type TcpProxy } from '#support/tcp-proxy.ts';

const lockSql = `select 1 from log_setting for update`;

describeWith([ownPostgres], 'a connection to PostgreSQL of which one half is gone', () => {
  let server: BreakablePostgres;
  let cable: TcpProxy;
  let direct: Pool;
  let far: Pool;
  /** What was asked by way of the cable. */
  const asked: string[] = [];
  beforeAll(async () => {
    server = await startBreakablePostgres();
    cable = await startTcpProxy(() => server.socket);
    direct = createPool(server.connectionString);
    await insertLogSetting(direct);
  });
  afterAll(async () => {
    await direct.close();
    await cable.close();
    await server.stop();
  });
  afterEach(async () => {
    cable.flow();
    asked.length = 0;
    await far.close();
  });
  const farPool = (silentTransactionMs: number): Pool => {
    far = createPool(server.through(cable.port), {
      limits: { statementTimeoutMs: 500, connectTimeoutMs: 1_000, silentTransactionMs },
    });
    far.pg.on('connect', ({ connection }: { connection?: { stream?: unknown } }) => {
      const stream = connection?.stream;
      if (typeof stream !== 'object' || stream === null || !('write' in stream)) return;
      const write = stream.write as (...words: unknown[]) => unknown;
      stream.write = (...words: unknown[]) => {
        const [bytes] = words;
        if (bytes instanceof Uint8Array) asked.push(Buffer.from(bytes).toString('latin1'));
        return Reflect.apply(write, stream, words);
      };
    });
    return far;
  };

  it('fails once, is thrown away unasked, and the next one does the work', async () => {
    const pool = farPool(60_000);
    const work = inTransaction(pool, async (sql) => {
      await sql.rows('select 1');
      cable.abandon('client');
      await sql.rows('select 2');
    });
    await expect(work).rejects.toMatchObject({ name: 'Failed', code: 'database-down' });
    expect(asked.join()).toContain('select 2');
    expect(asked.join()).not.toContain('rollback');
    expect(pool.pg.totalCount).toBe(0);
    await inTransaction(pool, (sql) => sql.rows('select 3'));
  });

  it('that was never to be opened is given up', async () => {
    const pool = farPool(60_000);
    cable.stall();
    await expect(pool.rows('select 1')).rejects.toMatchObject({ code: 'database-down' });
    cable.flow();
    await pool.rows('select 1');
  });

  it('holds no lock for long when the server does not know of it', async () => {
    const pool = farPool(700);
    const work = inTransaction(pool, async (sql) => {
      await sql.rows(lockSql);
      cable.abandon('target');
      await sql.rows('select 1');
    });
    await expect(work).rejects.toMatchObject({ code: 'database-down' });
    // Waits for the lock, and fails where the server keeps it for that silent client.
    await expect(direct.rows(lockSql)).resolves.toHaveLength(1);
  });
});
