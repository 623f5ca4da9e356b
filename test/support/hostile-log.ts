import { createServer } from 'node:http';
import { encodeEntry, parseEntry, type Entry, type EntryRef } from '#core/certificate/entry.ts';
import { readLogFiles, type LogRead } from '#core/certificate/audit/audit-files.ts';
import {
  parseMeterRecord,
  encodeMeterRecord,
  type MeterRecord,
} from '#core/energy/meter-record.ts';
import { encodeFramed } from '#core/energy/evidence-file.ts';
import { toHex } from '#core/bytes.ts';
import { parseCheckpoint, type Checkpoint } from '#core/tlog/checkpoint.ts';
import { parseNote } from '#core/tlog/note.ts';
import { encodeBundle, tileWidth } from '#core/tlog/tile.ts';
import { leafHash, treeRoot } from '#core/tlog/tree.ts';
import { listenOn, urlOf } from '#platform/listen.ts';
import { folderLogReader } from '#platform/log-reader.ts';

/**
 * A log whose operator does what it likes: it begins with what an honest ledger published, changes
 * and adds entries, computes the trees anew, and serves over HTTP whatever a test puts in its files.
 */
export interface HostileLog {
  readonly entries: Uint8Array[];
  /** The meter records of each entry, as they are served. */
  readonly records: (readonly Uint8Array[])[];
  /** Files served otherwise than they are: other bytes, a status, or a place to be sent to. */
  readonly overlay: Map<string, Uint8Array | number | string>;
  /** Paths that were asked for, in order. */
  readonly asked: string[];
  /** Takes back all from `size` on. */
  readonly cut: (size: number) => void;
  readonly append: (entry: NewEntry, records?: readonly Uint8Array[]) => EntryRef;
  readonly insert: (index: number, entry: NewEntry) => void;
  /** Restates the spec of an entry; later entries that refer to it are not mended. */
  readonly change: (index: number, change: (spec: Spec) => object) => void;
  /** Changes the meter records of an hour, with the root that its entry names. */
  readonly changeRecords: (index: number, change: (record: MeterRecord) => MeterRecord) => void;
  /** Appends what an honest ledger says of the entry at `index`. */
  readonly void: (index: number, code: string) => EntryRef;
  readonly spec: (index: number) => Spec;
  readonly ref: (index: number) => EntryRef;
  readonly checkpoint: (size?: number) => Checkpoint;
  readonly url: string;
  readonly stop: () => Promise<void>;
}

// What a test changes is of no kind any more.
type Spec = Record<string, unknown>;
type NewEntry = Pick<Entry, 'kind' | 'spec'> & Partial<Pick<Entry, 'auth' | 'time'>>;

export async function startHostileLog(folder: string): Promise<HostileLog> {
  const read = folderLogReader(folder);
  const { entries, records, origin } = await load(read);
  const overlay: HostileLog['overlay'] = new Map();
  const asked: string[] = [];
  const newest = (): number => parse(entries.at(-1)).time;
  const encoded = ({ kind, spec, auth = [], time = newest() }: NewEntry): Uint8Array =>
    encodeEntry({ kind, spec, auth, time });
  const ref = (index: number): EntryRef => ({
    index,
    leafHash: toHex(leafHash(entries[index] ?? new Uint8Array())),
  });

  const served = async (path: string): Promise<Uint8Array | number | string> => {
    asked.push(path);
    const other = overlay.get(path);
    if (other !== undefined) return other;
    const bundle = /^(tile\/entries|meters)\/(\d{3})(?:\.p\/(\d+))?$/.exec(path);
    if (bundle === null) return (await read(path)) ?? 404;
    const first = Number(bundle[2]) * tileWidth;
    const end = first + Number(bundle[3] ?? tileWidth);
    if (end > entries.length) return 404;
    return bundle[1] === 'meters'
      ? encodeFramed(records.slice(first, end).map((own) => encodeFramed(own)))
      : encodeBundle(entries.slice(first, end));
  };
  const { url, stop } = await serve(served);

  const log: HostileLog = {
    entries,
    records,
    overlay,
    asked,
    ref,
    url,
    stop,
    spec: (index) => parse(entries[index]).spec as Spec,
    cut(size) {
      entries.splice(size);
      records.splice(size);
    },
    append(entry, own = []) {
      entries.push(encoded(entry));
      records.push(own);
      return ref(entries.length - 1);
    },
    insert(index, entry) {
      entries.splice(index, 0, encoded({ time: parse(entries[index]).time, ...entry }));
      records.splice(index, 0, []);
    },
    change(index, change) {
      const entry = parse(entries[index]);
      entries[index] = encodeEntry({ ...entry, spec: change(entry.spec as Spec) });
    },
    changeRecords(index, change) {
      const changed = (records[index] ?? []).map((bytes) =>
        encodeMeterRecord(change(parseMeterRecord(bytes))),
      );
      records[index] = changed;
      log.change(index, (spec) => ({ ...spec, metersRoot: rootOf(changed) }));
    },
    void(index, code) {
      return log.append({ kind: 'void', spec: { ...ref(index), code } });
    },
    checkpoint: (size = entries.length) => ({
      origin,
      size,
      root: treeRoot(entries.slice(0, size).map(leafHash)),
    }),
  };
  return log;
}

function parse(bytes: Uint8Array | undefined): Entry {
  return parseEntry(bytes ?? new Uint8Array());
}

function rootOf(leaves: readonly Uint8Array[]): string {
  return toHex(treeRoot(leaves.map(leafHash)));
}

async function load(read: LogRead): Promise<{
  entries: Uint8Array[];
  records: (readonly Uint8Array[])[];
  origin: string;
}> {
  const files = readLogFiles(read);
  const { size, origin } = parseCheckpoint(parseNote(await files.checkpoint()).text);
  if (size > tileWidth) throw new RangeError('folder: more than one bundle');
  const entries = [...(await files.entries(0, size))];
  const records = [...(await files.records(0, size))];
  return { entries, records, origin };
}

async function serve(
  served: (path: string) => Promise<Uint8Array | number | string>,
): Promise<{ url: string; stop: () => Promise<void> }> {
  const server = createServer((request, response) => {
    void served((request.url ?? '').slice(1)).then((answer) => {
      if (typeof answer === 'number') response.writeHead(answer).end();
      else if (typeof answer === 'string') response.writeHead(302, { location: answer }).end();
      else response.writeHead(200).end(answer);
    });
  });
  await listenOn(server, { host: '127.0.0.1', port: 0 });
  return {
    url: urlOf(server),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
