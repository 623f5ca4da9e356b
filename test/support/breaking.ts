import type pg from 'pg';
import type { LogFolder } from '#ledger/log-folder.ts';
import type { Pool } from '#platform/postgres.ts';
import { asFailure } from '#platform/postgres-errors.ts';

/**
 * A process that dies at one chosen operation on its database or its files: before it ("it had not
 * happened") or after it ("and it had"). From then on nothing that it asks for happens any more.
 * With `lives` that one operation fails alone, and the process goes on.
 */
export interface Breaking {
  readonly pool: (pool: Pool) => Pool;
  readonly folder: (folder: LogFolder) => LogFolder;
  readonly isBroken: () => boolean;
  /** What it died at, for a test's message. */
  readonly where: () => string;
}

export type Moment = 'before' | 'after';

/** What the system says, such as ENOSPC of a disk that is full. */
export type SystemCode = 'ECONNRESET' | 'ENOSPC' | 'EACCES' | 'EIO';

export interface BreakOptions {
  readonly lives?: boolean;
  /** Of an operation on files; that on a database loses its connection. */
  readonly code?: SystemCode;
  /** Hears of every operation, by its name without what differs from time to time. */
  readonly onOperation?: (name: string) => void;
}

/** `operation`: which one, counted from 0, or the first of that name. */
export function breakAt(
  operation: number | string,
  moment: Moment,
  { lives = false, code = 'ECONNRESET', onOperation }: BreakOptions = {},
): Breaking {
  let count = 0;
  let broken = false;
  let where = 'nowhere';
  const failure = (of: SystemCode): Error =>
    Object.assign(new Error(`${of}, says the test`), { syscall: 'read', code: of });

  const pass = async <T>(
    what: string,
    work: () => Promise<T>,
    of: SystemCode = 'ECONNRESET',
  ): Promise<T> => {
    if (broken && !lives) throw failure('ECONNRESET');
    const name = what.replaceAll(/[0-9a-f]{64}|\d+/g, '#');
    onOperation?.(name);
    const isTheOne = !broken && (operation === name || count++ === operation);
    if (!isTheOne) return work();
    where = `${moment} ${name}`;
    broken = true;
    if (moment === 'after') await work();
    throw failure(of);
  };

  /** A pool says of a lost connection what its callers are promised. */
  const query = <T>(text: string, work: () => Promise<T>): Promise<T> =>
    pass(text.trim().slice(0, 60), work).catch((error: unknown) => {
      throw asFailure(error);
    });

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
      rows: (text, values) => query(text, () => pool.rows(text, values)),
      row: (text, values) => query(text, () => pool.row(text, values)),
      run: (text, values) => query(text, () => pool.run(text, values)),
      pipeline: (steps) => pool.pipeline(steps),
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
      read: (path) => pass(`read ${path}`, () => folder.read(path), code),
      write: (files) => pass(`write ${files[0]?.path ?? ''}`, () => folder.write(files), code),
      writeNew: (files) =>
        pass(`write new ${files[0]?.path ?? ''}`, () => folder.writeNew(files), code),
      recover: () => pass('recover', () => folder.recover(), code),
      settle: () => pass('settle', () => folder.settle(), code),
      remove: (path) => pass(`remove ${path}`, () => folder.remove(path), code),
      exclusively: (work) => pass('lock', () => folder.exclusively(work), code),
    }),
  };
}
