import type pg from 'pg';
import type { LogFolder } from '#ledger/log-folder.ts';
import type { Pool } from '#platform/postgres.ts';

/**
 * A process that dies at one chosen operation on its database or its files: before it ("it had not
 * happened") or after it ("and it had"). From then on nothing that it asks for happens any more.
 */
export interface Breaking {
  readonly pool: (pool: Pool) => Pool;
  readonly folder: (folder: LogFolder) => LogFolder;
  readonly isBroken: () => boolean;
  /** What it died at, for a test's message. */
  readonly where: () => string;
}

export type Moment = 'before' | 'after';

export function breakAt(operation: number, moment: Moment): Breaking {
  let count = 0;
  let broken = false;
  let where = 'nowhere';
  const dead = (): Error =>
    Object.assign(new Error('the process is dead'), { syscall: 'read', code: 'ECONNRESET' });

  const pass = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    if (broken) throw dead();
    const isTheOne = count++ === operation;
    if (isTheOne) where = `${moment} ${name}`;
    if (isTheOne && moment === 'before') {
      broken = true;
      throw dead();
    }
    const result = await work();
    if (isTheOne) {
      broken = true;
      throw dead();
    }
    return result;
  };

  const bound = (value: unknown, target: object): unknown =>
    typeof value === 'function' ? (value.bind(target) as unknown) : value;

  const breakingClient = (client: pg.PoolClient): pg.PoolClient =>
    new Proxy(client, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name, target);
        if (name !== 'query') return bound(value, target);
        return (text: string, values?: unknown[]) =>
          // What a dead process leaves open, the server rolls back.
          text === 'rollback'
            ? target.query(text)
            : pass(text.trim().slice(0, 60), () => target.query(text, values));
      },
    });

  return {
    isBroken: () => broken,
    where: () => where,
    pool: (pool) => ({
      rows: (text, values) => pass(text.trim().slice(0, 60), () => pool.rows(text, values)),
      row: (text, values) => pass(text.trim().slice(0, 60), () => pool.row(text, values)),
      run: (text, values) => pass(text.trim().slice(0, 60), () => pool.run(text, values)),
      close: () => pool.close(),
      pg: new Proxy(pool.pg, {
        get(target, name) {
          const value: unknown = Reflect.get(target, name, target);
          if (name !== 'connect') return bound(value, target);
          return async () => {
            // Dying right after it, nobody would give the connection back: it ends with the process.
            const client = await target.connect();
            try {
              return breakingClient(await pass('connect', () => Promise.resolve(client)));
            } catch (error) {
              client.release(true);
              throw error;
            }
          };
        },
      }),
    }),
    folder: (folder) => ({
      read: (path) => pass(`read ${path}`, () => folder.read(path)),
      write: (files) => pass(`write ${files[0]?.path ?? ''}`, () => folder.write(files)),
      writeNew: (files) => pass(`write new ${files[0]?.path ?? ''}`, () => folder.writeNew(files)),
      remove: (path) => pass(`remove ${path}`, () => folder.remove(path)),
      exclusively: (work) => pass('lock', () => folder.exclusively(work)),
    }),
  };
}
