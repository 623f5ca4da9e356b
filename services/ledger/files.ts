import { Refused } from '#core/errors.ts';
import { parseRecordBundle, parseRecords, recordBundlePath } from '#core/energy/evidence-file.ts';
import { parseBundle, tilePath, tileWidth } from '#core/tlog/tile.ts';
import type { LogFolder } from './log-folder.ts';

/** Reads a log from its static files alone, as an auditor does; nothing here asks a database. */
export interface LogFiles {
  /** The signed note, or Refused('checkpoint-missing'). */
  readonly checkpoint: () => Promise<Uint8Array>;
  /** The entries of one bundle in a log of `size`, and the meter records of each. */
  readonly bundle: (index: number, size: number) => Promise<BundleFile>;
  readonly read: (path: string) => Promise<Uint8Array | undefined>;
}

export interface BundleFile {
  readonly first: number;
  readonly entries: readonly Uint8Array[];
  /** Empty where an entry is no public hour. */
  readonly records: readonly (readonly Uint8Array[])[];
}

export function readLogFiles({ read }: Pick<LogFolder, 'read'>): LogFiles {
  const required = async (
    path: string,
    full: string,
  ): Promise<{ bytes: Uint8Array; isFull: boolean }> => {
    const bytes = await read(path);
    if (bytes !== undefined) return { bytes, isFull: path === full };
    // A partial file may be gone once the full one is there (tlog-tiles).
    const whole = path === full ? undefined : await read(full);
    if (whole === undefined) throw new Refused('file-missing', `${path} is missing`);
    return { bytes: whole, isFull: true };
  };
  return {
    read,
    async checkpoint() {
      const note = await read('checkpoint');
      if (note === undefined) throw new Refused('checkpoint-missing', 'there is no checkpoint');
      return note;
    },
    async bundle(index, size) {
      const first = index * tileWidth;
      const width = Math.min(tileWidth, size - first);
      const path = tilePath({ level: 'entries', index, width });
      const full = tilePath({ level: 'entries', index, width: tileWidth });
      const entries = await required(path, full);
      const records = await required(recordBundlePath(path), recordBundlePath(full));
      const widthOf = (isFull: boolean): number => (isFull ? tileWidth : width);
      return {
        first,
        entries: parseBundle(entries.bytes, widthOf(entries.isFull)).slice(0, width),
        records: parseRecordBundle(records.bytes, widthOf(records.isFull))
          .slice(0, width)
          .map((part) => parseRecords(part)),
      };
    },
  };
}
