import { ClassicLevel } from 'classic-level';
import { utf8 } from '#core/bytes.ts';
import type { StateStore } from '#core/certificate/state/state-store.ts';
import type { LogTables } from '#core/certificate/state/tables.ts';
import { Failed, Refused } from '#core/errors.ts';
import { ensureFolder } from './durable-file.ts';
import { leaveSums, takeSums, type FolderSums } from './folder-sums.ts';
import { areTablesWhole } from './state-blocks.ts';
import {
  codeOf,
  folderMode,
  isDamage,
  isSound,
  keepKey,
  keepsKey,
  keepsOf,
} from './state-database.ts';
import { makeAnew, memoryKey, openDatabase, type Database } from './state-database.ts';
import { tablesOn, withoutSum, withSum } from './state-tables.ts';

/** The tables of a log's state (core/certificate/state/tables.ts) in a LevelDB folder of their own. */

type Rows = Map<string, Uint8Array>;

interface Held {
  readonly folder: string;
  /** Of files that were there when it was opened; those of tables are written once and never again. */
  sums: FolderSums;
  readonly database: Database;
  tables: LogTables;
  /** Set since the last `keep`, and those that one is writing right now. */
  unkept: Rows;
  keeping: Rows | undefined;
  keeps: number;
  /** The files may end in half of a batch, and must be opened again before they take another one. */
  isTorn: boolean;
  /** A row could not be read. */
  isLost: boolean;
  /** And cannot be read by anybody. */
  isDamaged: boolean;
}

/**
 * Opens the store in `folder`, which nothing else may use; it is made where there is none. One that is
 * damaged is made anew, since all that it held can be learnt again. Refused('folder-in-use') when
 * somebody has it open, Failed('state-store').
 */
export async function openStateStore(folder: string): Promise<StateStore> {
  try {
    await ensureFolder(folder, folderMode);
    const { sums, isIntact } = await takeSums(folder);
    // Whoever did not close it left no sums.
    const isWhole = sums.size > 0 ? isIntact : isIntact && (await areTablesWhole(folder));
    const database = await openDatabase(folder, isWhole);
    const keeps = keepsOf(database) ?? 0;
    return storeOn({
      // One that was made anew counts its files from the beginning.
      ...{ folder, sums: keeps === 0 ? new Map() : sums, database, keeps },
      ...{ unkept: new Map(), keeping: undefined, tables: tablesOn(noRows) },
      ...{ isTorn: false, isLost: false, isDamaged: false },
    });
  } catch (cause) {
    if (codeOf(cause) !== 'LEVEL_LOCKED') throw failed(folder, cause);
    throw new Refused('folder-in-use', `${folder} is in use by another process`, { cause });
  }
}

const noRows = { read: () => undefined, write: () => undefined };

function failed(folder: string, cause: unknown): Failed {
  if (cause instanceof Failed) return cause;
  const why = cause instanceof Error ? (cause.cause instanceof Error ? cause.cause : cause) : cause;
  return new Failed('state-store', `${folder}: ${String(why)}`, { cause });
}

function storeOn(held: Held): StateStore {
  const attempt = async (work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (cause) {
      if (isDamage(cause)) held.isLost = held.isDamaged = true;
      throw failed(held.folder, cause);
    }
  };
  startAfresh(held);
  return {
    get tables() {
      return held.tables;
    },
    kept: () => read(held, memoryKey),
    keep: (memory) => attempt(() => keep(held, memory)),
    unkeptRows: () => held.unkept.size,
    isLost: () => held.isLost,
    reset() {
      startAfresh(held);
      return attempt(() => reset(held));
    },
    clear() {
      startAfresh(held);
      return attempt(() => clear(held));
    },
    close: () => attempt(() => close(held)),
  };
}

/** Only what is kept counts from here on, and only for tables that are asked for from here on. */
function startAfresh(held: Held): void {
  held.unkept = new Map();
  held.keeping = undefined;
  const requireCurrent = (): void => {
    if (held.tables === made) return;
    throw new Failed('state-store', 'what was asked has been gone back on');
  };
  const made = tablesOn({
    read(key) {
      requireCurrent();
      return read(held, key);
    },
    write(key, row) {
      requireCurrent();
      held.unkept.set(key, row);
    },
  });
  held.tables = made;
}

function read(held: Held, key: string): Uint8Array | undefined {
  const waiting = held.unkept.get(key) ?? held.keeping?.get(key);
  if (waiting !== undefined) return waiting;
  try {
    const bytes = held.database.getSync(key);
    if (bytes === undefined) return undefined;
    const row = withoutSum(key, bytes);
    if (row === undefined) throw new Error(`${key} is not what was written`);
    return row;
  } catch (cause) {
    held.isLost = true;
    held.isDamaged ||= codeOf(cause) !== 'LEVEL_DATABASE_NOT_OPEN';
    throw failed(held.folder, cause);
  }
}

async function keep(held: Held, memory: Uint8Array): Promise<void> {
  if (held.keeping !== undefined) throw new RangeError('keep: another one is under way');
  // Whoever was to be given a row that could not be read has stopped in the middle of something.
  if (held.isLost) throw new Failed('state-store', `${held.folder}: a row is lost`);
  const rows = held.unkept;
  held.keeping = rows;
  held.unkept = new Map();
  try {
    await reopenIfTorn(held);
    const keeps = held.keeps + 1;
    const batch = held.database.batch();
    const put = (key: string, row: Uint8Array): unknown => batch.put(key, withSum(key, row));
    for (const [key, row] of rows) put(key, row);
    put(memoryKey, memory);
    put(keepsKey, utf8(String(keeps)));
    put(keepKey(keeps), utf8(''));
    held.isTorn = true;
    await batch.write({ sync: true });
    held.isTorn = false;
    held.keeps = keeps;
  } catch (error) {
    if (held.keeping === rows) held.unkept = new Map([...rows, ...held.unkept]);
    throw error;
  } finally {
    if (held.keeping === rows) held.keeping = undefined;
  }
}

/** What a broken write left at the end of the files is dropped, or turns out to have been all of it. */
async function reopenIfTorn(held: Held): Promise<void> {
  const { database, folder } = held;
  if (!held.isTorn && database.status === 'open') return;
  await database.close();
  await database.open();
  if (!(await isSound(database))) {
    held.isLost = held.isDamaged = true;
    throw new Failed('state-store', `${folder}: what was kept is damaged`);
  }
  held.keeps = keepsOf(database) ?? 0;
  held.isTorn = false;
}

async function reset(held: Held): Promise<void> {
  if (held.isDamaged) return clear(held);
  await reopenIfTorn(held);
  held.isLost = false;
}

async function clear(held: Held): Promise<void> {
  await makeAnew(held.database, held.folder);
  held.keeps = 0;
  held.sums = new Map();
  held.isTorn = held.isLost = held.isDamaged = false;
}

async function close({ database, folder, sums, isDamaged }: Held): Promise<void> {
  await database.close();
  if (isDamaged) return ClassicLevel.destroy(folder);
  try {
    await leaveSums(folder, { known: tablesOf(sums), isKept: isOfDatabase });
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    // A full disk, say. Without them whoever opens it next has the less to go by, and no more than that.
  }
}

/** Not its lock, nor its own notes. */
const isOfDatabase = (name: string): boolean => /^CURRENT$|^MANIFEST-|\.(?:ldb|log)$/.test(name);

function tablesOf(sums: FolderSums): FolderSums {
  return new Map([...sums].filter(([name]) => name.endsWith('.ldb')));
}
