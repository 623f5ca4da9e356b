import fs from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { basename, dirname, join } from 'node:path';

/**
 * The disk below one folder, of this process: real files, whose every operation can be made to fail,
 * and beside them what the disk would hold had the power gone.
 *
 * What is written lies in the cache until a sync of that very file; a name is there for good after a
 * sync of its folder. A sync that fails before anything happened leaves what it should have written in
 * the cache, marked as written: a later sync succeeds and writes nothing of it. So Linux does it, and
 * `test/faults/witness/kill.test.ts` sees it do so.
 */
export interface FailingDisk {
  /** Lets the next operations be counted from 0, and makes one fail. */
  readonly failAt: (operation: number, fault: Fault) => void;
  /** What has been done since then, by name. */
  readonly operations: () => readonly string[];
  /** Whether the one that is to fail has come. */
  readonly hasFailed: () => boolean;
  /** Writes the folder as a power cut now would leave it into another, which must be empty. */
  readonly powerCut: (into: string, kept: Kept) => void;
  readonly letGo: () => void;
}

/** When it fails: nothing, half (of what is written) or all of it has happened by then. */
export type Fault = 'before' | 'half' | 'after';

/** Of what nobody synced: a disk may have kept it all the same, the names or the contents. */
export interface Kept {
  readonly names: boolean;
  readonly contents: boolean;
}

type Method = (...given: readonly unknown[]) => Promise<unknown>;
type Inode = 'folder' | FileModel;

export function failingDisk(root: string): FailingDisk {
  let count = 0;
  let failing: { readonly operation: number; readonly fault: Fault } | undefined;
  let failed = false;
  let names: string[] = [];
  const model = modelBelow(root);

  /** Does one operation, or what its failing leaves done of it. */
  const pass: Pass = async (name, steps) => {
    names.push(name);
    if (count++ !== failing?.operation) return steps.whole();
    failed = true;
    if (failing.fault === 'after') await steps.whole();
    else if (failing.fault === 'half') await steps.half?.();
    else await steps.lost?.();
    const code = /^(?:write|append)/.test(name) ? 'ENOSPC' : 'EIO';
    throw Object.assign(new Error(`${code}: says the test, ${name}`), { code, syscall: name });
  };

  const restore = replaceMethods(root, model, pass);
  return {
    failAt(operation, fault) {
      count = 0;
      names = [];
      failed = false;
      failing = { operation, fault };
    },
    operations: () => names,
    hasFailed: () => failed,
    powerCut: model.powerCut,
    letGo: restore,
  };
}

interface Steps {
  readonly whole: () => Promise<unknown>;
  readonly half?: () => Promise<unknown>;
  readonly lost?: () => unknown;
}
type Pass = (name: string, steps: Steps) => Promise<unknown>;

/** Puts ours in the place of what `node:fs/promises` exports, for what lies below `root`. */
function replaceMethods(root: string, model: Model, pass: Pass): () => void {
  const target = fs.promises;
  const isOurs = (path: unknown): path is string =>
    typeof path === 'string' && (path === root || path.startsWith(`${root}/`));
  const nameOf = (path: string): string =>
    (path === root ? '.' : path.slice(root.length + 1)).replace(/[0-9a-f]{12}/, '#');
  const originals = ['open', 'rename', 'rm', 'mkdir', 'readFile', 'truncate'] as const;
  const inner = Object.fromEntries(
    originals.map((name) => [name, Reflect.get(target, name) as Method]),
  ) as Record<(typeof originals)[number], Method>;
  const replaced = (method: (typeof originals)[number], ours: (path: string) => Method): void => {
    Reflect.set(target, method, (...given: readonly unknown[]) => {
      const [path] = given;
      return isOurs(path) ? ours(path)(...given) : inner[method](...given);
    });
  };
  replaced('open', (path) => async (...given) => {
    let handle: FileHandle | undefined;
    const whole = async (): Promise<FileHandle> => {
      handle = (await inner.open(...given)) as FileHandle;
      return watched(handle, nameOf(path), { inode: model.opened(path), path, model, pass });
    };
    try {
      return await pass(`open ${String(given[1])} ${nameOf(path)}`, { whole });
    } catch (error) {
      await handle?.close();
      throw error;
    }
  });
  replaced(
    'rename',
    (path) =>
      (...given) =>
        pass(`rename ${nameOf(path)}`, {
          async whole() {
            await inner.rename(...given);
            model.renamed(path, String(given[1]));
          },
        }),
  );
  replaced(
    'rm',
    (path) =>
      (...given) =>
        pass(`rm ${nameOf(path)}`, {
          async whole() {
            await inner.rm(...given);
            model.removed(path);
          },
        }),
  );
  replaced(
    'mkdir',
    (path) =>
      (...given) =>
        pass(`mkdir ${nameOf(path)}`, {
          async whole() {
            const made = await inner.mkdir(...given);
            model.made(path);
            return made;
          },
        }),
  );
  replaced(
    'readFile',
    (path) =>
      (...given) =>
        pass(`read ${nameOf(path)}`, { whole: () => inner.readFile(...given) }),
  );
  syncBuiltinESMExports();
  return () => {
    for (const name of originals) Reflect.set(target, name, inner[name]);
    syncBuiltinESMExports();
  };
}

interface Opened {
  readonly inode: Inode;
  readonly path: string;
  readonly model: Model;
  readonly pass: Pass;
}

/** The handle itself, with methods of ours: whoever has its descriptor has a real one. */
function watched(handle: FileHandle, name: string, opened: Opened): FileHandle {
  const { inode, path, model, pass } = opened;
  const replace = (method: string, steps: (inner: Method, given: readonly unknown[]) => Steps) => {
    const inner = Reflect.get(handle, method) as Method;
    const bound: Method = (...given) => inner.apply(handle, [...given]);
    Reflect.set(handle, method, (...given: readonly unknown[]) =>
      pass(`${method} ${name}`, steps(bound, given)),
    );
  };
  replace('close', (inner) => ({ whole: inner, lost: inner }));
  for (const method of ['sync', 'datasync']) {
    replace(method, (inner) => ({
      async whole() {
        await inner();
        if (inode === 'folder') model.folderSynced(path);
        else inode.synced();
      },
      lost: () => {
        if (inode !== 'folder') inode.lost();
      },
    }));
  }
  if (inode === 'folder') return handle;
  replace('truncate', (inner, given) => ({
    async whole() {
      await inner(...given);
      inode.truncated(Number(given[0]));
    },
  }));
  // The stores write at the end only; so does this.
  for (const method of ['write', 'writeFile', 'appendFile']) {
    replace(method, (inner, given) => {
      const bytes = Buffer.from(given[0] as Uint8Array);
      const write = async (part: Buffer): Promise<unknown> => {
        const done = await inner(part);
        inode.appended(part);
        return done;
      };
      return {
        whole: () => write(bytes),
        half: () => write(bytes.subarray(0, Math.ceil(bytes.length / 2))),
      };
    });
  }
  return handle;
}

/** The bytes of a file in the cache, and on the disk. */
interface FileModel {
  readonly appended: (bytes: Uint8Array) => void;
  readonly truncated: (size: number) => void;
  readonly synced: () => void;
  readonly lost: () => void;
  readonly bytes: (cached: boolean) => Buffer;
}

function fileModel(): FileModel {
  let cache = Buffer.alloc(0);
  let disk = Buffer.alloc(0);
  /** From where to where the cache is to be written. */
  let dirty: { readonly from: number; readonly to: number }[] = [];
  return {
    appended(bytes) {
      dirty.push({ from: cache.length, to: cache.length + bytes.length });
      cache = Buffer.concat([cache, bytes]);
    },
    truncated(size) {
      cache = cache.subarray(0, size);
    },
    synced() {
      // The size is a name's affair and no page's: what was lost below it reads as zeros.
      const next = Buffer.alloc(cache.length);
      disk.copy(next);
      for (const { from, to } of dirty) cache.copy(next, from, from, Math.min(to, cache.length));
      disk = next;
      dirty = [];
    },
    lost() {
      dirty = [];
    },
    bytes: (cached) => (cached ? cache : disk),
  };
}

interface Model {
  readonly opened: (path: string) => Inode;
  readonly renamed: (from: string, to: string) => void;
  readonly removed: (path: string) => void;
  /** With what was missing above it. */
  readonly made: (path: string) => void;
  readonly folderSynced: (path: string) => void;
  readonly powerCut: (into: string, kept: Kept) => void;
}

function modelBelow(root: string): Model {
  const now = new Map<string, Inode>([[root, 'folder']]);
  const safe = new Map<string, Inode>(now);
  const made = (path: string): void => {
    if (now.has(path)) return;
    made(dirname(path));
    now.set(path, 'folder');
  };
  return {
    opened(path) {
      const there = now.get(path) ?? fileModel();
      now.set(path, there);
      return there;
    },
    renamed(from, to) {
      const moved = now.get(from);
      if (moved === undefined) throw new Error(`${from} is not there`);
      now.delete(from);
      now.set(to, moved);
    },
    removed: (path) => void now.delete(path),
    made,
    folderSynced(path) {
      for (const name of new Set([...now.keys(), ...safe.keys()])) {
        if (name === path || dirname(name) !== path) continue;
        const there = now.get(name);
        if (there === undefined) safe.delete(name);
        else safe.set(name, there);
      }
    },
    powerCut(into, kept) {
      const place = (path: string): string => join(into, path.slice(root.length));
      const there = kept.names ? now : safe;
      // Shorter paths first: a folder whose own name is lost takes all below it along.
      for (const [path, inode] of [...there].sort(([a], [b]) => a.length - b.length)) {
        if (path === root || !fs.existsSync(dirname(place(path)))) continue;
        if (inode === 'folder') fs.mkdirSync(place(path));
        else if (basename(path) !== 'lock') {
          fs.writeFileSync(place(path), inode.bytes(kept.contents), { mode: 0o600 });
        }
      }
    },
  };
}
